"""Differential equations: state a problem with its conditions, and solve it by least squares on its residual.

`problems` states a problem, `solving` is the least squares problem of one network, `strategies` are the orders in which
grids and time windows are solved.
"""

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
from knotwork.pde.solution import Check, Estimate, Solution, Step
from knotwork.pde.solve import solve

__all__ = [
    "Check",
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
