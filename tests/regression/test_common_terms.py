"""Formulas of several targets: parts in common, their bits, equal constants, and formulas chosen together."""

import math

import pytest
import torch

from knotwork.expressions import parse
from knotwork.formulas.constants import Sample
from knotwork.formulas.settings import FORMULAS
from knotwork.regression import Failures
from knotwork.regression.targets import (
    Law,
    TargetRows,
    common_constants,
    common_parts,
    joint_choice,
    with_common_constants,
)
from knotwork.regression.targets.common_parts import bits_together, multiplied_out
from knotwork.regression.targets.proposals import law_found
from knotwork.training import Reporter


def target(name, columns, y, *found):
    """A target whose residuals cost the bits of normal noise."""
    sample = Sample(columns, y)

    def judge(template):
        error = math.sqrt(template.mse) + FORMULAS.exact_error * sample.scale
        return len(y) * math.log2(error) + template.doubt

    price = math.log2(len(y))
    expressions = tuple(parse(one, list(columns)) for one in found)
    return TargetRows(name, sample, expressions, judge, lambda expression: True, price, price)


def rows(count, seed=0, **ranges):
    generator = torch.Generator().manual_seed(seed)
    columns = {
        name: low + (high - low) * torch.rand(count, generator=generator, dtype=torch.float64)
        for name, (low, high) in ranges.items()
    }
    return columns, torch.randn(count, 4, generator=generator, dtype=torch.float64)


def test_parts_are_terms_without_coefficients_and_functions_within():
    texts = "x*(1.1 - 0.4*y)", "0.1*x*y - 0.4*y", "3*exp(-1.5*x)*sin(y) + y**2", "exp(-1.5*x)*cos(y)"
    found = common_parts([parse(one) for one in texts], "abcd")
    assert {str(one.expression): one.targets for one in found} == {"x*y": ("a", "b"), "exp(-1.5*x)": ("c", "d")}


def test_a_part_of_a_part_is_listed_where_more_targets_have_it():
    found = common_parts([parse(one) for one in ("2*x*sin(y)", "3*x*sin(y)", "sin(y) + 1")], "abc")
    assert {str(one.expression): one.targets for one in found} == {"x*sin(y)": ("a", "b"), "sin(y)": ("a", "b", "c")}


def test_products_of_sums_are_multiplied_out_but_not_inside_of_functions():
    assert multiplied_out(parse("x*(1 - y*(2 + x))")) == parse("x - 2*x*y - x**2*y")
    assert multiplied_out(parse("3*exp(2*(x + y))")) == parse("3*exp(2*(x + y))")


def test_bits_of_a_part_that_others_have_are_those_of_a_reference():
    """2.5*sin(3.1*x) has 6 symbols and 2 decimals; known, its sine is one symbol without a decimal."""

    def bits(*texts):
        return bits_together([((parse(one),), 1.0, 10.0) for one in texts])

    alone = bits("2.5*sin(3.1*x)")
    assert alone == 6 + 2 * 10
    assert bits("2.5*sin(3.1*x)", "0.4*sin(3.1*x)") == alone + 3 + 10  # coefficient, times, reference
    assert bits("2.5*sin(3.1*x)", "0.4*sin(3.3*x)") == alone + 4 + 2 * 10  # the decimal inside is written
    assert bits("2.5*sin(3.1*x)", "0.4*x") == alone + bits("0.4*x")


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_bits_do_not_depend_on_the_order(order):
    forms = [((parse(one),), 2.0, 3.0) for one in ("x*y + 2.5*sin(x*y)", "exp(x*y) - sin(x*y)", "sin(x*y)/x")]
    assert bits_together([forms[n] for n in order]) == bits_together(forms)


