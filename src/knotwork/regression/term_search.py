"""Sums of few terms and their ratios, alone or under an outer function, that come close to the targets of a table."""

import functools
import itertools
import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from knotwork.formulas.settings import FORMULAS
from knotwork.functions import NamedFunction
from knotwork.journal import Value, recalled
from knotwork.regression.curve_names import (
    EXPONENTIAL,
    IDENTITY,
    INVERSE,
    INVERSE_ROOT,
    LOGARITHM,
    ROOT,
    SQUARE,
    OuterFunction,
)
from knotwork.regression.settings import REGRESSION
from knotwork.regression.smooth_targets import smooth_targets
from knotwork.regression.sparse_fits import Support, eliminated, screened, sparse_fits
from knotwork.regression.structures import Rows, least_squares, nearest_product, positive_share
from knotwork.regression.term_fits import Frame, TermFit
from knotwork.regression.term_settings import TERMS
from knotwork.regression.term_table import Powers, Term, TermTable
from knotwork.training import Reporter


class TermSearch:
    """The search for sums and ratios of terms.

    Args:
        rows: The prepared table.
        functions: What terms may contain, beside powers.
        seed: Of the choice of rows on which combinations are compared.
        reporter: Tells when the search ends, with what it has.
        targets: What combinations of terms are chosen by, (n,): the targets, or the targets without most of their
            noise. Terms of a denominator are multiplied by it, and outer functions undone for it. Coefficients are
            fitted to the targets of the rows.
    """

    def __init__(
        self, rows: Rows, functions: Sequence[NamedFunction], seed: int, reporter: Reporter,
        targets: Tensor | None = None,
    ) -> None:  # fmt: skip
        self.rows, self.functions, self.seed, self.reporter = rows, functions, seed, reporter
        self.targets = rows.y if targets is None else targets
        self.names = [function.name for function in functions]
        self.columns = [axis.values for axis in rows.axes]
        self.straight = [i for i, axis in enumerate(rows.axes) if axis.straight]
        order = torch.randperm(rows.train, generator=torch.Generator().manual_seed(seed))
        self.some = order[: TERMS.rows_of_terms].sort().values
        self.table: TermTable | None = None
        self.usable: dict[int, Tensor] = {}  # which terms a denominator may have, by the size of the table
        self.least_loss = math.inf  # of all fits, mean squares

    def simple_sums(self) -> Iterator[TermFit]:
        """Sums of the simplest terms, under the usual outer functions."""
        outer = (IDENTITY, INVERSE, ROOT, INVERSE_ROOT, EXPONENTIAL, LOGARITHM)
        return self._of_kinds(TERMS.few_terms, outer, TERMS.widths_of_simple_sums)

    def ratios(self) -> Iterator[TermFit]:
        """Ratios of sums; all rows weigh equally."""
        return self._of_kinds(TERMS.many_terms, (IDENTITY, ROOT), TERMS.widths_of_ratios, ratio=True)

    def simple_ratios(self) -> Iterator[TermFit]:
        """Sums of the simplest terms over 1 and a product of powers, for every simple product.

        Rows weigh by 1 / (1 + its size): else those where the denominator is large have more noise than all others.
        Sums of short products alone come first, of which nearly all are tried: those of (x - y)/(x + y) come close only
        together.
        """
        table = self._table(TERMS.few_terms)
        usable = self._usable_below(table) & (table.costs <= TERMS.largest_cost_of_simple_ratios)
        alone = self.frames(IDENTITY, table)[0]
        short = torch.tensor([term.part is None for term in table.terms])
        short &= table.costs <= TERMS.largest_cost_of_short_ratios
        for n in [n for n in usable.nonzero()[:, 0].tolist() if table.terms[n].part is None]:
            if self.reporter.late or self.least_loss < TERMS.exact_terms**2:
                return
            weights = 1 / (1 + table.values[:, n].abs())
            yield from self.in_frame(alone, TERMS.widths_of_short_ratios, True, weights, n, short)
            yield from self.in_frame(alone, TERMS.widths_of_simple_ratios, True, weights, n)

    def large_sums(self, alone: bool = False) -> Iterator[TermFit]:
        """Sums of terms of many kinds, under all outer functions; under none if `alone`."""
        outer = (IDENTITY, *(() if alone else (INVERSE, ROOT, INVERSE_ROOT, EXPONENTIAL, SQUARE, LOGARITHM)))
        return self._of_kinds(TERMS.many_terms, outer, TERMS.widths_of_large_sums)

    def without_noise(self) -> Iterator[TermFit]:
        """Sums and ratios chosen by targets without most of their noise; none where there is hardly any.

        It ends where validation rows are predicted as well as by the smooth network that gives these targets.
        """
        targets = smooth_targets(self.rows, self.seed, self.reporter)
        if targets is not None:
            search = TermSearch(self.rows, self.functions, self.seed, self.reporter, targets)
            noise = float(self.rows.residuals(targets)[self.rows.train :].square().mean().sqrt())
            for fits in (search.simple_sums, search.simple_ratios, search.ratios, search.large_sums):
                found = list(fits())
                yield from found
                if any(fit.validation_error <= noise for fit in found):
                    return

    def _of_kinds(
        self, most: int, outer: Sequence[OuterFunction], widths: Sequence[int], ratio: bool = False
    ) -> Iterator[TermFit]:
        """The best fits in every frame, until one is exact or the time is used up."""
        table = self._table(most)
        for frame in [frame for one in outer for frame in self.frames(one, table)]:
            if self.reporter.late or self.least_loss < TERMS.exact_terms**2:
                return
            yield from self.in_frame(frame, widths, ratio)

    def _table(self, most: int) -> TermTable:
        """The table of this size, which is that of the fits that follow."""
        if self.table is None or self.table.most != most:
            self.table = TermTable(self.columns, self.functions, most, self.straight)
        return self.table

    def _usable_below(self, table: TermTable) -> Tensor:
        """Whether a denominator may have each of the terms, (terms,): those that vary, without straight inputs."""
        if table.most not in self.usable:
            x = table.values[self.some]
            varied = x.std(0) > TERMS.least_variation_below * x.square().mean(0).sqrt()
            bent = torch.tensor([not any(term.powers[i] for i in self.straight) for term in table.terms])
            self.usable[table.most] = varied & bent
        return self.usable[table.most]

    def frames(self, outer: OuterFunction, table: TermTable) -> list[Frame]:
        """Frames with an outer function that the targets can have, divided by the factors that they may have."""
        if self.straight and outer is not IDENTITY:
            return []
        found: list[Frame] = []
        none: Powers = (0.0,) * len(self.columns)
        for factor, sign in self.factors if outer is not IDENTITY else [(Term(none), 1.0)]:
            y, used = self._without_factor(sign * table.value(factor))
            if outer is INVERSE:
                good = bool((y[used] != 0).all())
            elif outer is LOGARITHM:
                good = outer.invertible(y[used])
            else:
                good = positive_share(y) > REGRESSION.positive_share
            if outer is IDENTITY or good:
                outside, power = [none], outer.power_undone
                for slopes in self.slopes if power else []:
                    outside.append(tuple(power * (p - q) for p, q in zip(slopes, factor.powers, strict=True)))
                found += [Frame(outer, powers, factor, sign) for powers in outside]
        return [frame for n, frame in enumerate(found) if frame not in found[:n]]

    @functools.cached_property
    def factors(self) -> list[tuple[Term, float]]:
        """What targets may be divided by before an outer function is undone: 1, or inputs that make them positive."""
        none = [0.0] * len(self.columns)
        either = [i for i, c in enumerate(self.columns) if i not in self.straight and bool(c.min() < 0 < c.max())]
        most = TERMS.most_signs if len(either) <= 2 * TERMS.most_signs else 1
        for count in range(1, min(len(either), most) + 1):
            for chosen in itertools.combinations(either, count):
                y = torch.stack([self.columns[i].sign() for i in chosen]).prod(0) * self.targets
                for sign in (1.0, -1.0):
                    if positive_share(sign * y) > REGRESSION.positive_share:
                        powers = tuple(1.0 if i in chosen else 0.0 for i in range(len(none)))
                        return [(Term(tuple(none)), 1.0), (Term(powers), sign)]
        return [(Term(tuple(none)), 1.0)]

    def _without_factor(self, factor: Tensor) -> tuple[Tensor, Tensor]:
        """The targets divided by a factor, 0 where it is 0, and the rows (n,) where it is not."""
        used = factor != 0
        return torch.where(used, self.targets / torch.where(used, factor, 1.0), 0.0), used

    @functools.cached_property
    def slopes(self) -> list[Powers]:
        """The powers of the product nearest to the targets' sizes: all floored, and those near halves alone.

        The second product is nearest to the targets themselves, as noise is large in the logarithms of small ones; its
        powers are all floored, and all rounded. Relative residuals have no such noise.
        """
        y, columns = self.targets[self.some].abs(), [column[self.some].abs() for column in self.columns]
        usable = [i for i, column in enumerate(self.columns) if bool((column != 0).all()) and i not in self.straight]
        good = y > 0
        if not usable or not bool(good.any()):
            return []
        design = torch.stack([torch.ones_like(y), *(columns[i].log() for i in usable)], 1)[good]
        of_logarithms, found = least_squares(design, y[good].log()), []
        for solution in (of_logarithms, *([] if self.rows.relative else [nearest_product(design, y[good])])):
            slopes = solution[1:].tolist()
            rounded, floored, firm = ([0.0] * len(columns) for _ in range(3))
            for i, p in zip(usable, slopes, strict=True):
                either = bool((self.columns[i] < 0).any())  # roots need one sign
                rounded[i] = float(round(p)) if either else round(2 * p) / 2
                floored[i] = float(math.floor(p + TERMS.firm_power))
                firm[i] = rounded[i] if abs(p - rounded[i]) < TERMS.firm_power else 0.0
            found += [tuple(floored), tuple(firm if not found else rounded)]
        return found

    def in_frame(
        self, frame: Frame, widths: Sequence[int], ratio: bool, weigh_by: Tensor | None = None,
        only_below: int | None = None, only_above: Tensor | None = None,
    ) -> list[TermFit]:  # fmt: skip
        """The best fits in a frame, and the best of each number of terms; with one term below, if its number is given.

        `only_above` (terms,) says which terms a numerator may have.

        Of the best ones one term after the other is left out, too: terms that come close only together are not among
        the combinations that grow term by term.
        """
        table, before = self.table, self.least_loss
        assert table is not None
        given = frame, widths, ratio, weigh_by, only_below, only_above

        def kept(found: tuple[list[TermFit], float]) -> Value:
            number = {term: n for n, term in enumerate(table.terms)}
            sums = [[[(number[term], c) for c, term in side] for side in (fit.above, fit.below)] for fit in found[0]]
            return sums, found[1]

        fits, self.least_loss = recalled(
            "in_frame",
            lambda: (self.rows, self.targets, self.names, self.seed, table.most, before, given),
            lambda: (self._in_frame(*given), self.least_loss),
            kept,
            lambda kept: ([self._again(frame, *sides) for sides in kept[0]], kept[1]),
            lambda: not self.reporter.late,
        )
        return fits

    def _in_frame(
        self, frame: Frame, widths: Sequence[int], ratio: bool, weigh_by: Tensor | None, only_below: int | None,
        only_above: Tensor | None,
    ) -> list[TermFit]:  # fmt: skip
        assert self.table is not None
        target, weight = self.undone(frame)
        if weigh_by is not None:
            weight = weight * weigh_by
        x, t, w = self.table.values[self.some], target[self.some], weight[self.some]
        place, costs = torch.arange(x.shape[1]), self.table.costs + 1
        if only_above is not None:
            costs = costs.masked_fill(~only_above, math.inf)
        design = x * w[:, None]
        if ratio:
            usable = self._usable_below(self.table) & (self.table.costs <= TERMS.largest_term_below)
            below = usable.nonzero()[:, 0] if only_below is None else torch.tensor([only_below])
            design = torch.cat([design, -x[:, below] * (t * w)[:, None]], 1)
            place, costs = torch.cat([place, below]), torch.cat([costs, costs[below]])
        first, start = x.shape[1], () if only_below is None else (x.shape[1],)
        if design.shape[1] > TERMS.most_columns:
            simple = self.table.simplest(TERMS.few_terms)[place].nonzero()[:, 0]
            best = screened(design, t * w, costs, first, TERMS.most_columns)
            kept = torch.cat([best, simple, torch.tensor(start, dtype=torch.long)]).unique()
            start = tuple((kept == column).nonzero()[0, 0].item() for column in start)
            design, place, costs, first = design[:, kept], place[kept], costs[kept], int((kept < first).sum())
        found: dict[Support, TermFit] = {}

        def add(support: Support) -> None:
            under = torch.tensor(support) >= first
            fit = self._fit(frame, target, weight, place[list(support)], under)
            if math.isfinite(fit.error):
                found[support] = fit

        most = max(1, self.rows.train // TERMS.rows_per_term)
        for supports in sparse_fits(design, t * w, costs, widths[:most], first, start):
            for support in supports[: TERMS.fits_of_each_size]:
                add(support)
            if self.reporter.late or any(fit.validation_error < TERMS.exact_terms for fit in found.values()):
                break
        else:
            for longer in sorted(found, key=lambda support: found[support].bits)[: TERMS.term_fits_kept]:
                for support in [longer[:i] + longer[i + 1 :] for i in range(len(longer))]:
                    above = sum(column < first for column in support)
                    if support and support not in found and 2 * above >= len(support):
                        add(support)
        if not ratio and only_above is None:
            for support in self._of_polynomials(design[:, :first], t * w, place[:first], len(widths), most):
                if any(fit.validation_error < TERMS.exact_terms for fit in found.values()):
                    break
                if support not in found:
                    add(support)
        fits = sorted(found.values(), key=lambda fit: fit.bits)
        sizes = {fit.size: fit for fit in reversed(fits)}
        return [fit for n, fit in enumerate(fits) if n < TERMS.term_fits_kept or sizes[fit.size] is fit]

    def _of_polynomials(
        self, design: Tensor, target: Tensor, place: Tensor, short: int, most: int
    ) -> Iterator[Support]:
        """What backward elimination leaves of degree one if it has more terms than `short`, and of degree two if not.

        A plane of many inputs has so many terms that they are not found one at a time.
        """
        assert self.table is not None
        degrees = self.table.degrees[place]
        plane, square = ((degrees <= degree).nonzero()[:, 0].tolist() for degree in (1, 2))
        if short < len(plane) <= most:
            fewer = [tuple(plane[n] for n in some) for some in eliminated(design[:, plane], target, most)]
            yield from fewer[-short - 1 :: -1]  # the shortest first
        if len(square) <= len(design) / TERMS.rows_per_eliminated:
            fewer = [tuple(square[n] for n in some) for some in eliminated(design[:, square], target, most)]
            yield from fewer[: -short - 1 : -1]

    def undone(self, frame: Frame) -> tuple[Tensor, Tensor]:
        """The sums that the targets ask for, and the weights of their residuals, (n,) each."""
        assert self.table is not None
        rows, outer = self.rows, frame.outer
        factor, before = frame.sign * self.table.value(frame.factor), self.table.product(frame.powers)
        y, used = self._without_factor(factor)
        least = 0.0 if rows.relative else self._least_target(y)
        safe = y.clamp_min(least) if outer in (ROOT, INVERSE_ROOT, SQUARE, EXPONENTIAL) else y
        target = outer.undo(safe) / before
        weight = torch.where(used & (safe == y), outer.slope(safe).abs(), 0.0) * before.abs() * factor.abs()
        if rows.relative:
            weight = weight / self.targets.abs()
        elif outer is not IDENTITY:
            weight = weight.clamp_max(TERMS.largest_weight_of_terms * float(weight.median()))
        weight = rows.weighed(weight)
        good = target.isfinite() & weight.isfinite()
        return torch.where(good, target, 0.0), torch.where(good, weight, 0.0)

    @staticmethod
    def _least_target(y: Tensor) -> float:
        """Targets below this one tell nothing about an outer function of positive values.

        Negative ones show the noise, of which the logarithm of a small target consists.
        """
        negative = y.clamp_max(0.0)[y < 0]
        noise = float(negative.square().mean().sqrt()) if len(negative) else 0.0
        return max(REGRESSION.least_target * float(y.square().mean().sqrt()), REGRESSION.noises_of_least_target * noise)

    def _fit(self, frame: Frame, target: Tensor, weight: Tensor, places: Tensor, below: Tensor) -> TermFit:
        """The fit of a combination to all training rows: linear first, then to the targets themselves."""
        assert self.table is not None
        train, x = slice(self.rows.train), self.table.values[:, places]
        design = torch.where(below, -x * target[:, None], x) * weight[:, None]
        size = design[train].norm(dim=0).clamp_min(1e-300)
        best = least_squares(design[train] / size, (target * weight)[train]) / size
        loss, residuals, jacobian = self._at(frame, x, below, best)
        linear = frame.outer is IDENTITY and not bool(below.any()) and self.targets is self.rows.y
        far = loss > TERMS.far_terms * self.least_loss
        for _ in range(0 if linear or far else TERMS.steps_of_terms):
            size = jacobian.norm(dim=0).clamp_min(1e-300)
            matrix = (jacobian.T @ jacobian) / (size * size[:, None]) + 1e-13 * torch.eye(len(size), dtype=size.dtype)
            solution = best - torch.linalg.solve(matrix, (jacobian.T @ residuals[train]) / size) / size
            new = self._at(frame, x, below, solution)
            if not new[0] < loss:
                break
            small = new[0] > (1 - FORMULAS.slow_gain) * loss
            best, (loss, residuals, jacobian) = solution, new
            if small:
                break
        error, rest = (float(part.square().mean().sqrt()) for part in (residuals[train], residuals[self.rows.train :]))
        self.least_loss = min(self.least_loss, max(error, rest if rest == rest else error) ** 2)
        return self._as_fit(frame, places, below, best, residuals)

    def _again(self, frame: Frame, above: Sequence[tuple[int, float]], below: Sequence[tuple[int, float]]) -> TermFit:
        """The fit with these numbers and coefficients of terms."""
        assert self.table is not None
        places, best = torch.tensor([n for n, _ in (*above, *below)]), [c for _, c in (*above, *below)]
        under, at = torch.arange(len(best)) >= len(above), torch.tensor(best, dtype=torch.float64)
        residuals = self._at(frame, self.table.values[:, places], under, at)[1]
        return self._as_fit(frame, places, under, at, residuals)

    def _as_fit(self, frame: Frame, places: Tensor, below: Tensor, best: Tensor, residuals: Tensor) -> TermFit:
        """Terms with these coefficients as a fit, with its errors and bits."""
        assert self.table is not None
        parts = residuals[: self.rows.train], residuals[self.rows.train :]
        error, rest = (float(part.square().mean().sqrt()) for part in parts)
        terms = [(float(c), self.table.terms[n]) for c, n in zip(best, places.tolist(), strict=True)]
        cost = float((self.table.costs[places] + 2).sum()) + 2 * (frame.outer is not IDENTITY)
        bits = len(residuals) * math.log2(float(residuals.square().mean().sqrt()) + TERMS.exact_terms)
        return TermFit(
            frame,
            [one for one, under in zip(terms, below.tolist(), strict=True) if not under],
            [one for one, under in zip(terms, below.tolist(), strict=True) if under],
            error,
            rest if len(residuals) > self.rows.train else error,
            bits + cost * math.log2(len(residuals)),
            self.table,
            residuals,
        )

    def _at(self, frame: Frame, x: Tensor, below: Tensor, coefficients: Tensor) -> tuple[float, Tensor, Tensor]:
        """The mean square of the training rows' residuals, the residuals (n,), and derivatives (train, terms)."""
        assert self.table is not None
        train, before = slice(self.rows.train), self.table.product(frame.powers)
        factor = frame.sign * self.table.value(frame.factor)
        above, under = x[:, ~below] @ coefficients[~below], 1 + x[:, below] @ coefficients[below]
        inner = frame.outer.apply(before * above / under)
        residuals = torch.nan_to_num(self.rows.residuals(factor * inner), nan=1e150, posinf=1e150, neginf=-1e150)
        direction = -1.0 if frame.outer.falling else 1.0
        slope = factor * before / under * direction * frame.outer.slope(inner) * self.rows.weight_of_residuals
        jacobian = (torch.where(below, -x * (above / under)[:, None], x) * slope[:, None])[train]
        return float(residuals[train].square().mean()), residuals, torch.nan_to_num(jacobian, 0.0, 0.0, 0.0)
