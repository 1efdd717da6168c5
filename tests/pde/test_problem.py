"""Problems as users state them: values and derivatives in residuals, and error messages."""

import numpy as np
import pytest
import torch

import knotwork as kw
from knotwork import pde
from knotwork.errors import SpecError, TrainingError
from knotwork.model import FreeParameters
from knotwork.pde.problems.points import condition_points, domain_points, points_with_faces, sobol_points
from knotwork.pde.solving.terms import Term, make_terms

SQUARE = {"x": (-1, 1), "y": (0, 3)}


def laplace(**settings):
    arguments = {"conditions": [pde.dirichlet(0.0)], **settings}
    return pde.Problem(lambda u: u.d("x", "x") + u.d("y", "y"), SQUARE, **arguments)


def network(outputs=1, k=5, seed=0, domain=SQUARE):
    model = kw.KAN([len(domain), 3, outputs], grid=4, k=k, seed=seed)
    with torch.no_grad():
        for layer in model.layers:
            layer.coefficients += torch.randn(layer.coefficients.shape, generator=torch.Generator().manual_seed(seed))
    return model


def term_of(problem, model, n=9):
    term = Term(problem, "equation", problem.equation, domain_points(problem, n, 0))
    term.prepare(model)
    return term


def nested(model, x, *coordinates):
    """The definition by nested autograd."""
    x = x.clone().requires_grad_()
    values = model(x)[:, 0]
    for i in coordinates:
        values = torch.autograd.grad(values.sum(), x, create_graph=True)[0][:, i]
    return values.detach()


def test_a_residual_has_the_derivatives_of_autograd():
    problem = pde.Problem(
        lambda u, x, y, a: 2 * u.d("x", "y") - u**2 / 3 + torch.sin(u) * x - (1 - u) * a + abs(u) + u.d("y", "y", "x"),
        SQUARE,
        unknowns={"a": 0.7},
    )
    model = network()
    term = term_of(problem, model)
    x = term.chunks[0].x
    u = model(x)[:, 0].detach()
    expected = (
        2 * nested(model, x, 0, 1) - u**2 / 3 + u.sin() * x[:, 0] - (1 - u) * 0.7 + u.abs() + nested(model, x, 1, 1, 0)
    )
    found = term.values(model, torch.tensor([0.7], dtype=torch.float64))
    torch.testing.assert_close(found[0], expected, rtol=1e-9, atol=1e-9)


def test_rows_by_parameters_and_unknowns_are_those_of_finite_differences():
    problem = pde.Problem(
        lambda u, v, x, a: (u.d("x", "x") * a + v * u, v.d("y") - u**2),
        SQUARE,
        fields=("u", "v"),
        unknowns={"a": 0.7},
        conditions=[pde.hard(lambda x, y: 1 - x**2, lambda x, y: x * y, field="v"), pde.periodic("x")],
    )
    model = network(2)
    free, a = FreeParameters(model), torch.tensor([0.7], dtype=torch.float64)
    terms = make_terms(problem, 5, 4, 0)
    assert len(terms) == 2  # the equations and the periodic condition
    for term in terms:
        term.prepare(model)
        rows = torch.stack([jacobian for _, jacobian in term.rows(model, a, free)]).flatten(0, 1)
        start = free.get()
        for p in range(0, free.size + 1, 17):
            step = torch.zeros(free.size + 1, dtype=torch.float64)
            step[p if p < free.size else -1] = 1e-6
            sides = []
            for sign in (1, -1):
                free.set(start + sign * step[:-1])
                sides.append(term.values(model, a + sign * step[-1:]).flatten())
            free.set(start)
            torch.testing.assert_close(rows[:, p], (sides[0] - sides[1]) / 2e-6, rtol=1e-5, atol=1e-5)
        by = torch.randn(
            len(term.values(model, a)), term.count, generator=torch.Generator().manual_seed(0), dtype=torch.float64
        )
        torch.testing.assert_close(term.vjp(model, a, free, by), rows.T @ by.flatten(), rtol=1e-8, atol=1e-8)


def test_a_hard_condition_holds_exactly():
    problem = laplace(conditions=[pde.hard(lambda x, y: x + 1, lambda x, y: torch.cos(y))])
    at = torch.tensor([[-1.0, 0.3], [-1.0, 2.0]], dtype=torch.float64)
    found = problem.apply_hard("u", at, network()(at)[:, 0])
    torch.testing.assert_close(found, at[:, 1].cos())


def test_conditions_hold_on_the_faces_they_specify():
    heat = pde.Problem(
        lambda u: u.d("t") - u.d("x", "x"),
        {"x": (0, 1), "t": (0, 2)},
        [pde.dirichlet(0.0), pde.initial(1.0), pde.neumann(0.0, on={"x": 1}), pde.dirichlet(0.0, points=[[0.5, 0.5]])],
    )
    sides, start, flux, mine = (condition_points(heat, c, 10, 0) for c in heat.conditions)
    assert set(sides[0].x[:, 0].tolist()) == {0.0, 1.0} and len(sides[0].x) == 20
    assert set(start[0].x[:, 1].tolist()) == {0.0}
    assert flux[0].normal == ("x", 1)
    assert mine[0].x.tolist() == [[0.5, 0.5]]


