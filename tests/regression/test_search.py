"""Each part of the search for formulas, on cases with known answers."""

import math
from dataclasses import replace

import pytest
import sympy
import torch

import knotwork as kw
from knotwork.expressions import parse
from knotwork.formulas.constants import Constants, Sample, Template, fitted, simplified
from knotwork.formulas.dimensions import Dimensions
from knotwork.functions import select
from knotwork.regression import DimensionlessSearch, fitted_structures, group_choices
from knotwork.regression.candidate_formulas import CandidateFormula
from knotwork.regression.curve_names import IDENTITY, INVERSE, ROOT, USUAL_OUTER, names_of_curve
from knotwork.regression.residual_randomness import looks_random
from knotwork.regression.ridges import equivalent_powers, fit_ridges
from knotwork.regression.search import Search
from knotwork.regression.structures import Rows, Structure, StructureFit, StructureProblem, fit_structure
from knotwork.regression.symmetry import combined_pairs, power_factors
from knotwork.training import Reporter

LIBRARY = select(None)


def table(text, rows=400, noise=0.0, seed=0, **ranges):
    data = kw.sample(text, **ranges, size=rows, test_size=1, validation_size=1, noise=noise, seed=seed)
    return list(data.X_train.unbind(1)), data.y_train[:, 0]


# --- names of one curve ---


@pytest.mark.parametrize(
    ("text", "outer", "function"),
    [
        ("1/(exp(x) - 1)", "1 over ", "exp"),
        ("1/sqrt(1 - x**2/30)", "1 over the root of ", None),
        ("exp(-x**2/3)", "the exponential of ", None),
        ("3*x**(-5/2)", "", None),
        ("cos(2*x) + 1", "", "sin"),
    ],
)
def test_a_curve_is_recognised_as_its_function(text, outer, function):
    (x,), y = table(text, x=(1, 4))
    best = names_of_curve(x, y, LIBRARY)[0]
    assert best.error < 1e-8
    assert best.outer.words == outer and (best.function and best.function.name) == function


@pytest.mark.parametrize("text", ["1/(exp(x) - 1)", "sqrt(7 - x)", "log(3*x + 1)", "(x - 2)**2 + 3", "-2*x**1.5"])
@pytest.mark.parametrize("factor", [False, True])
def test_the_expression_of_a_named_curve_has_the_error_of_the_name(text, factor):
    (x,), y = table(text, x=(1, 4))
    t = sympy.Symbol("t")
    names = names_of_curve(x, y, LIBRARY)[:12]
    assert len(names) == 12
    for name in names:
        constant = Constants()
        expression, number = name.factor(t, constant) if factor else name.sum_term(t, constant, 3.0)
        template = constant.template(expression)
        values = sympy.lambdify(t, template.filled(), "numpy")(x.numpy()) * torch.ones(len(x)).double().numpy()
        written = number * values if factor else (number + values) / 3
        off = math.sqrt(((torch.as_tensor(written) - y) ** 2).mean() / (y**2).mean())
        assert off == pytest.approx(name.error, rel=0.5, abs=1e-6)


@pytest.mark.parametrize("outer", USUAL_OUTER)
def test_an_outer_function_is_inverted_and_has_the_slope_of_autograd(outer):
    y = torch.linspace(0.3, 2, 50, dtype=torch.float64)
    inner = outer.undo(y).requires_grad_()
    values = outer.apply(inner)
    assert torch.allclose(values.detach(), y)
    (slope,) = torch.autograd.grad(values.sum(), inner)
    assert torch.allclose(slope.abs(), outer.slope(y).abs())


# --- structures of curves ---


