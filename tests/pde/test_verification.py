"""A solution whose equations or conditions are not met, or whose error is large, has not converged, and says why."""

import math
import re
from dataclasses import replace

import pytest
import torch
from scipy.integrate import solve_ivp

import knotwork as kw
from knotwork import pde
from knotwork.pde import library
from knotwork.pde.problems.points import domain_points
from knotwork.pde.solution import other_points
from knotwork.pde.solving.linear_parts import linear_parts
from knotwork.pde.solving.terms import Term
from knotwork.pde.verification import checks_of
from knotwork.solvers import StopReason

PI = math.pi
LINE, IN_TIME = {"x": (0, 1)}, {"t": (0, 3)}


def prey_and_predators(length, factor=1.0, exact=False):
    """Lotka-Volterra's equations, with SciPy's solution on request."""
    known = {}
    if exact:
        rates = lambda t, z: [1.1 * z[0] - 0.4 * z[0] * z[1], -0.4 * z[1] + 0.1 * z[0] * z[1]]  # noqa: E731
        found = solve_ivp(rates, (0, length), [10, 10], rtol=1e-11, atol=1e-11, dense_output=True).sol
        known = {"u": lambda t: torch.as_tensor(found(t)[0]), "v": lambda t: torch.as_tensor(found(t)[1])}
    return pde.Problem(
        lambda u, v: (factor * (u.d("t") - 1.1 * u + 0.4 * u * v), v.d("t") + 0.4 * v - 0.1 * u * v),
        {"t": (0, length)},
        [pde.initial(10.0, field="u"), pde.initial(10.0, field="v")],
        fields=("u", "v"),
        exact=known or None,
    )


def spread_error(solution):
    """The largest error of a field, relative to its standard deviation."""
    x = other_points(solution.problem)
    errors, exact = solution.errors(x), solution.problem.exact_values(x)
    return max(float(errors[name].square().mean().sqrt() / exact[name].std()) for name in exact)


UNSOLVED = {
    "one window": (
        lambda: prey_and_predators(20),
        {"width": [1, 2], "grid": 40},
        "the estimated error of the field u is above .* try shorter time windows",
    ),
    "a coarse grid": (
        lambda: pde.Problem(lambda u: u.d("t", "t") + 100 * u, IN_TIME, [pde.initial(0.0), pde.initial(1.0, order=1)]),
        {"width": [1, 1], "grid": 5},
        "windows",
    ),
    "blow-up": (
        lambda: pde.Problem(lambda u: u.d("t") - 1 - u**2, IN_TIME, [pde.initial(0.0)]),
        {"width": [1, 1], "grid": 20},
        "(the equation is .* of its terms|error of the field u)",
    ),
    "a value out of reach": (
        lambda: pde.Problem(
            lambda u: u.d("x") ** 2 - 1, LINE, [pde.dirichlet(0.0, on={"x": 0}), pde.dirichlet(5.0, on={"x": 1})]
        ),
        {"width": [1, 1], "grid": 10},
        "residual of (the equation|condition [12], dirichlet)",
    ),
    "contradicting conditions": (
        lambda: pde.Problem(
            lambda u: u.d("x", "x"),
            LINE,
            [pde.dirichlet(0.0, on={"x": 0}), pde.dirichlet(1.0, on={"x": 0}), pde.dirichlet(2.0, on={"x": 1})],
        ),
        {"width": [1, 1], "grid": 5},
        r"residual of condition [12], dirichlet\(\) is 0\.\d+ of its terms, .*; see whether another .* weight=",
    ),
    "flux without a source": (
        lambda: pde.Problem(lambda u: u.d("x", "x") - 1, LINE, [pde.neumann(0.0)]),
        {"width": [1, 1], "grid": 10},
        "residual of",
    ),
}


