"""discover() with errors of the rows: sigma=, sample_weight= and Huber's loss."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.optimize import curve_fit, minimize

import knotwork as kw
from knotwork.discovery.errors_of_rows import with_errors
from knotwork.discovery.table import sample_of, table
from knotwork.expressions import parametrise, parse, to_numpy
from knotwork.formulas.constants import Sample, Template, fitted
from knotwork.regression.curve_names import IDENTITY
from knotwork.regression.structures import Rows, Structure, fit_structure


def line(size=400, seed=0):
    """A line whose first half of rows has small errors, and the other large ones."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 2, size)
    sigma = np.where(np.arange(size) < size // 2, 0.01, 1.0)
    return x, 1.537 * x + 0.713 + sigma * rng.normal(size=size), sigma


def constants_of(found):
    return {one.value: one.error for one in found.formula.constants}


def test_errors_may_be_a_data_frame_of_one_column():
    x, y, sigma = line(40)
    frame, array = (table(x[:, None], y, None, None, 0, one) for one in (pd.DataFrame({"s": sigma}), sigma))
    assert torch.equal(frame.errors.fitted, array.errors.fitted)


def test_errors_of_constants_follow_from_sigma_as_those_of_scipy_do():
    x, y, sigma = line()
    found = kw.discover(x[:, None], y, names=["x"], sigma=sigma, progress=False)
    train = found.data
    own = train.errors.deviation / train.errors.weights[0].sqrt().numpy()
    _, covariance = curve_fit(
        lambda x, a, b: a * x + b,
        train.X_train[:, 0].numpy(),
        train.y_train[:, 0].numpy(),
        sigma=own,
        absolute_sigma=True,
    )
    errors = sorted(one.error for one in found.formula.constants)
    assert errors == pytest.approx(sorted(np.sqrt(np.diag(covariance))), rel=1e-5)
    assert all(
        abs(value - true) < 4 * error
        for (value, error), true in zip(sorted(constants_of(found).items()), (0.713, 1.537), strict=True)
    )
    assert 0.8 < found.formula.reduced_chi2 < 1.25
    assert "χ² per degree of freedom" in str(found)


def test_rows_with_large_errors_count_little_in_the_formula():
    x, y, sigma = line()
    found = kw.discover(x[:, None], y, names=["x"], sigma=sigma, progress=False)
    fresh = np.linspace(0, 2, 50)
    assert np.abs(found.formula.numpy()(fresh) - 1.537 * fresh - 0.713).max() < 0.005  # unweighted: 0.1
    assert found.formula.r2 > 0.999


def test_sigma_is_an_array_a_number_or_the_name_of_a_column():
    x, y, sigma = line(60)
    frame = pd.DataFrame({"x": x, "err [m]": sigma})
    by_name = table(frame, y, None, None, 0, "err")
    by_array = table(x[:, None], y, ["x"], None, 0, sigma)
    assert by_name.input_names == ("x",)
    for one in (by_name, by_array):
        own = [one.errors.deviation / part.sqrt() for part in one.errors.weights]
        for part, numbers in zip(own, one.row_numbers, strict=True):
            assert part.numpy() == pytest.approx(sigma[numbers.numpy()], rel=1e-12)
        assert float(one.errors.fitted.mean()) == pytest.approx(1)
    assert table(x[:, None], y, ["x"], None, 0, 0.3).errors.deviation == pytest.approx(0.3)


def test_the_unit_of_sigma_changes_errors_and_chi2_but_not_the_formula():
    x, y, sigma = line(200)
    first, second = (kw.discover(x[:, None], y, names=["x"], sigma=k * sigma, progress=False) for k in (1, 3))
    assert str(first.formula) == str(second.formula)
    assert [3 * one.error for one in first.formula.constants] == pytest.approx(
        [one.error for one in second.formula.constants], rel=1e-9
    )
    assert second.formula.reduced_chi2 == pytest.approx(first.formula.reduced_chi2 / 9, rel=1e-9)


def test_whole_weights_count_as_copies_of_rows():
    rng = np.random.default_rng(1)
    x, y = rng.uniform(1, 2, (60, 1)), rng.normal(size=60)
    weights = rng.integers(1, 4, 60)
    general, symbols, values = parametrise(parse("1.1*x + 0.3*x**2.2"))
    template = Template(general, dict(zip(symbols, values, strict=True)))
    columns, target = {"x": torch.as_tensor(x[:, 0])}, torch.as_tensor(y)
    weighed = fitted(template, Sample(columns, target, weights=torch.as_tensor(weights / weights.mean())))
    copied = np.repeat(np.arange(60), weights)
    copies = fitted(template, Sample({"x": torch.as_tensor(x[copied, 0])}, target[copied]))
    assert list(weighed.values.values()) == pytest.approx(list(copies.values.values()), rel=1e-5)
    assert weighed.mse == pytest.approx(copies.mse, rel=1e-9)


@pytest.mark.parametrize("terms", [((0,), (1,)), ((0, 1),)])
def test_structures_hardly_see_rows_of_tiny_weight(terms):
    rng = np.random.default_rng(2)
    x = rng.uniform(1, 2, (300, 2))
    y = x[:, 0] * x[:, 1] if len(terms) == 1 else x[:, 0] ** 2 + x[:, 1]
    wrong = y.copy()
    wrong[:30] += rng.normal(size=30)
    weights = np.where(np.arange(300) < 30, 1e-12, 1.0)
    rows = Rows.of([torch.as_tensor(c) for c in x.T], torch.as_tensor(wrong), 300, weights=torch.as_tensor(weights))
    fit = fit_structure(rows, Structure(IDENTITY, terms), torch.Generator().manual_seed(0))
    assert fit.error < 1e-3


def test_a_row_of_weight_zero_takes_no_part():
    x, y, _ = line(60)
    y[5] = 1e9
    data = table(x[:, None], y, ["x"], None, 0, None, np.where(np.arange(60) == 5, 0.0, 2.0))
    assert sum(data.rows()) == 59
    assert float(sample_of(data).y.max()) < 100
    assert data.errors.deviation is None


def test_huber_constants_minimise_the_loss_of_huber():
    rng = np.random.default_rng(3)
    x = rng.uniform(0, 2, 300)
    y = 1.5 * x + 0.7 + 0.1 * rng.standard_t(1.5, size=300)
    found = kw.discover(x[:, None], y, names=["x"], loss="huber", keep_outliers=True, lib=["x"], progress=False)
    every = torch.cat([found.data.X_train, found.data.X_val])[:, 0].numpy()
    targets = torch.cat([found.data.y_train, found.data.y_val])[:, 0].numpy()

    residual = targets - found.formula.numpy()(every)
    limit = 1.345 * 1.4826 * np.median(np.abs(residual))

    def loss(c):
        apart = np.abs(targets - c[0] * every - c[1])
        return np.where(apart < limit, apart**2 / 2, limit * (apart - limit / 2)).sum()

    best = minimize(loss, [1.5, 0.7], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12}).x
    assert sorted(one.value for one in found.formula.constants) == pytest.approx(sorted(best), abs=1e-4)
    assert found.settings["loss"] == "huber"