def test_the_jacobian_of_a_structure_is_that_of_its_prediction():
    columns, y = table("x*(y + z)", x=(1, 2), y=(-1, 1), z=(1, 3), rows=60)
    rows = Rows.of(columns, y, 60)
    for structure in (Structure(IDENTITY, ((0, 1), (1, 2))), Structure(ROOT, ((0,), (1,), (2,)), (0, 2))):
        problem = StructureProblem(Rows(rows.axes, y.abs() + 1, 60), structure)
        start = problem.start(torch.Generator().manual_seed(0))

        def weighted(coefficients, problem=problem, shape=start.shape):
            return problem.weight * problem.predicted(problem.curves(coefficients.view(shape)))

        truth = torch.func.jacrev(weighted)(start.flatten())
        assert torch.allclose(problem.jacobian(problem.curves(start)), truth, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("text", "structure", "bound"),
    [
        ("x**2 + sin(y) + z", Structure(IDENTITY, ((0,), (1,), (2,))), 1e-4),
        ("1/(x**2 + sin(y) + z)", Structure(INVERSE, ((0,), (1,), (2,))), 1e-4),
        ("x*(y**2 + z**2)", Structure(IDENTITY, ((0,), (1,), (2,)), (0, 1, 2)), 1e-3),
        ("x*y + x*sin(y)*z", Structure(IDENTITY, ((0, 1, 2),) * 2), 1e-2),
    ],
)
def test_the_right_structure_fits_and_a_wrong_one_does_not(text, structure, bound):
    columns, y = table(text, x=(1, 3), y=(1, 3), z=(1, 3))
    rows = Rows.of(columns, y, 320)
    assert fit_structure(rows, structure, torch.Generator().manual_seed(0)).validation_error < bound
    wrong = fit_structure(rows, Structure(ROOT, ((0,), (1,), (2,))), torch.Generator().manual_seed(0))
    assert wrong.validation_error > 2 * bound


# --- ridges ---


def test_the_powers_of_inputs_in_a_ridge_are_found():
    columns, y = table("m/sqrt(1 - v**2/c**2)", m=(1, 5), v=(1, 2), c=(3, 10))
    found = fit_ridges(Rows.of(columns, y, 320), 1, torch.Generator().manual_seed(0))
    assert found is not None and found.validation_error < 1e-3
    (direction,) = found.directions.tolist()
    assert direction in ([0, 1, -1], [0, -1, 1])
    assert any(
        torch.allclose(powers, torch.tensor([1.0, 0, 0]).double(), atol=0.02) for _, powers in equivalent_powers(found)
    )


def test_the_directions_of_two_ridges_are_found():
    columns, y = table("(u + v)/(1 + u*v/c**2)", u=(1, 5), v=(1, 5), c=(1, 5), rows=800)
    found = fit_ridges(Rows.of(columns, y, 640), 2, torch.Generator().manual_seed(0))
    assert found is not None and found.validation_error < 1e-3
    lines = {tuple(abs(v) for v in line) for line in found.directions.tolist()}
    assert lines == {(1, 1, 0), (1, 1, 2)}


# --- symmetries and noise ---


def test_only_true_symmetries_in_differences_sums_and_factors_are_recognised():
    columns, y = table("g/((a - b)**2 + (c + d))", g=(1, 2), a=(3, 4), b=(1, 2), c=(1, 2), d=(1, 2), rows=800)
    assert power_factors(columns, y) == {0: 1.0}
    assert set(combined_pairs(columns[1:], y / columns[0], 0.12)) == {(0, 1, -1), (2, 3, 1)}
    columns, y = table("a*sin(b) + b*c", a=(1, 5), b=(1, 5), c=(1, 5), rows=800)
    assert combined_pairs(columns, y, 0.12) == [] and power_factors(columns, y) == {}


def test_only_random_residuals_are_recognised_as_random():
    generator = torch.Generator().manual_seed(0)
    columns = [torch.rand(500, generator=generator).double() for _ in range(3)]
    wrong = sum(not looks_random(columns, torch.randn(500, generator=generator).double()) for _ in range(200))
    assert wrong <= 8  # the expected number is 2
    hidden = torch.randn(500, generator=generator).double() + columns[0] * columns[1] * 2
    assert not looks_random(columns, hidden)
    hidden[0] = 1e9  # one outlier does not hide the dependence
    assert not looks_random(columns, hidden)
    assert not looks_random(columns, torch.sin(60 * columns[2]))  # this dependence is not a polynomial of low degree


@pytest.mark.parametrize(("rows", "inputs"), [(300, 20), (60, 6), (200, 40)])
def test_residuals_of_wide_tables_are_tested_term_by_term(rows, inputs):
    generator = torch.Generator().manual_seed(0)
    columns = [torch.rand(rows, generator=generator).double() for _ in range(inputs)]
    noise = [torch.randn(rows, generator=generator).double() for _ in range(200)]
    assert sum(not looks_random(columns, one) for one in noise) <= 8  # the expected number is 2
    hidden = 4 * (columns[0] - 0.5) * (columns[1] - 0.5)
    for signal in (columns[2], columns[2] ** 2, hidden):
        assert not looks_random(columns, noise[0] / 5 + signal)
    constant = torch.ones(rows).double()
    assert looks_random([*columns, constant], noise[0]) == looks_random(columns, noise[0])
    assert not looks_random([column[:20] for column in columns], noise[0][:20])  # too few rows for any test


# --- constants ---


