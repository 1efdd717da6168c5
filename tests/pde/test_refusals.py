"""A problem that cannot be solved is refused, with a message that says what to do."""

import pytest
import torch

from knotwork import KAN, MLP, pde
from knotwork.errors import SpecError


def decay(*conditions, **options):
    return pde.Problem(lambda u, t: u.d("t") + u, {"t": (0, 4)}, list(conditions), **options)


LATER = torch.linspace(0, 4, 9, dtype=torch.float64)[:, None]


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        (decay(pde.dirichlet(1.0, on={"t": 0})), r"dirichlet\(\) is given on t: use pde.initial\(\) instead"),
        (decay(pde.condition(lambda u: u - 1, on={"t": 0})), r"condition\(\) is given on t"),
        (decay(pde.initial(1.0), pde.data(LATER, torch.exp(-LATER[:, 0]))), r"data\(\) holds points"),
        (decay(pde.initial(1.0), points=LATER), "the domain is given by points"),
        (decay(pde.hard(lambda t: t, 1.0)), r"hard\(\) holds for all of them"),
    ],
)
def test_windows_are_refused_for_other_conditions_at_given_times(problem, message):
    with pytest.raises(SpecError, match=f"windows=2 cuts time into parts, but {message}"):
        pde.solve(problem, width=[1, 1], windows=2, starts=1, steps=1)


def test_adaptive_refinement_is_refused_for_points_of_the_user():
    with pytest.raises(SpecError, match="points of its own"):
        pde.solve(decay(pde.initial(1.0), points=LATER), width=[1, 1], adaptive=True)


def test_a_dirichlet_condition_without_a_space_coordinate_is_refused():
    with pytest.raises(SpecError, match=r"dirichlet\(\) holds on the faces of space, and there is none beside t"):
        pde.solve(decay(pde.dirichlet(1.0)), width=[1, 1], starts=1, steps=1)


def test_networks_of_another_structure_are_refused():
    line = pde.Problem(lambda u, x, y: u.d("x") + u.d("y"), {"x": (0, 1), "y": (0, 1)}, [pde.dirichlet(0.0)])
    with pytest.raises(SpecError, match="fits a KAN, but got a MLP"):
        pde.solve(line, MLP([2, 3, 1]))  # type: ignore[arg-type]
    pruned = KAN([2, 1], seed=0)
    pruned.layers[0].remove_edge(1, 0)
    pruned = pruned.prune((torch.rand(50, 2), torch.rand(50)))
    assert pruned.spec.inputs == (0,)
    with pytest.raises(SpecError, match=r"uses the inputs \(0,\) alone"):
        pde.solve(line, pruned)


def test_a_hard_condition_is_the_same_under_no_grad():
    problem = pde.Problem(lambda u, x: u.d("x", "x") + 1, {"x": (0, 3)}, [pde.hard(lambda x: x * (3 - x))])
    with torch.no_grad():
        solution = pde.solve(problem, width=[1, 1], grid=5, starts=1, steps=5)
        x = torch.linspace(0, 3, 7, dtype=torch.float64)[:, None]
        off = solution.residual_at(x)
    torch.testing.assert_close(off, solution.residual_at(x))
    assert float(off.abs().max()) < 1e-9


def test_a_model_that_was_fitted_keeps_its_knots():
    problem = decay(pde.initial(1.0))
    first = pde.solve(problem, width=[1, 1], grid=6, starts=1, steps=3)
    model = first.model.copy()
    knots = model.layers[0].knots.clone()
    knots[0, 8] += 0.05
    model.layers[0].set_knots(knots)
    assert torch.equal(pde.solve(problem, model, steps=1).model.layers[0].knots, knots)


def test_fields_can_be_compared_and_used_as_exponents():
    problem = pde.Problem(
        lambda u, t: u.d("t") + torch.where(u > 0, u * 1.0, -u) * 2**u / 2**u, {"t": (0, 1)}, [pde.initial(1.0)]
    )
    solution = pde.solve(problem, width=[1, 1], grid=5, starts=1, steps=15)
    assert abs(float(solution(1.0)) - 2.718281828**-1) < 1e-4


@pytest.mark.parametrize(
    ("values", "message"),
    [(torch.ones(8), "8 values for 9 points"), (torch.full((9,), torch.nan), "values that are not finite")],
)
def test_measured_values_must_be_finite_and_one_for_each_point(values, message):
    with pytest.raises(SpecError, match=message):
        pde.data(LATER, values)


def test_a_callback_that_returns_true_ends_all_windows():
    seen = []
    problem = decay(pde.initial(1.0))
    solution = pde.solve(
        problem,
        width=[1, 1],
        grid=5,
        windows=3,
        starts=1,
        callback=lambda event: seen.append(event.record) or event.record is not None,
    )
    assert len([step for step in seen if step is not None]) == 1 and len(solution.models) == 1
    assert solution.stop_reason == "stopped by the callback"