def test_huber_errors_of_constants_are_the_spread_of_its_constants():
    """Against fits of 400 other draws of the noise by a plain loop."""

    def drawn(seed):
        return 1.537 * x + 0.713 + 0.1 * np.random.default_rng(seed).standard_t(1.5, size=len(x))

    x = np.random.default_rng(3).uniform(0, 2, 1000)
    design, fits = np.stack([x, np.ones_like(x)], 1), []
    for seed in range(100, 500):
        y, weights = drawn(seed), np.ones(len(x))
        for _ in range(40):
            c = np.linalg.lstsq(design * weights[:, None] ** 0.5, y * weights**0.5, rcond=None)[0]
            apart = np.abs(y - design @ c)
            weights = np.minimum(1.345 * 1.4826 * np.median(apart) / apart, 1)
        fits.append(c)
    spread = np.std(fits, axis=0)
    errors = []
    for seed in range(3):
        data = kw.Dataset.from_arrays(x[:, None], drawn(seed), names=["x"], test_size=0, validation_size=0)
        found = kw.discover(data, loss="huber", keep_outliers=True, lib=["x"], progress=False)
        assert len(found.formula.constants) == 2
        errors.append([one.error for one in sorted(found.formula.constants, key=lambda one: -one.value)])
    assert np.mean(errors, 0) == pytest.approx(spread, rel=0.12)  # 3.5 % from 400 draws, the rest from those of 3


