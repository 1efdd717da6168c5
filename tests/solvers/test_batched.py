"""Many least-squares problems at once: each has the solution that it has alone, which is that of SciPy."""

import math
from dataclasses import dataclass

import pytest
import torch
from scipy.optimize import least_squares
from torch import Tensor

from knotwork.solvers.batched import solve_batched
from knotwork.solvers.settings import BatchedDamping


@dataclass(frozen=True)
class Decays:
    """y = p·exp(-q·x) with both parameters nonlinear, for q > 0 only; y is (K, n)."""

    x: Tensor
    y: Tensor

    def evaluate(self, parameters):
        p, q = parameters.unbind(1)
        shape = torch.exp(-q[:, None] * self.x)
        residual = p[:, None] * shape - self.y
        error = residual.square().mean(1)
        return torch.where(q > 0, error, math.inf), residual, shape, p

    def normal_equations(self, state):
        _, residual, shape, p = state
        columns = torch.stack([shape, -p[:, None] * self.x * shape], dim=1)
        return columns @ columns.mT, (columns @ residual[:, :, None])[:, :, 0]

    def residuals(self, k):
        return lambda v: (v[0] * torch.exp(-v[1] * self.x) - self.y[k]).numpy()


@dataclass(frozen=True)
class ProjectedDecays(Decays):
    """The same with q alone as a parameter and p determined by regression."""

    def evaluate(self, parameters):
        shape = torch.exp(-parameters * self.x)
        p = (shape * self.y).sum(1) / shape.square().sum(1)
        residual = p[:, None] * shape - self.y
        return residual.square().mean(1), residual, shape, p

    def normal_equations(self, state):
        matrix, gradient = super().normal_equations(state)
        return matrix.flip(1, 2), gradient.flip(1)


def decays(kind, count=7, noise=0.02, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.linspace(0, 2, 41, dtype=torch.float64)
    p, q = 1 + torch.rand(2, count, 1, generator=generator).double() * 3
    return kind(x, p * torch.exp(-q * x) + noise * torch.randn(count, 41, generator=generator).double())


START = torch.tensor([1.0, 0.3], dtype=torch.float64)


@pytest.mark.parametrize("seed", range(3))
def test_every_problem_ends_where_scipy_ends(seed):
    problem = decays(Decays, seed=seed)
    found = solve_batched(problem, START.expand(7, 2), 100)
    for k in range(7):
        truth = least_squares(problem.residuals(k), START.numpy(), method="lm", xtol=1e-14, ftol=1e-14, gtol=1e-14)
        # the loop ends at relative gains of 1e-6, where errors of parameters are about a thousandth
        assert found.parameters[k].numpy() == pytest.approx(truth.x, rel=1e-5)
        assert float(found.losses[k]) == pytest.approx(2 * truth.cost / 41, rel=1e-9)


def test_each_problem_of_a_batch_ends_where_it_ends_alone():
    problem = decays(Decays)
    together = solve_batched(problem, START.expand(7, 2), 100)
    for k in range(7):
        alone = solve_batched(Decays(problem.x, problem.y[k : k + 1]), START[None], 100)
        assert torch.allclose(together.parameters[k], alone.parameters[0], rtol=1e-6, atol=0)
        assert alone.steps <= together.steps


def test_projected_coefficients_change_nothing_in_the_solution():
    problem = decays(Decays)
    whole = solve_batched(problem, START.expand(7, 2), 100)
    projected = solve_batched(ProjectedDecays(problem.x, problem.y), START[None, 1:].expand(7, 1), 100)
    assert torch.allclose(projected.parameters[:, 0], whole.parameters[:, 1], rtol=1e-6, atol=0)
    assert torch.allclose(projected.losses, whole.losses, rtol=1e-9, atol=0)


def test_a_problem_that_cannot_improve_does_not_disturb_the_others():
    problem = decays(Decays, count=3)
    undisturbed = solve_batched(problem, START.expand(3, 2), 100)
    start = START.repeat(3, 1)
    start[1, 1] = -50.0  # not allowed, and its derivatives are huge
    found = solve_batched(problem, start, 100)
    assert torch.allclose(found.parameters[[0, 2]], undisturbed.parameters[[0, 2]], rtol=1e-6, atol=0)
    assert bool(torch.isfinite(found.parameters).all())


@pytest.mark.parametrize("steps", [0, 1, 2, 5])
def test_no_error_grows_and_errors_are_those_of_the_parameters(steps):
    problem = decays(Decays, noise=0.5)
    start = torch.rand(7, 2, generator=torch.Generator().manual_seed(1)).double() * 6 - 1
    found = solve_batched(problem, start, steps)
    assert found.steps == steps
    assert bool((found.losses <= problem.evaluate(start)[0]).all())
    assert torch.equal(found.losses, problem.evaluate(found.parameters)[0])


def test_the_damping_rule_is_the_one_that_is_asked_for():
    problem = decays(Decays)
    timid = solve_batched(problem, START.expand(7, 2), 1, BatchedDamping(first=1e9))
    bold = solve_batched(problem, START.expand(7, 2), 1, BatchedDamping(first=1e-9))
    assert bool(((timid.parameters - START).norm(dim=1) < 1e-6).all())
    newton = torch.linalg.solve(
        *(t if t.ndim == 3 else -t[:, :, None] for t in problem.normal_equations(problem.evaluate(START.expand(7, 2))))
    )
    moved = (bold.parameters - START).norm(dim=1) > 0
    assert bool(moved.any()) and torch.allclose((bold.parameters - START)[moved], newton[moved, :, 0], rtol=1e-6)
    assert solve_batched(problem, bold.parameters, 100, BatchedDamping(least_gain=1.0)).steps == 4