def test_constants_and_their_covariance_are_those_of_linear_regression():
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(300, generator=generator).double()
    y = 2 + 3 * x + 0.1 * torch.randn(300, generator=generator).double()
    a, b, t = sympy.symbols("a b t", real=True)
    found = fitted(Template(a + b * t, {a: 0.0, b: 0.0}), Sample({"t": x}, y))
    design = torch.stack([torch.ones_like(x), x], 1)
    truth = torch.linalg.lstsq(design, y[:, None]).solution[:, 0]
    assert list(found.values.values()) == pytest.approx(truth.tolist(), rel=1e-8)
    residual = y - design @ truth
    covariance = residual.square().sum() / 298 * torch.linalg.inv(design.T @ design)
    assert found.covariance is not None and torch.allclose(found.covariance, covariance, rtol=1e-5)


def test_constants_become_simple_numbers_only_within_their_errors():
    generator = torch.Generator().manual_seed(0)
    x = 1 + 4 * torch.rand(1000, generator=generator).double()
    c, p, d, t = sympy.symbols("c p d t", real=True)
    template = Template(c * t**p + d, {c: 1.0, p: 1.8, d: 0.1})
    for truth, noise, left in (
        ((2.37, 2.0, 0.0), 0.05, {c}),
        ((2.37, 2.05, 0.0), 0.005, {c, p}),
        ((1.0, 0.5, 1.0), 0, set()),
    ):
        y = truth[0] * x ** truth[1] + truth[2] + noise * torch.randn(1000, generator=generator).double()
        sample = Sample({"t": x}, y)
        found = simplified(fitted(template, sample), sample)
        assert set(found.values) == left
        assert all(abs(found.values[s] - v) < 0.05 for s, v in zip((c, p, d), truth, strict=True) if s in left)


@pytest.mark.parametrize(("sigmas", "left"), [(0.5, 0), (2.3, 4)])
def test_many_constants_do_not_become_simple_numbers_that_the_rows_contradict_together(sigmas, left):
    """Of six that are each 2.3 standard errors from a whole number, two may be one: 2 * 2.3² = 10.6 is below the limit
    of 11.8 for two, 3 * 2.3² = 15.9 above that of 14.2 for three."""
    rows = torch.linalg.qr(torch.randn(1000, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64))[0]
    x, noise = rows[:, :6] * 1000**0.5, 0.1 * rows[:, 6] * 1000**0.5
    whole = torch.arange(2.0, 8.0, dtype=torch.float64)
    y = x @ (whole + sigmas * 0.1 / 994**0.5) + noise
    symbols, inputs = sympy.symbols("a:f", real=True), sympy.symbols("u:z", real=True)
    template = Template(sum(c * t for c, t in zip(symbols, inputs, strict=True)), dict.fromkeys(symbols, 1.0))
    sample = Sample({t.name: column for t, column in zip(inputs, x.T, strict=True)}, y)
    assert len(simplified(fitted(template, sample), sample).values) == left


def test_constants_with_equal_values_become_one_constant():
    generator = torch.Generator().manual_seed(0)
    x, y = torch.rand(2, 1000, generator=generator).double() + 1
    target = 1.2345 * (x**2 + y**2) + 0.01 * torch.randn(1000, generator=generator).double()
    a, b, u, v = sympy.symbols("a b u v", real=True)
    sample = Sample({"u": x, "v": y}, target)
    found = simplified(fitted(Template(a * u**2 + b * v**2, {a: 1.0, b: 1.0}), sample), sample)
    assert len(found.values) == 1


@pytest.mark.parametrize("seed", range(6))
def test_constants_that_are_equal_by_chance_do_not_shorten_a_formula(seed):
    """cosh(2.3 y) + 2.4 is near 1.03·exp(0.8 y²). It is shorter if its 2.3 equals that of the sine, by chance."""
    columns, y = table("1.7*exp(sin(2.3*x) + 0.8*y**2)", rows=1000, noise=0.05, seed=seed, x=(-1, 1), y=(-1, 1))
    sample = Sample(dict(zip("xy", columns, strict=True)), y)
    a, b, c, d, u, v = sympy.symbols("a b c d x y", real=True)
    truth = Template(a * sympy.exp(sympy.sin(b * u) + c * v**2), {a: 1.7, b: 2.3, c: 0.8})
    chance = Template(
        a * (sympy.cosh(b * v) + c) * sympy.exp(sympy.sin(d * u)), {a: 0.5, b: 2.3, c: 2.4, d: 2.3}
    )  # fmt: skip
    formulas = [CandidateFormula.of("", simplified(fitted(one, sample), sample), sample) for one in (truth, chance)]
    assert len(formulas[1].template.values) <= 2 < len(formulas[0].template.values)
    assert formulas[0].bits < formulas[1].bits


