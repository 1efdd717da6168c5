"""Forms of a formula of one variable: outer functions around a sum of terms, times a power; their constants fitted."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol

import numpy as np

from knotwork.formulas.constants import Constants, Template
from knotwork.formulas.curves.curve_terms import Array, Kind, Points, Text
from knotwork.formulas.curves.settings import CURVES
from knotwork.journal import recalled


@dataclass(frozen=True)
class Outer:
    """An outer function: `value`, its derivative `slope`, and `undo`, its inverse (NaN where there is none).

    With `scaled`, it has a factor A that no constant inside it could replace.
    """

    name: str
    needs: tuple[str, ...]
    value: Callable[[Array], Array]
    slope: Callable[[Array], Array]
    undo: Callable[[Array], Array]
    expression: Callable[[Any], Any]
    scaled: bool = False


def _algebra() -> Any:
    from knotwork.expressions import algebra

    return algebra


def _power_outer(name: str, p: float) -> Outer:
    """u**p of u > 0."""
    return Outer(
        name, (), lambda u: np.where(u > 0, u, np.nan) ** p, lambda u: p * u ** (p - 1),
        lambda y: np.where(y > 0, y, np.nan) ** (1 / p), lambda v: v ** _algebra().Rational(round(2 * p), 2),
    )  # fmt: skip


EXP = Outer("exp", ("exp",), np.exp, np.exp, np.log, lambda v: _algebra().exp(v))
RECIPROCAL = Outer("1/", (), lambda u: 1 / u, lambda u: -1 / (u * u), np.reciprocal, lambda v: 1 / v)
ROOT, SQUARE = _power_outer("sqrt", 0.5), _power_outer("square", 2)
INVERSE_ROOT, INVERSE_SQUARE = _power_outer("1/sqrt", -0.5), _power_outer("1/square", -2)
LOG = Outer(
    "log",
    ("log",),
    lambda u: np.log(np.where(u > 0, u, np.nan)),
    np.reciprocal,
    np.exp,
    lambda v: _algebra().log(v),
    scaled=True,
)
TANH = Outer(
    "tanh", ("tanh",), np.tanh, lambda u: 1 - np.tanh(u) ** 2, np.arctanh, lambda v: _algebra().tanh(v), scaled=True
)


@dataclass(frozen=True)
class Layer:
    """sign·A·outer(u) + B: A is free where the outer function is `scaled`, B where `shifted`."""

    outer: Outer
    sign: int = 1
    shifted: bool = False


class Form(Protocol):
    """A function of one variable with constants (P,)."""

    @property
    def name(self) -> str:
        """What distinguishes it from other forms."""
        ...

    @property
    def words(self) -> str:
        """What it is, for a person."""
        ...

    def identity(self) -> Any:
        """All that its values follow from, beside the constants, as numbers and texts."""
        ...

    def values(self, at: Points, p: Array) -> Array:
        """Values (n,)."""
        ...

    def linearised(self, at: Points, p: Array) -> tuple[Array, Array]:
        """Values (n,) and their derivatives (n, P) by the constants."""
        ...

    def write(self, text: Text, p: Array) -> Any:
        """The expression."""
        ...

    def shorter(self, p: Array) -> Iterator[tuple["Form", Array]]:
        """Forms with one part fewer, and constants to start from."""
        ...


@dataclass(frozen=True)
class Nested:
    """s**power · layers(c₀ + Σ terms), the first layer innermost.

    The constants are c₀ (if `constant`), the coefficients of all terms, their θ, then A and B of each layer.
    """

    terms: tuple[Kind, ...]
    constant: bool = True
    layers: tuple[Layer, ...] = ()
    power: float = 0.0
    sizes: tuple[int, ...] = ()
    """Number of components of θ of each term."""

    @property
    def name(self) -> str:
        around = ".".join(f"{layer.outer.name}{'+B' * layer.shifted}" for layer in self.layers)
        return f"t^{self.power:g} {around}({'1 + ' * self.constant}{' + '.join(sorted(t.name for t in self.terms))})"

    def identity(self) -> Any:
        """The names of its parts in their order, and its numbers."""
        layers = [(layer.outer.name, layer.sign, layer.shifted) for layer in self.layers]
        return [term.name for term in self.terms], self.constant, layers, self.power, self.sizes

    def parts(self, p: Array) -> tuple[float, list[Array], list[Array], list[tuple[float, float]]]:
        """c₀, the coefficients and θ of each term, (A, B) of each layer."""
        c0, rest = (float(p[0]), p[1:]) if self.constant else (0.0, p)
        coefficients, thetas = [], []
        for term in self.terms:
            coefficients.append(rest[: term.width])
            rest = rest[term.width :]
        for size in self.sizes:
            thetas.append(rest[:size])
            rest = rest[size:]
        outside = []
        for layer in self.layers:
            scale = float(rest[0]) if layer.outer.scaled else 1.0
            rest = rest[int(layer.outer.scaled) :]
            outside.append((scale, float(rest[0]) if layer.shifted else 0.0))
            rest = rest[int(layer.shifted) :]
        return c0, coefficients, thetas, outside

    def joined(self, c0: float, coefficients: Any, thetas: Any, outside: Any) -> Array:
        """The inverse of `parts`."""
        found = [np.atleast_1d(c0)] * self.constant + [np.asarray(c, float) for c in (*coefficients, *thetas)]
        for layer, (scale, shift) in zip(self.layers, outside, strict=True):
            found += [np.atleast_1d(scale)] * layer.outer.scaled + [np.atleast_1d(shift)] * layer.shifted
        return np.concatenate(found) if found else np.zeros(0)

    def columns(self, at: Points, p: Array) -> Array:
        """The columns (n, q) that the sum is linear in: 1 where there is a constant, and those of the terms."""
        thetas = self.parts(p)[2]
        found = [np.ones(len(at.t))] * self.constant
        for term, theta in zip(self.terms, thetas, strict=True):
            found += term.columns(at, theta)
        return np.stack(found, 1) if found else np.zeros((len(at.t), 0))

    @property
    def words(self) -> str:
        """What the form is, for a person."""
        if self.layers:
            return "a composition of functions"
        return "a sum of terms" if len(self.terms) > 1 else "one term"

    def values(self, at: Points, p: Array) -> Array:
        c0, coefficients, thetas, outside = self.parts(p)
        u = np.full(len(at.t), c0)
        for term, c, theta in zip(self.terms, coefficients, thetas, strict=True):
            for factor, column in zip(c, term.columns(at, theta), strict=True):
                u = u + factor * column
        for layer, (scale, shift) in zip(self.layers, outside, strict=True):
            u = layer.sign * scale * layer.outer.value(u) + shift
        return u * at.s**self.power if self.power else u

    def linearised(self, at: Points, p: Array) -> tuple[Array, Array]:
        c0, coefficients, thetas, outside = self.parts(p)
        n = len(at.t)
        u, linear, inner = np.full(n, c0), [np.ones(n)] * self.constant, []
        for term, c, theta in zip(self.terms, coefficients, thetas, strict=True):
            columns = term.columns(at, theta)
            slopes = term.slopes(at, theta) if len(theta) else []
            linear += columns
            for factor, column in zip(c, columns, strict=True):
                u = u + factor * column
            inner += [sum(f * row[k] for f, row in zip(c, slopes, strict=True)) for k in range(len(theta))]
        found = [*linear, *inner]
        for layer, (scale, shift) in zip(self.layers, outside, strict=True):
            value, slope = layer.sign * layer.outer.value(u), layer.sign * scale * layer.outer.slope(u)
            found = [slope * column for column in found]
            found += [value] * layer.outer.scaled + [np.ones(n)] * layer.shifted
            u = scale * value + shift
        jacobian = np.stack(found, 1) if found else np.zeros((n, 0))
        if self.power:
            power = at.s**self.power
            return u * power, jacobian * power[:, None]
        return u, jacobian

    def write(self, text: Text, p: Array) -> Any:
        algebra = _algebra()
        c0, coefficients, thetas, outside = self.parts(p)
        scale = text.points.size**self.power
        at_once = not self.layers and self.power  # the power's unit joins the coefficients
        total: Any = algebra.Integer(0)
        for term, c, theta in zip(self.terms, coefficients, thetas, strict=True):
            expression, added = term.write(text, theta, c / scale if at_once else c)
            total, c0 = total + expression, c0 + added * (scale if at_once else 1.0)
        if self.constant or c0:
            total = total + text.constant(c0 / scale if at_once else c0)
        for layer, (size, shift) in zip(self.layers, outside, strict=True):
            total = layer.outer.expression(total) * layer.sign
            if layer.outer.scaled:
                total = text.constant(size) * total
            if layer.shifted:
                total = total + text.constant(shift)
        if not self.power:
            return total
        unit = 1 if at_once else text.constant(1 / scale)
        return unit * total * text.t ** algebra.Rational(round(2 * self.power), 2)

    def shorter(self, p: Array) -> Iterator[tuple[Form, Array]]:
        c0, coefficients, thetas, outside = self.parts(p)
        if self.constant and self.terms:
            form = replace(self, constant=False)
            yield form, form.joined(0.0, coefficients, thetas, outside)
        for k in range(len(self.terms) if len(self.terms) > 1 or self.constant else 0):
            kept = [n for n in range(len(self.terms)) if n != k]
            form = replace(self, terms=tuple(self.terms[n] for n in kept), sizes=tuple(self.sizes[n] for n in kept))
            yield form, form.joined(c0, [coefficients[n] for n in kept], [thetas[n] for n in kept], outside)
        for k, layer in enumerate(self.layers):
            if layer.shifted:
                layers = (*self.layers[:k], replace(layer, shifted=False), *self.layers[k + 1 :])
                form = replace(self, layers=layers)
                yield form, form.joined(c0, coefficients, thetas, outside)


@dataclass(frozen=True)
class Ratio:
    """Σ a_i s^i / (Σ b_j s^j + s^last), with the exponents above and below the line; the last has no factor."""

    above: tuple[int, ...]
    below: tuple[int, ...]
    last: int

    @property
    def name(self) -> str:
        return f"ratio {self.above}/{(*self.below, self.last)}"

    @property
    def words(self) -> str:
        """What the form is, for a person."""
        return "a ratio of polynomials"

    def identity(self) -> Any:
        """Its exponents."""
        return self.above, self.below, self.last

    def _parts(self, at: Points, p: Array) -> tuple[Array, Array, Array, Array]:
        above = np.stack([at.s**k for k in self.above], 1)
        below = np.stack([at.s**k for k in self.below], 1) if self.below else np.zeros((len(at.t), 0))
        a, b = np.split(p, [len(self.above)])
        return above, below, above @ a, below @ b + at.s**self.last

    def values(self, at: Points, p: Array) -> Array:
        _, _, top, bottom = self._parts(at, p)
        return top / bottom

    def linearised(self, at: Points, p: Array) -> tuple[Array, Array]:
        above, below, top, bottom = self._parts(at, p)
        return top / bottom, np.concatenate([above, -below * (top / bottom)[:, None]], 1) / bottom[:, None]

    def write(self, text: Text, p: Array) -> Any:
        size, t = text.points.size, text.t
        a, b = np.split(p, [len(self.above)])
        top = sum(text.constant(c * size ** (self.last - k)) * t**k for c, k in zip(a, self.above, strict=True))
        bottom = sum(text.constant(c * size ** (self.last - k)) * t**k for c, k in zip(b, self.below, strict=True))
        return top / (bottom + t**self.last)

    def shorter(self, p: Array) -> Iterator[tuple[Form, Array]]:
        a, b = np.split(p, [len(self.above)])
        for k in range(len(a) if len(a) > 1 else 0):
            yield replace(self, above=(*self.above[:k], *self.above[k + 1 :])), np.delete(p, k)
        for k in range(len(b)):
            yield replace(self, below=(*self.below[:k], *self.below[k + 1 :])), np.delete(p, len(a) + k)


@dataclass(frozen=True)
class Rows:
    """What forms are fitted to: points, values y (n,), and the unit (n,) that residuals are counted in."""

    never_changes: ClassVar[bool] = True
    at: Points
    y: Array
    unit: Array

    def some(self, most: int) -> "Rows":
        """At most this number of rows, evenly chosen along t, with both ends, in the order of t."""
        n = len(self.y)
        rows = np.argsort(self.at.t)[np.linspace(0, n - 1, min(n, most)).round().astype(int)]
        return Rows(self.at.at(self.at.t[rows]), self.y[rows], self.unit[rows])

    def residuals(self, form: Form, p: Array) -> Array:
        """Residuals (n,) in units; NaN where the form leaves its domain."""
        with np.errstate(all="ignore"):
            return (form.values(self.at, p) - self.y) / self.unit


def root_mean_square(residuals: Array) -> float:
    """The root mean square; infinite where a residual is not finite."""
    with np.errstate(all="ignore"):
        found = float(np.sqrt(np.mean(residuals**2)))
    return found if math.isfinite(found) else math.inf


def improved(form: Form, p: Array, rows: Rows, steps: int, target: float = 0.0) -> tuple[Array, float]:
    """The constants after damped Gauss-Newton steps, and the root mean squared residual in units."""
    return recalled(
        "improved",
        lambda: (form.identity(), p, rows, steps, target),
        lambda: _improved(form, p, rows, steps, target),
        lambda found: (found[0].tolist(), found[1]),
        lambda kept: (np.array(kept[0], float), kept[1]),
    )


def _improved(form: Form, p: Array, rows: Rows, steps: int, target: float) -> tuple[Array, float]:
    with np.errstate(all="ignore"):
        error = root_mean_square(rows.residuals(form, p))
        damping, slow = CURVES.first_damping, 0
        for _ in range(steps if math.isfinite(error) and len(p) else 0):
            values, jacobian = form.linearised(rows.at, p)
            jacobian = jacobian / rows.unit[:, None]
            lengths = np.linalg.norm(jacobian, axis=0)
            if not np.isfinite(lengths).all():
                break
            lengths = np.where(lengths > 0, lengths, 1.0)
            jacobian = jacobian / lengths
            curvatures, directions = np.linalg.eigh(jacobian.T @ jacobian)
            downhill = directions.T @ (jacobian.T @ ((rows.y - values) / rows.unit))
            before = error
            for _ in range(CURVES.attempts):
                step = directions @ (downhill / (np.maximum(curvatures, 0.0) + damping))
                trial = p + step / lengths
                reached = root_mean_square(rows.residuals(form, trial))
                if reached < error:
                    p, error, damping = trial, reached, max(damping / 10, 1e-14)
                    break
                damping = max(damping * 10, 1e-8)
            slow = slow + 1 if error > before * (1 - CURVES.least_progress) else 0
            if error == before or slow >= CURVES.patience or error <= target:
                break
    return p, error


def template_of(form: Form, p: Array, points: Points, t: Any) -> Template:
    """The form as an expression of the symbol t, with its constants as they are."""
    constant = Constants()
    with np.errstate(all="ignore"):  # a constant may leave the range of floats
        return constant.template(form.write(Text(t, points, constant), p))
