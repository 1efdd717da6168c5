"""The terms that sums and ratios are made of: products of powers of the inputs, some with a function of the inputs."""

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from knotwork.functions import NamedFunction
from knotwork.regression.settings import REGRESSION
from knotwork.regression.term_settings import TERMS

Powers = tuple[float, ...]
Constant = Callable[[float], Any]


@dataclass(frozen=True)
class Part:
    """A function of one or two inputs, as a factor of a term.

    `expression` makes it from the inputs' symbols and a maker of constants; `values` (n,) are those of the rows;
    `cost` counts its symbols. `logarithm_of` is the number of an input whose logarithm it is.
    """

    expression: Callable[[Sequence[Any], Constant], Any]
    values: Tensor
    cost: int
    logarithm_of: int | None = None


@dataclass(frozen=True)
class Term:
    """A product of powers of the inputs and, if there is one, of a part of this number in the table."""

    powers: Powers
    part: int | None = None


class TermTable:
    """The terms of a table: `values` (n, terms) on its rows, for inputs divided by `scales`, and their `costs`.

    Args:
        columns: The inputs, (n,) each.
        functions: What parts may be made of, beside powers.
        straight: Numbers of the inputs that enter terms as they are or not at all.
        most: Number of products of powers, and of terms with a part, at most; the simplest are taken.
    """

    def __init__(
        self, columns: Sequence[Tensor], functions: Sequence[NamedFunction], most: int, straight: Sequence[int] = ()
    ) -> None:
        self.most = most
        self.scales = [typical_size(column) for column in columns]
        self.columns = [column / scale for column, scale in zip(columns, self.scales, strict=True)]
        self.parts = sorted(_parts(columns, functions, straight), key=lambda part: part.cost)
        self.logarithms = {n: part.logarithm_of for n, part in enumerate(self.parts) if part.logarithm_of is not None}
        allowed = [[(1.0, 1)] if i in straight else _powers_of(column) for i, column in enumerate(columns)]
        products = list(_products(allowed, most))
        self.terms = [Term(powers) for powers, _ in products]
        values, costs = [self.product(powers) for powers, _ in products], [cost for _, cost in products]
        for number, n in self._with_parts(len(products)):
            self.terms.append(Term(products[n][0], number))
            values.append(values[n] * self.parts[number].values)
            costs.append(costs[n] + self.parts[number].cost)
        self.values, self.costs = torch.stack(values, 1), torch.tensor(costs, dtype=torch.float64)
        self.values[:, ~self.values.isfinite().all(0)] = 0.0  # never chosen

    def simplest(self, most: int) -> Tensor:
        """Whether a term is among this number of those without parts, or of those with one, (terms,)."""
        has_part = torch.tensor([term.part is not None for term in self.terms])
        rank = torch.where(has_part, has_part.cumsum(0), (~has_part).cumsum(0))
        return rank <= most

    @functools.cached_property
    def degrees(self) -> Tensor:
        """The degree of a term that is one of a polynomial, infinity for other terms, (terms,)."""
        whole = [term.part is None and all(p >= 0 and p == int(p) for p in term.powers) for term in self.terms]
        return torch.tensor(
            [sum(term.powers) if one else math.inf for one, term in zip(whole, self.terms, strict=True)]
        )

    def _with_parts(self, products: int) -> Iterator[tuple[int, int]]:
        """Numbers of a part and of a product, at most `most` pairs; parts of each cost have as many."""
        parts = itertools.groupby(range(len(self.parts)), lambda n: self.parts[n].cost)
        kinds = [list(numbers) for _, numbers in parts]
        for numbers in kinds:
            pairs = ((number, n) for n in range(products) for number in numbers)
            yield from itertools.islice(pairs, self.most // len(kinds))

    def product(self, powers: Powers) -> Tensor:
        """The product of powers of the scaled inputs, (n,)."""
        found = torch.ones_like(self.columns[0])
        for column, p in zip(self.columns, powers, strict=True):
            if p:
                found = found * column**p
        return found

    def value(self, term: Term) -> Tensor:
        """The values (n,) of a term of the scaled inputs."""
        found = self.product(term.powers)
        return found if term.part is None else found * self.parts[term.part].values

    def logarithm_of_scale(self, powers: Powers) -> float:
        """Logarithm of the factor by which a product of powers of the inputs exceeds that of the scaled ones."""
        return sum(p * math.log(scale) for p, scale in zip(powers, self.scales, strict=True) if p)


def typical_size(column: Tensor) -> float:
    """The geometric mean of the sizes of the values other than zero; 1 if there are none."""
    size = column[column != 0].abs()
    return float(size.log().mean().exp()) if len(size) else 1.0


def _powers_of(column: Tensor) -> list[tuple[float, int]]:
    """(power, cost) of the powers that an input may have in a term; roots need one sign, inverses no zero."""
    whole = [(1.0, 1), (2.0, 2), (3.0, 3), (4.0, 4)]
    if bool((column == 0).any()):
        return whole
    whole += [(-p, cost) for p, cost in whole]
    return whole if bool((column < 0).any()) else [*whole, (0.5, 2), (-0.5, 2), (1.5, 3), (-1.5, 3)]


def _products(allowed: Sequence[list[tuple[float, int]]], most: int) -> Iterator[tuple[Powers, int]]:
    """Products of powers with their costs, the simplest first; those of a cost that would be too many are left out."""
    count, largest = 0, sum(max(cost for _, cost in powers) for powers in allowed)
    for cost in range(largest + 1):
        found = list(itertools.islice(_of_cost(allowed, cost), max(most, len(allowed) * 20) + 1))
        count += len(found)
        if count > most and cost > 1:
            return
        yield from ((powers, cost) for powers in sorted(found, key=_unusual))


def _unusual(powers: Powers) -> tuple[int, int]:
    """How many powers are neither 0, 1 nor -1, and how many are negative: products of one cost come in this order."""
    return sum(p not in (0, 1, -1) for p in powers), sum(p < 0 for p in powers)


def _of_cost(allowed: Sequence[list[tuple[float, int]]], cost: int) -> Iterator[Powers]:
    if not allowed:
        if cost == 0:
            yield ()
        return
    for p, own in [(0.0, 0), *allowed[0]]:
        if own <= cost:
            for rest in _of_cost(allowed[1:], cost - own):
                yield (p, *rest)


@dataclass(frozen=True)
class _Argument:
    """What functions of parts are taken of: an input, or a product, ratio, difference or sum of two."""

    of: Callable[[Sequence[Any]], Any]
    values: Tensor
    cost: int
    input: int | None = None


def _parts(columns: Sequence[Tensor], functions: Sequence[NamedFunction], straight: Sequence[int]) -> Iterator[Part]:
    """Functions of arguments that are not too large, unless they are parabolas there; signless differences."""
    from knotwork.expressions import algebra, compose

    names = {function.name for function in functions}
    for argument in _arguments(columns, straight):
        u, of = argument.values, argument.of
        if "abs" in names and bool(u.min() < 0) and bool(u.max() > 0):
            yield Part(lambda s, _, of=of: algebra.Abs(of(s)), u.abs(), argument.cost + 1)
        if "log" in names and argument.input is not None and bool((u > 0).all()):
            yield Part(lambda s, _, of=of: algebra.log(of(s)), u.log(), 1, argument.input)
        if float(u.abs().max()) > TERMS.largest_argument:
            continue
        parabolas = torch.linalg.qr(torch.stack([torch.ones_like(u), u, u.square()], 1)).Q
        for name, text, function, cost in _FUNCTIONS:
            values = function(u)
            bend = float((values - parabolas @ (parabolas.T @ values)).norm())
            least = TERMS.least_bend * float((values - values.mean()).norm()) + 1e-12 * float(values.norm())
            if name in names and bend > least:
                write = lambda s, _, text=text, of=of: compose(text, of(s))  # noqa: E731
                yield Part(write, values, argument.cost + cost)


_FUNCTIONS: tuple[tuple[str, str, Callable[[Tensor], Tensor], int], ...] = (
    ("sin", "sin(x)", torch.sin, 1),
    ("sin", "cos(x)", torch.cos, 1),
    ("exp", "exp(x)", torch.exp, 1),
    ("exp", "exp(-x)", lambda u: (-u).exp(), 2),
)
"""Functions of parts: the name that the library must hold, text, values, cost."""


def _arguments(columns: Sequence[Tensor], straight: Sequence[int]) -> Iterator[_Argument]:
    bent = [i for i in range(len(columns)) if i not in straight]
    for i in bent:
        yield _Argument(lambda s, i=i: s[i], columns[i], 0, i)
    for i, j in itertools.combinations(bent if len(bent) <= REGRESSION.most_inputs_of_products else [], 2):
        a, b = columns[i], columns[j]
        if abs(math.log(typical_size(a) / typical_size(b))) < math.log(TERMS.largest_ratio_in_sums):
            yield _Argument(lambda s, i=i, j=j: s[i] - s[j], a - b, 1)
            yield _Argument(lambda s, i=i, j=j: s[i] + s[j], a + b, 1)
        yield _Argument(lambda s, i=i, j=j: s[i] * s[j], a * b, 1)
        if bool((b != 0).all()):
            yield _Argument(lambda s, i=i, j=j: s[i] / s[j], a / b, 1)
        if bool((a != 0).all()):
            yield _Argument(lambda s, i=i, j=j: s[j] / s[i], b / a, 1)
