"""A fit does not depend on the units of inputs and targets, nor on the type of the network where that can hold them."""

import contextlib
import signal

import numpy as np
import pytest
import torch

import knotwork as kw
from knotwork.errors import DataError, KnotworkWarning
from knotwork.solvers import Ended, StopReason
from knotwork.training import Optimizer, standardization
from knotwork.training.standardization import Standardization, standardized

LM = kw.LevenbergMarquardt(starts=2)
SAME = 1e-8


def table(rows=200, seed=0):
    r = np.random.default_rng(seed)
    X = r.uniform(-1, 1, (rows, 2))
    return X, np.sin(2 * X[:, 0]) + X[:, 1] ** 2


def fitted(X, y, width=(2, 2, 1), dtype=torch.float64, **options):
    model = kw.KAN(list(width), seed=0, dtype=dtype)
    options = {"optimizer": LM, "steps": 30, "progress": False, **options}
    return model, model.fit((X, y), **options)


def root_mean_square(values):
    return float(values.detach().square().mean().sqrt())


@pytest.mark.parametrize("factor", [1e-300, 1e-9, 3.0, 1e30, 1e300])
@pytest.mark.parametrize("width", [(2, 1), (2, 2, 1), (2, (0, 1), 1)])
def test_scaled_targets_give_the_scaled_fit(factor, width):
    X, y = table()
    model, result = fitted(X, y, width)
    other, scaled = fitted(X, factor * y, width)
    rows = torch.as_tensor(X)
    assert root_mean_square(other(rows) / factor - model(rows)) < SAME
    assert scaled.train_rmse / factor == pytest.approx(result.train_rmse, rel=1e-4)
    for one, its in zip(result.history, scaled.history, strict=False):  # one may end later
        assert its.train / factor == pytest.approx(one.train, rel=1e-2)


def test_a_long_walk_through_a_flat_valley_does_not_depend_on_the_unit():
    """From rounding errors of 1e-16 in the targets, a hundred steps would make differences of 1e-5."""
    X, y = table(400)
    model, result = fitted(X, y, optimizer="lm", steps=100)
    assert result.steps > 50
    other, _ = fitted(X, 3.7 * y, optimizer="lm", steps=100)
    rows = torch.as_tensor(X)
    assert root_mean_square(other(rows) / 3.7 - model(rows)) < SAME


def test_targets_are_fitted_to_all_their_bits():
    """Steps begin with rounded targets; the last ones see all bits, from a new network and from a fitted one."""
    X = np.random.default_rng(0).uniform(-1, 1, (200, 1))
    y = X[:, 0] ** 3
    model, result = fitted(X, y, (1, 1))
    assert result.train_rmse < 1e-13
    assert model.fit((X, y), progress=False).train_rmse < 1e-13
    r = np.random.default_rng(1)
    tiny = y + 1e-11 * r.normal(size=200).round(3)
    close, wavy = fitted(X, y, (1, 1))[0], fitted(X, tiny, (1, 1))[0]
    differences = (wavy(torch.as_tensor(X)) - close(torch.as_tensor(X))).detach().numpy()[:, 0]
    assert np.corrcoef(differences, tiny - y)[0, 1] > 0.1


@pytest.mark.parametrize("shift", [-40.0, 1e4])
def test_shifted_targets_give_the_shifted_fit(shift):
    X, y = table()
    model, _ = fitted(X, y)
    other, _ = fitted(X, y + shift)
    rows = torch.as_tensor(X)
    assert root_mean_square(other(rows) - shift - model(rows)) < SAME


@pytest.mark.parametrize("factor", [1e-300, 1e-9, 1e30, 1e300])
def test_the_scale_of_inputs_does_not_matter(factor):
    X, y = table()
    model, _ = fitted(X, y, (2, 1))
    other, _ = fitted(factor * X, y, (2, 1))
    rows = torch.as_tensor(X)
    assert root_mean_square(other(factor * rows) - model(rows)) < SAME


@pytest.mark.parametrize("factor", [1e-30, 1e-9, 1.0, 1e30])
def test_float32_reaches_the_error_of_float64_on_any_scale(factor):
    X, y = table()
    single = fitted(X, factor * y, dtype=torch.float32)[1]
    double = fitted(X, factor * y)[1]
    assert single.train_rmse <= 1.01 * double.train_rmse + 1e-6 * factor


def test_float32_carries_normal_equations_of_high_order_on_fine_grids():
    X, y = table(49)
    X = np.c_[X, X[:, 0]]
    model = kw.KAN([3, (2, 1), 1], grid=128, k=7, base="zero", dtype=torch.float32, seed=0)
    result = model.fit(kw.Dataset.from_arrays(X, y, validation_size=0), optimizer=LM, steps=20, progress=False)
    assert next(model.parameters()).dtype == torch.float32
    assert result.train_rmse < 1e-3


