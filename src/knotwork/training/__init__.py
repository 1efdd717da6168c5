"""Fitting: objectives, optimisers, knots that follow the data, several starting points, grids from coarse to fine."""

from knotwork.training.callbacks import Callback, Event, Reporter, reporting
from knotwork.training.fit_result import FitResult, Record, held_out, rmse
from knotwork.training.grids import going_on
from knotwork.training.levenberg_marquardt import levenberg_marquardt
from knotwork.training.loop import fit, fit_in_place, fit_with
from knotwork.training.multilevel import fit_levels, fit_multilevel
from knotwork.training.optimizers import (
    LBFGS,
    OPTIMIZERS,
    Adam,
    LevenbergMarquardt,
    Optimizer,
    OptimizerLike,
    Task,
    TorchOptimizer,
)
from knotwork.training.options import FitOptions
from knotwork.training.penalties import Penalty, edge_norms, entropy
from knotwork.training.settings import TRAINING, TrainingSettings
from knotwork.training.shapes import fit_shapes
from knotwork.training.threads import threads_for

__all__ = [
    "LBFGS",
    "OPTIMIZERS",
    "TRAINING",
    "Adam",
    "Callback",
    "Event",
    "FitOptions",
    "FitResult",
    "LevenbergMarquardt",
    "Optimizer",
    "OptimizerLike",
    "Penalty",
    "Record",
    "Reporter",
    "Task",
    "TorchOptimizer",
    "TrainingSettings",
    "edge_norms",
    "entropy",
    "fit",
    "fit_in_place",
    "fit_levels",
    "fit_multilevel",
    "fit_shapes",
    "fit_with",
    "going_on",
    "held_out",
    "levenberg_marquardt",
    "reporting",
    "rmse",
    "threads_for",
]
