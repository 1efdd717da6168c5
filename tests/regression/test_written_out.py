"""Sums of products of sums: a sum of few terms, with one constant for each."""

import numpy as np
import pytest
import torch

from knotwork.expressions import algebra, parse, symbol
from knotwork.formulas.constants import Constants, Sample, values_of
from knotwork.regression.written_out import written_out

COLUMNS = {name: torch.linspace(1, 3, 40, dtype=torch.float64) ** k for name, k in (("u", 1), ("v", 2))}


def template(text, **values):
    """A text whose names other than u and v are constants."""
    constant = Constants()
    inside = {symbol(name): constant(value) for name, value in values.items()}
    return constant.template(parse(text, [*COLUMNS, *values]).xreplace(inside))


def sample(text="u"):
    return Sample(COLUMNS, values_of(template(text), Sample(COLUMNS, COLUMNS["u"])))


def test_a_sum_of_products_inside_a_function_is_written_out():
    values = {"a": -0.999627, "b": 0.000373, "c": -1, "d": 2682.2, "e": 1}
    before = template("2*v + log(a*(b - u)*(v + c) + b*(u + d)*(v + e))", **values)
    after = written_out(before, sample())
    (inner,) = after.expression.atoms(algebra.log)
    assert len(algebra.Add.make_args(inner.args[0])) == 4
    np.testing.assert_allclose(values_of(after, sample()), values_of(before, sample()), rtol=1e-8)


@pytest.mark.parametrize(
    ("text", "values", "terms"),
    [
        ("(u + a)*(exp(b*v) + c) + (u + d)*(e - exp(k*v))", {"a": 1, "b": -0.5, "c": 2, "d": 3, "e": 7, "k": -0.5}, 3),
        ("(u + a)*(v + b) + c*u*v", {"a": 1.5, "b": 2.5, "c": -1}, 3),
        ("((u + a)**2 - b)*v + c", {"a": 1.5, "b": 2.25, "c": 0.5}, 3),
    ],
)
def test_products_are_multiplied_out_and_what_cancels_is_left_out(text, values, terms):
    before = template(text, **values)
    after = written_out(before, sample())
    assert len(algebra.Add.make_args(after.expression)) == terms
    np.testing.assert_allclose(values_of(after, sample()), values_of(before, sample()), rtol=1e-8)


@pytest.mark.parametrize("text", ["a*(u + b)", "exp(a*u + b)", "a*u + b*exp(v)", "a*u*v**2 + b"])
def test_what_is_no_sum_of_products_of_sums_stays_as_it_is(text):
    assert written_out(template(text, a=1.5, b=2.5), sample()) is None


def test_many_terms_are_none():
    text, values = "(u + a)*(u**2 + b)*(v + c)*(v**2 + d) + u", {"a": 1, "b": 2, "c": 3, "d": 4}
    assert written_out(template(text, **values), sample()) is None