def test_parameters_stay_the_same_objects_in_a_fit_of_float32():
    X, y = table()
    model = kw.KAN([2, 1], seed=0, dtype=torch.float32)
    before = list(map(id, model.parameters()))
    model.fit((X, y), steps=2, progress=False)
    assert list(map(id, model.parameters())) == before


@pytest.mark.parametrize("optimizer", ["lm", "lbfgs", "adam"])
def test_every_optimiser_reaches_small_errors_in_small_units(optimizer):
    X, y = table()
    result = fitted(X, 1e-9 * y, (2, 1), optimizer=optimizer, steps=None)[1]
    assert result.train_rmse < 0.05 * 1e-9


def test_another_fit_goes_on_from_the_fitted_state():
    X, y = table()
    model, first = fitted(X, 1e12 * y + 1e13)
    again = model.fit((X, 1e12 * y + 1e13), steps=1, progress=False)
    assert again.train_rmse <= first.train_rmse * (1 + 1e-6)
    assert again.history[0].train < 2 * first.train_rmse  # a new network has an error of 1e12


def test_constants_that_are_fixed_stay_the_same_to_the_bit():
    X, y = table()
    model = kw.KAN([2, 1], seed=0)
    model.fix_symbolic(0, 0, 0, "sin", params=(2.0, 0.0, 0.1, 0.3), trainable=False)
    before = model.layers[-1].affine.clone()
    model.fit((X, 7.3 * y + 11), steps=5, progress=False)
    assert torch.equal(model.layers[-1].affine, before)