def test_chi2_of_huber_counts_every_row_as_sigma_says():
    x, y, sigma = line(1000)
    found, plain = (
        kw.discover(x[:, None], y, names=["x"], sigma=sigma, keep_outliers=True, lib=["x"], loss=loss, progress=False)
        for loss in ("huber", "mse")
    )
    assert found.formula.reduced_chi2 == pytest.approx(plain.formula.reduced_chi2, rel=0.02)
    for n, part in enumerate(("train", "val", "test")):
        own = found.data.errors.deviation / (found.data.errors.weights[n] / found.data.errors.shares[n]).sqrt()
        place = found.data.row_numbers[n]
        assert own.numpy() == pytest.approx(sigma[place.numpy()]), part
    errors = [sorted(one.error for one in f.formula.constants) for f in (found, plain)]
    assert errors[0] == pytest.approx(errors[1], rel=0.15)  # Huber's efficiency for normal noise is 95 %


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sigma": np.zeros(60)}, "0 or below"),
        ({"sigma": np.ones(59)}, "59"),
        ({"sigma": "err"}, "err"),
        ({"sigma": np.full(60, np.nan)}, "NaN"),
        ({"sample_weight": -np.ones(60)}, "below 0"),
        ({"sample_weight": np.zeros(60)}, "0 for every training row"),
        ({"sigma": 1.0, "sample_weight": np.ones(60)}, "both given"),
        ({"sigma": "x"}, "only input"),
        ({"sigma": 1.0, "loss": "relative"}, "pass one"),
    ],
)
def test_errors_of_rows_that_make_no_sense_are_refused(options, message):
    x, y, _ = line(60)
    with pytest.raises(kw.KnotworkError, match=message):
        kw.discover(x[:, None], y + 10, names=["x"], progress=False, **options)


def test_an_array_needs_the_order_of_the_rows():
    data = kw.sample("x", x=(0, 1), size=50, seed=0)
    with pytest.raises(kw.KnotworkError, match="order of the rows"):
        with_errors(data, np.ones(100), None)


def test_constants_of_counts_maximise_the_likelihood_of_poisson():
    rng = np.random.default_rng(4)
    x = rng.uniform(0, 3, 500)
    y = rng.poisson(2.37 + 1.63 * x**2).astype(float)
    found = kw.discover(x[:, None], y, names=["x"], loss="poisson", progress=False)
    every = torch.cat([found.data.X_train, found.data.X_val])[:, 0].numpy()
    targets = torch.cat([found.data.y_train, found.data.y_val])[:, 0].numpy()
    general, symbols, values = parametrise(found.formula.expression)
    function = to_numpy(general, ["x", *(one.name for one in symbols)])

    def loss(constants):
        expected = function(every, *constants) * np.ones(len(every))
        return (expected - targets * np.log(expected)).sum()

    slopes = [
        (loss(np.array(values) + step) - loss(np.array(values) - step)) / 2e-5 for step in 1e-5 * np.eye(len(values))
    ]
    errors = [one.error for one in found.formula.constants]
    assert len(values) >= 1 and np.abs(np.array(slopes) * errors).max() < 0.02  # in standard errors from the maximum
    assert 0.8 < found.formula.reduced_chi2 < 1.25
    fresh = np.linspace(0, 3, 20)
    assert np.abs(found.formula.numpy()(fresh) / (2.37 + 1.63 * fresh**2) - 1).max() < 0.2
    assert found.settings["loss"] == "poisson" and found.outliers == ()


@pytest.mark.parametrize(
    ("y", "options", "message"),
    [(-1.0, {}, "holds -1"), (0.5, {}, "holds 0.5"), (2.0, {"sigma": 1.0}, "leave out sigma")],
)
def test_what_is_no_count_is_refused(y, options, message):
    x = np.linspace(0, 1, 40)
    with pytest.raises(kw.KnotworkError, match=message):
        kw.discover(x[:, None], np.where(x > 0.5, y, 1.0), loss="poisson", progress=False, **options)
