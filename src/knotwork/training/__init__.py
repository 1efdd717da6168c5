"""Fitting: objectives, optimisers, knots that follow the data, many starts, coarse to fine."""

from knotwork.training.grids import going_on
from knotwork.training.levenberg_marquardt import levenberg_marquardt
from knotwork.training.loop import fit
from knotwork.training.multilevel import fit_multilevel
from knotwork.training.penalties import Penalty, edge_norms, entropy
from knotwork.training.progress import Line, progress_line
from knotwork.training.result import INTERRUPTED, FitResult, Record, held_out, rmse
from knotwork.training.shapes import fit_shapes
from knotwork.training.threads import threads_for

__all__ = [
    "INTERRUPTED",
    "FitResult",
    "Line",
    "Penalty",
    "Record",
    "edge_norms",
    "entropy",
    "fit",
    "fit_multilevel",
    "fit_shapes",
    "going_on",
    "held_out",
    "levenberg_marquardt",
    "progress_line",
    "rmse",
    "threads_for",
]
