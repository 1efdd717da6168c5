"""Constant targets end a fit at once, in the network that gives them."""

import dataclasses

import numpy as np
import pytest
import torch

import knotwork as kw
from knotwork.solvers import StopReason

pytestmark = pytest.mark.filterwarnings("ignore:.*constant:knotwork.KnotworkWarning")
ROWS = 60
X = np.random.default_rng(0).uniform(-1, 1, (ROWS, 2))
FAR = torch.as_tensor(3 * X)  # beyond the rows the network gives the constant, too


def fitted(width, y, dtype=torch.float64, **options):
    model = kw.KAN(width, seed=0, dtype=dtype)
    return model, model.fit((X, y), progress=False, **options)


@pytest.mark.parametrize("constant", [0.0, 0.1, -7.0, 1e6, 1e-300, 1e300])
@pytest.mark.parametrize("width", [[2, 1], [2, 5, 1], [2, (2, 1), 1], [2, (0, 1)], [2, 3, (1, 1)]])
def test_constants_are_given_everywhere_without_a_step(width, constant):
    outputs = 2 if width[-1] == (1, 1) else 1
    y = np.full((ROWS, outputs), constant)
    model, result = fitted(width, y)
    assert (result.stop, result.steps, result.converged) == (StopReason.CONSTANT, 0, True)
    assert result.stop_reason == "the targets are constant, so that no step is needed"
    error = (model(FAR).detach() - constant).abs().max()
    assert float(error) <= 1e-14 * abs(constant)  # the sum of six basis functions and five edges
    assert len(result.history) == 1 and result.val_rmse is not None


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("optimizer", ["lm", "lbfgs", "adam"])
def test_every_optimiser_and_type_ends_at_once(optimizer, dtype):
    model, result = fitted([2, 3, 1], np.full(ROWS, 0.1), dtype, optimizer=optimizer)
    assert result.stop is StopReason.CONSTANT and result.converged
    assert float((model(FAR.to(dtype)) - 0.1).detach().abs().max()) < 10 * torch.finfo(dtype).eps


@pytest.mark.parametrize("deviation", [1e-17, 1e-16, 1e-15])
def test_rounding_errors_of_a_constant_are_not_fitted(deviation):
    y = 1 + deviation * np.random.default_rng(1).normal(size=ROWS)
    model, result = fitted([2, 5, 1], y)
    assert result.stop is StopReason.CONSTANT
    assert float((model(FAR) - 1).detach().abs().max()) < 1e-14


def test_the_smallest_differences_that_are_not_rounding_are_fitted():
    y = 1 + 1e-10 * np.sin(3 * X[:, 0])
    _, result = fitted([2, 1], y, smoothness=None)
    assert result.stop is not StopReason.CONSTANT and result.steps > 0
    assert result.train_rmse < 1e-12


def test_a_penalty_makes_every_edge_zero():
    model, result = fitted([2, 5, 1], np.full(ROWS, 3.0), lamb=1e-3)
    assert result.stop is StopReason.CONSTANT and result.objective == 0
    assert float(model.layers[0](FAR).detach().abs().max()) == 0


def test_labels_that_are_all_the_same_are_certain():
    for outputs, label in ((1, 0), (1, 1), (3, 2)):
        model, result = fitted([2, 4, outputs], np.full(ROWS, label), loss="cross_entropy")
        assert result.stop is StopReason.CONSTANT and result.objective < 1e-14 and result.train_rmse < 1e-14
        logits = model(FAR).detach()
        given = (logits[:, 0] > 0).long() if outputs == 1 else logits.argmax(1)
        assert bool((given == label).all())


def test_rows_of_weight_zero_do_not_count():
    y, weights = np.full(ROWS, 3.0), np.ones(ROWS)
    y[:5], weights[:5] = 9.0, 0.0
    _, result = fitted([2, 3, 1], y, sample_weight=weights)
    assert result.stop is StopReason.CONSTANT and result.train_rmse < 1e-14


def test_one_row_that_differs_is_no_constant():
    y = np.zeros(ROWS)
    y[7] = 1
    assert fitted([2, 1], y)[1].stop is not StopReason.CONSTANT


def test_what_cannot_be_the_constant_is_fitted_as_ever():
    model = kw.KAN([2, 1], seed=0)
    model.fix_symbolic(0, 0, 0, "sin", params=(5.0, 0.0, 10.0, 0.0), trainable=False)
    result = model.fit((X, np.full(ROWS, 3.0)), progress=False)
    assert result.stop is not StopReason.CONSTANT
    narrow = kw.KAN([2, 1], seed=0, extrapolation="zero", grid_range=(-0.5, 0.5))
    assert narrow.fit((X, np.full(ROWS, 3.0)), progress=False).stop is not StopReason.CONSTANT