def test_an_exact_constant_adds_no_bits_of_doubt():
    x = torch.linspace(1, 2, 100, dtype=torch.float64)
    a, b, t = sympy.symbols("a b t", real=True)
    sample = Sample({"t": x}, 2.7183 * x**3)
    assert simplified(fitted(Template(a * t**b, {a: 2.5, b: 2.9}), sample), sample).doubt == 0


@pytest.mark.parametrize(("low", "exponents"), [(-1.0, 0), (0.5, 1)])
def test_an_exponent_is_a_free_constant_only_for_positive_inputs(low, exponents):
    t = torch.linspace(low, 2, 100, dtype=torch.float64)
    name = next(n for n in names_of_curve(t, 3 * t**2 + 1, LIBRARY) if n.outer is IDENTITY and n.function is None)
    constant = Constants()
    expression = name.factor(sympy.Symbol("t", real=True), constant)[0]
    powers = [p.exp for p in expression.atoms(sympy.Pow)]
    assert len(powers) == 1 and sum(not p.is_number for p in powers) == exponents


def test_constants_that_the_rows_do_not_determine_become_zero_or_one():
    x = torch.linspace(1, 2, 100, dtype=torch.float64)
    a, b, t = sympy.symbols("a b t", real=True)
    sample = Sample({"t": x}, 3.21 * x)
    found = simplified(fitted(Template(a * b * t, {a: 1.5, b: 1.5}), sample), sample)
    assert len(found.values) == 1 and math.isclose(next(iter(found.values.values())), 3.21)


# --- the whole search ---


def test_of_two_exact_structures_the_one_of_fewer_curves_is_named_first(monkeypatch):
    """Which one has the smaller rounding errors says nothing."""
    columns, y = table("a*b + c", a=(1, 2), b=(1, 2), c=(1, 2))
    search = Search(Sample(dict(zip("abc", columns, strict=True)), y), 320, LIBRARY)
    exact = {2: 3e-15, 3: 1e-16}  # error by number of curves
    monkeypatch.setattr(
        fitted_structures,
        "fit_structure",
        lambda rows, structure, generator: StructureFit(structure, y, y, *[exact[len(structure.places)]] * 2),
    )
    fewer, more = Structure(IDENTITY, ((0,), (1,))), Structure(IDENTITY, ((0,), (1,), (2,)))
    for structure in (more, fewer):
        search.add(structure)
    best = min(search.candidates, key=lambda candidate: candidate.penalised)
    assert best.error == exact[2]


@pytest.mark.parametrize(
    ("text", "ranges"),
    [
        ("m/sqrt(1 - v**2/c**2)", {"m": (1, 5), "v": (1, 2), "c": (3, 10)}),
        ("g/((a - b)**2 + (c - d)**2)", {"g": (1, 2), "a": (3, 4), "b": (1, 2), "c": (3, 4), "d": (1, 2)}),
        ("q*(e + b*v*sin(t))", {"q": (1, 5), "e": (1, 5), "b": (1, 5), "v": (1, 5), "t": (1, 5)}),
        ("asin(n*sin(t))", {"n": (0, 1), "t": (1, 5)}),
    ],
)  # fmt: skip
def test_formulas_are_found_exactly(text, ranges):
    columns, y = table(text, rows=800, **ranges)
    sample = Sample(dict(zip(ranges, columns, strict=True)), y)
    best = min(Search(sample, 640, LIBRARY).formulas(), key=lambda formula: formula.bits)
    assert best.error < 1e-9 * sample.scale
    points = [torch.rand(50).double() * (high - low) + low for low, high in ranges.values()]
    values = sympy.lambdify(list(ranges), best.template.filled(), "numpy")(*(p.numpy() for p in points))
    truth = sympy.lambdify(list(ranges), parse(text), "numpy")(*(p.numpy() for p in points))
    assert values == pytest.approx(truth, rel=1e-8)


def test_the_true_formula_is_found_in_noisy_rows_and_the_search_ends():
    columns, y = table("q/(4*pi*w*r**2)", rows=800, noise=0.01, q=(1, 5), w=(1, 5), r=(1, 5))
    sample = Sample(dict(zip("qwr", columns, strict=True)), y)
    search = Search(sample, 640, LIBRARY)
    best = min(search.formulas(), key=lambda formula: formula.bits)
    ratio = sympy.simplify(best.template.filled() / parse("q/(w*r**2)"))
    assert ratio.is_number and float(ratio) == pytest.approx(1 / (4 * math.pi), rel=5e-3)
    assert search.done


