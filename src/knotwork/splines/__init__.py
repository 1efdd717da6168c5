"""Splines: knots, values of curves, and the transfer of a spline to other knots."""

from knotwork.splines.curve import evaluate, fit_coefficients
from knotwork.splines.knots import (
    adaptive_knots,
    extend_knots,
    graded_knots,
    grid_range,
    resample,
    subdivide,
    uniform_knots,
    with_padding_of,
)
from knotwork.splines.transfer import closest, insert_knots, insert_knots_of_fading, project, quadrature

__all__ = [
    "adaptive_knots",
    "closest",
    "evaluate",
    "extend_knots",
    "fit_coefficients",
    "graded_knots",
    "grid_range",
    "insert_knots",
    "insert_knots_of_fading",
    "project",
    "quadrature",
    "resample",
    "subdivide",
    "uniform_knots",
    "with_padding_of",
]
