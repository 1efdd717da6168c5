"""Damped Gauss-Newton loops for nonlinear least squares: one problem, or many small ones at once.

A caller describes its objective as a `Problem` (or, if its parameters are one tensor, as a `VectorProblem`), and
`gauss_newton` minimises it. `batched` has the loop for many small problems of one kind.
"""

from knotwork.solvers.acceleration import accelerated_step, second_differences
from knotwork.solvers.arrow import ArrowEquations
from knotwork.solvers.damping import Damping, NormalEquations, ScaledEquations, Step, System
from knotwork.solvers.gauss_newton import gauss_newton
from knotwork.solvers.least_squares_problem import Problem, VectorProblem
from knotwork.solvers.settings import SOLVER, Options, SolverSettings
from knotwork.solvers.stop_reason import EachStep, Ended, Keeper, StagedKeeper, Stop, StopReason

__all__ = [
    "SOLVER",
    "ArrowEquations",
    "Damping",
    "EachStep",
    "Ended",
    "Keeper",
    "NormalEquations",
    "Options",
    "Problem",
    "ScaledEquations",
    "SolverSettings",
    "StagedKeeper",
    "Step",
    "Stop",
    "StopReason",
    "System",
    "VectorProblem",
    "accelerated_step",
    "gauss_newton",
    "second_differences",
]
