"""Views of a curve: its values with outer functions undone and a power divided out, so that a sum of terms remains."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from knotwork.formulas.curves.curve_forms import (
    EXP,
    INVERSE_ROOT,
    INVERSE_SQUARE,
    LOG,
    RECIPROCAL,
    ROOT,
    SQUARE,
    TANH,
    Layer,
    Nested,
    Rows,
)
from knotwork.formulas.curves.curve_terms import Array
from knotwork.formulas.curves.settings import CURVES


@dataclass(frozen=True)
class View:
    """Values v (n,) with weights w (n,): a sum of terms that fits v gives, with `form` around it, the curve.

    `form` has no terms; `outside` holds A and B of its layers. The weighted squares of errors of v are those of the
    curve in its units, to first order.
    """

    form: Nested
    outside: tuple[tuple[float, float], ...]
    v: Array
    w: Array

    @property
    def scaled(self) -> bool:
        """Whether an outer function has a factor, other than 1 of a logarithm."""
        layers = zip(self.form.layers, self.outside, strict=True)
        return any(layer.outer.scaled and (layer.outer is not LOG or factor != 1) for layer, (factor, _) in layers)


def view_of(rows: Rows, form: Nested, outside: Sequence[tuple[float, float]]) -> View | None:
    """The rows as seen from inside the layers and the power of a form; None where they cannot be undone.

    A few rows may have values that cannot, by noise; they have no weight.
    """
    with np.errstate(all="ignore"):
        factor = rows.at.s**form.power if form.power else np.ones(len(rows.y))
        v, slope = rows.y / factor, factor / rows.unit
        for layer, (scale, shift) in zip(reversed(form.layers), reversed(outside), strict=True):
            v = layer.outer.undo(layer.sign * (v - shift) / scale)
            slope = slope * scale * layer.outer.slope(v)
        w = slope**2
    good = np.isfinite(v) & np.isfinite(w)
    if good.mean() < CURVES.undone_share or not w[good].any():
        return None
    v, w = np.where(good, v, np.median(v[good])), np.where(good, w, 0.0)
    w = np.minimum(w, CURVES.steepest_view * np.median(w)) if form.layers or form.power else w
    return View(form, tuple(outside), v, w)


def usable(layer: Layer, allowed: Sequence[str] | None) -> bool:
    """Whether the function of a layer may be used."""
    return allowed is None or not layer.outer.needs or any(name in allowed for name in layer.outer.needs)


def views_of(rows: Rows, allowed: Sequence[str] | None) -> Iterator[View]:
    """Views of the rows under one outer function with grids of its A and B, and of products with a power."""
    if rows.at.positive or np.abs(rows.at.s).min() > CURVES.least_share:
        powers = [1.0, 2.0, -1.0, *([0.5, -0.5] if rows.at.positive else [])]
    else:
        powers = [1.0] if (rows.at.s != 0).all() else []
    for power in powers:
        found = view_of(rows, Nested((), power=power), ())
        if found is not None:
            yield found
    for power in [0.0, *(p for p in powers if p in (1.0, -1.0))]:
        values = rows.y / rows.at.s**power if power else rows.y
        for layer, outside in layers_of(values, shifts=not power):
            found = view_of(rows, Nested((), layers=(layer,), power=power), [outside])
            if found is not None and usable(layer, allowed):
                yield found
    for power in CURVES.powers_of_ratios if rows.at.positive else ():
        found = view_of(rows, Nested((), layers=(Layer(RECIPROCAL, 1),), power=power), [(1.0, 0.0)])
        if found is not None:
            yield found


def deeper(rows: Rows, view: View, allowed: Sequence[str] | None) -> Iterator[View]:
    """Views under one more outer function, inside those of a view."""
    for layer, outside in layers_of(view.v, shifts=True, few=True):
        if usable(layer, allowed) and layer.outer is not view.form.layers[0].outer:
            form = Nested((), layers=(layer, *view.form.layers), power=view.form.power)
            found = view_of(rows, form, [outside, *view.outside])
            if found is not None:
                yield found


def layers_of(y: Array, shifts: bool, few: bool = False) -> Iterator[tuple[Layer, tuple[float, float]]]:
    """Outer functions that these values may have, with grids of A and B."""
    low, high = float(y.min()), float(y.max())
    span = high - low
    if not span > 0:
        return
    size, sign = max(abs(low), abs(high)), 1 if float(np.median(y)) > 0 else -1
    one_sign = (sign * y > 0).mean() >= CURVES.undone_share
    beyond = CURVES.few_offsets if few else CURVES.offsets
    below, above = [low - span * share for share in beyond], [high + span * share for share in beyond]
    for outer in (EXP, RECIPROCAL, ROOT, SQUARE, INVERSE_ROOT, INVERSE_SQUARE):
        if one_sign:
            yield Layer(outer, sign), (1.0, 0.0)
        if shifts and outer in (EXP, RECIPROCAL, ROOT, SQUARE):
            yield from ((Layer(outer, 1, True), (1.0, b)) for b in below)
            yield from ((Layer(outer, -1, True), (1.0, b)) for b in above)
    scales = [a for a in (*CURVES.plain_scales, *(span * s for s in CURVES.scales)) if size / a < CURVES.largest_log]
    for a in scales if not few else scales[:1]:
        yield Layer(LOG), (a, 0.0)
        yield Layer(LOG), (-a, 0.0)
    if shifts:
        for share in CURVES.beyond_tanh:
            yield Layer(TANH), (size * (1 + share), 0.0)
            if not few:
                yield Layer(TANH, 1, True), (span / 2 * (1 + share), (low + high) / 2)