def test_standard_units_and_back_is_the_same_network():
    X, y = table()
    model, _ = fitted(X, 3 * y + 5)
    rows, targets = torch.as_tensor(X), torch.as_tensor(3 * y + 5)[:, None]
    outputs, units = model(rows), Standardization.of(targets)
    with standardized(model, units, torch.float64):
        assert torch.allclose(model(rows), units(outputs), rtol=0, atol=1e-12)
    assert torch.allclose(model(rows), outputs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("factor", [1e-320, 1e-200, 1.0, 1e200])
def test_standard_targets_have_mean_zero_and_deviation_one(factor):
    y = torch.as_tensor(np.random.default_rng(0).normal(3, 2, (500, 1))) * factor
    standard = Standardization.of(y)(y)
    assert abs(float(standard.mean())) < 1e-3 and float(standard.std(correction=0)) == pytest.approx(1, rel=1e-3)


class Nonsense(Optimizer):
    """Leaves a network worse than it was, and says that it converged."""

    def minimise(self, task):
        with torch.no_grad():
            task.model.layers[-1].coefficients.fill_(float("nan"))
        return Ended(1, StopReason.CONVERGED, "converged")


def test_least_squares_are_never_worse_than_the_mean():
    X, y = table()
    data = kw.Dataset.from_arrays(X, y, validation_size=0)
    model = kw.KAN([2, 3, 1], seed=0)
    result = model.fit(data, optimizer=Nonsense(), progress=False)
    assert result.train_rmse <= float(data.y_train.std(correction=0)) * (1 + 1e-9)
    assert not result.converged and result.stop is StopReason.NO_BETTER_THAN_MEAN
    assert result.stop_reason == "the error on training rows is that of the best constant, or above it"


def test_a_fit_that_predicts_other_rows_worse_than_their_mean_has_not_converged():
    r = np.random.default_rng(0)
    X, y = r.uniform(-1, 1, (60, 2)), r.normal(size=60)  # nothing but noise
    result = kw.KAN([2, 5, 1], grid=10, seed=0).fit((X, y), optimizer=LM, progress=False)
    assert result.val_rmse > np.std(y) / 2
    assert not result.converged and "validation" in result.stop_reason


def test_a_fit_to_constant_targets_has_converged():
    X, _ = table()
    with pytest.warns(KnotworkWarning, match="constant"):
        result = kw.KAN([2, 1], seed=0).fit((X, np.full(len(X), 7.0)), progress=False)
    assert result.converged and result.train_rmse < 1e-12


@pytest.mark.parametrize(
    ("X_factor", "y_factor", "shift", "dtype", "words"),
    [
        (5e307, 1.0, 0.0, torch.float64, "too large to compute with in float64: use another unit"),
        (
            1e-100,
            1.0,
            0.0,
            torch.float32,
            "'x_1' varies by .* too little to compute with in float32.*dtype=torch.float64",
        ),
        (1.0, 1e40, 0.0, torch.float32, "too large to compute with in float32.*dtype=torch.float64"),
        (1.0, 1e-50, 0.0, torch.float32, "too little to compute with in float32.*dtype=torch.float64"),
        (1.0, 1e-3, 1e6, torch.float32, "float32 cannot resolve: subtract"),
    ],
)
def test_values_that_the_type_cannot_hold_are_refused_in_words(X_factor, y_factor, shift, dtype, words):
    X, y = table()
    with pytest.raises(DataError, match=words):
        kw.KAN([2, 1], seed=0, dtype=dtype).fit((X_factor * X, y_factor * y + shift), progress=False)


def test_inputs_that_float32_cannot_tell_apart_are_named():
    X, y = table()
    with pytest.warns(KnotworkWarning, match=r"'x_1' varies by .* subtract 1e\+06"):
        fitted(X * [1e-3, 1] + [1e6, 0], y, (2, 1), torch.float32)


# --- what must not change ---


def test_values_from_a_loop_of_the_users_own_are_in_the_users_units():
    """They are no random ones, so a fit goes on from them."""
    X, y = table()
    trained, _ = fitted(X, 1e4 * y + 1e5)
    model = trained.copy()
    model.fitted.fill_(False)
    result = model.fit((X, 1e4 * y + 1e5), optimizer="adam", steps=3, update_grid=False, progress=False)
    assert result.train_rmse < 1.01 * float(
        (trained(torch.as_tensor(X)).detach()[:, 0] - torch.as_tensor(1e4 * y + 1e5)).std()
    )


def noise_data(rows=100):
    X, _ = table(rows)
    return kw.Dataset.from_arrays(X, 1e-3 * np.random.default_rng(1).normal(size=rows), test_size=0, validation_size=0)


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_a_frozen_last_layer_stays(optimizer):
    model = kw.KAN([2, 2, 1], seed=0)
    for parameter in model.layers[-1].parameters():
        parameter.requires_grad_(False)
    before = model.layers[-1].coefficients.clone()
    model.fit(noise_data(), optimizer=optimizer, steps=5, update_grid=False, progress=False)
    assert torch.equal(model.layers[-1].coefficients, before)


def test_fixed_edges_and_products_are_never_replaced_by_the_mean():
    named = kw.KAN([2, 1], seed=0)
    named.fix_symbolic(0, 0, 0, "sin", params=(5.0, 0.0, 10.0, 0.0), trainable=False)
    named.fit(noise_data(), progress=False)
    assert float(named.layers[0].coefficients.detach().abs().max()) > 0
    product = kw.KAN([2, (0, 1)], seed=0)
    product.fit(noise_data(), optimizer=Nonsense(), progress=False)
    assert float(product.layers[0].coefficients.detach().abs().max()) > 0


def test_no_constant_is_added_to_splines_that_end_at_their_grid():
    X, y = table()
    model = kw.KAN([2, 2, 1], seed=0, extrapolation="zero", grid_range=(-0.5, 0.5))
    result = model.fit((X, y + 100), optimizer=LM, steps=10, update_grid=False, smoothness=None)
    assert result.history[-1].train >= 0.99 * result.train_rmse


def test_callbacks_see_the_network_in_the_users_units_and_type_in_every_event():
    X, y = table()
    rows, seen = torch.as_tensor(X, dtype=torch.float32), []
    model = kw.KAN([2, 2, 1], seed=0, dtype=torch.float32)

    def callback(event):
        seen.append((model(rows).dtype, float(model(rows).detach().mean())))

    model.fit((X, y + 1e4), optimizer=LM, steps=3, smoothness=None, callback=callback)
    assert len(seen) == 4 and all(dtype == torch.float32 for dtype, _ in seen)
    assert all(abs(mean - 1e4) < 100 for _, mean in seen)


def test_ctrl_c_never_leaves_a_network_in_standard_units(monkeypatch):
    X, y = table()
    model, first = fitted(X, y + 1e4)

    def multiply(*arguments):
        signal.raise_signal(signal.SIGINT)
        own(*arguments)

    own = standardization._multiply
    monkeypatch.setattr(standardization, "_multiply", multiply)
    with contextlib.suppress(KeyboardInterrupt):
        model.fit((X, y + 1e4), steps=2, progress=False)
    error = (model(torch.as_tensor(X)).detach()[:, 0] - torch.as_tensor(y + 1e4)).square().mean().sqrt()
    assert float(error) < 2 * first.train_rmse + 1e-6


@pytest.mark.parametrize("constant", [1e15, 1e200])
def test_large_constant_targets_are_fitted_exactly(constant):
    X, _ = table()
    with pytest.warns(KnotworkWarning, match="constant"):
        result = kw.KAN([2, 2, 1], seed=0).fit((X, np.full(len(X), constant)), progress=False)
    assert result.train_rmse < 1e-12 * constant


def test_a_few_validation_rows_do_not_decide_whether_a_fit_has_converged():
    X, _ = table(20)
    data = kw.Dataset.from_arrays(X[:, :1], np.sin(3 * X[:, 0]), test_size=0, validation_size=2)
    for seed in range(5):
        assert kw.KAN([1, 1], grid=3, seed=seed).fit(data, progress=False).converged
