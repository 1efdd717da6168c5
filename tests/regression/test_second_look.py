"""A long formula whose residuals look random is no end: a ratio, a difference or a square may be the shorter law."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import knotwork as kw
from knotwork.expressions import algebra, complexity, parse, text, to_numpy
from knotwork.formulas.constants import Constants, Sample, Template
from knotwork.functions import select
from knotwork.regression import Search
from knotwork.regression import second_look as second_look_module
from knotwork.regression.candidate_formulas import CandidateFormula, Unnamed


def found(law, ranges, noise, seed, rows=1000):
    """The formula of a search of rows with noise (a share of the targets' rms), and its error without noise."""
    rng = np.random.default_rng(seed)
    X = np.stack([rng.uniform(*ends, rows) for ends in ranges.values()], 1)
    exact = to_numpy(parse(law), list(ranges))(*X.T)
    size = np.sqrt(np.mean(exact**2))
    data = kw.Dataset.from_arrays(X, exact + noise * size * rng.normal(size=rows), test_size=0, names=list(ranges))
    formula = kw.discover(data, seed=seed, progress=False).formula.expression
    return formula, np.sqrt(np.mean((to_numpy(formula, list(ranges))(*X.T) - exact) ** 2)) / size


POSITIVE = {"x": (1, 5), "y": (1, 5)}
EITHER = {"x": (0, 3), "y": (0, 3)}
OVER = {**EITHER, "z": (1, 4)}


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    ("law", "ranges", "noise"),
    [
        ("(x - y)/(x + y)", POSITIVE, 0.01),
        ("(x - y)/(x + y)", POSITIVE, 0.1),
        ("log(x + 2*y)", POSITIVE, 0.01),
        ("exp(-(x - y)**2)", EITHER, 0.01),
        ("exp(-(x - y)**2)", EITHER, 0.1),
        ("exp(-(x - y)**2/z)", OVER, 0.01),
        ("exp(-(x - y)**2/z)", OVER, 0.1),
    ],
)
def test_the_short_law_is_found_behind_noise(law, ranges, noise, seed):
    formula, error = found(law, ranges, noise, seed)
    assert error < 4 * noise / np.sqrt(1000), text(formula)
    assert len(text(formula)) < 2 * len(law), text(formula)


def test_powers_times_a_function_of_a_product_come_after_a_long_sum():
    formula, error = found("m*v/sqrt(1 - v**2/c**2)", {"m": (1, 5), "v": (1, 2), "c": (3, 10)}, 0.01, 0)
    assert error < 4 * 0.01 / np.sqrt(1000) and not formula.atoms(algebra.Float), text(formula)


def search_of(law, rows=400, noise=0.01):
    rng = np.random.default_rng(0)
    X = rng.uniform(1, 3, (rows, 2))
    y = to_numpy(parse(law), ["x", "y"])(*X.T) + noise * rng.normal(size=rows)
    return Search(Sample({"x": torch.tensor(X[:, 0]), "y": torch.tensor(X[:, 1])}, torch.tensor(y)), 320, select(None))


def told(search, law, bits):
    """A formula of some symbols, x as a constant number if it has decimals, judged by the search."""
    expression, constants = parse(law), Constants()
    for number in expression.atoms(algebra.Float):
        expression = expression.xreplace({number: constants(float(number))})
    template = replace(constants.template(expression), mse=1e-4)
    search.judge(CandidateFormula("told", template, bits, complexity(parse(law))))


@pytest.mark.parametrize(
    ("laws", "looks"),
    [
        (["1.01*(x + y)**2/(x*y + x**2 + y**2)"], False),  # long, but with one decimal
        (["1.01*(x + 1.02*y)**2/(x*y + x**2 + y**2)"], True),
        (["(x + y)**2/(x*y + x**2 + y**2)", "1.01*(x + 1.02*y)**2/(x*y + x**2 + y**2)"], True),  # the second is better
        (["1.01*x**1.02"], False),  # short
        (["1.01*x + 1.02*y + 1.03"], False),  # a plane
    ],
)
def test_what_a_second_look_is_for(monkeypatch, laws, looks):
    search = search_of("x*y")
    monkeypatch.setattr(search, "leaves_noise", lambda formula: True)
    monkeypatch.setattr(search, "fit_sums", lambda: None)
    monkeypatch.setattr(search, "fit_ridges", lambda: asked.append("ridges"))
    monkeypatch.setattr(second_look_module, "constants_inside", lambda search: iter(()))
    monkeypatch.setattr(second_look_module, "fewer_variables", lambda search: iter(()))
    monkeypatch.setattr(second_look_module, "fewer_symbols", lambda search: iter(()))
    asked = []
    for n, law in enumerate(laws):
        told(search, law, -1000.0 - n)
    list(second_look_module.second_look(search))
    assert bool(asked) == looks


@pytest.mark.parametrize(("noise", "calls"), [(True, ["quick", "quick"]), (False, ["quick", "quick", "deep", "deep"])])
def test_compositions_are_searched_for_only_where_no_quick_formula_leaves_noise(monkeypatch, noise, calls):
    search = search_of("x*y")
    monkeypatch.setattr(search, "leaves_noise", lambda formula: noise)
    made = []

    def formulas(kind):
        made.append(kind)
        formula = replace(Constants().template(parse("x*y")), mse=1e-4)
        yield CandidateFormula(kind, formula, -1000.0, 3)

    for error in (0.01, 0.011):
        one = Unnamed(error, error, torch.zeros(400), lambda: formulas("quick"), lambda: formulas("deep"))
        search.candidates.append(one)
        search.fitted.append(one)
    list(search.best_formulas())
    assert made == calls


def test_an_exact_sum_of_products_of_curves_is_looked_at_again():
    formula, _ = found("x*sin(3*y + z)", {"x": (1, 3), "y": (0, 2), "z": (0, 2)}, 0, 0)
    assert len(text(formula)) <= len("x*sin(3*y + z)"), text(formula)


@pytest.mark.parametrize(
    ("law", "plane"),
    [("a*x + b*y + c", True), ("a*(x - y) + b*x", True), ("a*x*y + b*x + c*y", False), ("a*x + b/y", False),
     ("a*x + sin(b*y)", False), ("a + b", False)],
)  # fmt: skip
def test_a_plane_is_a_number_times_each_variable(law, plane):
    expression = parse(law)
    constants = {one: 1.5 for one in expression.free_symbols if str(one) in "abc"}
    assert second_look_module.is_plane(Template(expression, constants)) is plane
