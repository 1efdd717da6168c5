"""Sample weights: an integer weight equals that number of copies of a row, zero equals its absence."""

from dataclasses import replace

import pandas as pd
import pytest
import torch

import knotwork as kw
from knotwork.errors import DataError, TrainingError
from knotwork.training.weights import weighed

ONE_START = kw.LevenbergMarquardt(starts=1)

OPTIMIZERS = [
    (ONE_START, {}),
    ("lbfgs", {"steps": 10}),
    ("adam", {"steps": 60}),
    (torch.optim.RMSprop, {"steps": 60}),
]


def rows(n=60, outputs=1, labels=False):
    generator = torch.Generator().manual_seed(0)
    x = 2 * torch.rand(n, 2, generator=generator, dtype=torch.float64) - 1
    y = torch.stack([(x[:, 0] * 3).sin() + x[:, 1] ** 2, x[:, 0] * x[:, 1]], 1)[:, :outputs]
    y = y + 0.1 * torch.randn(n, outputs, generator=generator, dtype=torch.float64)
    y = (y[:, :1] > torch.rand(n, 1, generator=generator)).double() if labels else y
    weights = torch.randint(0, 4, (n,), generator=generator).double()
    data = kw.Dataset.from_arrays(x, y, validation_size=0.0, test_size=0.0, scale=False)
    return replace(data, X_train=x, y_train=y, ranges=((-1.0, 1.0), (-1.0, 1.0))), weights


def repeated(data, weights):
    places = torch.arange(len(weights)).repeat_interleave(weights.long())
    return replace(data, X_train=data.X_train[places], y_train=data.y_train[places])


def fitted(data, outputs, **settings):
    model = kw.KAN([2, 2, outputs], grid=3, seed=0, grid_range=(-1, 1))
    return model, model.fit(data, progress=False, **settings)


@pytest.mark.parametrize(("optimizer", "settings"), OPTIMIZERS)
@pytest.mark.parametrize(("loss", "outputs"), [("mse", 1), ("mse", 2), ("cross_entropy", 1), ("cross_entropy", 2)])
def test_integer_weights_equal_repeated_rows(optimizer, settings, loss, outputs):
    data, weights = rows(outputs=outputs if loss == "mse" else 1, labels=loss == "cross_entropy")
    settings = {**settings, "optimizer": optimizer, "loss": loss, "smoothness": None}  # it counts effective rows
    if optimizer in (ONE_START, "lbfgs"):  # compared before rounding errors have grown along flat directions
        settings["steps"] = 8 if optimizer == ONE_START else 1
    weighted, result = fitted(data, outputs, sample_weight=5 * weights, **settings)
    copied, expected = fitted(repeated(data, weights), outputs, **settings)
    assert result.objective == pytest.approx(expected.objective, rel=1e-6)
    assert result.train_rmse == pytest.approx(expected.train_rmse, rel=1e-6)
    torch.testing.assert_close(weighted(data.X_train), copied(data.X_train), rtol=1e-4, atol=1e-4)
    even, _ = fitted(data, outputs, **settings)
    assert float((even(data.X_train) - copied(data.X_train)).detach().abs().max()) > 1e-2


@pytest.mark.parametrize(("optimizer", "settings"), OPTIMIZERS)
def test_a_row_of_weight_zero_is_absent(optimizer, settings):
    data, weights = rows()
    kept = weights > 0
    spoilt = replace(data, y_train=torch.where(kept[:, None], data.y_train, 1e6))
    models = [
        fitted(some, 1, optimizer=optimizer, sample_weight=w, **settings)[0]
        for some, w in (
            (spoilt, weights),
            (replace(data, X_train=data.X_train[kept], y_train=data.y_train[kept]), weights[kept]),
        )
    ]
    assert all(torch.equal(a, b) for a, b in zip(*(m.state_dict().values() for m in models), strict=True))


