"""Sums of terms with constants inside functions are found, without noise to rounding, and behind noise as close as the
rows allow."""

import numpy as np
import pytest
import torch

from knotwork.expressions import function_names, parse, to_numpy
from knotwork.formulas.constants import Sample, values_of
from knotwork.functions import select
from knotwork.regression import Search
from knotwork.regression.curve_names import IDENTITY
from knotwork.regression.inside import InsideTerms
from knotwork.regression.inside.fits_inside import Fits
from knotwork.regression.inside.formula_inside import templates
from knotwork.regression.inside.functions_inside import KINDS, SIN, Column, Feature, Inputs, Inside
from knotwork.regression.inside.scan_inside import Factor, Scanner
from knotwork.regression.structures import Rows
from knotwork.regression.term_search import TermSearch
from knotwork.training import Reporter

NAMES = [function.name for function in select(None)]


def inputs_of(rng, rows=300):
    return Inputs([rng.uniform(0.5, 3, rows), rng.uniform(-2, 2, rows), rng.uniform(1, 4, rows)], [1.3, 0.7, 2.0])


def column_of(kind, rng):
    """x₀ times a function of this kind of x₀·x₂ and x₁, where it is defined for all of `inputs_of`."""
    features = (Feature((1.0, 0.0, 1.0)), Feature((0.0, 1.0, 0.0)))
    first = rng.uniform(0.3, 0.6) if kind.sized else 1.0
    constants = (first, rng.uniform(0.1, 0.3), *[rng.uniform(1.0, 2.0)] * kind.shifted)
    return Column((1.0, 0.0, 0.0), (Inside(kind, features, constants),))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_slopes_are_those_of_finite_differences(kind):
    rng = np.random.default_rng(0)
    inputs, column = inputs_of(rng), column_of(kind, rng)
    other = column_of(SIN, rng).functions[0]
    column = Column(column.powers, (*column.functions, other))  # a product of two functions
    at = column.constants
    for k, slope in enumerate(inputs.slopes(column)):
        step = [1e-6 * (k == n) for n in range(len(at))]
        ahead, behind = (
            inputs.value(column.with_constants([a + sign * s for a, s in zip(at, step, strict=True)]))
            for sign in (1, -1)
        )
        # central differences: an error of step² and of rounding over the step
        assert np.abs((ahead - behind) / 2e-6 - slope).max() < 1e-6 * max(1.0, np.abs(slope).max())


def test_a_scan_explains_what_least_squares_with_its_columns_do():
    rng = np.random.default_rng(1)
    inputs = inputs_of(rng)
    target, weight = rng.normal(size=300), rng.uniform(0.5, 2, 300)
    fits, one = Fits(inputs, target, weight), Column((0.0, 0.0, 0.0))
    _, residual, q, _ = fits.solved(fits.design([one]))
    powers = [(0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)]
    factors = [Factor(p, 1, inputs.feature(Feature(p)) * weight) for p in powers]
    proposals = Scanner(inputs, NAMES, []).proposals(residual, q, factors, 0)
    assert len({one.inside.kind for one in proposals}) > 2
    for proposal in proposals:
        state = fits.state([one, Column(proposal.factor, (proposal.inside,))])
        rows = proposal.bits - np.log2(300) * (1 + proposal.inside.cost)
        left = float(residual @ residual) * 2 ** (rows / 150)
        assert np.sqrt(left / 300) / fits.size == pytest.approx(state.error, rel=1e-4)  # single precision


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_constants_come_back_from_starts_near_by(kind):
    rng = np.random.default_rng(2)
    inputs, column = inputs_of(rng), column_of(kind, rng)
    near = column.with_constants([c * rng.uniform(0.93, 1.07) for c in column.constants])
    target = 3 * inputs.value(column) - 2 * inputs.feature(Feature((0.0, 1.0, 0.0)))
    found = Fits(inputs, target, np.ones(300)).refined([near, Column((0.0, 1.0, 0.0))], 60)
    assert found.error < 1e-9
    assert found.columns[0].constants == pytest.approx(column.constants, rel=1e-6)
    assert found.coefficients == pytest.approx((3, -2), rel=1e-6)


