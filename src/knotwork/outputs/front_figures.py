"""Each formula of a front over the rows: its curve with a band, or predictions and partial curves of several inputs."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from knotwork.data import Dataset
from knotwork.drawing import predicted_vs_true
from knotwork.drawing.formulas import curve_over_rows
from knotwork.errors import KnotworkError
from knotwork.formulas import Formula
from knotwork.outputs.findings import reported_share, shares
from knotwork.outputs.inline import inline_svg
from knotwork.outputs.typesetting import markup, typeset
from knotwork.outputs.wording import number

MOST_POINTS = 400  # number of rows that are drawn
CURVE_POINTS = 120  # number of points of a curve
MOST_PARTIAL = 3  # number of inputs with a partial curve
INTERVAL = 0.95  # probability of a band


class Drawn(NamedTuple):
    """Figures of one formula as SVG, and what they show."""

    figures: list[str]
    caption: str


class _Rows(NamedTuple):
    """Rows of the table in its own units: columns by name, and the target."""

    columns: dict[str, np.ndarray]
    y: np.ndarray

    @classmethod
    def of(cls, data: Dataset, names: list[str] | None = None) -> "_Rows":
        parts = [part for name, part in shares(data).items() if names is None or name in names]
        x = np.concatenate(
            [(one if data.scaling is None else data.scaling.undo(one)).double().numpy() for one, _ in parts]
        )
        y = np.concatenate([one.double().numpy() for _, one in parts])[:, 0]
        return cls(dict(zip(data.input_names, x.T, strict=True)), y)

    def thinned(self) -> "_Rows":
        """At most this many rows, evenly."""
        some = np.linspace(0, len(self.y) - 1, min(MOST_POINTS, len(self.y))).round().astype(int)
        return _Rows({name: column[some] for name, column in self.columns.items()}, self.y[some])


def drawn_formula(formula: Formula, data: Dataset, number: int, share: str) -> Drawn | None:
    """The figures of formula `number` of a front; None for several targets, and where it has no finite values."""
    if len(formula.targets) != 1 or formula.loss != "mse":
        return None
    rows = _Rows.of(data)
    if len(rows.columns) == 1:
        return _over_rows(formula, data, rows, number)
    test = _Rows.of(data, [share])
    values = np.broadcast_to(formula.predict(test.columns), test.y.shape)
    finite = np.isfinite(values)
    if not finite.any():
        return None
    target = data.label(formula.targets[0])
    figure = predicted_vs_true(test.y[finite], values[finite], target)
    figures = [
        inline_svg(
            figure, f"front-{number}", f"Formula {number}: predicted {formula.targets[0]} against its true values"
        )
    ]
    partial = _partial(formula, data, rows, number)
    words = f"predictions on the {share} rows against true values"
    if partial:
        words += (
            "; the dependence on each input with the others at their medians, and points that add the residual of a row"
        )
    return Drawn([*figures, *partial], words)


def _over_rows(formula: Formula, data: Dataset, rows: _Rows, number: int) -> Drawn | None:
    ((name, x),) = rows.columns.items()
    at = np.linspace(x.min(), x.max(), CURVE_POINTS)
    values, band = np.broadcast_to(formula.predict({name: at}), at.shape), _band(formula, {name: at})
    if not np.isfinite(values).any():
        return None
    some = rows.thinned()
    names = (data.label(name), data.label(formula.targets[0]))
    figure = curve_over_rows((some.columns[name], some.y), (at, values), names, band)
    what = (
        "" if band is None else f" with the interval that holds a new row with a probability of {100 * INTERVAL:.0f} %"
    )
    svg = inline_svg(figure, f"front-{number}", f"Formula {number} over the rows")
    return Drawn([svg], f"the formula over the rows{what}")


def _band(formula: Formula, columns: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray] | None:
    try:
        found = formula.predict(columns, interval=INTERVAL)
    except KnotworkError:  # a curve without a name, a formula without uncertainty
        return None
    like = np.zeros(len(next(iter(columns.values()))))
    lower, upper = found.lower + like, found.upper + like
    return (lower, upper) if np.isfinite(lower).any() else None


def _partial(formula: Formula, data: Dataset, rows: _Rows, number: int) -> list[str]:
    """The curves of the inputs along which the formula changes most, with partial residuals."""
    used = [name for name in rows.columns if name in {str(one) for one in formula.expression.free_symbols}]
    some = rows.thinned()
    middle = {name: float(np.median(column)) for name, column in rows.columns.items()}
    residuals = some.y - np.broadcast_to(formula.predict(some.columns), some.y.shape)
    curves = []
    for name in used:
        column = rows.columns[name]
        at = np.linspace(column.min(), column.max(), CURVE_POINTS)

        def along(x: np.ndarray, name: str = name) -> np.ndarray:
            own = {one: np.full_like(x, value) for one, value in middle.items()}
            return np.broadcast_to(formula.predict({**own, name: x}), x.shape)

        values, points = along(at), along(some.columns[name]) + residuals
        finite = np.isfinite(points)
        if np.isfinite(values).any() and finite.any():
            curves.append((float(np.ptp(values[np.isfinite(values)])), name, at, values, points, finite))
    found = []
    for _, name, at, values, points, finite in sorted(curves, key=lambda one: -one[0])[:MOST_PARTIAL]:
        names = (data.label(name), data.label(formula.targets[0]))
        figure = curve_over_rows((some.columns[name][finite], points[finite]), (at, values), names)
        svg = inline_svg(
            figure, f"front-{number}-{used.index(name)}", f"Formula {number} along {name}, others at medians"
        )
        found.append(svg)
    return found


def tried_formulas(tried: Sequence[Any], data: Dataset) -> list[dict[str, Any]]:
    """Each formula of a front: typeset, its constants with errors, bits beyond the best, and its figures."""
    entries = [entry for entry in tried if entry.formula is not None]
    least = min((getattr(entry, "bits", math.inf) for entry in entries), default=math.inf)
    found = []
    for n, entry in enumerate(entries):
        beyond = getattr(entry, "bits", math.inf) - least
        drawn = drawn_formula(entry.formula, data, n, reported_share(data))
        constants = [
            str(one) if one.error > 1e-9 * abs(one.value) else number(one.value) for one in entry.formula.constants
        ]
        found.append(
            {
                "entry": entry,
                "sides": typeset(entry.formula),
                "bits": "" if not math.isfinite(beyond) else f"+{beyond:,.0f}" if beyond >= 0.5 else "0",
                "constants": constants,
                "figures": [] if drawn is None else [markup(one) for one in drawn.figures],
                "caption": "" if drawn is None else drawn.caption,
            }
        )
    return found
