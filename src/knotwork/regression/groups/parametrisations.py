"""The same law in other constants: simple numbers freed, sums divided by one of their constants, constants collected.

Which constants groups share depends on how a law is written: V·x/(K + x) has a K of its own, 1/(a + b/x) has not.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

Values = dict[Any, Tensor]


class _Writer:
    """Writes an expression in constants of its own; `values` has the values (K,) of each, for K sets of constants.

    `chosen` is the number of the way in which sum number `place` is written; `ways` counts those of every sum.
    """

    def __init__(self, values: Mapping[Any, Tensor], place: int = -1, chosen: int = 0) -> None:
        self.values, self.place, self.chosen = dict(values), place, chosen
        self.like = next(iter(values.values())) if values else torch.zeros(1, dtype=torch.float64)
        self.ways: list[int] = []

    def constant(self, expression: Any) -> Any:
        """One symbol for an expression that holds nothing but constants; plain numbers stay."""
        from knotwork.expressions import algebra, to_torch

        if expression in self.values or not expression.free_symbols:
            return expression
        names = [symbol.name for symbol in self.values]
        found = algebra.Symbol(f"\1{len(self.values)}", real=True)
        self.values[found] = to_torch(expression, names)(*self.values.values())
        return found

    def is_constant(self, expression: Any) -> bool:
        return expression.free_symbols <= self.values.keys()

    def way(self, count: int) -> int:
        """The way in which the next sum is written, 0 for the first one."""
        self.ways.append(count)
        return self.chosen if len(self.ways) - 1 == self.place else 0

    def parted(self, expression: Any) -> tuple[Any, Any]:
        """The constant factor and the rest of a term."""
        from knotwork.expressions import algebra

        factors = algebra.Mul.make_args(expression)
        known = [factor for factor in factors if self.is_constant(factor)]
        return algebra.Mul(*known), algebra.Mul(*(factor for factor in factors if factor not in known))

    def sum(self, expression: Any, divided: bool) -> tuple[Any, Any]:
        """A factor and a sum whose product is the expression. Where `divided`, one constant is always taken out."""
        from knotwork.expressions import algebra

        terms: dict[Any, Any] = {}
        for term in expression.args:
            known, rest = self.parted(self.written(term))
            terms[rest] = terms.get(rest, algebra.Integer(0)) + known
        parts = [(self.constant(known), rest) for rest, known in sorted(terms.items(), key=lambda one: str(one[0]))]
        outside = [known for known, rest in parts if known.free_symbols or divided]
        if not divided:
            outside.insert(0, algebra.Integer(1))
        elif any(known == 1 for known, _ in parts):
            outside = [algebra.Integer(1), *(known for known in outside if known.free_symbols)]
        factor = outside[self.way(len(outside))]
        return factor, algebra.Add(*(self.constant(known / factor) * rest for known, rest in parts))

    def written(self, expression: Any) -> Any:
        """The expression in the constants of the writer."""
        from knotwork.expressions import algebra

        if self.is_constant(expression):
            return self.constant(expression)
        if expression.is_Symbol:
            return expression
        if isinstance(expression, algebra.Mul):
            known, rest = self.parted(algebra.Mul(*(self.factor(one) for one in expression.args)))
            return self.constant(known) * rest
        if isinstance(expression, algebra.Add):
            factor, rest = self.sum(expression, divided=False)
            return factor * rest
        if isinstance(expression, algebra.Pow):
            return self.factor(expression)
        if isinstance(expression, algebra.exp):
            return self.exponential(expression)
        return expression.func(*(self.written(argument) for argument in expression.args))

    def factor(self, expression: Any) -> Any:
        """A factor of a product, with the constant that can be taken out in front."""
        from knotwork.expressions import algebra

        base, exponent = expression.args if isinstance(expression, algebra.Pow) else (expression, 1)
        if self.is_constant(expression) or not isinstance(base, (algebra.Add, algebra.Mul)):
            return self.written(expression) if base is expression else self.written(base) ** self.written(exponent)
        known, rest = self.sum(base, divided=True) if isinstance(base, algebra.Add) else self.parted(self.written(base))
        power = algebra.Integer(1) if exponent == 1 else self.written(exponent)
        positive = power.is_Integer or self.positive(known)
        return self.constant(known**power) * rest**power if positive else (known * rest) ** power

    def positive(self, known: Any) -> bool:
        """Whether a constant is above zero in every set."""
        return bool(known > 0) if known.is_Number else bool((self.values[self.constant(known)] > 0).all())

    def exponential(self, expression: Any) -> Any:
        """exp(a + b x) as a constant times exp(b x)."""
        from knotwork.expressions import algebra

        terms = algebra.Add.make_args(expression.args[0])
        known = algebra.Add(*(term for term in terms if self.is_constant(term)))
        rest = algebra.Add(*(term for term in terms if not self.is_constant(term)))
        outside = self.constant(algebra.exp(known)) if self.way(2) == 0 else None
        if known == 0 or outside is None or not _usable(self.values.get(outside)):
            return algebra.exp(self.written(expression.args[0]))
        return outside * algebra.exp(self.written(rest))


def _usable(values: Tensor | None) -> bool:
    return values is None or bool((values.isfinite() & (values != 0)).all())


def parametrisations(expression: Any, values: Mapping[Any, Tensor], most: int) -> Iterator[tuple[Any, Values]]:
    """The expression in at most this number of sets of constants, with the values (K,) of the constants of each."""
    seen: set[str] = set()
    first = _collected(expression, values)
    queue = [first]
    _, _, ways = first
    for place, count in enumerate(ways):
        queue.extend(_collected(expression, values, place, chosen) for chosen in range(1, count))
    for found, own, _ in queue:
        if (
            len(seen) < most
            and all(_usable(one) or bool((one == 0).any()) for one in own.values())
            and str(found) not in seen
        ):
            seen.add(str(found))
            yield found, own


def _collected(
    expression: Any, values: Mapping[Any, Tensor], place: int = -1, chosen: int = 0
) -> tuple[Any, Values, list[int]]:
    """The expression with one of its sums written in another way, its constants numbered in order, and all ways."""
    from knotwork.expressions import algebra

    writer = _Writer(values, place, chosen)
    found = writer.written(expression)
    again = _Writer(writer.values)
    known, rest = again.parted(found)
    found = again.constant(known) * rest
    used = sorted((s for s in found.free_symbols if s in again.values), key=str)
    new = [algebra.Symbol(f"\0{n}", real=True) for n in range(len(used))]
    own = {s: again.values[old] for s, old in zip(new, used, strict=True)}
    return found.xreplace(dict(zip(used, new, strict=True))), own, writer.ways


def generalised(
    expression: Any, values: Mapping[Any, float], positive: Mapping[Any, bool]
) -> Iterator[tuple[Any, dict[Any, float]]]:
    """The expression, also with constants in place of its factors, and of the powers of inputs that are positive."""
    yield expression, dict(values)
    for powers in (False, True):
        free = _Freed(values, positive if powers else {})
        found = free.freed(expression)
        if not any(free.made and s in free.made for s in found.args if found.is_Mul):
            found = free.new(1.0) * found
        yield found, free.values


class _Freed:
    """Puts constants in place of the simple numbers of an expression."""

    def __init__(self, values: Mapping[Any, float], positive: Mapping[Any, bool]) -> None:
        self.values, self.positive, self.made = dict(values), positive, set()

    def new(self, value: float) -> Any:
        from knotwork.expressions import algebra

        found = algebra.Symbol(f"\2{len(self.values)}", real=True)
        self.values[found] = value
        self.made.add(found)
        return found

    def freed(self, expression: Any) -> Any:
        from knotwork.expressions import algebra, constant_value

        if expression.is_Symbol:
            return expression
        if not expression.free_symbols:
            return self.new(constant_value(expression))
        if isinstance(expression, algebra.Pow) and not expression.exp.free_symbols:
            free = self.positive.get(expression.base, False)
            return self.freed(expression.base) ** (self.new(constant_value(expression.exp)) if free else expression.exp)
        if isinstance(expression, algebra.Mul):
            rest = [one for one in expression.args if one.free_symbols]
            known = constant_value(algebra.Mul(*(one for one in expression.args if not one.free_symbols)))
            has = any(one in self.values for one in rest)
            return algebra.Mul(algebra.Integer(1) if has else self.new(known), *map(self.freed, rest))
        if isinstance(expression, algebra.Add):
            return algebra.Add(*map(self.freed, expression.args))
        arguments = [self.freed(one) for one in expression.args]
        own = [one if any(s in self.values for s in one.free_symbols) else self.new(1.0) * one for one in arguments]
        return expression.func(*own)
