"""Candidate formulas from fitted structures: each curve gets a name, then all constants are fitted together."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor

from knotwork.formulas.constants import Constants, Sample, Template, fitted, simplified, values_of
from knotwork.formulas.settings import FORMULAS
from knotwork.functions import NamedFunction
from knotwork.regression.curve_names import EXPONENTIAL, IDENTITY, CurveName, names_of_curve
from knotwork.regression.ridges import Ridges, equivalent_powers
from knotwork.regression.searched_names import SearchedName, searched_names
from knotwork.regression.settings import REGRESSION
from knotwork.regression.span_names import span_template
from knotwork.regression.structures import Rows, Structure, StructureFit, StructureProblem
from knotwork.regression.written_out import written_out
from knotwork.training import Reporter

AnyName = CurveName | SearchedName
CURVES = {1: "a curve", 2: "two curves"}


@dataclass(frozen=True)
class CandidateFormula:
    """An expression of the target with fitted constants.

    `structure` describes in words where it comes from. `bits` is the description length of residuals and expression, up
    to a constant of the table; smaller is better. `complexity` counts the symbols of the expression, decimals twice.
    """

    structure: str
    template: Template
    bits: float
    complexity: int

    @classmethod
    def of(cls, structure: str, template: Template, sample: Sample) -> "CandidateFormula":
        """From a fitted template.

        A decimal costs as much as two simple numbers. Constants that were replaced by simple numbers save no more bits
        than the chance of that tells (`Template.doubt`).
        """
        from knotwork.expressions import complexity

        n = len(sample)
        error = math.sqrt(template.mse) + FORMULAS.exact_error * sample.scale
        length = complexity(template.expression) + len(template.values)
        return cls(structure, template, n * math.log2(error) + length * math.log2(n) + template.doubt, length)

    @property
    def error(self) -> float:
        """Root mean squared residual on the rows it was fitted to."""
        return math.sqrt(self.template.mse)

    def negated(self) -> "CandidateFormula":
        """The formula of the negative target."""
        return replace(self, template=replace(self.template, expression=-self.template.expression))


Formulas = Callable[[], Iterator[CandidateFormula]]


@dataclass(frozen=True, eq=False)
class Unnamed:
    """A fitted structure to be named: its validation error, without and with a penalty for curves; its residuals (n,).

    `formulas` have single functions as names of its curves, `deeper` sums and compositions.
    """

    error: float
    penalised: float
    residuals: Tensor
    formulas: Formulas
    deeper: Formulas


class StructureFormulas:
    """The formulas of a fitted structure: `quick` with single functions as names of its curves, or `deeper`."""

    def __init__(
        self, fit: StructureFit, rows: Rows, sample: Sample, functions: Sequence[NamedFunction], reporter: Reporter
    ) -> None:
        self.fit, self.rows, self.sample, self.functions, self.reporter = fit, rows, sample, functions, reporter

    @cached_property
    def naming(self) -> "_StructureNaming":
        """The structure with the curves that are named."""
        return _StructureNaming(self.fit, self.rows, self.sample, self.functions, self.reporter)

    def quick(self) -> Iterator[CandidateFormula]:
        """The formula of the spaces of its curves, and the best with single functions as names, if there are such."""
        naming = self.naming
        template = span_template(naming.problem, naming.curves, naming.symbols, self.functions, self.fit.error)
        if template is not None and math.isfinite((whole := fitted(template, self.sample)).mse):
            yield CandidateFormula.of(str(naming.structure), simplified(whole, self.sample), self.sample)
        yield from self._formulas(naming.quick_names)

    def deeper(self) -> Iterator[CandidateFormula]:
        """The best with sums and compositions of functions too, for curves that no single function fits, if any."""
        searched = self.naming.searched_names()
        return iter(()) if searched is None else self._formulas(searched)

    def _formulas(self, names: list[list[AnyName]]) -> Iterator[CandidateFormula]:
        naming, error = self.naming, self.fit.error * self.rows.scale
        if all(row or constant for row, constant in zip(names, naming.constant, strict=True)):
            yield from _best(str(naming.structure), partial(naming.template, names), names, self.sample, error)


class _StructureNaming:
    """A fitted structure whose curves are given names. The exponential of a sum becomes a product of curves."""

    def __init__(
        self, fit: StructureFit, rows: Rows, sample: Sample, functions: Sequence[NamedFunction], reporter: Reporter
    ) -> None:
        self.error, self.rows, self.symbols, self.reporter = fit.error, rows, _symbols(sample), reporter
        self.functions, self.accuracy = functions, _accuracy(fit.error)
        self.structure, coefficients = fit.structure, fit.coefficients
        if self.structure.linear and self.structure.outer is EXPONENTIAL:
            self.structure, coefficients = _as_product(fit, rows)
        terms = self.structure.terms
        self.problem = StructureProblem(rows, self.structure)
        self.curves = self.problem.curves(coefficients)
        self.in_sum = [k >= 0 and len(terms[k]) == 1 and len(terms) > 1 for k, _ in self.problem.places]
        shares = _shares(self.problem, self.curves)
        self.constant = []
        for n, (k, i) in enumerate(self.problem.places):
            noise = _relative_noise(self.error, rows, i) / (1.0 if self.in_sum[n] else shares[k])
            self.constant.append(_is_constant(self.curves[:, n], noise, self.in_sum[n], self.problem.target))

    def values(self, n: int) -> tuple[Tensor, Tensor]:
        """The inputs and the values of curve n in the training rows."""
        return self.rows.axes[self.problem.places[n][1]].values[: self.rows.train], self.curves[:, n]

    @cached_property
    def quick_names(self) -> list[list[AnyName]]:
        """Single functions as names of each curve, none for a curve that is a constant or that nothing fits."""
        found: list[list[AnyName]] = []
        for n, (constant, in_sum) in enumerate(zip(self.constant, self.in_sum, strict=True)):
            options = (self.functions, self.accuracy, in_sum, self.rows.relative and not in_sum)
            found.append([] if constant else [*names_of_curve(*self.values(n), *options)])
        return found

    def searched_names(self) -> list[list[AnyName]] | None:
        """Names with sums and compositions for curves that no single function fits; None if there are no such curves.

        They are searched for where the structure fits well enough.
        """
        least = [min((name.error for name in names), default=math.inf) for names in self.quick_names]
        most = REGRESSION.unnamed_error * self.accuracy
        far = [n for n, error in enumerate(least) if error > most and not self.constant[n]]
        if not far or self.error >= REGRESSION.early_error_of_sums:
            return None
        found = list(self.quick_names)
        for n in far:
            more = searched_names(*self.values(n), self.functions, self.accuracy, self.in_sum[n], self.reporter)
            found[n] = sorted([*found[n], *more], key=lambda name: name.score)
        return found

    def template(self, names: Sequence[Sequence[AnyName]], chosen: Sequence[int]) -> Template:
        """The expression with one of the names for each curve, its constants those of the curves."""
        constant = Constants()
        scale = [self.problem.size] + [1.0] * len(self.structure.terms)  # of the whole, and of each term
        factors: list[list[Any]] = [[] for _ in range(len(self.structure.terms) + 1)]
        offset = 0.0
        for n, (k, i) in enumerate(self.problem.places):
            if not names[n]:
                mean = float(self.curves[:, n].mean())
                if self.in_sum[n]:
                    offset += scale[0] * mean
                    scale[k + 1] = 0.0
                else:
                    scale[k + 1] *= mean
                continue
            name = names[n][chosen[n]]
            if self.in_sum[n]:
                expression, added = name.sum_term(self.symbols[i], constant, scale[0])
                offset += added
            else:
                expression, size = name.factor(self.symbols[i], constant)
                scale[k + 1] *= size
            factors[k + 1].append(expression)
        return constant.template(self._expression(factors, scale, offset, constant))

    def _expression(self, factors: list[list[Any]], scale: list[float], offset: float, constant: Constants) -> Any:
        from knotwork.expressions import algebra

        summed = {k for (k, _), in_sum in zip(self.problem.places, self.in_sum, strict=True) if in_sum}
        total: Any = constant(offset) if summed else algebra.Integer(0)
        for k in range(len(self.structure.terms)):
            if scale[k + 1] == 0:
                continue
            size = scale[0] * scale[k + 1]
            if k in summed and factors[k + 1]:
                total = total + factors[k + 1][0]
            else:
                total = total + constant(size) * algebra.Mul(*factors[k + 1])
        return self.structure.outer.expression(algebra.Mul(*factors[0]) * total)


def _as_product(fit: StructureFit, rows: Rows) -> tuple[Structure, Tensor]:
    """The exponential of a sum of curves as a product of curves, with coefficients fitted to the target itself."""
    logarithms = StructureProblem(rows, fit.structure)
    logs = logarithms.curves(fit.coefficients)
    structure = Structure(IDENTITY, (tuple(i for (i,) in fit.structure.terms),))
    problem = StructureProblem(rows, structure)
    share = math.log(1 / problem.size) / len(fit.structure.terms)
    start = torch.stack(
        [axis.coefficients((logarithms.size * logs[:, n] + share).exp()) for n, axis in enumerate(problem.axes)]
    )
    return structure, problem.improved(start, REGRESSION.product_steps)[0]


def _symbols(sample: Sample) -> list[Any]:
    from knotwork.expressions import symbol

    return [symbol(name) for name in sample.columns]


def _accuracy(error: float) -> float:
    """How well curves are known, relative to their size, from the error of the fit they come from."""
    return max(REGRESSION.curve_accuracy, REGRESSION.accuracy_of_fit * error)


def _relative_noise(error: float, rows: Rows, i: int) -> float:
    """Relative size of the curve of input i that least squares fit to noise alone."""
    return error * rows.scale / rows.size * math.sqrt(rows.axes[i].basis.shape[1] / rows.train)


def _shares(problem: StructureProblem, curves: Tensor) -> dict[int, float]:
    """The size of each term relative to their sum, at most 1: the noise of the sum is larger in a small term."""
    terms = {
        k: torch.stack([curves[:, n] for n, (place, _) in enumerate(problem.places) if place == k]).prod(0)
        for k in range(len(problem.structure.terms))
    }
    whole = float(torch.stack(list(terms.values())).sum(0).square().mean().sqrt())
    sizes = {k: float(term.square().mean().sqrt()) / max(whole, 1e-300) for k, term in terms.items()}
    return {-1: 1.0, **{k: min(1.0, max(size, 1e-6)) for k, size in sizes.items()}}


def _is_constant(curve: Tensor, noise: float, in_sum: bool, target: Tensor) -> bool:
    """Whether a curve varies no more than noise does."""
    spread = float((curve - curve.mean()).square().mean().sqrt())
    size = float(target.square().mean().sqrt()) if in_sum else float(curve.square().mean().sqrt())
    return spread <= max(REGRESSION.constant_variation, REGRESSION.variation_of_noise * noise) * size


def _best(
    structure: str,
    build: Callable[[Sequence[int]], Template],
    names: Sequence[Sequence[AnyName]],
    sample: Sample,
    error: float,
) -> list[CandidateFormula]:
    """The shortest formulas over choices of names; none if none has a finite error.

    The best name of each curve comes first; then other names are tried, one at a time. `error` is the root mean squared
    residual of the curves: fewer names are tried once the formula is as good. The constants of the best few formulas
    are rounded, and the shortest is returned, and the shortest of those without decimals.
    """
    settings, some = REGRESSION, sample.first(REGRESSION.rows_of_combinations)
    chosen = [0] * len(names)
    best = CandidateFormula.of(structure, fitted(build(chosen), some), some)
    tried = [best]
    rivals = sorted(
        (row[m].score - row[0].score, n, m)
        for n, row in enumerate(names)
        for m in range(1, min(settings.names_of_curve, len(row)))
    )
    enough = min(settings.as_good_as_curves * error, settings.noisy_fit * sample.scale)
    for number, (behind, n, m) in enumerate(rivals[: settings.most_combinations]):
        fits = best.error <= enough and number >= settings.combinations_when_fitting
        if best.error <= FORMULAS.exact_error * sample.scale or fits:
            break
        if behind > settings.largest_score_gap and best.error < math.inf:
            continue
        other = list(chosen)
        other[n] = m
        trial = CandidateFormula.of(structure, fitted(build(other), some, settings.combination_steps), some)
        tried.append(trial)
        if trial.bits < best.bits:
            best, chosen = trial, other
    return _with_rounded_constants(best, tried, sample) if math.isfinite(best.template.mse) else []


def _with_rounded_constants(
    best: CandidateFormula, tried: Sequence[CandidateFormula], sample: Sample
) -> list[CandidateFormula]:
    """The shortest of the formulas tried, each fitted to all rows and with its constants rounded where possible.

    A formula that is a little longer than the best may lose more constants, so the best few take part. The shortest
    without decimals follows; among these, doubts about their numbers do not count.
    """
    near = sorted((t for t in tried if t.bits < best.bits + REGRESSION.largest_bits_gap), key=lambda t: t.bits)
    exact = best.error <= FORMULAS.exact_error * sample.scale
    wholes = [fitted(t.template, sample) for t in near[: 1 if exact else REGRESSION.most_rounded]]
    wholes += [fitted(other, sample) for other in (written_out(whole, sample) for whole in wholes) if other is not None]
    rounded = [simplified(whole, sample) for whole in wholes if math.isfinite(whole.mse)]
    found = [CandidateFormula.of(best.structure, template, sample) for template in rounded]
    shortest = sorted(found, key=lambda formula: formula.bits)[:1]
    simple = sorted((one for one in found if not one.template.values), key=lambda one: one.bits - one.template.doubt)
    return [*shortest, *(one for one in simple[:1] if one not in shortest)]


def formulas_of_ridges(
    found: Ridges, rows: Rows, sample: Sample, functions: Sequence[NamedFunction]
) -> Iterator[CandidateFormula]:
    """Formulas with names for the curves of ridges, for each way to share out the powers, the simplest way first.

    Ways in which no name fits a curve well come last.
    """
    naming = _RidgeNaming(found, rows, sample, functions)
    if not all(naming.side_names.values()):
        return
    later = []
    for shift, powers in equivalent_powers(found):
        tables = naming.names(shift)
        if not all(tables):
            continue
        if max(min(name.error for name in table) for table in tables) > REGRESSION.unlikely_error:
            later.append((powers, tables))
        else:
            yield from naming.formula(powers, tables)
    for powers, tables in later:
        yield from naming.formula(powers, tables)


class _RidgeNaming:
    """Fitted ridges whose curves are given names."""

    def __init__(self, found: Ridges, rows: Rows, sample: Sample, functions: Sequence[NamedFunction]) -> None:
        self.found, self.rows, self.sample, self.functions = found, rows, sample, functions
        self.symbols, self.accuracy = _symbols(sample), _accuracy(found.error)
        self.side_names = {
            i: self.names_of_values(rows.axes[i].values[: rows.train], curve.exp())
            for i, curve in found.side.items()
            if not _is_constant(curve.exp(), _relative_noise(found.error, rows, i), False, curve)
        }

    def names(self, shift: Tensor) -> list[list[CurveName]]:
        """Names of each ridge's curve after division by t to the power `shift`."""
        logs, curves = self.found.points, self.found.curves
        return [self.names_of_ridge(logs[:, r], curves[:, r] - shift[r] * logs[:, r]) for r in range(logs.shape[1])]

    def names_of_ridge(self, u: Tensor, log_curve: Tensor) -> list[CurveName]:
        """Names of a curve of t = exp(u), or of 1/t, the best score first."""
        curve = (log_curve - log_curve.mean()).exp()  # its scale is fitted later
        of_inverse = [
            replace(name, inverted=True)
            for name in self.names_of_values((-u).exp(), curve)
            if name.function is not None or name.constants[0] == 1  # powers of 1/t are powers of t
        ]
        found = [*self.names_of_values(u.exp(), curve), *of_inverse]
        return sorted(found, key=lambda name: name.score)

    def names_of_values(self, t: Tensor, curve: Tensor) -> list[CurveName]:
        """Names of a curve through these values."""
        return names_of_curve(t, curve, self.functions, self.accuracy, relative=self.rows.relative)

    def formula(self, powers: Tensor, tables: list[list[CurveName]]) -> Iterator[CandidateFormula]:
        """The best formulas with these powers, if there are some."""

        def build(chosen: Sequence[int]) -> Template:
            return self.template(powers, tables, chosen)

        description = f"powers times {CURVES[len(tables)]} of powers"
        names = [*tables, *self.side_names.values()]
        yield from _best(description, build, names, self.sample, self.found.error * self.rows.scale)

    def template(self, powers: Tensor, tables: list[list[CurveName]], chosen: Sequence[int]) -> Template:
        """The expression with one of the names for each curve, and its scale fitted."""
        from knotwork.expressions import algebra

        constant, symbols, negligible = Constants(), self.symbols, REGRESSION.negligible_power
        result: Any = algebra.Integer(1)
        for i, p in enumerate(powers.tolist()):
            if abs(p) > negligible:
                near = round(2 * p) / 2
                result = result * symbols[i] ** constant(near if abs(p - near) < negligible else p)
        for r, direction in enumerate(self.found.directions.tolist()):
            t: Any = algebra.Integer(1)
            for i, q in enumerate(direction):
                if abs(q) > 1e-9:
                    t = t * symbols[i] ** (algebra.Integer(int(q)) if q == int(q) else constant(q))
            result = result * tables[r][chosen[r]].factor(t, constant)[0]
        for place, (i, row) in enumerate(self.side_names.items(), start=len(tables)):
            result = result * row[chosen[place]].factor(symbols[i], constant)[0]
        scale = constant(1.0)
        template = constant.template(scale * result)
        values = values_of(template, self.sample)
        good = values.isfinite()
        y, values = self.sample.y[good], values[good]
        if self.sample.relative:
            values, y = values / y, torch.ones_like(y)
        size = float(values @ y / values.square().sum().clamp_min(1e-300)) if len(values) else 1.0
        return Template(template.expression, {**template.values, scale: size})
