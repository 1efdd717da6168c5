"""Targets of one product of powers are curves of it, over decades too; small terms behind large ones are found."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from knotwork.expressions import parse, symbol, text, to_numpy
from knotwork.formulas.constants import Constants, Sample, fitted, values_of
from knotwork.formulas.curves.curve_search import CurveSearch
from knotwork.functions import select
from knotwork.regression import Search
from knotwork.regression.candidate_formulas import CandidateFormula
from knotwork.regression.fewer_variables import curves_of_one_product, tables_of_pairs
from knotwork.regression.ridges import one_product
from knotwork.regression.structures import Rows
from knotwork.regression.what_is_left import with_what_is_left
from knotwork.sizes import root_mean_square


def sample_of(law, decades, seed=0, rows=600, relative=False):
    """Rows whose inputs are uniform in their logarithms."""
    rng = np.random.default_rng(seed)
    X = np.stack([10 ** rng.uniform(*ends, rows) for ends in decades.values()], 1)
    y = to_numpy(parse(law), list(decades))(*X.T)
    return Sample(dict(zip(decades, torch.tensor(X).unbind(1), strict=True)), torch.tensor(y), relative)


def search_of(sample):
    return Search(sample, len(sample) * 4 // 5, select(None))


WIDE = {"x": (-1, 1), "y": (-1, 1), "z": (-1, 1), "w": (-1, 0.5)}


def test_powers_and_their_product_are_whole_numbers():
    sample = sample_of("x*y*tanh(y*z/w)", WIDE)
    rows = Rows.of(list(sample.columns.values()), sample.y, 480)
    found = one_product(rows, torch.Generator().manual_seed(0))
    directions = {tuple(q) for q, _ in found}
    assert directions == {(0, 1, 1, -1), (0, -1, -1, 1)}
    assert [1.0, 1.0, 0.0, 0.0] in [p for _, p in found]


def test_what_has_no_such_product_is_left_to_others():
    sample = sample_of("x*y + z*w + x*w", WIDE)
    rows = Rows.of(list(sample.columns.values()), sample.y, 480)
    assert one_product(rows, torch.Generator().manual_seed(0)) == []
    signed = Rows.of([sample.columns["x"], sample.columns["y"] - 1], sample.y, 480)
    assert one_product(signed, torch.Generator().manual_seed(0)) == []


@pytest.mark.parametrize(
    ("law", "decades", "relative"),
    [
        ("2*x**3/(exp(0.5*x/y) - 1)", {"x": (-1, 1), "y": (-1, 1)}, True),
        ("x*y*tanh(3*y*z/w)", WIDE, False),
        ("x*(exp(0.3*y*z/w) - 1)", {**WIDE, "z": (-1, 0)}, True),
        ("x/(1 + y*z)**2", {"x": (-1, 1), "y": (-1, 1), "z": (-1, 1)}, True),
    ],
)
def test_a_curve_of_one_product_is_found_exactly(law, decades, relative):
    sample = sample_of(law, decades, relative=relative)
    search = search_of(sample)
    found = min(curves_of_one_product(search), key=lambda formula: formula.bits)
    assert search.exact, text(found.template.filled())
    assert found.error < 1e-9 * sample.scale


@pytest.mark.parametrize("power", [0, 1])
def test_a_curve_that_nearly_cancels_at_one_end_is_found_from_every_draw_of_rows(power):
    """1/(exp(t) - 1): at small t, weights of 1/y see t alone; c + d*exp(t) converges only if c, d are solved for."""
    for draw in range(4):
        x, y, z, w = np.random.default_rng(draw).uniform(1, 5, (4, 1000))
        t = 0.159 * x * y / (z * w)
        found = CurveSearch(t, t**power / np.expm1(t)).run(1)[0]
        assert found.error < 1e-10 and found.form.terms[0].name == "exp", (draw, found.form.name)


def test_a_small_term_behind_a_large_formula_is_added_exactly():
    sample = sample_of("100*x*y**3/(z + 2) - 0.01*x*w", WIDE)
    search, constants = search_of(sample), Constants()
    x, y, z = map(symbol, "xyz")
    large = fitted(constants.template(constants(100.0) * x * y**3 / (z + constants(2.0))), sample)
    search.judge(CandidateFormula.of("large", large, sample))
    assert 1e-9 < search.best.error / sample.scale < 1e-3
    found = list(with_what_is_left(search))
    assert found[-1].error < 1e-12 * sample.scale, text(found[-1].template.filled())
    assert search.exact


@pytest.mark.parametrize("noise", [0.0, 1e-3])
@pytest.mark.parametrize(
    ("large", "rest"),
    [
        ("x*sin(3*y*z)", "0.03*x*w*sin(3*y*z)**2"),
        ("x/(1 + y**2)", "0.005*z/(1 + y**2)**2"),
        ("x*exp(-y/z)", "0.02*y*exp(-2*y/z)"),
    ],
)
def test_a_small_term_that_shares_a_function_with_a_large_one_is_added(large, rest, noise):
    sample = sample_of(f"{large} + {rest}", {**WIDE, "x": (-0.5, 0.5), "y": (-0.5, 0.5)}, rows=1000)
    exact, random = sample.y, torch.randn(1000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    sample = replace(sample, y=exact + noise * sample.scale * random)
    search, constants = search_of(sample), Constants()
    shape = parse(large)
    inside = {value: constants(float(value)) for value in shape.atoms() if value == 3}
    known = fitted(constants.template(constants(1.0) * shape.xreplace(inside)), sample)
    search.judge(CandidateFormula.of("large", known, sample))
    found = min(with_what_is_left(search), key=lambda formula: formula.bits)
    off = root_mean_square(values_of(found.template, sample) - exact) / sample.scale
    assert off < (1e-10 if noise == 0 else 4 * noise / 1000**0.5), text(found.template.filled())


def test_what_explains_little_of_the_rest_is_not_added():
    sample = sample_of("100*x*y**3", WIDE)
    noise = torch.randn(len(sample), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    sample = Sample(sample.columns, sample.y + 1e-3 * noise)
    search, constants = search_of(sample), Constants()
    large = fitted(constants.template(constants(100.0) * symbol("x") * symbol("y") ** 3), sample)
    search.best = CandidateFormula.of("large", large, sample)
    assert list(with_what_is_left(search)) == []
    assert list(with_what_is_left(search)) == []


def test_rows_of_a_smaller_table_count_as_in_the_whole_one():
    sample = sample_of("x*y/(z + w)", WIDE)
    (table, *_) = tables_of_pairs(sample, [(2, 3, 1)], {0: 1.0, 1: 1.0})
    inner, values = table.sample(sample), torch.linspace(0, 1, len(sample), dtype=torch.float64)
    apart, whole = inner.residuals(values), values * sample.columns["x"] * sample.columns["y"] - sample.y
    assert next(iter(inner.columns)).startswith("\0pair") and float(inner.weights.mean()) == pytest.approx(1)
    assert torch.allclose(apart / apart.norm(), whole / whole.norm())
    relative = table.sample(replace(sample, relative=True))
    assert relative.weights is None  # relative deviations do not depend on factors