@pytest.mark.parametrize("case", UNSOLVED)
def test_what_is_not_solved_has_not_converged(case):
    make, settings, sentence = UNSOLVED[case]
    solution = pde.solve(make(), starts=1, **settings)
    assert solution.stop is StopReason.UNSOLVED and not solution.converged
    assert re.match(f"not solved: .*{sentence}", solution.stop_reason), solution.stop_reason
    assert any(not check.met for check in solution.checks)


SQUARE = {"x": (0, 1), "y": (0, 1)}
SOLVED = {
    "heat in windows": (library.heat, {"width": [2, 2, 1], "grid": 5, "windows": 2, "points": 200, "steps": 30}),
    "measured": (library.inverse_diffusivity, {"width": [2, 2, 1], "grid": 5, "points": 200}),
    "a decay to nothing": (
        lambda: pde.Problem(
            lambda u: u.d("t") + 20 * u, {"t": (0, 2)}, [pde.initial(1.0)], exact=lambda t: torch.exp(-20 * t)
        ),
        {"width": [1, 1], "grid": 60},
    ),
    "a boundary layer": (
        lambda: pde.Problem(
            lambda u: 0.01 * u.d("x", "x") - u + 1,
            LINE,
            [pde.dirichlet(0.0)],
            exact=lambda x: 1 - torch.cosh((x - 0.5) / 0.1) / math.cosh(5),
        ),
        {"width": [1, 1], "grid": 40},
    ),
    "insulated": (
        lambda: pde.Problem(
            lambda u: u.d("t") - u.d("x", "x") / 10,
            {"x": (0, 1), "t": (0, 2)},
            [pde.neumann(0.0), pde.initial(lambda x: 1 + torch.cos(PI * x))],
            exact=lambda x, t: 1 + torch.cos(PI * x) * torch.exp(-PI * PI * t / 10),
        ),
        {"width": [2, 3, 1], "grid": 5, "points": 300, "steps": 40},
    ),
    "kelvins": (
        lambda: pde.Problem(
            lambda u: u.d("x", "x") + u.d("y", "y"),
            SQUARE,
            [pde.dirichlet(lambda x, y: 300 + x * y)],
            exact=lambda x, y: 300 + x * y,
        ),
        {"width": [2, 2, 1], "grid": 5, "points": 300, "steps": 40},
    ),
    "a constant": (
        lambda: pde.Problem(
            lambda u: u.d("x", "x") + u.d("y", "y"), SQUARE, [pde.dirichlet(5.0)], exact=lambda x, y: 5 + 0 * x
        ),
        {"width": [2, 2, 1], "grid": 5, "points": 300, "steps": 40},
    ),
    "zero": (
        lambda: pde.Problem(lambda u: u.d("x", "x") + u.d("y", "y"), SQUARE, [pde.dirichlet(0.0)]),
        {"width": [2, 2, 1], "grid": 5, "points": 300, "steps": 40},
    ),
    "a channel whose second velocity is zero": (
        lambda: pde.Problem(
            lambda u, v, p: (
                u * u.d("x") + v * u.d("y") + p.d("x") - (u.d("x", "x") + u.d("y", "y")) / 10,
                u * v.d("x") + v * v.d("y") + p.d("y") - (v.d("x", "x") + v.d("y", "y")) / 10,
                u.d("x") + v.d("y"),
            ),
            {"x": (0, 2), "y": (-1, 1)},
            [
                pde.condition(lambda u, v, y: (u - (1 - y**2), v.value), on=("x", "y")),
                pde.dirichlet(0.0, field="p", points=[[0.0, -1.0]]),
            ],
            fields=("u", "v", "p"),
            exact={"u": lambda x, y: 1 - y**2, "p": lambda x, y: -x / 5},
        ),
        {"width": [2, 3, 3], "grid": 5, "points": 300, "steps": 20},
    ),
}


@pytest.mark.parametrize("case", SOLVED)
def test_what_is_solved_passes_all_checks(case):
    make, settings = SOLVED[case]
    solution = pde.solve(make(), starts=2, **settings)
    assert solution.relative_l2 is None or solution.relative_l2 < 1e-3  # it is solved
    assert solution.checks and all(check.met for check in solution.checks), solution.checks
    assert solution.stop is not StopReason.UNSOLVED