def test_constants_within_their_errors_become_their_mean_weighted_by_precision():
    """Three decays with one rate and a fourth with another one; the fit of all rows at once is the reference."""
    from scipy.optimize import least_squares

    columns, noise = rows(80, t=(0.0, 3.0))
    t, sizes = columns["t"], (0.01, 0.02, 0.05)
    y = [a * torch.exp(-1.5 * t) + size * noise[:, n] for n, (a, size) in enumerate(zip((2, 1, 3), sizes, strict=True))]
    y.append(2 * torch.exp(-1.9 * t) + 0.01 * noise[:, 3])
    targets = [target(name, columns, one, "1.9*exp(-1.6*t)") for name, one in zip("abcd", y, strict=True)]
    fits = [least_squares(lambda p, one=one: (p[0] * torch.exp(p[1] * t) - one).numpy(), [2, -1.5]) for one in y]
    laws = []
    for fit in fits:
        expression = parse(f"{float(fit.x[0])}*exp({float(fit.x[1])}*t)", ["t"])
        laws.append(Law(expression, float(2 * fit.cost / 80), 80 * math.log2(math.sqrt(2 * fit.cost / 80)), ""))
    found, equal = with_common_constants(targets, laws, Failures(), Reporter())
    (rate,) = common_constants(equal, targets)
    assert set(rate.targets) == {"a", "b", "c"}
    deviations = [math.sqrt(2 * fit.cost / 78) for fit in fits]

    def all_rows(p):
        parts = [(p[n] * torch.exp(p[3] * t) - y[n]) / deviations[n] for n in range(3)]
        return torch.cat(parts).numpy()

    whole = least_squares(all_rows, [2, 1, 3, -1.5], xtol=1e-12)
    error = torch.linalg.inv(torch.tensor(whole.jac.T @ whole.jac))[3, 3].sqrt()
    assert rate.value == pytest.approx(whole.x[3], abs=0.05 * float(error))
    assert rate.error == pytest.approx(float(error), rel=0.02)
    assert found[3] is laws[3]  # its rate is another one
    assert all(rate.value in [float(one) for one in law.expression.atoms() if one.is_Float] for law in found[:3])


def test_a_frequency_is_common_to_a_sine_and_a_cosine_with_a_phase():
    columns, noise = rows(200, t=(0.0, 6.0))
    t = columns["t"]
    first, second = torch.sin(2.3 * t) + 0.02 * noise[:, 0], 1.4 * torch.sin(2.3 * t + 0.7) + 0.05 * noise[:, 1]
    targets = [
        target("a", columns, first, "1.0*sin(2.301*t)"), target("b", columns, second, "1.4*sin(2.297*t + 0.7)"),
    ]  # fmt: skip
    laws = [law_found(one) for one in targets]
    _, equal = with_common_constants(targets, laws, Failures(), Reporter())
    (frequency,) = common_constants(equal, targets)
    assert abs(frequency.value - 2.3) < 3 * frequency.error < 0.02 and set(frequency.targets) == {"a", "b"}


def test_formulas_are_taken_only_if_they_share_more_and_are_not_worse():
    """b takes the sine of a in place of its own form; c, which a sine does not explain, keeps its own."""
    columns, noise = rows(300, x=(-2.0, 2.0))
    x = columns["x"]
    y = {
        "a": 1.2 * torch.sin(2 * x) + 0.01 * noise[:, 0],
        "b": 0.3 * torch.sin(2 * x) + 0.1 * noise[:, 1],
        "c": x**2 - x + 0.1 * noise[:, 2],
    }
    alone = {"a": "1.2*sin(2*x)", "b": "0.47*x*cos(x)", "c": "x**2 - 1.01*x"}
    targets = [target(name, columns, y[name], alone[name]) for name in "abc"]
    own = [law_found(one) for one in targets]
    for order in ((0, 1, 2), (1, 2, 0)):
        laws = joint_choice([targets[n] for n in order], Failures(), Reporter())
        found = dict(zip(("abc"[n] for n in order), laws, strict=True))
        assert found["a"].expression == own[0].expression and found["c"].expression == own[2].expression
        assert found["b"].expression.has(parse("sin(2*x)")) and not found["b"].expression.has(parse("cos(x)"))


def test_a_formula_is_worse_only_than_one_whose_errors_are_known_and_smaller():
    """Squares of the errors of the smallest targets are 0 in floats, and those of a formula that is not defined inf."""
    columns, noise = rows(50, x=(-2.0, 2.0))
    for size in (1.0, 1e-170):
        one = target("a", columns, size * noise[:, 0], "x")
        assert not one.worse(0.0, 0.0, 1) and not one.worse(1.0, math.inf, 1)
        assert one.worse(math.inf, 0.0, 1) and one.worse(math.nan, 0.0, 1)
        assert one.worse(size**2, 0.0, 1) == (size == 1)


def test_a_search_that_is_late_keeps_what_was_found():
    columns, noise = rows(50, x=(-2.0, 2.0))
    targets = [target(name, columns, columns["x"] + noise[:, 0], "x", "sin(x)") for name in "ab"]
    late = Reporter().before(0.0)
    laws = joint_choice(targets, Failures(), late)
    assert [str(law.expression) for law in laws] == ["x", "x"]
    assert with_common_constants(targets, laws, Failures(), late)[0] == laws
