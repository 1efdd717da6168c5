"""Formulas near one that is known: a term more or less, other functions, inputs in place of constants."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

from knotwork.discovery.settings import DISCOVERY
from knotwork.formulas.constants import Constants, Sample, Template, fitted, simplified
from knotwork.formulas.settings import FORMULAS
from knotwork.functions import NamedFunction
from knotwork.regression import REGRESSION, CandidateFormula, Failures
from knotwork.training import Reporter

Values = dict[Any, float]


def as_written(expression: Any) -> Template:
    """An expression with a constant for each of its decimals."""
    from knotwork.expressions import parametrise

    general, symbols, values = parametrise(expression)
    return Template(general, dict(zip(symbols, values, strict=True)))


def loosened(expression: Any) -> Template:
    """The same with a constant of its own at every place, also for whole numbers but 1 that multiply or are added."""
    from knotwork.expressions import algebra

    constants = Constants()

    def loose(node: Any, free: bool) -> Any:
        if isinstance(node, algebra.Float) or (free and node.is_Rational and abs(node) != 1):
            return constants(float(node))
        if not node.args:
            return node
        inside = isinstance(node, (algebra.Add, algebra.Mul))
        return node.func(*(loose(part, inside) for part in node.args))

    return constants.template(loose(expression, False))


def neighbours(
    template: Template, sample: Sample, functions: Sequence[NamedFunction]
) -> Iterator[tuple[str, Template]]:
    """Formulas that differ from this one in one part, with what was done in words, and constants to start from."""
    fresh = _Fresh(template)
    positive = {name for name, column in sample.columns.items() if bool((column > 0).all())}
    yield from without_parts(template)
    yield from _with_other_functions(template, fresh, functions)
    yield from _with_powers(template, fresh, sample.columns, positive)
    yield from _with_terms(template, fresh, sample.columns, functions, positive)


class _Fresh:
    """New constants of a template."""

    def __init__(self, template: Template) -> None:
        self.taken, self.count = {symbol.name for symbol in template.values}, 0

    def __call__(self) -> Any:
        from knotwork.expressions import algebra

        self.count += 1
        while f"\0new {self.count}" in self.taken:
            self.count += 1
        return algebra.Symbol(f"\0new {self.count}", real=True)


def _like(template: Template, expression: Any, new: Values | None = None) -> Template:
    """The expression with those constants of the template, and new ones, that it holds."""
    held = expression.free_symbols
    return Template(expression, {s: v for s, v in {**template.values, **(new or {})}.items() if s in held})


def _changed(template: Template, change: Mapping[Any, Any]) -> Any | None:
    """The expression with these parts replaced; None where a maximum of a complex number would be left."""
    try:
        return template.expression.xreplace(dict(change))
    except (TypeError, ValueError):
        return None


def without_parts(template: Template) -> Iterator[tuple[str, Template]]:
    """Without one of the terms of a sum, or one of the factors of a product."""
    from knotwork.expressions import algebra

    for node in _nodes(template.expression):
        if isinstance(node, (algebra.Add, algebra.Mul)):
            for part in node.args:
                rest = node.func(*(one for one in node.args if one is not part))
                if (other := _changed(template, {node: rest})) is not None:
                    yield "a part less", _like(template, other)


def _with_other_functions(
    template: Template, fresh: _Fresh, functions: Sequence[NamedFunction]
) -> Iterator[tuple[str, Template]]:
    """With another function of a multiple of the same argument."""
    from knotwork.expressions import compose

    for node in _nodes(template.expression):
        if node.is_Function and len(node.args) == 1:
            for function in functions:
                times = fresh()
                other = _changed(template, {node: compose(function.expression, times * node.args[0])})
                for start in () if other is None else (1.0,) if function.power is not None else (1.0, -1.0):
                    yield "another function", _like(template, other, {times: start})


def _with_powers(
    template: Template, fresh: _Fresh, columns: Mapping[str, Tensor], positive: set[str]
) -> Iterator[tuple[str, Template]]:
    """With a power of an input beside a constant: a free one where the input is positive."""
    from knotwork.expressions import algebra, symbol

    for constant in template.values:
        for name in columns:
            if name in positive:
                power = fresh()
                times = {constant: constant * symbol(name) ** power}
                new = _like(template, template.expression.xreplace(times), {power: 0.0})
                yield "an input in place of a constant", new
                continue
            for exponent in (1, 2):
                times = {constant: constant * symbol(name) ** algebra.Integer(exponent)}
                yield "an input in place of a constant", _like(template, template.expression.xreplace(times))


def _with_terms(
    template: Template,
    fresh: _Fresh,
    columns: Mapping[str, Tensor],
    functions: Sequence[NamedFunction],
    positive: set[str],
) -> Iterator[tuple[str, Template]]:
    """With one more term, which is 0 at first: a power, a product of two inputs, or a function of one."""
    from knotwork.expressions import algebra, compose, symbol

    inputs = [symbol(name) for name in columns]
    terms: list[tuple[Any, Values]] = [(algebra.Integer(1), {})]
    for n, x in enumerate(inputs):
        terms += [(x, {}), (x**2, {}), *((x * other, {}) for other in inputs[n + 1 :])]
        if str(x) in positive:
            terms.append((1 / x, {}))
        for function in functions:
            if function.everywhere and function.name not in ("x", "x^2"):
                inside = fresh()
                terms.append((compose(function.expression, inside * x), {inside: 1.0}))
    for term, new in terms:
        factor = fresh()
        yield "a term more", _like(template, template.expression + factor * term, {**new, factor: 0.0})


def _nodes(expression: Any) -> Iterator[Any]:
    """The nodes of an expression, each once, the outermost first."""
    seen, waiting = set(), [expression]
    while waiting:
        node = waiting.pop(0)
        if node not in seen:
            seen.add(node)
            yield node
            waiting += node.args


class NeighbourSearch:
    """Formulas found by going on from known ones, step by step to the best neighbour, as long as bits are saved."""

    words = "the formula to start from"

    def __init__(
        self, sample: Sample, functions: Sequence[NamedFunction], failures: Failures, reporter: Reporter
    ) -> None:
        self.sample, self.functions, self.failures, self.reporter = sample, functions, failures, reporter
        self.some = sample.first(DISCOVERY.rows_of_neighbours)

    def alone(self, expression: Any) -> Iterator[CandidateFormula]:
        """The formula refitted, as it is written and with its whole numbers free."""
        for template in (as_written(expression), loosened(expression)):
            found = self.refitted(self.words, template)
            if found is not None:
                yield found

    def from_formula(self, expression: Any) -> Iterator[CandidateFormula]:
        """The formula refitted, then the formulas of every step from it."""
        yield from (found := list(self.alone(expression)))
        best = min(found, key=lambda one: one.bits, default=None)
        for _ in range(DISCOVERY.steps_to_neighbours):
            if best is None or self.reporter.late or best.error <= FORMULAS.exact_error * self.sample.scale:
                return
            better = self.best_neighbour(best)
            if better is None or better.bits >= best.bits:
                return
            yield better
            best = better

    def refitted(self, words: str, template: Template) -> CandidateFormula | None:
        """A formula with its constants fitted to all rows, and simple numbers in their place where rows allow it."""

        def made() -> CandidateFormula | None:
            fit = fitted(template, self.sample)
            if not fit.mse < float("inf"):
                return None
            whole = CandidateFormula.of(words, fit, self.sample)
            simple = CandidateFormula.of(words, simplified(fit, self.sample), self.sample)
            return min(whole, simple, key=lambda one: one.bits)

        return self.failures.attempt(made)

    def best_neighbour(self, formula: CandidateFormula) -> CandidateFormula | None:
        """The best of all neighbours of a formula; those that come first on some rows are fitted to all."""
        tried = []
        for words, template in self.reporter.timely(neighbours(formula.template, self.some, self.functions)):
            if not template.expression.free_symbols - set(template.values):
                continue

            def made(words: str = words, template: Template = template) -> CandidateFormula:
                return CandidateFormula.of(
                    f"a formula near another: {words}",
                    fitted(template, self.some, DISCOVERY.steps_of_neighbours),
                    self.some,
                )

            one = self.failures.attempt(made)
            if one is not None and one.bits < float("inf"):
                tried.append(one)
        near = sorted(tried, key=lambda one: one.bits)[: REGRESSION.most_rounded]
        whole = [self.refitted(one.structure, one.template) for one in self.reporter.timely(near)]
        return min((one for one in whole if one is not None), key=lambda one: one.bits, default=None)