@pytest.mark.parametrize(("windows", "grid"), [(1, 20), (2, 10), (4, 5)])
def test_the_estimated_error_is_the_true_one(windows, grid):
    """To first order in the error: a tenth is far above what is neglected at errors of a thousandth."""
    solution = pde.solve(prey_and_predators(10, exact=True), width=[1, 2], grid=grid, starts=1, windows=windows)
    estimated = max(check.relative for check in solution.checks if check.what.startswith("the field"))
    assert 1e-8 < estimated < 1e-2
    assert estimated == pytest.approx(spread_error(solution), rel=0.1)


@pytest.mark.parametrize("factor", [1e-9, 1e6])
def test_the_units_of_an_equation_do_not_matter(factor):
    """The same network judged for an equation times a factor."""
    solution = pde.solve(prey_and_predators(10), width=[1, 2], grid=10, starts=1)
    other = replace(solution, problem=prey_and_predators(10, factor))
    for a, b in zip(checks_of(solution), checks_of(other), strict=True):
        assert (a.what, a.relative) == (b.what, pytest.approx(b.relative, rel=1e-9))


def test_a_residual_is_the_sum_of_its_linear_parts():
    """Slopes are compared with finite differences; the rest of a linear equation is its source."""
    problem = pde.Problem(
        lambda u, x, t: torch.exp(x) * u.d("x", "x") - t * u.d("t") + 3 * u - torch.sin(x),
        {"x": (0, 1), "t": (0, 1)},
        [pde.dirichlet(0.0)],
    )
    term = Term(problem, "equation", problem.equation, domain_points(problem, 50, 0))
    network = kw.KAN([2, 2, 1], grid=4, k=5, seed=0, grid_range=(0.0, 1.0))
    [linear] = linear_parts(term, network, torch.zeros(0, dtype=torch.float64))
    x, t = linear.x.T
    slopes = {part.multi: part.slopes for part in linear.parts}
    torch.testing.assert_close(slopes, {(2, 0): torch.exp(x), (0, 1): -t, (0, 0): torch.full_like(x, 3)})
    torch.testing.assert_close(linear.rest(), -torch.sin(x), rtol=0, atol=1e-9)


def test_a_solution_that_was_stopped_keeps_its_reason():
    solution = pde.solve(
        prey_and_predators(20), width=[1, 2], grid=10, starts=1, callback=lambda event: event.step == 2
    )
    assert solution.stop is StopReason.CALLBACK and any(not check.met for check in solution.checks)


@pytest.mark.parametrize(("left", "right"), [(0.03, 400.0), (400.0, 0.03)])
def test_a_flux_that_counts_for_nothing_is_named(left, right):
    """Two joined domains, u on the left and v on the right, whose flux condition is met only with its usual weight."""

    def joined(weight):
        flux = pde.condition(
            lambda u, v: (left * u.d("x") + right * v.d("x")) / 400, on={"x": 1}, weight=weight
        )  # v's x points to the left
        ends = [pde.dirichlet(100.0, on={"x": 0}, field="u"), pde.dirichlet(20.0, on={"x": 0}, field="v")]
        same = pde.condition(lambda u, v: u - v, on={"x": 1})
        problem = pde.Problem(lambda u, v: (u.d("x", "x"), v.d("x", "x")), LINE, [*ends, same, flux], fields=("u", "v"))
        return pde.solve(problem, width=[1, 2], grid=5, starts=1, points=100)

    reached = 100 - 80 * right / (left + right)
    right_one, wrong_one = joined(1.0), joined(1e-18)
    assert right_one(1.0)["u"] == pytest.approx(reached, abs=1e-6) and right_one.converged
    assert abs(wrong_one(1.0)["u"] - reached) > 20 and wrong_one.stop is StopReason.UNSOLVED
    assert "the residual of condition 4, condition() is 1 of its terms" in wrong_one.stop_reason
