"""Parts that several formulas have in common: terms without their coefficients, and functions inside terms."""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple


class Keyed(NamedTuple):
    """An expression as a shape, in which all decimals (or free constants) are alike, and these in their order."""

    shape: str
    constants: tuple[Any, ...]


@functools.lru_cache(maxsize=10_000)
def keyed(node: Any, free: frozenset[Any] = frozenset()) -> Keyed:
    """The shape of an expression and its decimals, or the symbols of constants that are `free`.

    A cosine counts as a sine: they differ by a phase.
    """
    if node.is_Float or node in free:
        return Keyed("#", (node,))
    if not node.args:
        return Keyed(str(node), ())
    parts = [keyed(part, free) for part in node.args]
    if node.is_Add or node.is_Mul:
        parts.sort(key=lambda one: one.shape)
    name = "sin" if node.func.__name__ == "cos" else node.func.__name__
    constants = tuple(constant for one in parts for constant in one.constants)
    return Keyed(f"{name}({','.join(one.shape for one in parts)})", constants)


def multiplied_out(expression: Any) -> Any:
    """The expression as a sum of terms, with products of sums multiplied out, but not inside of functions."""
    from knotwork.expressions import algebra

    while True:
        terms = [algebra.expand(one, deep=False, **_ONLY_PRODUCTS) for one in algebra.Add.make_args(expression)]
        new = algebra.Add(*terms)
        if new == expression:
            return new
        expression = new


_ONLY_PRODUCTS = {
    "power_base": False, "power_exp": False, "log": False, "multinomial": False, "basic": False, "mul": True,
}  # fmt: skip


def terms_of(expression: Any) -> list[tuple[Any, Any]]:
    """The terms of a sum, each as its numerical coefficient and the rest."""
    from knotwork.expressions import algebra

    return [_split(term) for term in algebra.Add.make_args(expression)]


def _split(term: Any) -> tuple[Any, Any]:
    from knotwork.expressions import algebra

    factors = algebra.Mul.make_args(term)
    numbers = [one for one in factors if not one.free_symbols]
    rest = [one for one in factors if one.free_symbols]
    return algebra.Mul(*numbers), algebra.Mul(*rest)


def parts_within(node: Any) -> Iterator[Any]:
    """The expression and all parts of it that are written out, products without their numerical coefficient."""
    if node.is_Mul:
        coefficient, rest = _split(node)
        if coefficient != 1:
            yield from parts_within(rest)
            return
    if not node.args or not node.free_symbols:
        return
    yield node
    for part in node.args:
        yield from parts_within(part)


@dataclass(frozen=True)
class CommonPart:
    """A part of the formulas of several targets.

    Attributes:
        expression: the SymPy expression, a term without its coefficient or a function inside of terms.
        targets: the names of the targets whose formulas hold it.
    """

    expression: Any
    targets: tuple[str, ...]

    def __str__(self) -> str:
        from knotwork.expressions import round_constants, text

        return f"{text(round_constants(self.expression, 4))} in {', '.join(self.targets)}"


def common_parts(expressions: Sequence[Any], names: Sequence[str]) -> tuple[CommonPart, ...]:
    """The largest parts that formulas have in common, those of most targets first.

    Terms without their coefficients, and functions, powers, products and sums inside of terms. Parts of a part are not
    listed where the same targets have them.
    """
    from knotwork.expressions import complexity

    holders: dict[Any, list[str]] = {}
    for expression, name in zip(expressions, names, strict=True):
        forms = (expression, multiplied_out(expression))
        own = {part for form in forms for part in parts_within(form) if not part.is_Add or form is not part}
        own |= {term for form in forms for _, term in terms_of(form) if term.free_symbols}
        for part in own:
            holders.setdefault(part, []).append(name)
    common = [(part, tuple(own)) for part, own in holders.items() if len(own) > 1]
    common.sort(key=lambda one: (-complexity(one[0]), str(one[0])))
    kept = [
        CommonPart(part, own)
        for part, own in common
        if not any(other is not part and those == own and _holds(other, part) for other, those in common)
    ]
    return tuple(sorted(kept, key=lambda one: -len(one.targets)))


def _holds(whole: Any, part: Any) -> bool:
    """Whether a part is written inside of a larger one; factors of a product are, in any number."""
    if whole.is_Mul and part.is_Mul and set(part.args) <= set(whole.args):
        return True
    return bool(whole.has(part))


class Known:
    """The parts of formulas that were written down, which others may refer to."""

    def __init__(self) -> None:
        self.values: dict[str, set[tuple[float, ...]]] = {}

    def add(self, form: Any) -> None:
        """Write down one more formula."""
        for part in parts_within(form):
            shape, constants = keyed(part)
            self.values.setdefault(shape, set()).add(tuple(map(float, constants)))

    def bits(self, form: Any, symbol: float, constant: float) -> float:
        """Bits of the symbols and the decimals of a formula in which known parts are one symbol.

        Of a part that is known with other decimals, these are written, too.
        """
        from knotwork.expressions import algebra, complexity

        saved, again = self._saved(form)
        decimals = {float(one) for one in form.atoms(algebra.Float)}
        return (complexity(form) - saved) * symbol + len(decimals - again) * constant

    def _saved(self, node: Any) -> tuple[int, set[float]]:
        """Symbols that are saved in a part of a formula, and the decimals that need not be written again."""
        from knotwork.expressions import complexity

        if node.is_Mul:
            coefficient, rest = _split(node)
            if coefficient != 1:
                return self._saved(rest)
        if not node.args or not node.free_symbols:
            return 0, set()
        shape, constants = keyed(node)
        values = tuple(map(float, constants))
        if values in self.values.get(shape, ()):
            return complexity(node) - 1, set(values)
        found = [self._saved(part) for part in node.args]
        saved, again = sum(one for one, _ in found), set().union(*(one for _, one in found))
        whole = complexity(node) - 1 - len(values) if shape in self.values else 0
        return (saved, again) if again or saved >= whole else (whole, set())


def bits_together(forms: Sequence[tuple[Sequence[Any], float, float]]) -> float:
    """Bits of the formulas of all targets, each given as its forms, bits of a symbol and bits of a decimal.

    Formulas are written one after the other, the longest first; of each the form that takes the fewest bits.
    """
    known, total = Known(), 0.0
    for own, symbol, constant in sorted(forms, key=lambda one: (-len(str(one[0][-1])), str(one[0][-1]))):
        total += min(known.bits(form, symbol, constant) for form in own)
        for form in own:
            known.add(form)
    return total
