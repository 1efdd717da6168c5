"""Sums of products: their structure, the fixed initial condition, equidistributed knots, listed windows."""

import math

import numpy as np
import pytest
import torch

from knotwork import pde
from knotwork.errors import SpecError
from knotwork.pde.problems.points import PointSet
from knotwork.pde.solving.system import System
from knotwork.pde.solving.terms import make_terms
from knotwork.pde.strategies.adaptive import equidistributed_knots, moved_to_knots
from knotwork.pde.strategies.from_initial_condition import FromInitialCondition, on_equidistributed_knots
from knotwork.pde.strategies.initial_networks import draw_first_values, set_to_domain
from knotwork.pde.strategies.separable_network import fix_initial_condition, separable_network
from knotwork.pde.strategies.strategy import Part
from knotwork.splines import extend_knots
from tests.pde.interrupting import interrupted_at

PI = math.pi
NONE = torch.zeros(0, dtype=torch.float64)


def heat():
    return pde.library.heat()


def advection():
    """A wave equation with initial values and initial velocities, which must both be fixed."""
    return pde.Problem(
        lambda u: u.d("t", "t") - u.d("x", "x"),
        {"x": (0, 1), "t": (2, 4)},
        [pde.initial(lambda x: torch.sin(PI * x)), pde.initial(lambda x: x * (1 - x), order=1)],
    )


