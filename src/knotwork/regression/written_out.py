"""Sums of products of sums, with their products multiplied out: a sum of few terms is often the shorter form."""

from typing import Any

from knotwork.formulas.constants import Constants, Sample, Template, values_of
from knotwork.regression.settings import REGRESSION
from knotwork.sizes import root_mean_square


def written_out(template: Template, sample: Sample) -> Template | None:
    """The template with a sum of terms, one constant before each, in place of its first sum of products, to be fitted
    again; None if there is none.

    The curves of a sum of several products are known only up to linear combinations of those of one input:
    (u + 1)(exp(v) - v) + (u - 1)(exp(v) + v) is 2·u·exp(v) - 2·v. Terms that cancel are left out.
    """
    from knotwork.expressions import algebra

    sums = (part for part in algebra.preorder_traversal(template.expression) if part.is_Add)
    products = next((part for part in sums if _multiplied_out(part) != part), None)
    if products is None:
        return None
    whole = _multiplied_out(products.xreplace(_equal_inside(template)))
    sizes: dict[Any, Any] = {}  # of each term, by the part of it that varies
    for term in algebra.Add.make_args(whole):
        size, part = algebra.Integer(1), algebra.Integer(1)
        for factor in algebra.Mul.make_args(term):
            if factor.free_symbols <= template.values.keys():
                size = size * factor
            else:
                part = part * factor
        sizes[part] = sizes.get(part, 0) + size
    if not 1 < len(sizes) <= REGRESSION.most_terms_written_out:
        return None
    constant = Constants()
    size_of_all = float(root_mean_square(values_of(Template(products, template.values), sample)))
    inner = {symbol: constant(value) for symbol, value in template.values.items()}
    total: Any = algebra.Integer(0)
    for part, size in sizes.items():
        value = Template(size, template.values).filled()
        if not (value.is_extended_real and value.is_finite):
            return None
        alone = float(root_mean_square(values_of(Template(part, template.values), sample)))
        if abs(float(value)) * alone > REGRESSION.cancelled_term * size_of_all:
            total = total + constant(float(value)) * part.xreplace(inner)
    place = algebra.Dummy()
    return constant.template(template.expression.xreplace({products: place}).xreplace(inner).xreplace({place: total}))


def _multiplied_out(expression: Any) -> Any:
    """A sum of products of sums as a sum of terms; what is inside functions and roots stays as it is."""
    from knotwork.expressions import algebra

    roots = {one for one in expression.atoms(algebra.Pow) if not one.exp.is_Integer}
    inside = {one: algebra.Dummy() for one in expression.atoms(algebra.Function) | roots}
    outside = algebra.expand_mul(algebra.expand_multinomial(expression.xreplace(inside)))
    return outside.xreplace({place: one for one, place in inside.items()})


def _equal_inside(template: Template) -> dict[Any, Any]:
    """Constants inside functions that are equal but for rounding to an earlier one, which each of them becomes."""
    from knotwork.expressions import algebra

    functions = template.expression.atoms(algebra.Function)
    inside = {one for function in functions for one in function.free_symbols}
    kept: dict[Any, float] = {}
    found: dict[Any, Any] = {}
    for symbol, value in template.values.items():
        if symbol in inside:
            same = next((one for one, v in kept.items() if abs(v - value) < REGRESSION.equal_inside * abs(value)), None)
            if same is None:
                kept[symbol] = value
            else:
                found[symbol] = same
    return found