def test_points_are_evenly_distributed_along_every_axis():
    x = sobol_points(256, torch.tensor([[0.0, 0.0], [1.0, 2.0]], dtype=torch.float64), 3)
    for column, length in zip(x.T, (1, 2), strict=True):
        assert len(set(column.tolist())) == 256
        assert torch.histc(column, 64, 0, length).max() <= 5
    assert torch.equal(x, sobol_points(256, torch.tensor([[0.0, 0.0], [1.0, 2.0]], dtype=torch.float64), 3))


def test_points_include_the_corners_and_faces_of_the_box():
    ends = torch.tensor([[-1.0, 0.0, 2.0], [1.0, 3.0, 5.0]], dtype=torch.float64)
    x = points_with_faces(1000, ends, 0)
    corners = {tuple(p) for p in torch.cartesian_prod(*ends.T).tolist()}
    assert len(x) == 1000 and corners <= {tuple(p) for p in x.tolist()}
    assert bool(((x >= ends[0]) & (x <= ends[1])).all())
    on_faces = (x.unsqueeze(0) == ends.unsqueeze(1)).sum(1)
    assert bool(((on_faces > 80) & (on_faces < 125)).all())  # a lattice with ten points along each axis has 100
    assert len(points_with_faces(1000, torch.stack([torch.zeros(20), torch.ones(20)]).double(), 0)) == 1000
    start = condition_points(laplace(), pde.dirichlet(0.0, on={"y": 0}), 10, 0)[0].x
    assert {-1.0, 1.0} <= set(start[:, 0].tolist())


def test_faces_where_the_equation_is_not_finite_are_excluded():
    radial = pde.Problem(lambda u, r: u.d("r", "r") + u.d("r") / r - 4, {"r": (0, 1), "z": (0, 1)})
    x = domain_points(radial, 500, 0).x
    assert x[:, 0].min() > 0 and x[:, 0].max() == 1 and x[:, 1].min() == 0
    solved = pde.Problem(radial.residual, {"r": (0, 1)}, [pde.dirichlet(1.0, on={"r": 1})], exact=lambda r: r**2)
    assert pde.solve(solved, width=[1, 1], grid=5, starts=1).relative_l2 < 1e-9


PROBLEMS = [
    (lambda: pde.Problem(lambda u: u.d("z"), SQUARE), "no coordinate 'z'.*x, y"),
    (lambda: pde.Problem(lambda u: u.d(), SQUARE), "names no coordinate"),
    (lambda: pde.Problem(lambda x, y: x + y, SQUARE), "does not depend on u"),
    (lambda: pde.Problem(lambda u, z: u.d("x") + z, SQUARE), "takes 'z', which this problem does not have"),
    (lambda: pde.Problem(lambda u: u.d("x").sum(), SQUARE), r"shape \(\) for 8 points"),
    (lambda: pde.Problem(lambda u: 0.0, SQUARE), "gave float for 8 points"),
    (lambda: laplace(conditions=[pde.dirichlet(0.0, field="v")]), "no field 'v'"),
    (lambda: laplace(conditions=[pde.dirichlet(lambda x, y: torch.ones(7))]), r"one value a point, shape \(3,\)"),
    (lambda: laplace(conditions=[pde.dirichlet(0.0, points=[[1.0, 2.0, 3.0]])]), r"pass shape \(n, 2\)"),
    (lambda: laplace(conditions=[pde.data([[np.nan, 0.0]], [1.0])]), "not finite"),
]


@pytest.mark.parametrize(("make", "message"), PROBLEMS)
def test_errors_in_a_problem_are_reported_by_solve(make, message):
    with pytest.raises(SpecError, match=message):
        pde.solve(make(), width=[2, 3, 1])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: pde.Problem(lambda u: u, {}), "must map every coordinate"),
        (lambda: pde.Problem(lambda u: u, {"x": (1, 0)}), "low < high"),
        (lambda: pde.Problem(lambda u: u, {"x": 3}), "low < high"),
        (lambda: pde.Problem(lambda u: u, {"u": (0, 1)}), "'u' names two things"),
        (lambda: laplace(conditions=[pde.initial(0.0)]), "no coordinate is called t"),
        (lambda: laplace(time="s"), "time='s' is no coordinate"),
        (lambda: laplace(conditions=[3]), "make conditions with"),
        (lambda: laplace(conditions=[pde.dirichlet(0.0, on="z")]), "on 'z', which is no coordinate"),
        (lambda: laplace(conditions=[pde.dirichlet(0.0, on={"x": 5})]), "x = 5, outside of"),
        (lambda: laplace(conditions=[pde.hard(1.0, field="w")]), "no field 'w'"),
    ],
)
def test_an_inconsistent_problem_is_refused(make, message):
    with pytest.raises(SpecError, match=message):
        make()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "pass width="),
        ({"width": [3, 2, 1]}, r"from 3 inputs to 1 outputs, but the problem has 2 coordinates \(x, y\)"),
        ({"width": [2, 2, 1], "k": 2}, "derivatives of order 2.*pass k=3"),
        ({"width": [2, 2, 1], "starts": 0}, "starts=0 is not possible"),
        ({"width": [2, 2, 1], "optimizer": "sgd"}, "choose 'lm', 'lbfgs', 'adam'"),
        ({"width": [2, 2, 1], "windows": 2}, "has no time"),
        ({"model": kw.KAN([2, 2, 1], dtype=torch.float32)}, "solved in float64"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises((SpecError, TrainingError), match=message):
        pde.solve(laplace(), **settings)