def test_a_callback_sees_one_event_and_a_fitted_network_ends_at_once_too():
    model, events = kw.KAN([2, 3, 1], seed=0), []
    model.fit((X, np.sin(3 * X[:, 0])), steps=3, optimizer=kw.LevenbergMarquardt(starts=1), progress=False)
    result = model.fit((X, np.full(ROWS, 3.0)), progress=False, callback=lambda event: events.append(event.step))
    assert result.stop is StopReason.CONSTANT and events == [0]


@pytest.mark.parametrize("optimizer", ["lm", "adam"])
@pytest.mark.parametrize("outputs", [1, 3])
def test_a_constant_that_validation_rows_contradict_is_not_taken_with_patience(optimizer, outputs):
    """The fit of new training rows then ends in the state of the lowest validation loss, as every fit with patience."""
    y = np.stack([np.sin(3 * X[:, 0]) + X[:, 1] ** 2 + n for n in range(outputs)], axis=1)
    data = kw.Dataset.from_arrays(X, y, seed=0)
    constant = dataclasses.replace(data, y_train=torch.full_like(data.y_train, 3.0))
    model = kw.KAN([2, outputs], seed=0)
    before = model.fit(data, progress=False).val_rmse
    result = model.fit(constant, patience=3, optimizer=optimizer, progress=False)
    assert result.stop is not StopReason.CONSTANT and result.val_rmse <= before < 0.01
    assert model.fit(constant, optimizer=optimizer, progress=False).stop is StopReason.CONSTANT


def test_a_constant_that_validation_rows_share_is_taken_with_patience():
    y = np.full(ROWS, 0.1)
    model, result = fitted([2, 5, 1], y, patience=3)
    again = model.fit((X, y), patience=3, progress=False)  # now the network gives it already
    assert result.stop is again.stop is StopReason.CONSTANT and max(result.val_rmse, again.val_rmse) < 1e-15


def test_batches_are_not_constant_because_the_rows_in_memory_are():
    x = torch.linspace(-1, 1, 400, dtype=torch.float64)[:, None]
    y = 3 * torch.relu(x)
    stream = kw.stream_batches([(x[::2], y[::2]), (x[1::2], y[1::2])])
    sample = dataclasses.replace(stream.sample, X_train=x[:200], y_train=y[:200], X_val=x, y_val=y)
    stream = dataclasses.replace(stream, sample=sample)
    model = kw.KAN([1, 1], seed=0, grid_range=(-1, 1))
    result = model.fit(stream, steps=400, patience=400, optimizer=kw.Adam(lr=0.05), progress=False)
    assert result.stop is not StopReason.CONSTANT and result.val_rmse < 0.1
    labels = dataclasses.replace(sample, y_val=(y > 0).to(y))
    stream = kw.stream_batches([(x, (y > 0).to(y))])
    stream = dataclasses.replace(stream, sample=labels)
    result = kw.KAN([1, 1], seed=0).fit(stream, steps=20, loss="cross_entropy", progress=False)
    assert result.stop is not StopReason.CONSTANT and result.steps == 20


@pytest.mark.parametrize("large", [1e8, 1e16, -1e30, 1e200])
@pytest.mark.parametrize("first", [True, False])
def test_a_column_is_fitted_beside_a_large_constant_one(large, first):
    small = np.sin(3 * X[:, 0]) + X[:, 1] ** 2
    columns = [np.full(ROWS, large), small] if first else [small, np.full(ROWS, large)]
    model, result = fitted([2, 2], np.stack(columns, axis=1))
    assert result.stop is not StopReason.CONSTANT and result.steps > 0
    given = model.predict(X)
    assert np.abs(given[:, int(first)] - small).max() < 0.01
    assert np.abs(given[:, int(not first)] / large - 1).max() < 1e-14


def test_columns_that_are_all_constant_are_so_whatever_their_sizes():
    model, result = fitted([2, 3], np.tile([1e16, 3.0, 1e-9], (ROWS, 1)) * (1 + 1e-16 * X[:, :1]))
    assert result.stop is StopReason.CONSTANT
    assert np.abs(model.predict(X) / [1e16, 3.0, 1e-9] - 1).max() < 1e-14


def test_finer_grids_and_other_shapes_end_at_once_too():
    y = np.full(ROWS, 3.0)
    levels = kw.fit_multilevel(kw.KAN([2, 3, 1], seed=0), (X, y), progress=False)
    assert levels.converged and levels.train_rmse < 1e-14 * 3
