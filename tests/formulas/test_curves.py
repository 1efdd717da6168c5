"""The formula of one curve: its terms, forms and views agree with plain calculations, and known curves are found."""

import math
import warnings
import zlib

import numpy as np
import pytest
import sympy

from knotwork.expressions import complexity, parse, symbol, to_numpy
from knotwork.formulas.curves import CurveSearch
from knotwork.formulas.curves.curve_forms import (
    EXP,
    INVERSE_ROOT,
    LOG,
    RECIPROCAL,
    ROOT,
    SQUARE,
    TANH,
    Layer,
    Nested,
    Ratio,
    Rows,
    improved,
    template_of,
)
from knotwork.formulas.curves.curve_terms import SMOOTH, Points
from knotwork.formulas.curves.oscillations import SINES, WARPED
from knotwork.formulas.curves.scanning import Periodogram
from knotwork.formulas.curves.views import view_of

KINDS = [*SMOOTH, *WARPED, *SINES]
T = sympy.Symbol("t")


def points(low=0.5, high=4.0, size=60, seed=0):
    return Points.of(np.random.default_rng(seed).uniform(low, high, size))


def theta_of(kind, at, rng):
    """Inner constants of a kind, off its grid."""
    grid = kind.grid(at)
    theta = grid[rng.integers(len(grid))] * 1.01
    if kind.envelope is not None:
        theta = np.append(theta, rng.uniform(2, 9))
    return theta


