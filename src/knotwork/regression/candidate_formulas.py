"""Structures read as expressions: every curve gets a name, and all constants are fitted together."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from knotwork.formulas.constants import ROUNDING, Constants, Sample, Template, fitted, simplified, values_of
from knotwork.functions import NamedFunction
from knotwork.regression.curve_names import EXPONENTIAL, FLOOR, PLAIN, Name, names
from knotwork.regression.ridges import Ridges, gauges
from knotwork.regression.structures import Fit, Fitting, Rows, Structure

CHOICES = 10  # names of a curve that are tried
TRIES = 30  # other names tried in a structure
CLOSE = 10.0  # bits by which another name may seem worse
CONSTANT = 2e-3  # relative variation of a factor below which it is a number
COUNTS = {1: "a curve", 2: "two curves"}
FIRST_ROWS = 400  # that names are tried on
FEW_TRIES = 20  # of other names where the first ones are as good as the curves
RIPE = 60.0  # bits by which a reading may be longer before its constants are made simple
LAST = 4  # of those
AS_GOOD = 1.02  # times the error of the curves: names need not be better
NOISE = 0.3  # of rms(y): curves further off say nothing
FAINT = 0.06  # powers smaller than that are none
UNLIKE = 0.1  # relative error of the best name of a curve that is read last


@dataclass(frozen=True)
class Reading:
    """An expression of the target with its constants fitted; `bits` is what residuals and expression take to write."""

    meaning: str
    template: Template
    bits: float
    complexity: int

    @property
    def error(self) -> float:
        """Root mean squared residual on the rows it was fitted to."""
        return math.sqrt(self.template.mse)


def read(meaning: str, template: Template, sample: Sample) -> Reading:
    """A template that was fitted, with its length in bits.

    A decimal takes as many as two simple numbers, and what became simple saves no more than its chance tells.
    """
    from knotwork.expressions import complexity

    n = len(sample)
    error = math.sqrt(template.mse) + ROUNDING * sample.scale
    length = complexity(template.expression) + len(template.values)
    return Reading(meaning, template, n * math.log2(error) + length * math.log2(n) + template.doubt, length)


def read_structure(fit: Fit, rows: Rows, sample: Sample, functions: Sequence[NamedFunction]) -> Reading | None:
    """The structure with names for its curves; None where there is a curve that nothing fits."""
    structure, coefficients = fit.structure, fit.coefficients
    if structure.linear and structure.outer is EXPONENTIAL:  # a product of curves
        logs = Fitting(rows, structure).curves(coefficients)
        size = Fitting(rows, structure).size
        product = Structure(PLAIN, (tuple(i for (i,) in structure.terms),))
        problem = Fitting(rows, product)
        share = math.log(1 / problem.size) / len(structure.terms)
        start = torch.stack(
            [axis.coefficients((size * logs[:, n] + share).exp()) for n, axis in enumerate(problem.axes)]
        )
        structure, coefficients = product, problem.improved(start, 20)[0]
    problem = Fitting(rows, structure)
    curves = problem.curves(coefficients)
    floor = max(FLOOR, 0.5 * fit.error)
    symbols = _symbols(sample)
    in_sum = [k >= 0 and len(structure.terms[k]) == 1 and len(structure.terms) > 1 for k, _ in problem.places]
    found: list[list[Name]] = []
    shares = _shares(problem, curves)
    for n, (k, i) in enumerate(problem.places):
        t = rows.axes[i].values[: rows.train]
        chance = _by_chance(fit.error, rows, i) / (1.0 if in_sum[n] else shares[k])
        if _is_number(curves[:, n], chance, in_sum[n], problem.target):
            found.append([])
            continue
        row = names(t, curves[:, n], functions, floor=floor, offset=in_sum[n])
        if not row:
            return None
        found.append(row)

    def build(chosen: Sequence[int]) -> Template:
        constant = Constants()
        scale = [problem.size] + [1.0] * len(structure.terms)
        factors: list[list[Any]] = [[] for _ in range(len(structure.terms) + 1)]
        offset = 0.0
        for n, (k, i) in enumerate(problem.places):
            if not found[n]:
                if in_sum[n]:
                    offset += scale[0] * float(curves[:, n].mean())
                    scale[k + 1] = 0.0
                else:
                    scale[k + 1] *= float(curves[:, n].mean())
                continue
            name = found[n][chosen[n]]
            if in_sum[n]:
                expression, more = name.sum_term(symbols[i], constant, scale[0])
                offset += more
                factors[k + 1].append(expression)
            else:
                expression, size = name.factor(symbols[i], constant)
                scale[k + 1] *= size
                factors[k + 1].append(expression)
        return constant.template(_put_together(structure, factors, scale, offset, in_sum, problem, constant))

    return _best(str(structure), build, found, sample, fit.error * rows.scale)


def _put_together(
    structure: Structure, factors: list[list[Any]], scale: list[float], offset: float, in_sum: list[bool],
    problem: Fitting, constant: Constants,
) -> Any:  # fmt: skip
    from knotwork.expressions import algebra

    summed = {k for (k, _), plain in zip(problem.places, in_sum, strict=True) if plain}
    total: Any = constant(offset) if summed else algebra.Integer(0)
    for k in range(len(structure.terms)):
        if scale[k + 1] == 0:
            continue
        size = scale[0] * scale[k + 1]
        if k in summed and factors[k + 1]:
            total = total + factors[k + 1][0]
        else:
            total = total + constant(size) * algebra.Mul(*factors[k + 1])
    return structure.outer.expression(algebra.Mul(*factors[0]) * total)


def _symbols(sample: Sample) -> list[Any]:
    from knotwork.expressions import symbol

    return [symbol(name) for name in sample.columns]


def _by_chance(error: float, rows: Rows, i: int) -> float:
    """Relative size of the curve that least squares make of noise alone."""
    size = max(float(rows.y.square().mean().sqrt()), rows.scale)
    return error * rows.scale / size * math.sqrt(rows.axes[i].basis.shape[1] / rows.train)


def _shares(problem: Fitting, curves: Tensor) -> dict[int, float]:
    """The size of every term in that of their sum, at most 1: what is noise in the sum is more in a small term."""
    terms = {
        k: torch.stack([curves[:, n] for n, (place, _) in enumerate(problem.places) if place == k]).prod(0)
        for k in range(len(problem.structure.terms))
    }
    whole = float(torch.stack(list(terms.values())).sum(0).square().mean().sqrt())
    sizes = {k: float(term.square().mean().sqrt()) / max(whole, 1e-300) for k, term in terms.items()}
    return {-1: 1.0, **{k: min(1.0, max(size, 1e-6)) for k, size in sizes.items()}}


def _is_number(curve: Tensor, chance: float, in_sum: bool, target: Tensor) -> bool:
    spread = float((curve - curve.mean()).square().mean().sqrt())
    size = float(target.square().mean().sqrt()) if in_sum else float(curve.square().mean().sqrt())
    return spread <= max(CONSTANT, 2 * chance) * size


def _best(
    meaning: str, build: Callable[[Sequence[int]], Template], found: list[list[Name]], sample: Sample, error: float
) -> Reading | None:
    """The reading with the best names; others are tried one at a time, all while it is further off than the curves.

    Their root mean squared residual was `error`. The best few have their constants made simple, and the shortest wins.
    """
    chosen = [0] * len(found)
    some = sample.first(FIRST_ROWS)
    best = read(meaning, fitted(build(chosen), some), some)
    tried = [best]
    rivals = sorted(
        (row[m].score - row[0].score, n, m) for n, row in enumerate(found) for m in range(1, min(CHOICES, len(row)))
    )
    enough = min(AS_GOOD * error, NOISE * sample.scale)
    for number, (behind, n, m) in enumerate(rivals[:TRIES]):
        if best.error <= ROUNDING * sample.scale or (best.error <= enough and number >= FEW_TRIES):
            break
        if behind > CLOSE and best.error < math.inf:
            continue
        other = list(chosen)
        other[n] = m
        trial = read(meaning, fitted(build(other), some, 25), some)
        tried.append(trial)
        if trial.bits < best.bits:
            best, chosen = trial, other
    if not math.isfinite(best.template.mse):
        return None
    # what has as many constants may lose more of them
    near = sorted((t for t in tried if t.bits < best.bits + RIPE), key=lambda t: t.bits)
    wholes = [fitted(t.template, sample) for t in near[: 1 if best.error <= ROUNDING * sample.scale else LAST]]
    readings = [read(meaning, simplified(w, sample), sample) for w in wholes if math.isfinite(w.mse)]
    return min(readings, key=lambda reading: reading.bits, default=None)


def read_ridges(found: Ridges, rows: Rows, sample: Sample, functions: Sequence[NamedFunction]) -> Iterator[Reading]:
    """The ridges with names for their curves, in the ways their powers can be shared out; the simplest first."""
    symbols, floor = _symbols(sample), max(FLOOR, 0.5 * found.error)
    sides = {
        i: curve
        for i, curve in found.side.items()
        if not _is_number(curve.exp(), _by_chance(found.error, rows, i), False, curve)
    }
    side_names = {
        i: names(rows.axes[i].values[: rows.train], curve.exp(), functions, floor=floor) for i, curve in sides.items()
    }
    if not all(side_names.values()):
        return

    def one_way(powers: Tensor, tables: list[list[Name]]) -> Iterator[Reading]:
        def build(chosen: Sequence[int]) -> Template:
            return _ridge_template(found, powers, chosen, tables, side_names, symbols, rows, sample)

        meaning = f"powers times {COUNTS[len(tables)]} of powers"
        reading = _best(meaning, build, [*tables, *side_names.values()], sample, found.error * rows.scale)
        if reading is not None:
            yield reading

    logs, unlikely = found.points, []
    for shift, powers in gauges(found):
        tables = [
            _ridge_names(logs[:, r], found.curves[:, r] - shift[r] * logs[:, r], functions, floor)
            for r in range(logs.shape[1])
        ]
        if not all(tables):
            continue
        if max(min(name.error for name in table) for table in tables) > UNLIKE:
            unlikely.append((powers, tables))
        else:
            yield from one_way(powers, tables)
    for way in unlikely:
        yield from one_way(*way)


def _ridge_names(u: Tensor, log_curve: Tensor, functions: Sequence[NamedFunction], floor: float) -> list[Name]:
    """Names for a curve of t = exp(u), or of 1/t."""
    curve = log_curve.exp()
    upside_down = [
        replace(name, inverted=True)
        for name in names((-u).exp(), curve, functions, floor=floor)
        if name.function is not None or name.constants[0] == 1  # powers of 1/t are powers of t
    ]
    return sorted([*names(u.exp(), curve, functions, floor=floor), *upside_down], key=lambda name: name.score)


def _ridge_template(
    found: Ridges, powers: Tensor, chosen: Sequence[int], tables: list[list[Name]],
    side_names: dict[int, list[Name]], symbols: list[Any], rows: Rows, sample: Sample,
) -> Template:  # fmt: skip
    from knotwork.expressions import algebra

    constant = Constants()
    result: Any = algebra.Integer(1)
    for i, p in enumerate(powers.tolist()):
        if abs(p) > FAINT:
            near = round(2 * p) / 2
            result = result * symbols[i] ** constant(near if abs(p - near) < FAINT else p)
    for r, direction in enumerate(found.directions.tolist()):
        t: Any = algebra.Integer(1)
        for i, q in enumerate(direction):
            if abs(q) > 1e-9:
                t = t * symbols[i] ** (algebra.Integer(int(q)) if q == int(q) else constant(q))
        result = result * tables[r][chosen[r]].factor(t, constant)[0]
    for place, (i, row) in enumerate(side_names.items(), start=len(tables)):
        result = result * row[chosen[place]].factor(symbols[i], constant)[0]
    scale = constant(1.0)
    template = constant.template(scale * result)
    values = values_of(template, sample)
    good = values.isfinite()
    y, values = sample.y[good], values[good]
    size = float(values @ y / values.square().sum().clamp_min(1e-300)) if len(values) else 1.0
    return Template(template.expression, {**template.values, scale: size})