def test_a_formula_is_compared_with_curves_on_the_same_rows():
    generator = torch.Generator().manual_seed(0)
    a, b, rest = (1 + torch.rand(3, 150, generator=generator, dtype=torch.float64)).unbind()
    spread = torch.where(torch.arange(150) < 120, 0.02, 0.01)  # the last 30 rows validate
    noise = spread * torch.randn(150, generator=generator, dtype=torch.float64)
    stages = StopAt("")
    sample = Sample({"a": a, "b": b, "rest": rest}, 1.23 * a / b + noise)
    search = Search(sample, 120, LIBRARY, reporter=Reporter([stages]))
    best = min(search.formulas(), key=lambda formula: formula.bits)
    assert best.complexity == 6 and search.done
    assert stages.stages == ["trying sums of products of powers"]


@pytest.mark.parametrize(("low", "high"), [(0, 0), (1e300, 1e300), (-1e-300, 1e-300), (0, 1e200)])
def test_extreme_columns_raise_no_error(low, high):
    x = torch.linspace(0.1, 1, 40, dtype=torch.float64)
    sample = Sample({"x": x, "ugly": torch.linspace(low, high, 40, dtype=torch.float64)}, x.exp())
    found = list(Search(sample, 32, LIBRARY).formulas())
    assert found
    for formula in found:
        assert math.isfinite(formula.error)


# --- a callback ---


class StopAt:
    """A callback that returns True at the n-th stage of this title; `stages` are the titles, repetitions once."""

    def __init__(self, title, number=1):
        self.title, self.number, self.stages = title, number, []

    def __call__(self, event):
        if self.stages[-1:] != [event.stage]:
            self.stages.append(event.stage)
            self.number -= event.stage == self.title
        return self.number <= 0


@pytest.mark.parametrize(
    ("title", "number", "text"),
    [
        ("trying sums and products of curves", 1, None),
        ("trying ratios of sums", 1, None),
        ("trying powers and ridges", 1, None),
        ("trying sums of products", 1, None),
        ("trying unusual outer functions", 1, None),
        ("trying sums of products of powers", 2, "a/((b - c)**2 + (d - e)**2 + 1)"),  # of b - c and d - e
    ],
)
def test_a_callback_that_stops_as_a_stage_begins_ends_the_search_there(monkeypatch, title, number, text):
    """No structure is fitted after it, and no formula follows."""
    if text:
        columns, y = table(text, rows=400, a=(1, 2), b=(1, 3), c=(1, 2), d=(1, 3), e=(1, 2))
    else:  # nothing comes close, so that all stages are reached
        columns, y = list(torch.rand(2, 60, generator=torch.Generator().manual_seed(0)).double()), torch.zeros(60)
        y = torch.randn(60, generator=torch.Generator().manual_seed(1)).double()
    callback, fits = StopAt(title, number), []
    for name in ("fit_structure", "fit_ridges"):
        fit = getattr(fitted_structures, name)
        monkeypatch.setattr(fitted_structures, name, lambda *a, fit=fit: fits.append(callback.number) or fit(*a))
    sample = Sample(dict(zip("abcde", columns, strict=False)), y)
    for _ in Search(sample, len(y) * 4 // 5, LIBRARY, reporter=Reporter([callback])).formulas():
        assert callback.number > 0
    assert callback.number == 0 and callback.stages[-1] == title
    assert all(fits) and bool(fits) == (len(callback.stages) > 2)  # the first stage fits sums of terms


def test_a_callback_that_stops_ends_the_search_in_all_choices_of_groups():
    columns, y = table("a + b*sin(c/a)", rows=100, a=(1, 2), b=(1, 2), c=(1, 2))
    sample = Sample(dict(zip("abc", columns, strict=True)), y)
    lengths = kw.Dataset.from_arrays(torch.stack(columns, dim=1), y, names=list("abc"))
    dimensions = Dimensions.of(replace(lengths, units=dict.fromkeys([*"abc", *lengths.target_names], "m")))
    choices = group_choices(dimensions, sample.columns)
    assert len(choices) > 1
    callback = StopAt("trying sums of products of powers")
    reporter = Reporter([callback])

    def search(*rows, **options):
        return Search(*rows, LIBRARY, reporter=reporter, **options)

    whole = DimensionlessSearch(choices, sample, 80, search, math.inf, reporter=reporter)
    assert list(whole.formulas()) == [] and len(callback.stages) == 1 and not whole.done
