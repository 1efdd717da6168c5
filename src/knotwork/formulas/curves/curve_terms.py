"""Terms of a formula of one variable: a library of kinds such as exp(b·t), each with its grid, its slopes, its text."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from knotwork.formulas.curves.settings import CURVES

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Points:
    """The places t (n,) of a curve, in two more coordinates: z in [-1, 1], and s = t/size, which keeps the origin.

    t = middle + half·z.
    """

    t: Array
    middle: float
    half: float
    size: float

    @classmethod
    def of(cls, t: Array) -> "Points":
        """From t alone."""
        low, high = float(t.min()), float(t.max())
        return cls(t, (low + high) / 2, (high - low) / 2 or 1.0, max(abs(low), abs(high)) or 1.0)

    def at(self, t: Array) -> "Points":
        """Other places in the same coordinates."""
        return Points(t, self.middle, self.half, self.size)

    @property
    def z(self) -> Array:
        """t mapped to [-1, 1]."""
        return (self.t - self.middle) / self.half

    @property
    def s(self) -> Array:
        """t as a share of its largest absolute value."""
        return self.t / self.size

    @property
    def positive(self) -> bool:
        """Whether all places are above zero, as powers and logarithms need it."""
        return bool((self.t > 0).all())

    @property
    def signed(self) -> bool:
        """Whether all places are on one side of zero."""
        return self.positive or bool((self.t < 0).all())

    @property
    def far(self) -> float:
        """Distance of the middle from zero, in units of `half`."""
        return self.middle / self.half


@dataclass(frozen=True)
class Text:
    """What a term is written with: the variable, the points that define its coordinates, and a maker of constants."""

    t: Any
    points: Points
    constant: Callable[[float], Any]


@dataclass(frozen=True)
class Kind:
    """One kind of term: linear combinations of its `columns`, which depend on inner constants θ.

    Attributes:
        name: in words of mathematics.
        needs: names of library functions, of which one must be allowed; none for powers.
        grid: values (m, q) of θ to try for these points; none where the kind does not apply.
        columns: the columns, each (..., n), of θ (q, ...).
        slopes: for every column its derivatives by every component of θ.
        write: the term as an expression from a `Text`, θ and the coefficients of the columns, and a constant to add.
        width: number of columns.
        envelope: of an oscillation e·cos(w·z), e·sin(w·z), whose frequency comes from a periodogram: e of (points, θ).
    """

    name: str
    needs: tuple[str, ...]
    grid: Callable[[Points], Array]
    columns: Callable[[Points, Array], list[Array]]
    slopes: Callable[[Points, Array], list[list[Array]]]
    write: Callable[[Text, Array, Array], tuple[Any, float]]
    width: int = 1
    envelope: Callable[[Points, Array], Array] | None = None


def no_grid(points: Points) -> Array:
    return np.zeros((1, 0))


def grid_if(condition: bool, values: Any) -> Array:
    """These values as a grid (m, q) if the condition holds; otherwise no row."""
    found = np.asarray(values, dtype=float)
    found = found[:, None] if found.ndim == 1 else found
    return found if condition else found[:0]


def _both(first: Any, second: Any) -> Array:
    """All pairs of two lists of values, (m, 2)."""
    return np.stack([part.ravel() for part in np.meshgrid(first, second, indexing="ij")], 1)


def _rates() -> Array:
    """Rates b of exp(b·z), of either sign."""
    rates = np.geomspace(CURVES.slowest_rate, CURVES.fastest_rate, CURVES.rates)
    return np.concatenate([rates, -rates])


# --- powers and logarithms ---


def _power(p: float, positive: bool) -> Kind:
    """s**p; with `positive` only for points above zero."""
    exponent = int(p) if p == int(p) else p

    def grid(points: Points) -> Array:
        return grid_if(points.positive if positive else True, np.zeros((1, 0)))

    def write(text: Text, theta: Array, c: Array) -> tuple[Any, float]:
        from knotwork.expressions import algebra

        whole = algebra.Integer(exponent) if isinstance(exponent, int) else algebra.Rational(round(2 * p), 2)
        return text.constant(c[0] / text.points.size**p) * text.t**whole, 0.0

    return Kind(f"t^{p:g}", (), grid, lambda at, theta: [at.s**exponent], lambda at, theta: [[]], write)


def _write_power(text: Text, theta: Array, c: Array) -> tuple[Any, float]:
    p = float(theta[0])
    return text.constant(c[0] / text.points.size**p) * text.t ** text.constant(p), 0.0


def _write_absolute_power(text: Text, theta: Array, c: Array) -> tuple[Any, float]:
    from knotwork.expressions import algebra

    p = float(theta[0])
    return text.constant(c[0] / text.points.size**p) * algebra.Abs(text.t) ** text.constant(p), 0.0


def _logarithm_of(values: Array) -> Array:
    return np.log(np.maximum(np.abs(values), 1e-300))


def _write_logarithm(text: Text, theta: Array, c: Array) -> tuple[Any, float]:
    from knotwork.expressions import algebra

    return text.constant(c[0]) * algebra.log(text.t), -float(c[0]) * math.log(text.points.size)


def _powers() -> list[Kind]:
    free = Kind(
        "t^p", (), lambda at: grid_if(at.positive, CURVES.powers), lambda at, theta: [at.s ** theta[0]],
        lambda at, theta: [[at.s ** theta[0] * np.log(at.s)]], _write_power,
    )  # fmt: skip
    absolute = Kind(
        "|t|^p", ("abs",), lambda at: grid_if(not at.signed, [p for p in CURVES.powers if p > 0]),
        lambda at, theta: [np.abs(at.s) ** theta[0]],
        lambda at, theta: [[np.abs(at.s) ** theta[0] * _logarithm_of(at.s)]], _write_absolute_power,
    )  # fmt: skip
    logarithm = Kind(
        "log t", ("log",), lambda at: grid_if(at.positive, np.zeros((1, 0))), lambda at, theta: [np.log(at.s)],
        lambda at, theta: [[]], _write_logarithm,
    )  # fmt: skip
    whole = [_power(p, False) for p in (1, 2, 3, 4)]
    return [*whole, *(_power(p, True) for p in (0.5, 1.5, -0.5, -1, -2)), free, absolute, logarithm]


# --- exponentials, alone and times powers ---


def _write_exponential(k: float | None, text: Text, theta: Array, c: Array) -> tuple[Any, float]:
    """c·s**k·exp(b·z); k is the first of θ where it is None."""
    from knotwork.expressions import algebra

    p, b = (float(theta[0]), float(theta[1])) if k is None else (k, float(theta[0]))
    at = text.points
    rate, shift, size = b / at.half, -b * at.far, float(c[0]) / at.size**p
    power = text.constant(p) if k is None else algebra.Integer(int(p))
    return text.constant(size * far_factor(shift)) * text.t**power * algebra.exp(text.constant(rate) * text.t), 0.0


def far_factor(shift: float) -> float:
    """exp(shift), the factor of exp(b·t) far from zero. OverflowError where exp(b·t) leaves the range of floats."""
    if abs(shift) > CURVES.largest_exponent:
        raise OverflowError(f"exp({shift:.4g}) is no factor that a formula can hold.")
    return math.exp(shift)


def _exponential(k: int) -> Kind:
    """s**k·exp(b·z)."""

    def column(at: Points, theta: Array) -> Array:
        return at.s**k * np.exp(theta[0] * at.z)

    return Kind(
        ("t^2·exp", "t·exp", "exp")[2 - k], ("exp",), lambda at: grid_if(True, _rates()),
        lambda at, theta: [column(at, theta)], lambda at, theta: [[at.z * column(at, theta)]],
        partial(_write_exponential, float(k)),
    )  # fmt: skip


def _power_of_exponential() -> Kind:
    """s**p·exp(b·z) of positive points."""

    def column(at: Points, theta: Array) -> Array:
        return at.s ** theta[0] * np.exp(theta[1] * at.z)

    def slopes(at: Points, theta: Array) -> list[list[Array]]:
        value = column(at, theta)
        return [[value * np.log(at.s), value * at.z]]

    powers, rates = [p for p in CURVES.powers if p not in (0, 1, 2)][::2], _rates()[::3]
    return Kind(
        "t^p·exp", ("exp",), lambda at: grid_if(at.positive, _both(powers, rates)),
        lambda at, theta: [column(at, theta)], slopes, partial(_write_exponential, None),
    )  # fmt: skip


def _write_hyperbolic(text: Text, theta: Array, c: Array) -> tuple[Any, float]:
    """c₀·cosh(b·z) + c₁·sinh(b·z) as one function with a shift."""
    from knotwork.expressions import compose

    at, b, (even, odd) = text.points, float(theta[0]), map(float, c)
    name, large, small = ("cosh(x)", even, odd) if abs(even) >= abs(odd) else ("sinh(x)", odd, even)
    ratio = max(min(small / large if large else 0.0, 1 - 1e-12), -1 + 1e-12)
    shift = math.atanh(ratio)
    inside = text.constant(b / at.half) * text.t + text.constant(shift - b * at.far)
    return text.constant(large / math.cosh(shift)) * compose(name, inside), 0.0


def _hyperbolic() -> Kind:
    def slopes(at: Points, theta: Array) -> list[list[Array]]:
        return [[at.z * np.sinh(theta[0] * at.z)], [at.z * np.cosh(theta[0] * at.z)]]

    return Kind(
        "cosh", ("cosh",), lambda at: grid_if(True, np.geomspace(0.5, 20, 20)),
        lambda at, theta: [np.cosh(theta[0] * at.z), np.sinh(theta[0] * at.z)], slopes, _write_hyperbolic, 2,
    )  # fmt: skip


# --- functions with a width and a place ---


def _step(name: str, text_of: str, needs: tuple[str, ...], value: Callable[[Array], Array], slope: Any) -> Kind:
    """f(b·(z - m)) for a step or a bump f."""

    def grid(at: Points) -> Array:
        return _both(np.geomspace(CURVES.widest, CURVES.steepest, CURVES.widths), np.linspace(-1.3, 1.3, CURVES.places))

    def slopes(at: Points, theta: Array) -> list[list[Array]]:
        b, m = theta
        steep = slope(b * (at.z - m))
        return [[steep * (at.z - m), -b * steep]]

    def write(text: Text, theta: Array, c: Array) -> tuple[Any, float]:
        from knotwork.expressions import algebra, compose

        at, (b, m) = text.points, map(float, theta)
        if name in ("gaussian", "lorentzian"):
            square = text.constant((b / at.half) ** 2) * (text.t - text.constant(at.middle + at.half * m)) ** 2
            return text.constant(c[0]) * (algebra.exp(-square) if name == "gaussian" else 1 / (1 + square)), 0.0
        inside = text.constant(b / at.half) * text.t + text.constant(-b * (m + at.far))
        return text.constant(c[0]) * compose(text_of, inside), 0.0

    return Kind(name, needs, grid, lambda at, theta: [value(theta[0] * (at.z - theta[1]))], slopes, write)


def _steps() -> list[Kind]:
    return [
        _step("tanh", "tanh(x)", ("tanh", "sigmoid"), np.tanh, lambda u: 1 - np.tanh(u) ** 2),
        _step("arctan", "atan(x)", ("arctan",), np.arctan, lambda u: 1 / (1 + u * u)),
        _step("gaussian", "", ("gaussian", "exp"), lambda u: np.exp(-u * u), lambda u: -2 * u * np.exp(-u * u)),
        _step("lorentzian", "", (), lambda u: 1 / (1 + u * u), lambda u: -2 * u / (1 + u * u) ** 2),
    ]


def _beyond() -> Array:
    """Places outside [-1, 1] where a function may have its end or pole."""
    out = 1 + np.concatenate([[1e-6], np.geomspace(1e-3, 20, CURVES.beyond)])
    return np.concatenate([out, -out])


def _shifted(name: str, text_of: str, needs: tuple[str, ...], value: Callable[[Array], Array], slope: Any) -> Kind:
    """f(z - m) for m below all points, or f(m - z) for m above them."""

    def side(theta: Array) -> Any:
        return np.where(theta[0] > 0, -1.0, 1.0)

    def write(text: Text, theta: Array, c: Array) -> tuple[Any, float]:
        from knotwork.expressions import compose

        at, m = text.points, float(theta[0])
        place = at.middle + at.half * m
        off = text.constant(place) - text.t if m > 0 else text.t + text.constant(-place)
        if name == "log":
            return text.constant(c[0]) * compose(text_of, off), -float(c[0]) * math.log(at.half)
        power = {"sqrt": 0.5, "1/t": -1.0}[name]
        return text.constant(c[0] / at.half**power) * compose(text_of, off), 0.0

    return Kind(
        f"{name} shifted", needs, lambda at: grid_if(True, _beyond()),
        lambda at, theta: [value(side(theta) * (at.z - theta[0]))],
        lambda at, theta: [[-side(theta) * slope(side(theta) * (at.z - theta[0]))]], write,
    )  # fmt: skip


def _write_corner(text: Text, theta: Array, c: Array) -> tuple[Any, float]:
    from knotwork.expressions import algebra

    at = text.points
    return text.constant(c[0] / at.half) * algebra.Abs(text.t - text.constant(at.middle + at.half * theta[0])), 0.0


def _write_parabola(text: Text, theta: Array, c: Array) -> tuple[Any, float]:
    at = text.points
    return text.constant(c[0] / at.half**2) * (text.t - text.constant(at.middle + at.half * theta[0])) ** 2, 0.0


def _shifts() -> list[Kind]:
    parabola = Kind(
        "(t - m)^2", (), lambda at: grid_if(True, np.concatenate([np.linspace(-2, 2, 21), _beyond()])),
        lambda at, theta: [(at.z - theta[0]) ** 2], lambda at, theta: [[-2 * (at.z - theta[0])]], _write_parabola,
    )  # fmt: skip
    corner = Kind(
        "|t - m|", ("abs",), lambda at: grid_if(True, np.linspace(-0.95, 0.95, 77)),
        lambda at, theta: [np.abs(at.z - theta[0])], lambda at, theta: [[-np.sign(at.z - theta[0])]], _write_corner,
    )  # fmt: skip
    return [
        _shifted("log", "log(x)", ("log",), np.log, lambda u: 1 / u),
        _shifted("sqrt", "sqrt(x)", (), np.sqrt, lambda u: 0.5 / np.sqrt(u)),
        _shifted("1/t", "1/x", (), np.reciprocal, lambda u: -1 / (u * u)),
        parabola,
        corner,
    ]


SMOOTH = (
    *_powers(), *(_exponential(k) for k in (0, 1, 2)), _power_of_exponential(), _hyperbolic(), *_steps(), *_shifts(),
)  # fmt: skip