def ranges_of(kind):
    """Ranges of t in which a kind applies: near zero and, where its columns allow it, far from it."""
    return [(-3.0, 2.0)] if kind.name == "|t|^p" else [(0.5, 4.0), (1990.0, 2020.0)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_slopes_of_terms_are_finite_differences(kind):
    rng = np.random.default_rng(zlib.crc32(kind.name.encode()))
    at = points(*ranges_of(kind)[0])
    theta, step = theta_of(kind, at, rng), 1e-6
    assert len(kind.columns(at, theta)) == kind.width
    slopes = kind.slopes(at, theta)
    for k in range(len(theta)):
        up, down = (kind.columns(at, theta + sign * step * np.eye(len(theta))[k]) for sign in (1, -1))
        for column, (above, below) in enumerate(zip(up, down, strict=True)):
            difference = (above - below) / (2 * step)
            assert slopes[column][k] == pytest.approx(difference, rel=1e-5, abs=1e-6 * np.abs(difference).max())


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_the_text_of_a_term_has_its_values(kind):
    rng = np.random.default_rng(zlib.crc32(kind.name.encode()))
    for low, high in ranges_of(kind):
        at = points(low, high)
        if not len(kind.grid(at)):
            continue
        form = Nested((kind,), sizes=(len(theta_of(kind, at, rng)),))
        p = form.joined(0.3, [rng.normal(size=kind.width)], [theta_of(kind, at, rng)], ())
        values = form.values(at, p)
        try:
            template = template_of(form, p, at, T)
        except OverflowError:  # exp(b·t) of years is beyond floats
            assert low > 1000 and "exp" in kind.name
            continue
        written = to_numpy(template.filled(), ["t"])(at.t) * np.ones(len(at.t))
        digits = 1e-9 * max(1.0, at.far**2)  # sines and exponentials of years lose digits
        assert written == pytest.approx(values, abs=digits * np.abs(values).max())


FORMS = [
    Nested((SMOOTH[0], SINES[0]), sizes=(0, 1), power=1.0),
    Nested((SINES[0],), sizes=(1,), layers=(Layer(EXP), Layer(ROOT, 1, True))),
    Nested((SMOOTH[1],), sizes=(0,), layers=(Layer(LOG),), power=-1.0),
    Nested((SMOOTH[0],), sizes=(0,), layers=(Layer(TANH, -1, True),)),
    Nested((SMOOTH[0],), constant=False, sizes=(0,), layers=(Layer(RECIPROCAL, 1, True), Layer(SQUARE))),
    Nested((SMOOTH[1],), sizes=(0,), layers=(Layer(INVERSE_ROOT, -1, True),), power=0.5),
    Ratio((0, 2), (0, 1), 3),
    Ratio((1,), (), 2),
]


def constants_of(form, rng):
    """Positive constants: everything inside roots and logarithms is positive."""
    if isinstance(form, Ratio):
        return rng.uniform(0.5, 1.5, len(form.above) + len(form.below))
    return form.joined(
        3.0, [rng.uniform(0.2, 0.5, t.width) for t in form.terms], [np.full(n, 4.0) for n in form.sizes],
        [(1.3, 0.7) for _ in form.layers],
    )  # fmt: skip


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_forms_have_the_derivatives_of_finite_differences_and_the_values_of_their_text(form):
    at = points()
    p, step = constants_of(form, np.random.default_rng(1)), 1e-6
    values, jacobian = form.linearised(at, p)
    assert values == pytest.approx(form.values(at, p), rel=1e-13)
    for k, unit in enumerate(np.eye(len(p))):
        difference = (form.values(at, p + step * unit) - form.values(at, p - step * unit)) / (2 * step)
        assert jacobian[:, k] == pytest.approx(difference, rel=1e-5, abs=1e-6 * np.abs(difference).max())
    template = template_of(form, p, at, T)
    assert len(template.values) >= len(p) - sum(layer.outer.scaled for layer in getattr(form, "layers", ()))
    assert to_numpy(template.filled(), ["t"])(at.t) == pytest.approx(values, rel=1e-9)


@pytest.mark.parametrize("form", [form for form in FORMS if isinstance(form, Nested)], ids=lambda form: form.name)
def test_a_view_undoes_what_is_around_the_terms(form):
    at = points()
    p = constants_of(form, np.random.default_rng(2))
    *_, outside = form.parts(p)
    rows = Rows(at, form.values(at, p), np.full(len(at.t), 2.0))
    view = view_of(rows, Nested((), layers=form.layers, power=form.power), outside)
    assert view is not None
    inner = Nested(form.terms, form.constant, sizes=form.sizes)
    inner_constants = p[: len(p) - sum(layer.outer.scaled + layer.shifted for layer in form.layers)]
    assert view.v == pytest.approx(inner.values(at, inner_constants), rel=1e-9)
    column = (
        form.linearised(at, p)[1][:, int(form.constant)]
        / inner.linearised(at, inner_constants)[1][:, int(form.constant)]
    )
    assert np.sqrt(view.w) == pytest.approx(np.abs(column) / 2, rel=1e-6)


def test_constants_are_fitted_to_rounding():
    at = points()
    form = Nested((SMOOTH[0], SINES[0]), sizes=(0, 1))
    truth = form.joined(1.0, [[0.5], [0.3, -0.8]], [[], [7.0]], ())
    rows = Rows(at, form.values(at, truth), np.ones(len(at.t)))
    start = form.joined(0.5, [[0.1], [0.5, -0.5]], [[], [7.4]], ())
    found, error = improved(form, start, rows, 40)
    assert error < 1e-13 and found == pytest.approx(truth, rel=1e-9)


@pytest.mark.parametrize("law", ["1/(exp(t) - 1)", "t**3/(exp(t) - 1)", "3*t**2/(exp(2*t) + 1)", "exp(-t**2/2)"])
def test_an_exponential_over_decades_is_found_to_rounding(law):
    t = 10 ** np.random.default_rng(0).uniform(-2, 1.9, 600)
    t = t[t < 25] if law.startswith("exp") else t  # others are zero in floats
    y = to_numpy(parse(law), ["t"])(t)
    found = CurveSearch(t, y, np.abs(y)).run(1)  # its first stage
    assert found[0].error < 1e-12, found[0].form.name


def test_a_constant_that_leaves_the_range_of_floats_causes_no_warning():
    """The unit of t is 1e-200, and a square of it 0."""
    power = next(one for one in KINDS if one.name == "t^p")
    form, points = Nested((power,), sizes=(1,)), Points.of(np.linspace(1e-200, 3e-200, 9))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        template = template_of(form, np.array([0.0, 1.0, 2.0]), points, symbol("t"))
    assert template.expression.has(symbol("t"))


@pytest.mark.parametrize("periods", [0.8, 3.3, 40.7, 98.1])
def test_a_periodogram_gives_the_squares_that_least_squares_explain(periods):
    rng = np.random.default_rng(3)
    at = Points.of(np.sort(rng.uniform(2, 5, 300)))
    w = math.pi * periods
    fixed = np.stack([np.ones(300), at.z], 1)
    y = np.cos(w * at.z + 1) + 0.2 * rng.normal(size=300)
    q, _ = np.linalg.qr(fixed)
    periodogram = Periodogram(at)
    gains = periodogram.gains(y - q @ (q.T @ y), np.ones(300), q, np.ones(300))
    k = int(gains.argmax())
    assert periodogram.step * k == pytest.approx(w, abs=1.2 * periodogram.step)

    def squares(columns):
        return float(np.sum((columns @ np.linalg.lstsq(columns, y, rcond=None)[0]) ** 2))

    oscillation = [np.cos(periodogram.step * k * at.z), np.sin(periodogram.step * k * at.z)]
    explained = squares(np.stack([*fixed.T, *oscillation], 1)) - squares(fixed)
    assert gains[k] == pytest.approx(explained, rel=0.1)  # rows are spread over an even grid


CURVES = [
    ("sin(2*t) + 0.1*t", (0, 10)), ("sin(40*t) - 2*t", (0, 10)), ("t*sin(7*t)", (0, 12)), ("sin(95*t)", (0, 6)),
    ("2*exp(-0.4*t)*cos(5*t + 1)", (0, 8)), ("5*exp(-0.3*t) - 4*exp(-1.5*t)", (0, 12)),
    ("(2*t + 1)/(t**2 + 3)", (-4, 4)), ("exp(sin(3*t))", (-2, 2)), ("log(2 + sin(3*t))", (0, 6)),
    ("sqrt(1 + t**2)", (-3, 3)), ("1/(1 + exp(-3*t))", (-2, 2)),
    ("t*tanh(2*t)", (-2, 2)), ("sin(t**2)", (0, 5)), ("log(1 + exp(t))", (-4, 4)), ("t/(1 + t**2)", (-3, 3)),
    ("3*t**2/(2 + t**2)", (0.1, 6)), ("4*exp(-3*exp(-0.8*t))", (0, 9)), ("20 + 0.3*exp(-3*t)", (0, 2)),
    ("cosh(2*t) - 1.5", (-1, 2)), ("abs(t - 1)", (-2, 3)), ("5*t**1.37", (1, 9)),
]  # fmt: skip


def drawn(text, span, size, noise, seed):
    rng = np.random.default_rng(seed)
    t = rng.uniform(span[0], span[1], size)
    y = to_numpy(parse(text), ["t"])(t) * np.ones(size)
    return t, y + noise * y.std() * rng.normal(size=size)


@pytest.mark.parametrize(("text", "span"), CURVES)
def test_an_exact_curve_is_found_to_rounding_in_a_form_as_short(text, span):
    t, y = drawn(text, span, 300, 0.0, 0)
    search = CurveSearch(t, y)
    best = search.run()[0]
    assert best.error < 1e-9
    template = search.template(best, symbol("t"))
    assert complexity(template.expression) <= 1.5 * complexity(parse(text)) + 4  # before constants are rounded
    fresh, truth = drawn(text, span, 300, 0.0, 1)
    assert to_numpy(template.filled(), ["t"])(fresh) == pytest.approx(truth, abs=1e-7 * np.abs(truth).max())


@pytest.mark.parametrize(("text", "span"), [CURVES[n] for n in (0, 3, 4, 5, 6, 7, 10, 17)])
def test_a_noisy_curve_is_found_to_the_error_that_its_rows_allow(text, span):
    size, noise = 400, 0.01
    t, y = drawn(text, span, size, noise, 0)
    search = CurveSearch(t, y)
    best = search.run()[0]
    fresh, truth = drawn(text, span, 500, 0.0, 1)
    found = to_numpy(search.template(best, symbol("t")).filled(), ["t"])(fresh)
    floor = noise * truth.std() * math.sqrt(len(best.constants) / size)
    assert np.sqrt(np.mean((found - truth) ** 2)) < 2 * floor


def test_only_allowed_functions_are_used():
    t, y = drawn("exp(sin(3*t))", (-2, 2), 200, 0.0, 0)
    search = CurveSearch(t, y, allowed=["x", "sqrt", "exp"], depth=2)
    for one in search.run():
        functions = {f.func.__name__ for f in search.template(one, symbol("t")).expression.atoms(sympy.Function)}
        assert functions <= {"exp"}


def test_noise_alone_gives_no_short_formula_that_explains_it():
    rng = np.random.default_rng(5)
    t, y = rng.uniform(0, 1, 200), rng.normal(size=200)
    best = CurveSearch(t, y).run()[0]
    assert best.error > 0.9


def test_a_curve_without_variation_has_no_formula():
    t = np.linspace(0, 1, 20)
    assert CurveSearch(t, np.ones(20)).run() == []


@pytest.mark.parametrize(
    ("law", "low", "high"),
    [
        ("exp(cos(t) + sin(2*t)/2)", 0, 6),
        ("log(3 + cos(t) + sin(3*t)/2)", 0, 7),
        ("1/(2 + sin(t) - t/20)", 0, 9),
        ("t/2 - t**2/20 - t**2/(1 + t**2)", 0.1, 10),
        ("3 - t + 2/(1 + 4*(t - 2)**2)", 0, 5),
    ],
)
def test_sums_under_an_outer_function_and_beside_a_trend_are_exact(law, low, high):
    t = np.random.default_rng(3).uniform(low, high, 1000)
    y = to_numpy(parse(law), ["t"])(t)
    best = CurveSearch(t, y).run()[0]
    assert best.error < 1e-12


def test_a_parabola_far_from_zero_keeps_its_place():
    rng = np.random.default_rng(0)
    t = rng.uniform(1990, 2020, 300)
    y = 5 + 0.02 * (t - 1967) ** 2 + 0.3 * rng.normal(size=300)
    search = CurveSearch(t, y)
    written = search.template(search.run()[0], symbol("t"))
    assert [len(written.values), complexity(written.expression)] == [3, 9]
    places = [value for value in written.values.values() if abs(value) > 1000]
    assert places == [pytest.approx(-1967, abs=1)] or places == [pytest.approx(1967, abs=1)]


def test_the_logarithm_of_a_parabola_is_found_behind_noise():
    rng = np.random.default_rng(1)
    t = rng.uniform(-3, 3, 1000)
    y = np.log(1 + t**2) + 0.013 * rng.normal(size=1000)
    search = CurveSearch(t, y)
    best = search.run()[0]
    assert best.form.name == "t^0 log(1 + t^2)"