def test_equal_weights_change_only_rounding_errors():
    data, weights = rows()
    weighted, result = fitted(data, 1, sample_weight=torch.full_like(weights, 7.0), optimizer=ONE_START, steps=8)
    plain, expected = fitted(data, 1, optimizer=ONE_START, steps=8)
    assert result.train_rmse == pytest.approx(expected.train_rmse, rel=1e-6)
    torch.testing.assert_close(weighted(data.X_train), plain(data.X_train), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("starts", [4, 8])
def test_small_weights_of_noisy_rows_give_smaller_errors(starts):
    """Half of the rows have a hundred times the noise; with weights 1/variance they hardly change the fit."""
    generator = torch.Generator().manual_seed(1)
    data = kw.sample("exp(sin(pi*x) + y**2)", x=(-1, 1), y=(-1, 1), size=400, test_size=500, seed=0)
    deviations = torch.where(torch.arange(400) % 2 == 0, 1e-2, 1.0).double()
    noise = deviations[:, None] * torch.randn(400, 1, generator=generator, dtype=torch.float64)
    noisy = replace(data, y_train=data.y_train + noise)
    errors = [
        kw.KAN([2, 1, 1], seed=0)
        .fit(noisy, sample_weight=w, optimizer=kw.LevenbergMarquardt(starts=starts), progress=False)
        .test_rmse
        for w in (None, deviations**-2)
    ]
    assert errors[1] < errors[0] / 10


def test_weights_of_a_pair_are_split_like_its_rows_and_used_in_validation():
    data, weights = rows(100)
    x, y = data.X_train, torch.where((weights > 0)[:, None], data.y_train, 1e6)
    model = kw.KAN([2, 2, 1], grid=3, seed=0)
    result = model.fit(
        (x.numpy(), y.numpy()),
        sample_weight=weights.tolist(),
        optimizer=ONE_START,
        progress=False,
    )
    split = kw.Dataset.from_arrays(x, torch.arange(100.0), test_size=0.0, seed=0)
    for places, reported in ((split.y_train, result.train_rmse), (split.y_val, result.val_rmse)):
        n = places[:, 0].long()
        squares = (model(x[n]).detach() - y[n]).square()[:, 0]
        assert reported == pytest.approx(float((weights[n] @ squares / weights[n].sum()).sqrt()), rel=1e-9)
    assert result.val_rmse < 1


def test_weights_of_a_pair_stay_with_their_rows_where_rows_are_equal():
    """Equal rows stay in one part of the split, so that its sizes and places depend on the rows."""
    x = torch.linspace(-1, 1, 40, dtype=torch.float64).repeat_interleave(torch.arange(40) % 7 + 1)[:, None]
    weights = 1 + x[:, 0].square()
    found, known = weighed((x.numpy(), x[:, 0].numpy()), weights)
    assert len(found.X_train) + len(found.X_val) == len(x)
    for rows_of_part, own in zip((found.X_train, found.X_val), known, strict=True):
        assert torch.equal(own, 1 + rows_of_part[:, 0].square())


def test_weights_are_used_in_multilevel_fits_and_mini_batches():
    data, weights = rows(200)
    spoilt = replace(data, y_train=torch.where((weights > 0)[:, None], data.y_train, 1e6))
    coarse = kw.KAN([2, 2, 1], grid=2, seed=0)
    assert kw.fit_multilevel(coarse, spoilt, [2, 4], sample_weight=weights, optimizer=ONE_START).train_rmse < 0.3
    batches = kw.KAN([2, 2, 1], grid=3, seed=0)
    assert batches.fit(spoilt, sample_weight=weights, optimizer=kw.Adam(batch_size=32), steps=400).train_rmse < 0.3


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0, 2.0], r"sample_weight has shape \(2,\), but the data has 60 training rows"),
        ([-1.0] * 60, "sample_weight holds numbers below zero"),
        ([0.0] * 60, "zero for every training row"),
    ],
)
def test_impossible_weights_are_refused(weights, message):
    data, _ = rows()
    with pytest.raises(TrainingError, match=message):
        fitted(data, 1, sample_weight=weights)


def test_weights_that_are_no_numbers_are_refused():
    data, _ = rows()
    with pytest.raises(DataError, match=r"sample_weight holds text \('heavy' in row 0"):
        fitted(data, 1, sample_weight=["heavy"] * 60)
    frame = pd.DataFrame(data.X_train.numpy())
    with pytest.raises(DataError, match="X and sample_weight have the same row labels in different orders"):
        fitted((frame, data.y_train), 1, sample_weight=pd.Series(1.0, index=frame.index[::-1]))


def test_weights_are_refused_where_they_cannot_be_used():
    data, weights = rows()
    with pytest.raises(TrainingError, match="sample_weight= needs loss='mse' or 'cross_entropy'"):
        fitted(data, 1, sample_weight=weights, loss=lambda outputs, targets: (outputs - targets).abs().mean())
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(data.X_train, data.y_train), batch_size=20)
    with pytest.raises(TrainingError, match="but data has type DataLoader"):
        fitted(loader, 1, sample_weight=weights)
    with pytest.raises(TrainingError, match="the model's outputs have shape"):
        kw.fit(torch.nn.Linear(2, 2).double(), data, sample_weight=weights, steps=2)
