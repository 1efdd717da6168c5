"""Linear systems of fractions, with exact solutions."""

from collections.abc import Sequence
from fractions import Fraction

import sympy
from sympy.polys.matrices import DomainMatrix

Vector = Sequence[Fraction]


def solve_exactly(columns: Sequence[Vector], targets: Sequence[Vector]) -> list[list[Fraction] | None]:
    """For every target the coefficients of the linear combination of columns that equals it; None where there is none.

    Columns and targets are vectors of the same length. Where columns are linearly dependent, the later ones get 0.
    """
    rows = len((*columns, *targets)[0])
    table = [[vector[row] for vector in (*columns, *targets)] for row in range(rows)]
    return _reduced(table, len(columns), len(targets))


def _reduced(table: list[list[Fraction]], unknowns: int, targets: int) -> list[list[Fraction] | None]:
    if not table:
        return [[Fraction(0)] * unknowns] * targets
    entries = [[sympy.QQ(value.numerator, value.denominator) for value in row] for row in table]
    form, pivots = DomainMatrix(entries, (len(table), unknowns + targets), sympy.QQ).rref()
    reduced = [[Fraction(int(value.numerator), int(value.denominator)) for value in row] for row in form.to_list()]
    used = [pivot for pivot in pivots if pivot < unknowns]
    found: list[list[Fraction] | None] = []
    for target in range(unknowns, unknowns + targets):
        if any(row[target] for row in reduced[len(used) :]):
            found.append(None)
            continue
        coefficients = [Fraction(0)] * unknowns
        for row, pivot in zip(reduced, used, strict=False):
            coefficients[pivot] = row[target]
        found.append(coefficients)
    return found
