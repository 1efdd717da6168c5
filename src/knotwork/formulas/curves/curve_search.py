"""The formula of one curve: sums and products of terms, ratios, compositions of functions, ranked by bits."""

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from knotwork.formulas.constants import Template
from knotwork.formulas.curves.curve_forms import Form, Nested, Ratio, Rows, improved, root_mean_square, template_of
from knotwork.formulas.curves.curve_terms import SMOOTH, Array, Points, Text
from knotwork.formulas.curves.scanning import Pairs, Proposal, Scanner, best_of_each
from knotwork.formulas.curves.settings import CURVES
from knotwork.formulas.curves.views import View, deeper, view_of, views_of
from knotwork.formulas.settings import FORMULAS
from knotwork.training import Reporter


@dataclass(frozen=True)
class Found:
    """A form with fitted constants, its error (root mean square, in units of the rows), and bits; smaller is better."""

    form: Form
    constants: Array
    error: float
    bits: float
    length: int


class CurveSearch:
    """A search for the formula of a curve y(t); `found` holds its results, the fewest bits first.

    Args:
        t: places (n,).
        y: values (n,).
        unit: (n,), the unit in which residuals are counted; None: the spread of y.
        accuracy: the error, in units, up to which the curve is known; smaller errors count as equal.
        allowed: names of library functions that may occur; None: all. Powers always may.
        reporter: tells when the search ends, with what it has.
        depth: functions inside each other, 1 to 3.
        short: whether only forms of up to `CURVES.short` symbols or so are wanted, which sums of many terms exceed.
    """

    def __init__(
        self,
        t: Array,
        y: Array,
        unit: Array | None = None,
        accuracy: float = FORMULAS.exact_error,
        allowed: Sequence[str] | None = None,
        reporter: Reporter | None = None,
        depth: int = 3,
        short: bool = False,
    ) -> None:
        spread = float(np.sqrt(np.mean((y - y.mean()) ** 2))) or 1.0
        unit = np.full(len(y), spread) if unit is None else unit
        self.rows = Rows(Points.of(t), y, unit).some(CURVES.most_rows)
        self.few = self.rows.some(CURVES.scanned_rows)
        self.accuracy, self.allowed, self.depth, self.short = accuracy, allowed, depth, short
        self.reporter = reporter or Reporter()
        self.most_constants = max(2, len(y) // 3)
        self.tried: dict[str, Found] = {}
        self.lengths: dict[str, int] = {}
        self.dense = self._dense()

    def run(self, stages: int | None = None) -> list[Found]:
        """The best forms, the fewest bits first; with `stages`, those of the first stages."""
        if len(self.rows.y) < 4 or not np.ptp(self.rows.y) > 0 or not np.ptp(self.rows.at.t) > 0:
            return []
        self.scanner = Scanner(self.rows, self.allowed)
        for stage in itertools.islice(self._stages(), stages):
            stage()
            if self.exact or self.late or (len(self.tried) and self.finished):
                break
        return self._ranked()[: CURVES.results]

    def _stages(self) -> Iterator[Callable[[], None]]:
        """What is tried, from simple to general."""
        plain = View(Nested(()), (), self.rows.y, self.rows.unit**-2)
        views = list(views_of(self.rows, self.allowed)) if self.depth > 1 else []
        simple = [view for view in views if not any(layer.shifted for layer in view.form.layers)]
        yield partial(self._simple, plain, [view for view in simple if not view.scaled])
        yield partial(self._ratios, range(CURVES.low_degrees + 1, CURVES.degrees + 1))
        yield partial(self._pairs, plain)
        yield partial(self._grow, 2, False)
        yield partial(self._compositions, views)
        if self.short:
            return
        yield partial(self._sums_under, [view for view in simple if not view.scaled and not view.form.power])
        yield partial(self._grow, CURVES.most_terms, True)
        if self.depth > 2 and not self.random(self._ranked()[0]):
            around = [v for v in simple if v.form.layers and not v.form.power]
            yield lambda: self._compositions(inner for v in around for inner in deeper(self.rows, v, self.allowed))

    @property
    def late(self) -> bool:
        """Whether the time is used up, or a callback asks to stop."""
        return self.reporter.late

    @property
    def exact(self) -> bool:
        """Whether a form is as accurate as the curve is known."""
        return any(one.error <= self.accuracy for one in self.tried.values())

    @property
    def finished(self) -> bool:
        """Whether the best form is short and leaves residuals that look random: no oscillation, no trend, no memory."""
        best = self._ranked()[0]
        return best.length <= CURVES.short and self.random(best)

    def random(self, one: Found) -> bool:
        """Whether the residuals of a form look random."""
        r = self.rows.residuals(one.form, one.constants)
        n, mse = len(r), one.error**2
        if n < CURVES.rows_of_test:
            return False
        along = r[np.argsort(self.rows.at.t)]
        if (along[1:] @ along[:-1]) / (n * mse) * math.sqrt(n) > CURVES.neighbour_correlation:
            return False
        fixed = np.polynomial.legendre.legvander(self.rows.at.z, CURVES.trend_degree)
        q, _ = np.linalg.qr(fixed)
        if float(np.sum((q.T @ r) ** 2)) / mse > CURVES.largest_trend:
            return False
        gains = self.scanner.periodogram.gains(r, np.ones(n), q[:, :1], np.ones(n))
        gains = gains[CURVES.trend_periods * CURVES.oversampling :]
        return float(gains.max()) / (2 * mse) < math.log(len(gains) / CURVES.chance_of_period)

    # --- stages ---

    def _simple(self, plain: View, views: Sequence[View]) -> None:
        """One term and a constant, polynomials, ratios of low degree, one term inside the views."""
        ones = np.ones((len(self.rows.y), 1))
        for proposal in self.scanner.proposals(plain.v, plain.w, ones, CURVES.peaks):
            self._try(plain, [proposal])
        powers = [Proposal(kind, np.zeros(0), 0.0) for kind in SMOOTH[: CURVES.degrees]]
        for degree in range(2, CURVES.degrees + 1):
            self._try(plain, powers[:degree])
        self._ratios(range(1, CURVES.low_degrees + 1))
        self._compositions(views)

    def _ratios(self, degrees: Iterable[int]) -> None:
        """Ratios of polynomials whose larger degree is one of these."""
        for degree in degrees:
            for above in range(degree + 1):
                for below in range(1, degree + 1):
                    if max(above, below) == degree and above + below + 1 <= self.most_constants:
                        self._ratio(above, below)

    def _pairs(self, plain: View) -> None:
        """Sums of two smooth terms, and of a line or parabola and one term."""
        ones = np.ones((len(self.rows.y), 1))
        trend = [Proposal(kind, np.zeros(0), 0.0) for kind in SMOOTH[:2]]
        columns = np.stack([np.ones(len(self.rows.y)), self.rows.at.s, self.rows.at.s**2], 1)
        for degree in (1, 2):
            beside = self.scanner.proposals(plain.v, plain.w, columns[:, : degree + 1], 1)
            for proposal in sorted(beside, key=lambda one: -one.gain)[: CURVES.beside_trends]:
                self._try(plain, [*trend[:degree], proposal])
        for pair in Pairs(self.scanner).best(plain.v, plain.w, ones, CURVES.pairs):
            self._try(plain, pair)

    def _compositions(self, views: Iterable[View]) -> None:
        """One term inside the layers of each view."""
        starts = []
        for view in views:
            found = self.scanner.proposals(view.v, view.w, np.ones((len(view.v), 1)))
            for proposal in found:
                form, start = self._start(view, [proposal])
                error = root_mean_square(self.few.residuals(form, start)) if start is not None else math.inf
                if error < math.inf:
                    length = self._rough_length(form)
                    starts.append((self._bits(error, length), length, form, start, view))
            if self.late:
                break
        taken: Counter[str] = Counter()
        first = []
        for start in sorted(starts, key=lambda row: row[0]):
            taken[start[2].name] += 1
            if taken[start[2].name] <= CURVES.starts_of_form:
                first.append(start)
        done: set[int] = set()
        for count in (CURVES.compositions, CURVES.more_compositions):
            for one in best_of_each(first, lambda start: start[1], count):
                if id(one) not in done:
                    done.add(id(one))
                    self._keep(one[2], self._settled(*one[2:]))
                if self.late:
                    return
            if self.exact:  # it may be a longer way to write a shorter one, as cosh is for exp far from its middle
                best = self._ranked()[0].form
                first = [one for one in first if isinstance(best, Nested) and one[1] < self._rough_length(best)]
            elif len(self.tried) and self.finished:
                return

    def _sums_under(self, views: Sequence[View]) -> None:
        """Sums of several terms under one outer function: those of the curve with that function undone."""
        for view in views:
            good = view.w > 0
            if self.late or self.exact or not good.all():
                continue
            inner = CurveSearch(
                self.rows.at.t, view.v, view.w**-0.5, self.accuracy, self.allowed, self.reporter, depth=1
            )
            inner.scanner = self.scanner
            for stage in itertools.islice(inner._stages(), CURVES.stages_under_outer):
                stage()
            for one in inner._ranked()[: CURVES.sums_under_outer]:
                if isinstance(one.form, Nested):
                    form = replace(one.form, layers=view.form.layers, constant=True)
                    c0, coefficients, thetas, _ = one.form.parts(one.constants)
                    self._keep(form, form.joined(c0, coefficients, thetas, view.outside))

    def _grow(self, most: int, nested: bool) -> None:
        """More terms for the best sums, and for the best compositions, as long as bits are saved."""
        grown: set[str] = set()
        bits = math.inf
        while not (self.exact or self.late) and self._ranked()[0].bits < bits:
            bits = self._ranked()[0].bits
            forms = [(one, one.form) for one in self._ranked() if isinstance(one.form, Nested)]
            sums = [one for one, form in forms if not form.layers and len(form.terms) < most]
            inside = [one for one, form in forms if form.layers and len(form.terms) < 2] if nested else []
            for one in [*sums[: CURVES.beam], *inside[: CURVES.beam]]:
                if one.form.name not in grown:
                    grown.add(one.form.name)
                    self._extend(one)
                if self.exact or self.late:
                    return

    def _extend(self, one: Found) -> None:
        """The form with one more term of each kind."""
        form = one.form
        assert isinstance(form, Nested)
        _, _, thetas, outside = form.parts(one.constants)
        view = view_of(self.rows, replace(form, terms=(), sizes=(), constant=True), outside)
        if view is None:
            return
        fixed = replace(form, constant=True)
        c0, coefficients, *_ = form.parts(one.constants)
        columns = fixed.columns(self.rows.at, fixed.joined(c0, coefficients, thetas, outside))
        proposals = self.scanner.proposals(view.v, view.w, columns, CURVES.peaks)
        proposals.sort(key=lambda p: -p.gain)
        for proposal in [p for n, p in enumerate(proposals) if n < CURVES.extensions or not len(p.theta)]:
            terms = zip(form.terms, thetas, strict=True)
            self._try(view, [*(Proposal(term, theta, 0.0) for term, theta in terms), proposal])

    def _ratio(self, above: int, below: int) -> None:
        """A ratio of polynomials of these degrees, by linear fits, each weighted with the last denominator."""
        at, y, unit = self.rows.at, self.rows.y, self.rows.unit
        powers = [at.s**k for k in range(max(above, below) + 1)]
        bottom = np.ones(len(y))
        for _ in range(CURVES.ratio_rounds):
            design = np.stack([*powers[: above + 1], *(-y * power for power in powers[:below])], 1)
            weight = 1 / (unit * np.where(np.abs(bottom) > 1e-12, np.abs(bottom), 1e-12))
            target = y * powers[below]
            lengths = np.maximum(np.linalg.norm(design * weight[:, None], axis=0), 1e-300)
            p = np.linalg.lstsq(design * weight[:, None] / lengths, target * weight, rcond=1e-13)[0] / lengths
            bottom = sum(c * power for c, power in zip(p[above + 1 :], powers, strict=False)) + powers[below]
        if np.isfinite(p).all():
            self._keep(Ratio(tuple(range(above + 1)), tuple(range(below)), below), p)

    # --- fits ---

    def _try(self, view: View, proposals: Sequence[Proposal]) -> None:
        """Fit a form with these terms inside a view, starting from the linear fit there."""
        form, start = self._start(view, proposals)
        if start is not None:
            self._keep(form, start)

    def _start(self, view: View, proposals: Sequence[Proposal]) -> tuple[Nested, Array | None]:
        """The form with these terms inside a view, and its constants from a linear fit there, if there is one."""
        thetas = [p.theta for p in proposals]
        form = replace(
            view.form,
            terms=tuple(p.kind for p in proposals),
            sizes=tuple(len(theta) for theta in thetas),
            constant=True,
        )
        start = form.joined(0.0, [np.zeros(p.kind.width) for p in proposals], thetas, view.outside)
        if len(start) > self.most_constants:
            return form, None
        some = self.scanner.chosen
        with np.errstate(all="ignore"):
            root = np.sqrt(view.w[some])
            columns = form.columns(self.few.at, start) * root[:, None]
            lengths = np.maximum(np.linalg.norm(columns, axis=0), 1e-300)
            if not np.isfinite(lengths).all():
                return form, None
            start[: columns.shape[1]] = (
                np.linalg.lstsq(columns / lengths, root * view.v[some], rcond=1e-13)[0] / lengths
            )
        return form, start

    def _settled(self, form: Nested, start: Array, view: View) -> Array:
        """The constants fitted inside the layers of the view, if these bring the curve closer.

        There all but the θ of the terms are linear, and solved for at every step (variable projection): so
        1/(c + d·exp(b·t)), which nearly cancels at one end of the rows, converges in a few steps, not in a hundred.
        """
        from scipy.optimize import least_squares

        c0, coefficients, thetas, outside = form.parts(start)
        if not (form.layers and any(form.sizes)):
            return start
        some = self.scanner.chosen
        root, places = np.sqrt(view.w[some]), np.cumsum(form.sizes)[:-1]

        def solved(theta: Array) -> tuple[Array, Array]:
            inner = form.joined(c0, coefficients, np.split(theta, places), outside)
            with np.errstate(all="ignore"):
                columns = form.columns(self.few.at, inner) * root[:, None]
            if not np.isfinite(columns).all():
                return inner, np.full(len(root), CURVES.largest_column)
            lengths = np.maximum(np.linalg.norm(columns, axis=0), 1e-300)
            c = np.linalg.lstsq(columns / lengths, root * view.v[some], rcond=1e-13)[0] / lengths
            return np.concatenate([c, inner[len(c) :]]), root * view.v[some] - columns @ c

        theta = np.concatenate(thetas)
        found = least_squares(lambda one: solved(one)[1], theta, method="lm", max_nfev=CURVES.fits_inside * len(theta))
        settled = solved(found.x)[0]
        errors = [root_mean_square(self.few.residuals(form, one)) for one in (start, settled)]
        return settled if errors[1] < errors[0] else start

    def _keep(self, form: Form, start: Array) -> None:
        """Fit a form, roughly first; keep it if it is the best with its name, and shorter ones that are as good."""
        p, error = improved(form, start, self.few, CURVES.rough_steps)
        length = self._length(form, p) if math.isfinite(error) else CURVES.unwritten
        known = self.tried.get(form.name)
        rough = self._bits(error, length)
        if length >= CURVES.unwritten or (known is not None and known.bits <= rough):
            return
        rivals = [one.bits for one in self.tried.values() if one.length <= length]
        if rivals and rough > min(rivals) + CURVES.far_behind * len(self.rows.y):
            return
        p, error = improved(form, p, self.rows, CURVES.steps, self.accuracy * CURVES.beyond_accuracy)
        if not math.isfinite(error) or not self._sound(form, p):
            return
        best = Found(form, p, error, self._bits(error, length), length)
        if known is None or best.bits < known.bits:
            self.tried[form.name] = best
        for other, begin in form.shorter(p):
            length = self._length(other, begin)
            if other.name in self.tried or length >= best.length:
                continue
            q, error = improved(other, begin, self.few, CURVES.rough_steps)
            if self._bits(error, length) < best.bits + CURVES.near_bits:
                self._keep(other, q)

    def written(self, one: Found, t: Any, constant: Callable[[float], Any]) -> Any:
        """A form as an expression of t, its constants made by `constant`."""
        return one.form.write(Text(t, self.rows.at, constant), one.constants)

    def template(self, one: Found, t: Any) -> Template:
        """A form as an expression of the symbol t, its constants as they are."""
        return template_of(one.form, one.constants, self.rows.at, t)

    def _bits(self, error: float, length: int) -> float:
        n = len(self.rows.y)
        return n * math.log2(error + self.accuracy) + length * math.log2(n)

    def _length(self, form: Form, p: Array) -> int:
        """Symbols of the form with its constants counted twice, as in `CandidateFormula`."""
        from knotwork.expressions import complexity, symbol

        key = f"{form.name} {[one.sign for one in form.layers] if isinstance(form, Nested) else ''}"
        if key not in self.lengths:
            try:
                template = template_of(form, p, self.rows.at, symbol("t"))
            except OverflowError:
                return CURVES.unwritten
            self.lengths[key] = complexity(template.expression) + len(template.values)
        return self.lengths[key]

    def _rough_length(self, form: Nested) -> int:
        """About the number of symbols of a form, without writing it."""
        return 3 * sum(1 + term.width + size for term, size in zip(form.terms, form.sizes, strict=True)) + sum(
            1 + 3 * layer.outer.scaled + 3 * layer.shifted for layer in form.layers
        )

    def _dense(self) -> Points:
        """Places between the rows, where a form must be finite too."""
        low, high = float(self.rows.at.t.min()), float(self.rows.at.t.max())
        return self.rows.at.at(np.linspace(low, high, 4 * len(self.rows.y) + 1))

    def _sound(self, form: Form, p: Array) -> bool:
        """Whether the form has no poles or gaps between the rows."""
        with np.errstate(all="ignore"):
            values = form.values(self.dense, p)
        span, middle = float(np.ptp(self.rows.y)), float(np.median(self.rows.y))
        return bool(np.isfinite(values).all()) and float(np.abs(values - middle).max()) < CURVES.widest_values * span

    def _ranked(self) -> list[Found]:
        return sorted(self.tried.values(), key=lambda one: one.bits)
