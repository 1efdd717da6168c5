"""Solving small problems with known solutions, and laws that hold during the solution."""

import importlib
import math
from itertools import pairwise

import numpy as np
import pytest
import torch

import knotwork as kw
from knotwork import pde
from knotwork.pde import library
from knotwork.pde.problems.points import split_own_points
from knotwork.pde.solving.gradient_methods import minimise
from knotwork.pde.solving.hidden_grids import update_hidden_grids
from knotwork.pde.solving.second_order import levenberg_marquardt
from knotwork.pde.solving.system import System
from knotwork.pde.solving.terms import make_terms
from knotwork.solvers import Ended, StopReason
from tests.pde.interrupting import interrupted_at

PI = math.pi


def oscillator(**settings):
    arguments = {
        "conditions": [pde.initial(0.0), pde.initial(1.0, order=1)],
        "exact": lambda t: torch.sin(t),
        **settings,
    }
    return pde.Problem(lambda u: u.d("t", "t") + u, {"t": (0, 3)}, **arguments)


def heat(**settings):
    arguments = {
        "conditions": [pde.dirichlet(0.0), pde.initial(lambda x: torch.sin(PI * x))],
        "exact": lambda x, t: torch.exp(-PI * PI * t / 10) * torch.sin(PI * x),
        **settings,
    }
    return pde.Problem(lambda u: u.d("t") - u.d("x", "x") / 10, {"x": (0, 1), "t": (0, 1)}, **arguments)


def small_system(seed=0, points=150):
    model = kw.KAN([2, 2, 1], grid=4, k=5, seed=seed, base="zero", grid_range=(0.0, 1.0))
    with torch.no_grad():
        for layer in model.layers:
            layer.coefficients += torch.randn(layer.coefficients.shape, generator=torch.Generator().manual_seed(seed))
    system = System(model, make_terms(heat(), points, 20, 0), torch.zeros(0, dtype=torch.float64))
    update_hidden_grids(model, system.rows)
    return system


def test_one_layer_solves_an_oscillator():
    solution = pde.solve(oscillator(), width=[1, 1], grid=10, starts=1)
    assert solution.relative_l2 < 1e-5
    assert solution(1.0) == pytest.approx(math.sin(1.0), abs=1e-5)
    assert solution.stop_reason.startswith("converged") and "relative L2 error" in str(solution)


def test_the_heat_equation_is_solved_at_once_and_in_time_windows():
    whole = pde.solve(heat(), width=[2, 2, 1], grid=5, starts=2, steps=25, points=300)
    parts = pde.solve(heat(), width=[2, 2, 1], grid=5, starts=2, steps=25, points=300, windows=2)
    assert whole.relative_l2 < 1e-4 and parts.relative_l2 < 1e-3
    assert len(parts.models) == 2 and parts.windows == ((0.0, 0.5), (0.5, 1.0))
    assert parts.parameters == 2 * whole.parameters
    before, after = parts(0.3, 0.5), parts(0.3, 0.5 + 1e-9)
    assert after == pytest.approx(before, abs=1e-4)
    assert {h.window for h in parts.history} == {0, 1}


