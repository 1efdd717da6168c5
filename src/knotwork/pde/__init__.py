"""Differential equations: problems in their user's words, solved by least squares on residuals to spline accuracy."""

from knotwork.pde import library
from knotwork.pde.problems.conditions import (
    Condition,
    Hard,
    condition,
    data,
    dirichlet,
    hard,
    initial,
    neumann,
    periodic,
)
from knotwork.pde.problems.fields import Field
from knotwork.pde.problems.problem import Problem
from knotwork.pde.solution import Estimate, Solution, Step
from knotwork.pde.solve import solve

__all__ = [
    "Condition",
    "Estimate",
    "Field",
    "Hard",
    "Problem",
    "Solution",
    "Step",
    "condition",
    "data",
    "dirichlet",
    "hard",
    "initial",
    "library",
    "neumann",
    "periodic",
    "solve",
]
