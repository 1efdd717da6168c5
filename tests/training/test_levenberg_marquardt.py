"""Levenberg-Marquardt never raises the objective, solves linear problems, and fits exact data to rounding errors."""

import importlib
import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.interpolate import BSpline

from knotwork import KAN
from knotwork.model import FreeParameters, jacobian
from knotwork.model.settings import ModelSettings
from knotwork.solvers import SOLVER, Ended, NormalEquations, Stop, StopReason
from knotwork.training import Penalty, levenberg_marquardt
from knotwork.training.grids import adapt_hidden_grids
from knotwork.training.likelihood import CrossEntropy

module = importlib.import_module(
    "knotwork.training.levenberg_marquardt"
)  # the package exports the function of that name

LIMIT = "the limit of {} steps was reached"
SLOW = "converged: {} steps in a row brought no loss lower by {} of it"


def rows(n=120, inputs=2, seed=0, low=-1.0, high=1.0):
    generator = torch.Generator().manual_seed(seed)
    return low + (high - low) * torch.rand(n, inputs, generator=generator, dtype=torch.float64)


def bumps(x):
    return torch.exp(torch.sin(math.pi * x[:, :1]) + x[:, 1:] ** 2)


def limit_acceleration(monkeypatch, largest):
    monkeypatch.setattr("knotwork.solvers.acceleration.SOLVER", replace(SOLVER, largest_acceleration=largest))


def mse(network, x, y):
    with torch.no_grad():
        return float((network(x) - y).square().mean())


@pytest.mark.parametrize("penalty", [None, Penalty(1e-3)])
@pytest.mark.parametrize("width", [[2, 3, 1], [2, (2, 1), 1]])
def test_the_objective_falls_with_every_step(width, penalty):
    x = rows()
    network, losses = KAN(width, seed=1), []
    start = module.objective_value(network, x, bumps(x), penalty)

    def each_step(step, loss):
        losses.append(loss)
        assert step == len(losses)
        assert loss == pytest.approx(module.objective_value(network, x, bumps(x), penalty), rel=1e-12)

    ended = levenberg_marquardt(
        network, x, bumps(x), each_step, steps=25, penalty=penalty, update_grid=False, smoothness=0.0
    )
    assert ended.steps == len(losses) > 5
    assert all(after < before for before, after in pairwise([start, *losses]))