def test_the_same_seed_gives_the_same_solution():
    first, second = (
        pde.solve(heat(), width=[2, 2, 1], grid=5, starts=2, steps=5, points=200, seed=3) for _ in range(2)
    )
    for a, b in zip(first.model.parameters(), second.model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_solution_takes_numbers_arrays_and_tensors():
    solution = pde.solve(heat(), width=[2, 2, 1], grid=5, starts=1, steps=3, points=200)
    mesh = np.meshgrid(np.linspace(0, 1, 4), np.linspace(0, 1, 3))
    assert solution(*mesh).shape == (3, 4)
    assert isinstance(solution(0.2, 0.3), float)
    at = torch.tensor([0.2], dtype=torch.float64)
    assert solution(at, 0.3).tolist() == [solution(0.2, 0.3)]
    with pytest.raises(kw.KnotworkError, match="takes 2 coordinates, x, t, but got 1"):
        solution(0.5)


def test_a_system_with_hard_and_periodic_conditions_is_solved():
    exchange = pde.Problem(
        lambda u, v: (u.d("x") - v, v.d("x") + u),
        {"x": (0, 2 * PI)},
        [pde.hard(lambda x: x, field="u"), pde.dirichlet(1.0, on={"x": 0.0}, field="v"), pde.periodic("x")],
        fields=("u", "v"),
        exact={"u": lambda x: torch.sin(x), "v": lambda x: torch.cos(x)},
    )
    solution = pde.solve(exchange, width=[1, 2], grid=20, starts=1)
    assert solution.relative_l2 < 1e-6
    assert solution(0.0)["u"] == 0.0
    assert solution(1.0)["v"] == pytest.approx(math.cos(1.0), abs=1e-6)


def test_an_unknown_coefficient_is_found_within_its_standard_error():
    rng = np.random.default_rng(0)
    t = rng.uniform(0, 3, 200)
    noisy = np.sin(1.3 * t) / 1.3 + rng.normal(0, 0.01, 200)
    problem = pde.Problem(
        lambda u, w: u.d("t", "t") + w**2 * u,
        {"t": (0, 3)},
        [pde.initial(0.0), pde.initial(1.0, order=1), pde.data(t, noisy)],
        unknowns={"w": 1.0},
    )
    solution = pde.solve(problem, width=[1, 1], grid=10, starts=1)
    w = solution.unknowns["w"]
    assert abs(w.value - 1.3) < 4 * w.error and 1e-4 < w.error < 5e-3
    assert w.interval[0] < w.value < w.interval[1] and "±" in str(w)


def test_refining_does_not_change_the_objective():
    system = small_system()
    levenberg_marquardt(system, steps=15)
    before = system.objective()
    assert System(system.network.refine(12), system.terms, system.unknowns).objective() == pytest.approx(
        before, rel=1e-6
    )


def test_moving_the_ends_of_hidden_grids_keeps_the_function():
    system = small_system(1)
    network, x = system.network, system.rows
    first, last = network.layers[1].knots[:, 5].clone(), network.layers[1].knots[:, -6].clone()
    with torch.no_grad():
        network.layers[0].coefficients *= 0.9  # the values cover less of their grids
    before = network(x).detach()
    slope = network.derivatives(x)[2].detach()
    assert update_hidden_grids(network, x) or bool((first == network.layers[1].knots[:, 5]).all())
    torch.testing.assert_close(network(x).detach(), before, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(network.derivatives(x)[2].detach(), slope, rtol=1e-6, atol=1e-6)
    assert not update_hidden_grids(network, x) and bool((last >= network.layers[1].knots[:, -6] - 1).all())


def test_steps_never_raise_the_objective():
    system = small_system(2)
    levenberg_marquardt(system, steps=3)
    seen = [system.objective()]
    levenberg_marquardt(system, steps=15, update_grid=False, each_step=lambda step, value: seen.append(value))
    assert len(seen) > 5
    assert all(b <= a for a, b in pairwise(seen))


@pytest.mark.parametrize("seed", [3, 5])
def test_l_bfgs_lowers_the_objective_in_every_step(seed):
    system = small_system(seed)
    for term in system.terms[1:]:
        term.weight = 1e3
    with torch.no_grad():
        system.network.layers[1].coefficients *= 1e-3
    seen = []
    minimise(system, kw.LBFGS(), steps=40, update_grid=False, each_step=lambda step, value: seen.append(value))
    assert len(seen) > 5
    assert all(b < a for a, b in pairwise(seen))


@pytest.mark.parametrize(("optimizer", "steps"), [("lbfgs", 40), ("adam", 300)])
def test_other_optimisers_lower_the_objective(optimizer, steps):
    solution = pde.solve(heat(), width=[2, 2, 1], grid=5, starts=1, steps=steps, points=200, optimizer=optimizer)
    assert solution.history[-1].objective < 0.5 * solution.history[0].objective


def test_a_callback_that_returns_true_stops_the_solution():
    solution = pde.solve(heat(), width=[2, 2, 1], grid=5, starts=1, callback=lambda event: event.step == 2)
    assert solution.stop_reason == "stopped by the callback" and solution.steps == 2


@pytest.mark.parametrize("optimizer", ["lm", "lbfgs"])
@pytest.mark.parametrize("calls", [60, 400, 900])
def test_an_interrupt_keeps_the_best_so_far(optimizer, calls):
    problem = interrupted_at(calls, {"x": (0, 1), "t": (0, 1)}, [pde.dirichlet(0.0), pde.initial(1.0)])
    settings = {"width": [2, 2, 1], "grid": 5, "points": 200, "windows": 2, "optimizer": optimizer}
    solution = pde.solve(problem, starts=3, steps=60, **settings)
    assert solution.stop_reason == "interrupted; the best state so far was kept"
    assert math.isfinite(solution.residual) and len(solution.models) in (1, 2)
    if solution.history and len(solution.models) == 1:
        unit = math.sqrt(solution.history[-1].objective)
        assert solution.residual <= 1.01 * unit  # the last reported state, and not a trial step


def test_a_given_model_is_trained_from_its_current_state():
    first = pde.solve(heat(), width=[2, 2, 1], grid=5, starts=1, steps=20, points=300)
    finer = pde.solve(heat(), first.model.refine(10), steps=20, points=300)
    assert finer.relative_l2 < first.relative_l2 and finer.model.spec.grid == 10
    assert first.model.spec.grid == 5


def test_a_tenth_of_the_users_points_is_held_out():
    square = torch.rand(400, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    disc = square[((square - 0.5) ** 2).sum(1) < 0.25]
    problem, settings = heat(points=disc), {"width": [2, 2, 1], "grid": 5, "starts": 1, "steps": 20}
    used, aside = split_own_points(problem)
    assert len(aside) == len(disc) // 10
    torch.testing.assert_close(torch.cat([used, aside]).sort(dim=0).values, disc.sort(dim=0).values, rtol=0, atol=0)
    solution = pde.solve(problem, **settings)
    for points, reported in ((used, solution.residual), (aside, solution.held_out)):
        assert reported == pytest.approx(float(solution.residual_at(points).square().mean().sqrt()), rel=1e-9)
    few = pde.solve(heat(points=disc[:49]), **settings)
    assert math.isnan(few.held_out) and few.relative_l2 > 0 and "elsewhere" not in str(few)


def test_solutions_are_plotted_as_curves_and_maps():
    solution = pde.solve(heat(), width=[2, 2, 1], grid=5, starts=1, steps=3, points=200)
    titles = [text.get_text() for axes in solution.plot(points=20).axes for text in axes.texts]
    assert titles == ["$u$", "error", "residual"]
    line = pde.solve(oscillator(exact=None), width=[1, 1], grid=5, starts=1, steps=3, points=200).plot(points=20)
    assert [text.get_text() for axes in line.axes for text in axes.texts] == ["$u$", "residual"]
    with pytest.raises(kw.KnotworkError, match="no field 'v'"):
        solution.plot("v")


def test_a_solution_has_converged_only_if_every_window_has(monkeypatch):
    strategy = importlib.import_module("knotwork.pde.strategies.strategy")
    reasons = iter([StopReason.STEP_LIMIT, StopReason.CONVERGED])
    monkeypatch.setattr(
        strategy, "levenberg_marquardt", lambda *_, **__: Ended(1, reason := next(reasons), reason.value)
    )
    model = kw.KAN([2, 1], grid=5, k=5, seed=0, base="zero")
    solution = pde.solve(library.heat(), model, windows=2, points=100, progress=False)
    assert solution.stop is StopReason.STEP_LIMIT and not solution.converged