def rows(problem, n=60):
    low, high = problem.ends()
    return low + (high - low) * torch.rand(n, len(low), generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def exchange():
    return pde.Problem(
        lambda u, v: (u.d("t") - v.d("x"), v.d("t") + u.d("x")),
        {"x": (0, 1), "t": (0, 1)},
        [pde.initial(0.0, field="u"), pde.initial(lambda x: x, field="v")],
        fields=("u", "v"),
    )


@pytest.mark.parametrize("problem", [heat(), exchange()])
def test_each_factor_depends_on_one_coordinate_and_each_product_belongs_to_one_field(problem):
    model = set_to_domain(separable_network(problem, 3, 6, 4, 0), problem)
    draw_first_values(model, torch.Generator().manual_seed(1))
    fields, x = len(problem.fields), rows(problem)
    factors = model.layers[0](x).unflatten(1, (3 * fields, 2))
    expected = factors.prod(-1).unflatten(1, (fields, 3)).sum(-1)
    torch.testing.assert_close(model(x), expected)
    shifted = x.clone()
    shifted[:, 1] = x[:, 1].flip(0)
    others = model.layers[0](shifted).unflatten(1, (3 * fields, 2))
    assert torch.equal(others[..., 0], factors[..., 0]) and not torch.equal(others[..., 1], factors[..., 1])
    assert model.parameters_in_use() == 3 * fields * (2 * 10 + 4)


def test_initial_values_and_initial_velocities_are_fixed():
    problem = advection()
    model = set_to_domain(separable_network(problem, 5, 10, 5, 0), problem, (10, 4))
    terms = [term for term in make_terms(problem, 10, 60, 0) if term.name == "initial"]
    fix_initial_condition(model, problem, terms, NONE)
    x = rows(problem)
    place, time = x.unbind(1)
    expected = torch.sin(PI * place) + (time - 2) * place * (1 - place)
    torch.testing.assert_close(model(x)[:, 0], expected, rtol=0, atol=1e-5)


def test_unused_knots_of_a_coordinate_with_fewer_intervals_lie_beyond_its_end():
    problem = heat()
    knots = set_to_domain(separable_network(problem, 1, 12, 3, 0), problem, (12, 4)).layers[0].knots[:, 3:-3]
    torch.testing.assert_close(knots[0], torch.linspace(0, 1, 13, dtype=torch.float64))
    torch.testing.assert_close(knots[1, :5], torch.linspace(0, 1, 5, dtype=torch.float64))


def test_splines_beyond_the_end_of_a_coordinate_are_not_trained():
    problem = heat()
    model = set_to_domain(separable_network(problem, 2, 12, 3, 0), problem, (12, 4))
    draw_first_values(model, torch.Generator().manual_seed(1))
    system = System(model, make_terms(problem, 50, 20, 0), NONE)
    assert system.free.size == 2 * (15 + 7)
    with torch.no_grad():
        model.layers[0].knots[1] -= 1e-15
    assert System(model, make_terms(problem, 50, 20, 0), NONE).free.size == 2 * (15 + 7)
    x, kept = rows(problem), model.layers[0].coefficients.detach().clone()
    system.set(torch.zeros(system.free.size, dtype=torch.float64))
    assert bool((model(x) == 0).all())
    moved = model.layers[0].coefficients.detach()[..., ::2][1]
    assert torch.equal(moved[7:], kept[..., ::2][1][7:]) and moved[:7].abs().max() > 0


def test_row_equilibration_scales_residuals_but_not_the_reported_ones():
    problem = pde.Problem(
        lambda u, x: u.d("t") * torch.where(x > 0.5, 1e3, 1.0), heat().domain, heat().conditions, exact=None
    )
    model = set_to_domain(separable_network(problem, 2, 6, 4, 0), problem)
    draw_first_values(model, torch.Generator().manual_seed(1))
    system = System(model, make_terms(problem, 300, 30, 0), NONE)
    term = system.terms[0]
    before = torch.cat([j.norm(dim=1) for _, j in term.rows(model, NONE, system.free)])
    plain = term.values(model, NONE)
    system.equilibrate_rows()
    after = torch.cat([j.norm(dim=1) for _, j in term.rows(model, NONE, system.free)])
    chosen = before > 1e-3 * before.max()
    ratio = (after / before.sqrt())[chosen]
    torch.testing.assert_close(ratio, ratio[:1].expand_as(ratio))
    torch.testing.assert_close(term.values(model, NONE), plain * term.scales)
    assert float(term.scales.square().mean()) == pytest.approx(1.0)
    part = Part(problem, (0.0, 1.0), system, None)
    assert part.mean_square() == pytest.approx(float(plain.square().mean()), rel=1e-12)


def layered(x, width=0.02):
    return torch.tanh((x - 0.3) / width)


def fitted_layer(knots_of_x):
    """A separable model of a thin layer at x = 0.3, the same at all times."""
    problem = pde.Problem(
        lambda u: u.d("t"), {"x": (0, 1), "t": (0, 1)}, [pde.initial(layered)], exact=lambda x, t: layered(x)
    )
    model = set_to_domain(separable_network(problem, 2, 30, 5, 0), problem)
    if knots_of_x is not None:
        model.layers[0].knots[0] = knots_of_x
    terms = [term for term in make_terms(problem, 10, 800, 0) if term.name == "initial"]
    fix_initial_condition(model, problem, terms, NONE)
    x = rows(problem, 2000)
    return problem, model, float((model(x)[:, 0] - layered(x[:, 0])).detach().abs().max())


def test_equidistributed_knots_resolve_a_thin_layer():
    problem, model, even = fitted_layer(None)
    for _ in range(5):
        new = equidistributed_knots(model, problem, 0)
        problem, model, graded = fitted_layer(new)
    inner = new[5:-5]
    assert bool((inner.diff() > 0).all()) and inner[0] == 0 and inner[-1] == 1
    assert int(((inner - 0.3).abs() < 0.1).sum()) > 15  # of 31 knots; 6 if they were uniform
    assert graded < even / 300


def test_moving_knots_keeps_the_curves_as_closely_as_possible():
    knots = extend_knots(torch.linspace(0, 1, 31, dtype=torch.float64).pow(1.1).unsqueeze(0), 5)[0]
    problem, smooth, _ = fitted_layer(knots)
    with torch.no_grad():
        smooth.layers[0].coefficients[0] = torch.sin(torch.linspace(0, 3, 35, dtype=torch.float64)).unsqueeze(1)
    moved, x = on_equidistributed_knots(smooth, problem), rows(problem, 500)
    assert float((moved.layers[0].knots[0] - smooth.layers[0].knots[0]).abs().max()) > 0.01
    assert torch.equal(moved.layers[0].knots[1], smooth.layers[0].knots[1])
    torch.testing.assert_close(moved(x), smooth(x), rtol=0, atol=1e-4)


def test_points_are_distributed_like_the_knots_on_free_coordinates_only():
    problem, model, _ = fitted_layer(None)
    points = torch.linspace(0, 1, 31, dtype=torch.float64) ** 3
    model.layers[0].knots[0, 5:-5] = points
    x = rows(problem, 4000)
    moved = moved_to_knots(PointSet(x), model, problem).x
    count = torch.histogram(moved[:, 0], points).hist
    assert float(count.min()) > 0.35 * 4000 / 30 and bool((moved[:, 1] == x[:, 1]).float().mean() > 0.4)
    face = x.clone()
    face[:, 0] = 0.5
    kept = moved_to_knots(PointSet(face, opposite=face), model, problem)
    assert bool((kept.x[:, 0] == 0.5).all()) and kept.opposite is not None and bool((kept.opposite[:, 0] == 0.5).all())


def test_few_products_solve_the_heat_equation_in_listed_windows():
    whole = pde.solve(heat(), rank=2, grid={"x": 10, "t": 4}, steps=30)
    parts = pde.solve(heat(), rank=2, grid={"x": 10, "t": 4}, steps=30, windows=[0.2], adaptive=True)
    assert whole.relative_l2 < 1e-5 and parts.relative_l2 < 1e-5
    assert parts.windows == ((0.0, 0.2), (0.2, 1.0)) and parts.parameters == 2 * whole.parameters == 2 * 2 * (15 + 9)


def test_adaptive_refinement_resolves_a_layer_that_uniform_knots_do_not():
    """Burgers' equation at ν = 0.03 until t = 0.5, whose layer is a thirtieth of the domain."""
    burgers = pde.library.burgers(0.03)
    problem = pde.Problem(burgers.residual, {"x": (-1, 1), "t": (0, 0.5)}, burgers.conditions, exact=burgers.exact["u"])
    settings = {"rank": 4, "grid": {"x": 20, "t": 3}, "windows": [0.25], "steps": 20, "points": 900}
    found = {adaptive: pde.solve(problem, **settings, adaptive=adaptive).relative_l2 for adaptive in (False, True)}
    assert found[True] < 2e-3 and found[True] < found[False] / 10


@pytest.mark.parametrize("calls", [60, 90, 150])
def test_an_interrupt_keeps_the_last_round(calls):
    problem = interrupted_at(calls, heat().domain, heat().conditions, exact=heat().exact["u"])
    solution = pde.solve(problem, rank=1, grid=5, points=100, adaptive=True)
    assert solution.stop_reason == "interrupted; the best state so far was kept"
    assert solution.relative_l2 < 0.1


def test_products_without_an_initial_condition_use_random_starts():
    waves = pde.solve(pde.library.helmholtz(1, 1, 0.0), rank=1, grid=10, starts=2, steps=20)
    assert waves.relative_l2 < 1e-4 and waves.parameters == 2 * 15


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rank": 0}, "rank=0 is not possible"),
        ({"rank": 2, "width": [2, 2, 1]}, "needs a network"),
        ({"rank": 2, "grid": {"x": 4}}, "for every coordinate: x, t"),
        ({"width": [2, 2, 1], "grid": {"x": 8, "t": 4}}, "goes with rank= alone"),
        ({"rank": 2, "windows": [0.5, 0.3]}, "must be increasing numbers between 0 and 1"),
        ({"rank": 2, "windows": [0, 0.5]}, "increasing numbers"),
        ({"rank": 2, "windows": ["half"]}, "must be increasing numbers"),
    ],
)
def test_inconsistent_settings_are_refused(settings, message):
    with pytest.raises(SpecError, match=message):
        pde.solve(heat(), **settings)


def test_products_for_a_problem_of_one_coordinate_are_refused():
    line = pde.Problem(lambda u: u.d("t") + u, {"t": (0, 1)}, [pde.initial(1.0)])
    with pytest.raises(SpecError, match="there is one: pass width="):
        pde.solve(line, rank=2)


def test_solved_windows_are_kept_when_the_next_one_is_interrupted(monkeypatch):
    solved = FromInitialCondition.solve

    def interrupted(self, problem, start, run):
        if run.window:
            raise KeyboardInterrupt
        return solved(self, problem, start, run)

    monkeypatch.setattr(FromInitialCondition, "solve", interrupted)
    solution = pde.solve(heat(), rank=1, grid=5, points=100, windows=np.array([0.5]))
    assert solution.stop_reason == "interrupted; the best state so far was kept"
    assert len(solution.models) == 1
