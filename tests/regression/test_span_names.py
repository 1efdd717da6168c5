"""Curves that are known up to linear combinations get the functions that their spaces hold."""

import numpy as np
import pytest
import torch

import knotwork as kw
from knotwork.expressions import parse, text, to_numpy
from knotwork.formulas.constants import Sample, fitted, simplified
from knotwork.functions import select
from knotwork.regression.curve_names import IDENTITY, LOGARITHM
from knotwork.regression.span_names import members_of, space_of, span_template
from knotwork.regression.structures import Rows, Structure, StructureProblem, fit_structure

X = torch.linspace(0.5, 4, 300, dtype=torch.float64)
TWO = Structure(IDENTITY, ((0, 1), (0, 1)))
FUNCTIONS = select(None)


@pytest.mark.parametrize(
    ("curves", "names"),
    [
        ([torch.ones_like(X), X], {"1", "x"}),
        ([X, (-0.45 * X).exp()], {"x", "exp(-0.45*x)"}),
        ([(-0.5 * X).exp(), X * (-0.5 * X).exp()], {"exp(-0.5*x)", "x*exp(-0.5*x)"}),
        ([torch.ones_like(X), (3 * X).sin(), X.square()], {"1", "sin(3*x)", "x**2"}),
        ([X.log(), 1 / (X + 2)], {"log(x)", "1/(x + 2)"}),
    ],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_functions_are_found_in_the_space_of_their_mixtures(curves, names, seed):
    mixed = torch.stack(curves, 1) @ torch.randn(
        len(curves), len(curves), generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    found = members_of(X, torch.linalg.qr(mixed)[0], FUNCTIONS)
    assert len(found) == len(names)
    for name in names:
        values = torch.tensor(to_numpy(parse(name), ["x"])(X.numpy()) + np.zeros(len(X)))
        distances = [float((values / one.size - one.values).norm()) for one in found]
        assert min(distances) < 1e-4, name


def problem_of(law, outer=IDENTITY, noise=0.0, structure=TWO):
    rng = np.random.default_rng(0)
    x, y = rng.uniform(0.5, 4, (2, 800))
    z = to_numpy(parse(law), ["x", "y"])(x, y)
    z = torch.tensor(z + noise * rng.normal(size=800))
    columns = torch.tensor(x), torch.tensor(y)
    rows = Rows.of(columns, z, 640)
    fit = fit_structure(rows, Structure(outer, structure.terms, structure.common), torch.Generator().manual_seed(0))
    problem = StructureProblem(rows, fit.structure)
    return problem, problem.curves(fit.coefficients), fit.error, Sample(dict(zip("xy", columns, strict=True)), z)


@pytest.mark.parametrize(
    ("law", "outer", "structure"),
    [
        ("x*exp(-y/2) + y", IDENTITY, TWO),
        ("x*exp(-y/2) + y", IDENTITY, Structure(IDENTITY, ((0,), (1,)), (0, 1))),
        ("x**2*cos(2*y) + y", IDENTITY, TWO),
        ("y/2 + log(x**2 + y)", LOGARITHM, TWO),
    ],
)
def test_a_sum_of_products_is_found_exactly(law, outer, structure):
    problem, curves, error, sample = problem_of(law, outer, structure=structure)
    template = span_template(problem, curves, parse("x + y").args, FUNCTIONS, error)
    found = simplified(fitted(template, sample), sample)
    assert found.mse**0.5 < 1e-9 * sample.scale and not found.values  # all its constants are simple numbers


def test_nothing_is_found_behind_noise_in_other_structures_and_among_forbidden_functions():
    symbols = parse("x + y").args
    problem, curves, error, _ = problem_of("x*exp(-y/2) + y")
    assert span_template(problem, curves, symbols, select(["x", "x^2"]), error) is None
    problem, curves, error, _ = problem_of("x*exp(-y/2) + y", noise=0.05)
    assert span_template(problem, curves, symbols, FUNCTIONS, error) is None
    problem, curves, error, _ = problem_of("x + sin(y)", structure=Structure(IDENTITY, ((0,), (1,))))
    assert span_template(problem, curves, symbols, FUNCTIONS, error) is None


def test_the_space_of_one_input_holds_the_common_factor():
    problem, curves, _, _ = problem_of("x*exp(-y/2) + y", structure=Structure(IDENTITY, ((0,), (1,)), (0, 1)))
    for side in (0, 1):
        space = space_of(problem, curves, side)
        assert space.shape == (640, 2) and torch.allclose(space.T @ space, torch.eye(2, dtype=torch.float64))


def test_discover_finds_a_sum_of_mixed_curves():
    rng = np.random.default_rng(1)
    x, y = rng.uniform(0, 3, 600), rng.uniform(1, 5, 600)
    data = kw.Dataset.from_arrays(np.c_[x, y], y * np.exp(-0.4 * x) + x**2, test_size=0, names=["x", "y"])
    assert text(kw.discover(data, progress=False).formula.expression) == "x**2 + y*exp(-2*x/5)"
