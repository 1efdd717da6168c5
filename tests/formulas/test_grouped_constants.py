"""Constants of groups are fitted as one least-squares problem, and their errors are those of its whole matrix."""

import numpy as np
import pytest
import torch

from knotwork.expressions import algebra, parse, symbol
from knotwork.formulas.constants import Sample
from knotwork.formulas.grouped_constants import (
    GroupedSample,
    GroupedTemplate,
    fitted_apart,
    fitted_together,
    with_uncertainty,
)

A, B, C = (algebra.Symbol(f"\0{n}", real=True) for n in range(3))
LAW = parse("a*exp(b*x) + c").xreplace({symbol("a"): A, symbol("b"): B, symbol("c"): C})


def rows(groups=6, each=15, noise=0.05, seed=1):
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(groups), each)
    x = rng.uniform(0, 3, groups * each)
    a, b = rng.uniform(1, 3, groups), rng.uniform(-2, -0.5, groups)
    y = a[group] * np.exp(b[group] * x) + 0.7 + noise * rng.normal(size=len(x))
    sample = Sample({"x": torch.tensor(x)}, torch.tensor(y))
    return GroupedSample(sample, torch.tensor(group), groups), (x, y, group, a, b)


def template(a, b, c=0.5):
    values = {s: torch.tensor(v, dtype=torch.float64) for s, v in ((A, a), (B, b))}
    return GroupedTemplate(LAW, {C: c}, values)


def test_constants_and_errors_are_those_of_scipy():
    """Against scipy.optimize.curve_fit on one vector of all constants."""
    from scipy.optimize import curve_fit

    grouped, (x, y, group, a, b) = rows()
    fit = with_uncertainty(fitted_together(template(a, b), grouped), grouped)
    count = grouped.count

    def law(x, *p):
        return np.array(p[1 : count + 1])[group] * np.exp(np.array(p[count + 1 :])[group] * x) + p[0]

    best, covariance = curve_fit(law, x, y, p0=[0.5, *a, *b], xtol=1e-14, ftol=1e-14, gtol=1e-14)
    errors = np.sqrt(np.diag(covariance))
    assert fit.shared[C] == pytest.approx(best[0], rel=1e-6)
    np.testing.assert_allclose(fit.differing[A], best[1 : count + 1], rtol=1e-6)
    np.testing.assert_allclose(fit.differing[B], best[count + 1 :], rtol=1e-6)
    for g, one in enumerate(fit.uncertainty):
        own = [0, 1 + g, 1 + count + g]
        # the Jacobian of curve_fit is a finite difference, good to some 1e-8 of each derivative
        np.testing.assert_allclose(one.covariance(), covariance[np.ix_(own, own)], rtol=1e-4)
        np.testing.assert_allclose(one.errors(), errors[own], rtol=1e-4)


def test_each_group_apart_is_the_fit_of_that_group_alone():
    from knotwork.formulas.constants import Template, fitted

    grouped, (_, _, _, a, b) = rows()
    start = Template(LAW, {A: 2.0, B: -1.0, C: 0.5})
    apart = fitted_apart([start], grouped)
    for g in range(grouped.count):
        alone = fitted(Template(LAW, {A: a[g], B: b[g], C: 0.7}), grouped.of(g))
        for s in (A, B, C):
            assert float(apart.differing[s][g]) == pytest.approx(alone.values[s], rel=1e-4)


def test_constants_that_only_a_product_determines_have_infinite_errors():
    """In a·b[g]·x neither a nor any b is determined; the shared offset c is."""
    grouped, _ = rows()
    law = parse("a*b*x + c").xreplace({symbol("a"): A, symbol("b"): B, symbol("c"): C})
    start = GroupedTemplate(law, {A: 1.0, C: 0.0}, {B: torch.ones(grouped.count, dtype=torch.float64)})
    fit = with_uncertainty(fitted_together(start, grouped), grouped)
    for one in fit.uncertainty:
        errors = dict(zip((A, C, B), one.errors(), strict=True))
        assert errors[A] == errors[B] == float("inf") and 0 < errors[C] < 1


def test_a_constant_that_one_group_does_not_determine_has_an_infinite_error_there_alone():
    grouped, (x, y, group, a, b) = rows(groups=3)
    x = np.where(group == 1, 0.5, x)  # one place: amplitude and rate cannot be told apart
    sample = Sample({"x": torch.tensor(x)}, torch.tensor(y))
    grouped = GroupedSample(sample, grouped.group, 3)
    fit = with_uncertainty(fitted_together(template(a, b), grouped), grouped)
    finite = [all(np.isfinite(one.errors())) for one in fit.uncertainty]
    assert finite == [True, False, True]


@pytest.mark.parametrize("relative", [False, True])
def test_exact_rows_give_exact_constants(relative):
    grouped, (x, _, group, a, b) = rows(noise=0.0)
    y = torch.tensor(a[group] * np.exp(b[group] * x) + 0.7)
    grouped = GroupedSample(Sample({"x": torch.tensor(x)}, y, relative), grouped.group, grouped.count)
    fit = fitted_together(template(a * 1.1, b * 0.9), grouped)
    assert fit.shared[C] == pytest.approx(0.7, rel=1e-8)
    np.testing.assert_allclose(fit.differing[B], b, rtol=1e-8)
