"""Terms that oscillate: sines of t and of powers of t, growing or decaying."""

import math
from typing import Any

import numpy as np

from knotwork.formulas.curves.curve_terms import Array, Kind, Points, Text, far_factor, grid_if, no_grid
from knotwork.formulas.curves.settings import CURVES


def _write_oscillation(text: Text, rate: float, shift: float, c: Array, envelope: Any, variable: Any) -> Any:
    """envelope·(c₀·cos(rate·v + shift) + c₁·sin(rate·v + shift)) as one sine."""
    from knotwork.expressions import compose

    size, phase = math.hypot(*c), math.atan2(c[0], c[1]) + shift
    turns = round(phase / math.pi)
    phase -= turns * math.pi
    size *= (-1) ** (turns % 2)
    return text.constant(size) * envelope * compose("sin(x)", text.constant(rate) * variable + text.constant(phase))


def _oscillation(k: int) -> Kind:
    """s**k·cos(w·z) and s**k·sin(w·z)."""

    def columns(at: Points, theta: Array) -> list[Array]:
        return [at.s**k * np.cos(theta[0] * at.z), at.s**k * np.sin(theta[0] * at.z)]

    def slopes(at: Points, theta: Array) -> list[list[Array]]:
        even, odd = columns(at, theta)
        return [[-at.z * odd], [at.z * even]]

    def write(text: Text, theta: Array, c: Array) -> tuple[Any, float]:
        at, w = text.points, float(theta[0])
        return _write_oscillation(text, w / at.half, -w * at.far, c / at.size**k, text.t**k, text.t), 0.0

    name = "t·sin" if k else "sin"
    return Kind(name, ("sin", "cos"), no_grid, columns, slopes, write, 2, lambda at, theta: at.s**k)


def _decaying() -> Kind:
    """exp(b·z)·cos(w·z) and exp(b·z)·sin(w·z)."""

    def columns(at: Points, theta: Array) -> list[Array]:
        b, w = theta
        return [np.exp(b * at.z) * np.cos(w * at.z), np.exp(b * at.z) * np.sin(w * at.z)]

    def slopes(at: Points, theta: Array) -> list[list[Array]]:
        even, odd = columns(at, theta)
        return [[at.z * even, -at.z * odd], [at.z * odd, at.z * even]]

    def write(text: Text, theta: Array, c: Array) -> tuple[Any, float]:
        from knotwork.expressions import algebra

        at, (b, w) = text.points, map(float, theta)
        envelope = algebra.exp(text.constant(b / at.half) * text.t)
        size = c * far_factor(-b * at.far)
        return _write_oscillation(text, w / at.half, -w * at.far, size, envelope, text.t), 0.0

    def grid(at: Points) -> Array:
        rates = np.asarray(CURVES.decays)
        return grid_if(True, np.concatenate([rates, -rates]))

    return Kind("exp·sin", ("sin", "cos"), grid, columns, slopes, write, 2, lambda at, theta: np.exp(theta[0] * at.z))


def _warped(name: str, power: float) -> Kind:
    """cos(w·u) and sin(w·u) of u = s**power, or of log(s) for power 0."""

    def inner(at: Points) -> Array:
        return np.log(at.s) if power == 0 else at.s**power

    def grid(at: Points) -> Array:
        if not at.positive and power != 2:
            return np.zeros((0, 1))
        u = inner(at)
        step = math.pi / CURVES.oversampling / max(float(u.max() - u.min()), 1e-9)
        return (step * np.arange(1, CURVES.warped_periods * 2 * CURVES.oversampling))[:, None]

    def columns(at: Points, theta: Array) -> list[Array]:
        return [np.cos(theta[0] * inner(at)), np.sin(theta[0] * inner(at))]

    def slopes(at: Points, theta: Array) -> list[list[Array]]:
        u, (even, odd) = inner(at), columns(at, theta)
        return [[-u * odd], [u * even]]

    def write(text: Text, theta: Array, c: Array) -> tuple[Any, float]:
        from knotwork.expressions import algebra

        w, size = float(theta[0]), text.points.size
        if power == 0:
            return _write_oscillation(text, w, -w * math.log(size), c, 1, algebra.log(text.t)), 0.0
        variable = text.t ** algebra.Rational(round(2 * power), 2)
        return _write_oscillation(text, w / size**power, 0.0, c, 1, variable), 0.0

    return Kind(name, ("sin", "cos"), grid, columns, slopes, write, 2)


SINES = (_oscillation(0), _oscillation(1), _decaying())
WARPED = (_warped("sin t^2", 2), _warped("sin sqrt t", 0.5), _warped("sin 1/t", -1), _warped("sin log t", 0))
