"""Constant targets end a fit at once, in the network that gives them."""

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


def test_finer_grids_and_other_shapes_end_at_once_too():
    y = np.full(ROWS, 3.0)
    levels = kw.fit_multilevel(kw.KAN([2, 3, 1], seed=0), (X, y), progress=False)
    assert levels.converged and levels.train_rmse < 1e-14 * 3
