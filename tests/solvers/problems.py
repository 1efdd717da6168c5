"""Least-squares problems with known solutions, with derivatives by autograd."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.func import jacfwd

from knotwork.solvers import NormalEquations, VectorProblem, accelerated_step, second_differences
from knotwork.solvers.settings import SOLVER

Residuals = Callable[[Tensor], Tensor]


class Residual(VectorProblem):
    """The sum of squares of any function of a vector, in float64."""

    def __init__(self, residuals: Residuals, start, acceleration: bool = False) -> None:
        super().__init__(torch.tensor(start, dtype=torch.float64))
        self.residuals, self.acceleration = residuals, acceleration
        self.linearised = self.evaluated = 0

    def evaluate(self, at):
        self.evaluated += 1
        r = self.residuals(at)
        return float(r @ r), r

    def linearise(self):
        self.linearised += 1
        self.jacobian = jacfwd(self.residuals)(self.at)
        return NormalEquations(self.jacobian.T @ self.jacobian, self.jacobian.T @ self.seen)

    def accelerated(self, step):
        if not self.acceleration:
            return step.vector
        second = second_differences([self.seen], lambda share: [self.residuals(self.at + share * step.vector)])[0]
        return accelerated_step(step, self.jacobian.T @ second / SOLVER.acceleration_probe**2)


def rosenbrock(p):
    return torch.stack([10 * (p[1] - p[0] ** 2), 1 - p[0]])


def beale(p):
    return torch.stack([c - p[0] * (1 - p[1] ** n) for n, c in ((1, 1.5), (2, 2.25), (3, 2.625))])


def powell(p):
    """Powell's singular function: JᵀJ is singular at the solution."""
    a, b, c, d = p
    return torch.stack([a + 10 * b, 5**0.5 * (c - d), (b - 2 * c) ** 2, 10**0.5 * (a - d) ** 2])


def helix(p):
    """The helical valley of Fletcher and Powell (1963)."""
    theta = torch.atan2(p[1], p[0]) / (2 * torch.pi)
    return torch.stack([10 * (p[2] - 10 * theta), 10 * ((p[0] ** 2 + p[1] ** 2).sqrt() - 1), p[2]])


MISRA_X = (77.6, 114.9, 141.1, 190.8, 239.9, 289.0, 332.8, 378.4, 434.8, 477.3, 536.8, 593.1, 689.1, 760.0)
MISRA_Y = (10.07, 14.73, 17.94, 23.93, 29.61, 35.18, 40.02, 44.82, 50.76, 55.05, 61.01, 66.40, 75.47, 81.78)


def misra(p):
    """Misra1a of the statistical reference datasets of NIST: residuals are not zero at the solution."""
    x, y = torch.tensor(MISRA_X, dtype=torch.float64), torch.tensor(MISRA_Y, dtype=torch.float64)
    return p[0] * (1 - torch.exp(-p[1] * x)) - y


KNOWN = {  # residuals, start, solution
    "rosenbrock": (rosenbrock, [-1.2, 1.0], [1.0, 1.0]),
    "beale": (beale, [1.0, 1.0], [3.0, 0.5]),
    "powell": (powell, [3.0, -1.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0]),
    "helix": (helix, [-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]),
    "misra1a": (misra, [500.0, 1e-4], [2.3894212918e2, 5.5015643181e-4]),  # certified by NIST
}


def in_numpy(residuals: Residuals):
    return lambda p: residuals(torch.from_numpy(np.asarray(p, dtype=np.float64))).numpy()