def prepared(columns, y, train):
    sample = Sample({name: torch.tensor(column) for name, column in columns.items()}, torch.tensor(y))
    rows = Rows.of(list(sample.columns.values()), sample.y, train)
    terms = TermSearch(rows, select(None), 0, Reporter())
    list(terms.simple_sums())
    return sample, InsideTerms(rows, terms, select(None))


@pytest.mark.parametrize(
    "text",
    [
        "3*y*exp(-x/2 + y/5) - 2*y + 1",
        "2*x*sin(3*y + 4*x + 1) - y**2",
        "x*(1 + tanh(2*y - 1))/2 + 3*y**2",
        "2*log(3*x*y + 2) + 5*y + 7",
        "x/(y + 3) - 4/(x + y/2 + 1)",
        "5*sqrt(x + y + 4)*y - x",
        "5*y/sqrt(x + y + 4) - x",
        "min(2*x, y + 1)",
        "max(3*x - 1, 2*y) + x",
    ],
)
def test_every_way_to_write_a_fit_has_its_values(text):
    rng = np.random.default_rng(3)
    x, y = rng.uniform(0.2, 40, 400) / 10, rng.uniform(-1.9, 5, 400) * 1.0
    if "log" in text:
        y = np.abs(y) + 0.1
    exact = to_numpy(parse(text), ["x", "y"])(x, y)
    sample, inside = prepared({"x": x, "y": y}, exact, 320)
    best = min(inside.fits(lambda fit: False), key=lambda fit: fit.bits)
    assert best.validation_error < 1e-9
    assert best.frame.outer is IDENTITY
    ways = list(templates(best, sample))
    assert ways
    whole = [template for template in ways if np.abs(values_of(template, sample).numpy() - exact).max() < 1e-6]
    assert ways[0] in whole
    assert len(whole) == len(ways)


def found_by_search(text, ranges, noise=0.0, lib=None, seed=0, rows=800):
    """The shortest formula of a search, and its error on rows without noise relative to the size of the target."""
    rng = np.random.default_rng(seed)
    columns = {name: rng.uniform(*ends, rows) for name, ends in ranges.items()}
    exact = to_numpy(parse(text), list(columns))(*columns.values())
    y = exact + noise * np.sqrt(np.mean(exact**2)) * rng.normal(size=rows)
    sample = Sample({name: torch.tensor(column) for name, column in columns.items()}, torch.tensor(y))
    found = min(Search(sample, rows * 4 // 5, select(lib), seed).formulas(), key=lambda one: one.bits)
    values = to_numpy(found.template.filled(), list(columns))(*columns.values())
    return found.template.filled(), float(np.sqrt(np.mean((values - exact) ** 2) / np.mean(exact**2)))


LAWS = [
    ("u*exp(-v/2) + v", {"u": (1, 10), "v": (0, 4)}),
    ("sin(u*v) + w", {"u": (-3, 3), "v": (-3, 3), "w": (-2, 2)}),
    ("min(2*u, v + 1)", {"u": (0, 4), "v": (0, 6)}),
]


@pytest.mark.parametrize(("text", "ranges"), LAWS)
def test_terms_with_constants_inside_are_exact(text, ranges):
    found, error = found_by_search(text, ranges)
    assert error < 1e-9
    assert found == parse(text)


@pytest.mark.parametrize(("text", "ranges"), LAWS[:2])
def test_behind_noise_they_are_as_close_as_the_rows_allow(text, ranges):
    _, error = found_by_search(text, ranges, noise=0.01, seed=1)
    assert error < 0.01 * 2 * np.sqrt(4 / 800)  # twice sigma * root(constants / rows)


def test_functions_that_are_not_allowed_do_not_occur():
    found, _ = found_by_search("sin(u*v) + w", LAWS[1][1], lib=["x", "x^2", "exp"], rows=300)
    assert function_names(found) <= {"exp"}


def test_straight_inputs_are_in_no_argument():
    scanner = Scanner(inputs_of(np.random.default_rng(4)), NAMES, [1])
    features = {feature for block in scanner.blocks for feature in block.argument.features}
    assert features
    assert all(feature.powers[1] == 0 for feature in features)