def test_a_linear_problem_ends_at_the_least_squares_optimum():
    """[2, 1] without a base function is linear in its coefficients; SciPy gives the design matrix."""
    x = rows(150)
    y = bumps(x) + 0.1 * torch.randn(150, 1, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    network = KAN([2, 1], grid=4, base="zero", grid_range=(-1, 1), seed=0)
    knots = network.layers[0].knots.numpy()
    design = np.hstack([BSpline.design_matrix(x[:, i].numpy(), knots[i], 3).toarray() for i in range(2)])
    best, *_ = np.linalg.lstsq(design, y.numpy(), rcond=None)
    levenberg_marquardt(network, x, y, steps=20, tolerance=0.0, smoothness=0.0)
    # the square root of the rounding error of the loss
    np.testing.assert_allclose(network(x).detach().numpy(), design @ best, atol=1e-7)
    assert mse(network, x, y) == pytest.approx(float(np.square(design @ best - y.numpy()).mean()), rel=1e-12)


def test_one_step_solves_a_linear_problem():
    x = rows()
    network = KAN([2, 1], grid=4, base="zero", grid_range=(-1, 1), seed=0)
    start = mse(network, x, bumps(x))
    levenberg_marquardt(network, x, bumps(x), steps=1)
    after_one = mse(network, x, bumps(x))
    levenberg_marquardt(network, x, bumps(x), steps=20, tolerance=0.0)
    best = mse(network, x, bumps(x))
    assert after_one - best < 1e-3 * (start - best)  # the first damping is a thousandth of the curvature


@pytest.mark.parametrize("width", [[2, 2, 1], [2, (1, 1), 2]])
def test_targets_of_a_network_of_the_same_shape_are_fitted_to_rounding(width):
    x = rows(300)
    teacher = KAN(width, grid=3, seed=3, init="paper")
    adapt_hidden_grids(teacher, x)
    network = teacher.copy()
    y = teacher(x).detach()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.02 * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
    assert mse(network, x, y) > 1e-5
    ended = levenberg_marquardt(network, x, y, steps=100, target=1e-28, update_grid=False)
    assert (ended.reason, ended.sentence) == (StopReason.ROUNDING, "only rounding errors are left")
    assert mse(network, x, y) <= 1e-28


@pytest.mark.parametrize("chunk", [1, 700, 5000])
def test_normal_equations_do_not_depend_on_the_chunk(chunk, monkeypatch):
    x = rows(61)  # a prime number, so that the last chunk is shorter
    network = KAN([2, 3, 2], seed=0, init="paper")
    free = FreeParameters(network)
    y = torch.cat([bumps(x), x[:, :1]], dim=1)
    whole = module.half_derivatives(network, x, y, free, Penalty(0.1))
    settings = ModelSettings(jacobian_entries=chunk)
    monkeypatch.setattr(importlib.import_module("knotwork.model.jacobian"), "MODEL", settings)
    for part, wanted in zip(module.half_derivatives(network, x, y, free, Penalty(0.1)), whole, strict=True):
        torch.testing.assert_close(part, wanted, rtol=1e-12, atol=1e-14)


def test_the_normal_equations_are_those_of_the_mean_over_rows_and_outputs():
    x = rows()
    network = KAN([2, (2, 1), 2], seed=0, init="paper")
    free, penalty = FreeParameters(network), Penalty(0.05)
    y = torch.cat([bumps(x), x[:, :1]], dim=1)
    columns = jacobian(network, x)[1].flatten(0, 1)
    torch.testing.assert_close(module.half_derivatives(network, x, y, free, None)[0], columns.T @ columns / 240)
    gradient = module.half_derivatives(network, x, y, free, penalty)[1]  # half of the gradient of the objective
    value = (network(x) - y).square().mean() + penalty.value(network, x)
    value.backward()
    slopes = [tuple(torch.zeros_like(p) if p.grad is None else p.grad for p in _tensors(la)) for la in network.layers]
    torch.testing.assert_close(2 * gradient, free.gather(slopes), rtol=1e-10, atol=1e-12)


def _tensors(layer):
    return layer.coefficients, layer.base_weights, layer.affine


def test_the_predicted_decrease_is_that_of_the_quadratic_model():
    generator = torch.Generator().manual_seed(0)
    root = torch.randn(6, 5, generator=generator, dtype=torch.float64)
    matrix, gradient = root.T @ root, torch.randn(5, generator=generator, dtype=torch.float64)
    found = NormalEquations(matrix, gradient).step(0.3)
    assert found is not None
    step, predicted = found.vector, found.predicted
    damped = matrix + 0.3 * torch.diag(matrix.diagonal())
    torch.testing.assert_close(damped @ step, -gradient)
    assert predicted == pytest.approx(float(-2 * gradient @ step - step @ matrix @ step), rel=1e-12)


# --- why it stops ---


def test_the_fit_ends_at_the_limit_of_steps():
    x = rows()
    assert levenberg_marquardt(KAN([2, 2, 1], seed=0), x, bumps(x), steps=4) == Ended(
        4, StopReason.STEP_LIMIT, LIMIT.format(4)
    )


def test_slow_progress_ends_the_fit():
    x = rows()
    noisy = bumps(x) + torch.randn(120, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    network = KAN([2, 1], seed=0)
    losses = [mse(network, x, noisy)]
    ended = levenberg_marquardt(
        network, x, noisy, lambda step, loss: losses.append(loss), steps=60, tolerance=0.01, patience=3
    )
    assert (ended.reason, ended.sentence) == (StopReason.CONVERGED, SLOW.format(3, 0.01))
    assert ended.steps == len(losses) - 1 < 60
    shares = [1 - after / before for before, after in pairwise(losses)]
    assert max(shares[-3:]) < 0.01 <= shares[-4]


def test_the_fit_ends_at_the_target():
    x = rows()
    network, losses = KAN([2, 3, 1], seed=1), []
    ended = levenberg_marquardt(network, x, bumps(x), lambda step, loss: losses.append(loss), steps=60, target=1e-2)
    assert (ended.reason, ended.sentence) == (StopReason.ROUNDING, "only rounding errors are left")
    assert ended.steps == len(losses) < 60
    assert losses[-1] <= 1e-2 < losses[-2]
    assert levenberg_marquardt(network, x, bumps(x), target=1e-2) == replace(ended, steps=0)


def test_the_callback_of_each_step_can_stop_the_fit():
    x = rows()
    network = KAN([2, 3, 1], seed=0)
    enough = Stop(StopReason.CALLBACK, "enough")
    ended = levenberg_marquardt(network, x, bumps(x), lambda step, loss: enough if step == 3 else None)
    assert ended == Ended(3, StopReason.CALLBACK, "enough")


def test_at_the_optimum_no_step_lowers_the_loss():
    x = rows()
    network = KAN([2, 1], seed=0)
    noisy = bumps(x) + torch.randn(120, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    ended = levenberg_marquardt(network, x, noisy, steps=200, tolerance=0.0)
    assert ended.sentence.startswith("converged: ") and ended.converged
    assert ended.steps < 200


def test_a_network_without_free_parameters_ends_at_once():
    x = rows(inputs=1)
    network = KAN([1, 1], seed=0)
    network.fix_symbolic(0, 0, 0, "sin", params=(1.0, 0.0, 1.0, 0.0), trainable=False)
    before = network(x)
    assert levenberg_marquardt(network, x, x) == Ended(0, StopReason.NOTHING_TO_TRAIN, "there is no parameter to train")
    assert torch.equal(network(x), before)


# --- where the loss is not a number ---


def logarithm(b):
    """0.1·log(x + b), with b such that a full step towards other data leaves the domain."""
    network = KAN([1, 1], seed=0)
    network.fix_symbolic(0, 0, 0, "log", params=(1.0, b, 0.1, 0.0))
    return network


def test_a_step_to_nan_is_rejected():
    x = rows(80, 1, low=0.02, high=1.0)
    network, y = logarithm(0.5), torch.log(x)
    outputs, columns = jacobian(network, x)
    full_step = torch.linalg.lstsq(columns[:, 0], y - outputs, driver="gelsd").solution[:, 0]
    a, b, _, _ = FreeParameters(network).get() + full_step
    assert bool((a * x + b < 0).any()), "the full step stays in the domain: this test shows nothing"
    losses = [mse(network, x, y)]
    levenberg_marquardt(network, x, y, lambda step, loss: losses.append(loss), steps=60)
    assert losses == sorted(losses, reverse=True)
    assert mse(network, x, y) < 1e-28


def test_a_start_with_a_loss_of_nan_is_returned_unchanged():
    x = rows(80, 1)
    network = logarithm(0.0)
    before = network.layers[0].affine.detach().clone()
    sentence = "the loss is NaN where the fit began, so no step can be judged"
    assert levenberg_marquardt(network, x, x) == Ended(0, StopReason.NOT_FINITE, sentence)
    assert torch.equal(network.layers[0].affine, before)


# --- geodesic acceleration ---


@pytest.mark.parametrize("labels", [False, True])
@pytest.mark.parametrize("named", [False, True])
def test_half_of_the_geodesic_acceleration_is_added_to_a_step(named, labels):
    """Compared with the whole Jacobian, a finer difference along the step, and a solution with the whole matrix."""
    x = rows(80)
    network = KAN([2, (2, 1), 2], seed=0, init="paper")
    if named:  # the slow path
        network.fix_symbolic(0, 0, 0, "sin", params=(1.0, 0.2, 1.0, 0.0))
    network.layers[0].remove_edge(1, 1)
    free, y = FreeParameters(network), torch.cat([bumps(x), x[:, :1]], dim=1)
    likelihood = module.NORMAL
    if labels:
        likelihood, y = CrossEntropy(), (x[:, :1] > 0.3).double()
    matrix, gradient = module.half_derivatives(network, x, y, free, likelihood=likelihood)
    strong = 1e3  # a large damping, so that the step is short and its series accurate
    plain = NormalEquations(matrix, gradient).step(strong)
    assert plain is not None
    step = plain.vector
    start = free.get()

    def along(t):
        free.set(start + float(t) * step)
        return network(x).detach()

    h = 1e-2
    second = (along(h) - 2 * along(0.0) + along(-h)) / h**2
    free.set(start)
    outputs, columns = jacobian(network, x)
    weights = torch.eye(2, dtype=torch.float64) / second.numel()
    if labels:  # second derivatives of the cross-entropy, for half of the mean
        p = outputs.softmax(1)
        weights = (torch.diag_embed(p) - p[:, :, None] * p[:, None, :]) / (2 * len(x))
    second, columns = (weights @ second[:, :, None]).flatten(), columns.flatten(0, 1)
    damped = matrix + strong * torch.diag(matrix.diagonal().clamp_min(1e-8 * float(matrix.diagonal().max())))
    expected = -torch.linalg.solve(damped, columns.T @ second)
    assert expected.norm() < 0.75 * step.norm()
    problem = module.NetworkProblem(network, x, y, update_grid=False, likelihood=likelihood)
    problem.begin()
    found = problem.accelerated(plain)
    torch.testing.assert_close(2 * (found - step), expected, rtol=1e-2, atol=1e-3 * float(expected.norm()))
    torch.testing.assert_close(free.get(), start, rtol=0, atol=0)


def test_an_acceleration_that_is_too_long_is_not_used(monkeypatch):
    x = rows(80)
    network = KAN([2, 2, 1], seed=0, init="paper")
    problem = module.NetworkProblem(network, x, bumps(x), update_grid=False)
    problem.begin()
    step = problem.linearise().step(1e3)  # a large damping makes the acceleration short
    assert step is not None
    assert not torch.equal(problem.accelerated(step), step.vector)
    limit_acceleration(monkeypatch, 1e-9)
    assert torch.equal(problem.accelerated(step), step.vector)


def test_acceleration_saves_most_of_the_steps_in_a_curved_valley(monkeypatch):
    """For x·y as squares of sums two layers must change together; the median of five errors falls to a tenth."""
    x = rows(300)
    y = x.prod(1, keepdim=True)
    ratios = []
    for seed in range(5):
        losses = []
        for largest in (0.75, -1.0):
            limit_acceleration(monkeypatch, largest)
            network = KAN([2, 2, 1], seed=seed)
            levenberg_marquardt(network, x, y, steps=200, patience=200)
            losses.append(mse(network, x, y))
        ratios.append(losses[0] / losses[1])
    assert sorted(ratios)[2] < 0.1**2
