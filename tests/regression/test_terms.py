"""Sums and ratios of products of powers are found whatever the units, over decades, with either sign, with noise."""

import numpy as np
import pytest
import torch

import knotwork as kw
from knotwork.expressions import parse, to_numpy
from knotwork.formulas.constants import Sample
from knotwork.functions import select
from knotwork.regression import Search
from knotwork.regression.curve_names import EXPONENTIAL, IDENTITY, INVERSE, INVERSE_ROOT, LOGARITHM, ROOT, SQUARE
from knotwork.regression.smooth_targets import smooth_targets
from knotwork.regression.sparse_fits import screened, sparse_fits
from knotwork.regression.structures import Rows, nearest_product, positive_share
from knotwork.regression.term_fits import Frame
from knotwork.regression.term_formulas import formula_of_terms
from knotwork.regression.term_search import TermSearch
from knotwork.regression.term_table import Term, TermTable
from knotwork.training import Reporter


def decades(rng, rows, low, high, either=False):
    values = 10 ** rng.uniform(np.log10(low), np.log10(high), rows)
    return values * rng.choice([-1, 1], rows) if either else values


def first_formula(text, columns, noise=0.0, lib=None, seed=0):
    """The first formula of a search, with its error on rows without noise, relative to the target's size."""
    rng = np.random.default_rng(seed)
    exact = np.broadcast_to(to_numpy(parse(text), list(columns))(*columns.values()), len(next(iter(columns.values()))))
    y = exact + noise * np.sqrt(np.mean(exact**2)) * rng.normal(size=len(exact))
    relative = bool((y > 0).all()) and y.max() / y.min() > 1e4  # as `discover` decides
    sample = Sample({name: torch.tensor(column) for name, column in columns.items()}, torch.tensor(y), relative)
    found = next(Search(sample, len(y) * 4 // 5, select(lib), seed).formulas())
    values = to_numpy(found.template.filled(), list(columns))(*columns.values())
    return found, np.sqrt(np.mean((values - exact) ** 2) / np.mean(exact**2))


def test_the_sparsest_combination_is_found_among_columns_that_are_alike():
    rng = torch.Generator().manual_seed(0)
    base = torch.randn(200, 40, generator=rng, dtype=torch.float64)
    design = torch.cat([base, base + 0.1 * torch.randn(200, 40, generator=rng, dtype=torch.float64)], 1)
    target = 2 * design[:, 3] - design[:, 43] + 0.5 * design[:, 70]
    beams = list(sparse_fits(design, target, torch.ones(80, dtype=torch.float64), (30, 30, 30)))
    assert beams[-1][0] == (3, 43, 70)
    assert [len(one[0]) for one in beams] == [1, 2, 3]


def test_columns_that_contain_the_target_are_never_the_majority():
    x = torch.rand(100, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    target = x[:, 0] + x[:, 1]
    design = torch.cat([x, target[:, None] * x], 1)
    for beam in sparse_fits(design, target, torch.ones(12, dtype=torch.float64), (20, 20, 20, 20), first=6):
        assert all(sum(column >= 6 for column in support) <= len(support) / 2 for support in beam)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("text", "ranges"),
    [
        ("v0*v1/v2**2", {"v0": (1, 1e8), "v1": (1, 1e5), "v2": (1, 1e5)}),
        ("(a*b + c*d)/(a + c)", {"a": (0.1, 10), "b": (0.1, 10, True), "c": (0.1, 10), "d": (0.1, 10, True)}),
        ("1/(1/a + b/c)", {"a": (1e-3, 0.1), "b": (0.1, 10), "c": (1e-3, 0.1)}),
        ("m**2*n**2*(m + n)/d**5", {"m": (1e3, 1e5), "n": (1e3, 1e5), "d": (1e-3, 0.1)}),
        ("m*v/sqrt(1 - v**2/4)", {"m": (0.1, 10, True), "v": (0.1, 1.9, True)}),
        ("p*exp(-q*r/t)", {"p": (1e5, 1e7), "q": (0.1, 10), "r": (0.01, 1, True), "t": (0.1, 10)}),
    ],
)
def test_laws_over_decades_are_exact(text, ranges, seed):
    rng = np.random.default_rng(seed)
    found, error = first_formula(text, {name: decades(rng, 500, *r) for name, r in ranges.items()})
    assert error < 1e-9
    assert found.complexity < 30


@pytest.mark.parametrize(("unit_of_x", "unit_of_y"), [(1.0, 1.0), (1e-9, 1e20), (1e7, 1e-15)])
def test_the_form_does_not_depend_on_units(unit_of_x, unit_of_y):
    rng = np.random.default_rng(5)
    x, y = rng.uniform(1, 4, 400), rng.uniform(-2, 2, 400)
    sample = Sample(
        {"x": torch.tensor(x * unit_of_x), "y": torch.tensor(y)}, torch.tensor(unit_of_y * x / (1 + 2 * y**2))
    )
    found = next(Search(sample, 320, select(None)).formulas())
    scale, expression = unit_of_y / unit_of_x, found.template.filled()
    values = to_numpy(expression, ["x", "y"])(x * unit_of_x, y)
    assert np.abs(values / unit_of_y - x / (1 + 2 * y**2)).max() < 1e-10
    assert float(expression.subs({"x": unit_of_x, "y": 0})) == pytest.approx(scale * unit_of_x)
    assert found.structure in ("1 over a sum of terms", "a ratio of sums of terms")


def test_a_sum_behind_noise_is_as_close_as_the_rows_allow():
    rng = np.random.default_rng(3)
    columns = {name: decades(rng, 800, 0.1, 10, True) for name in "abcd"}
    found, error = first_formula("a*b + c*d", columns, noise=0.1)
    assert {str(s) for s in found.template.filled().free_symbols} == set("abcd")
    assert error < 0.1 * 2 * np.sqrt(2 / 800)  # twice sigma * root(constants / rows)


@pytest.mark.parametrize("seed", range(3))
def test_coefficients_become_simple_numbers_whichever_of_them_is_outside(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.uniform(1, 2, (2, 150))
    y = 7 * a + 5 * b + 11
    noisy = y + 0.005 * y.std() * rng.normal(size=150)
    found = kw.discover(np.c_[a, b], noisy, names=["a", "b"], progress=False, time_budget=10)
    assert found.formula.expression == parse("7*a + 5*b + 11")


def test_terms_hold_only_the_functions_that_are_allowed():
    x = [torch.linspace(0.5, 3, 50, dtype=torch.float64), torch.linspace(1, 2, 50, dtype=torch.float64)]
    every, without = TermTable(x, select(None), 100), TermTable(x, select(["x", "exp"]), 100)
    assert every.logarithms and not without.logarithms
    assert 0 < len(without.parts) < len(every.parts)
    assert not TermTable(x, select(["x"]), 100).parts


def test_straight_inputs_enter_terms_linearly():
    x = [torch.linspace(0.5, 3, 50, dtype=torch.float64), torch.linspace(1, 2, 50, dtype=torch.float64)]
    table = TermTable(x, select(None), 200, straight=[0])
    assert {term.powers[0] for term in table.terms} == {0.0, 1.0}
    first = [part.expression([parse("u"), parse("v")], None) for part in table.parts]
    assert all("u" not in {str(s) for s in expression.free_symbols} for expression in first)


def test_every_term_has_the_value_and_scale_of_its_expression():
    rng = np.random.default_rng(0)
    columns = {"a": torch.tensor(decades(rng, 60, 1e3, 1e5)), "b": torch.tensor(rng.uniform(0.5, 2, 60))}
    y = 3 * columns["a"] ** 0.5 / columns["b"] + 5 * columns["a"]
    sample = Sample(columns, y)
    rows = Search(sample, 50, select(None)).rows
    fits = sorted(TermSearch(rows, select(None), 0, Reporter()).simple_sums(), key=lambda fit: fit.validation_error)
    formula = formula_of_terms(fits[0], sample)
    assert fits[0].validation_error < 1e-9
    assert formula.error < 1e-9 * sample.scale


@pytest.mark.parametrize("outer", [IDENTITY, INVERSE, ROOT, INVERSE_ROOT, EXPONENTIAL, SQUARE, LOGARITHM])
@pytest.mark.parametrize("relative", [False, True])
def test_derivatives_of_the_residuals_by_the_coefficients_are_those_of_differences(outer, relative):
    rng = np.random.default_rng(0)
    x = [torch.tensor(rng.uniform(1, 2, 30)), torch.tensor(rng.uniform(1, 3, 30))]
    rows = Rows.of(x, x[0] * x[1] + 2, 30, relative)
    search = TermSearch(rows, select(None), 0, Reporter())
    search.table = TermTable(x, select(None), 20)
    frame = Frame(outer, (1.0, 0.0), Term((0.0, 1.0)))
    values, below = search.table.values[:, [1, 2, 5]], torch.tensor([False, False, True])
    at = torch.tensor([1.3, 0.4, 0.2], dtype=torch.float64)
    jacobian = search._at(frame, values, below, at)[2]
    for k in range(3):
        step = torch.zeros(3, dtype=torch.float64)
        step[k] = 1e-6
        ends = [search._at(frame, values, below, at + sign * step)[1] for sign in (1, -1)]
        assert torch.allclose((ends[0] - ends[1]) / 2e-6, jacobian[:, k], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("seed", range(3))
def test_a_law_with_a_pole_is_found_behind_noise_that_hides_the_signs_of_small_targets(seed):
    rng = np.random.default_rng(seed)
    columns = {"v": decades(rng, 1000, 0.01, 1), "n": rng.integers(1, 100, 1000).astype(float)}
    columns["a"] = rng.uniform(0, np.pi / 2, 1000)
    found, error = first_formula("v/(n*sin(a))", columns, noise=0.01, seed=seed)
    assert "sin(a)" in str(found.template.filled())
    assert error < 1e-3


@pytest.mark.parametrize("text", ["-m*v/sqrt(1 - v**2/4)", "m*v/sqrt(1 - v**2/4)"])
def test_signs_of_a_target_may_be_opposite_to_those_of_inputs_that_are_zero_in_a_row(text):
    rng = np.random.default_rng(1)
    columns = {"m": rng.integers(-3, 4, 300).astype(float), "v": rng.uniform(-1.9, 1.9, 300)}
    assert (columns["m"] == 0).any()
    assert first_formula(text, columns)[1] < 1e-10


def test_one_row_does_not_decide_the_sign_of_the_targets():
    y = torch.rand(200, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 1
    y[17] = -1e5
    assert positive_share(y) == 1.0
    assert positive_share(-y) == 0.0


def test_few_rows_are_not_interpolated():
    rng = np.random.default_rng(0)
    x = [torch.tensor(rng.uniform(1, 3, 6)), torch.tensor(rng.uniform(1, 3, 6))]
    rows = Rows.of(x, 1 / (x[0] + x[1]), 5)
    fits = list(TermSearch(rows, select(None), 0, Reporter()).simple_sums())
    assert max(len(fit.above) for fit in fits) == 1
    assert {fit.frame.outer for fit in fits} >= {IDENTITY, INVERSE, ROOT}


def test_a_formula_that_is_not_allowed_does_not_hide_those_that_are():
    rng = np.random.default_rng(0)
    a, b = rng.uniform(1, 5, (2, 300))
    found = kw.discover(np.c_[a, b], 2.3 * a**2 * b**2 + 0.3 * a + 0.2 * b, max_complexity=10, seed=0)
    assert found.formula.r2 > 0.9
    assert found.formula.complexity <= 10


def test_tables_of_many_columns_take_no_more_terms_than_others():
    x = torch.rand(30, 50, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 0.5
    table = TermTable(list(x.unbind(1)), select(None), 250)
    assert len(table.terms) <= 2 * 250 + 50 * 20
    assert len(table.parts) < 1000


NOISY = [
    ("(a*b + c*d)/(a + c)", {"a": (0.1, 10), "b": (0.1, 10, True), "c": (0.1, 10), "d": (0.1, 10, True)}),
    ("1/(1/a + b/c)", {"a": (0.01, 1), "b": (0.1, 10), "c": (1, 100)}),
    ("a*b/(1 + c/d)", {"a": (1, 10), "b": (1, 100), "c": (0.1, 10), "d": (0.1, 10)}),
    ("a**2*b**2*(a + b)/c**5", {"a": (1e3, 1e5), "b": (1e3, 1e5), "c": (1e8, 1e10)}),
]


@pytest.mark.parametrize(("text", "ranges"), NOISY)
def test_laws_are_found_behind_noise_of_a_tenth(text, ranges):
    rng = np.random.default_rng(100)
    columns = {name: decades(rng, 1000, *ends) for name, ends in ranges.items()}
    exact = np.asarray(to_numpy(parse(text), list(columns))(*columns.values()))
    noisy = exact + 0.1 * np.sqrt(np.mean(exact**2)) * rng.normal(size=1000)
    rows = Rows.of([torch.tensor(column) for column in columns.values()], torch.tensor(noisy), 800)
    search = TermSearch(rows, select(), 0, Reporter())
    best = min(search.without_noise(), key=lambda fit: fit.bits)
    values = torch.tensor(noisy) + best.residuals * rows.scale  # residuals are found minus target
    assert np.sqrt(np.mean((values.numpy() - exact) ** 2) / np.mean(exact**2)) < 0.015


def test_a_smooth_network_takes_most_of_the_noise():
    rng = np.random.default_rng(3)
    a, b = decades(rng, 1000, 0.01, 100), rng.uniform(-1, 1, 1000)
    exact = a / (1 + a) * np.exp(b)
    for relative in (False, True):
        noise = (exact if relative else exact.std()) * 0.1 * rng.normal(size=1000)
        rows = Rows.of([torch.tensor(a), torch.tensor(b)], torch.tensor(exact + noise), 800, relative)
        smooth = smooth_targets(rows, 0, Reporter())
        assert smooth is not None
        left = (smooth.numpy() - exact) / (exact if relative else exact.std())
        assert np.sqrt(np.mean(left**2)) < 0.05


def test_exact_rows_and_few_rows_are_not_smoothed():
    rng = np.random.default_rng(4)
    x = torch.tensor(rng.uniform(0, 3, (1000, 2)))
    y = x[:, 0] * x[:, 1].sin()
    assert smooth_targets(Rows.of(list(x.T), y, 800), 0, Reporter()) is None
    noisy = y + 0.1 * torch.tensor(rng.normal(size=1000))
    assert smooth_targets(Rows.of(list(x[:60].T), noisy[:60], 48), 0, Reporter()) is None


def test_the_nearest_product_has_the_powers_behind_noise():
    rng = np.random.default_rng(5)
    a, b = decades(rng, 400, 1e3, 1e5), decades(rng, 400, 1e8, 1e10)
    exact = a**2.5 / b**5
    noisy = torch.tensor(exact + 0.1 * np.sqrt(np.mean(exact**2)) * rng.normal(size=400)).abs()
    design = torch.stack([torch.ones(400, dtype=torch.float64), *map(torch.log, map(torch.tensor, (a, b)))], 1)
    found = nearest_product(design, noisy)[1:].tolist()
    assert found == pytest.approx([2.5, -5], abs=0.2)


def test_screening_keeps_a_column_that_explains_only_beside_another():
    rng = torch.Generator().manual_seed(6)
    design = torch.randn(300, 2000, generator=rng, dtype=torch.float64)
    target = design[:, 700] + 0.2 * design[:, 1500]
    costs = torch.ones(2000, dtype=torch.float64)
    kept = screened(design, target, costs, 2000, 100).tolist()
    assert {700, 1500} <= set(kept)
    assert len(kept) < 300


def test_a_function_that_is_a_parabola_over_the_rows_is_no_part():
    u = torch.linspace(-0.1, 0.1, 50, dtype=torch.float64)
    assert {part.cost for part in TermTable([u], select(), 100).parts} == {1}  # |u| alone
    assert len(TermTable([u], select(), 100).parts) == 1
    assert len(TermTable([20 * u], select(), 100).parts) > 3


def test_products_of_first_powers_come_before_others_of_their_cost():
    x = torch.rand(3, 50, dtype=torch.float64) + 1
    powers = [term.powers for term in TermTable(list(x), select(), 100).terms if term.part is None]
    assert powers.index((1.0, 1.0, 0.0)) < powers.index((1.0, -1.0, 0.0)) < powers.index((2.0, 0.0, 0.0))


def test_of_columns_that_are_all_without_values_none_is_screened():
    nothing = torch.zeros(20, 5, dtype=torch.float64)
    columns = screened(nothing, torch.ones(20, dtype=torch.float64), torch.ones(5), 5, 3)
    assert columns.tolist() == [] and nothing[:, columns].shape == (20, 0)


@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_planes_of_many_inputs_are_among_the_first_sums(noise):
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(300, 9, generator=generator, dtype=torch.float64)
    slopes = torch.tensor([1.1, -2.3, 0.7, 3.1, 1.9, -1.3, 0.9, 0.0, 0.0], dtype=torch.float64)
    y = 0.5 + x @ slopes + noise * torch.randn(300, generator=generator, dtype=torch.float64)
    columns = {f"x{n}": column for n, column in enumerate(x.T)}
    search = Search(Sample(columns, y), 240, select(None)).terms_of_table()
    best = min(search.simple_sums(), key=lambda fit: fit.bits)
    assert best.size == 8 and best.validation_error < max(1.5 * noise, 1e-9)
