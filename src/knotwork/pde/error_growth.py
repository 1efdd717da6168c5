"""The error of an ordinary differential equation's solution, estimated: residuals carried forward in time.

A solution with small residuals may still be far from the true one where errors grow, as in Lotka-Volterra's equations
when a population is nearly extinct. To first order the error δ obeys the linearised equation with the negative residual
as its source, which is integrated here from the first time on.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from knotwork.pde.solving.linear_parts import LinearParts, Part


class ErrorGrowth:
    """Carries errors of fields through time windows.

    A state holds the fields' derivatives below the highest ones.
    """

    def __init__(self, fields: Sequence[str], equations: Sequence[LinearParts]) -> None:
        highest = dict.fromkeys(fields, 0)
        for part in (part for equation in equations for part in equation.parts):
            highest[part.field] = max(highest[part.field], part.multi[0])
        self.fields, self.highest = list(fields), highest
        self.states = [(name, order) for name in fields for order in range(highest[name])]
        self.square = len(equations) == len(fields) and all(highest.values())
        self.error = torch.zeros(len(self.states), dtype=torch.float64)
        self.squares, self.points = np.zeros(len(fields)), 0

    def possible(self, conditions: Sequence[LinearParts]) -> bool:
        """False for algebraic equations, another number of equations than of fields, and too few conditions."""
        known = all((part.field, part.multi[0]) in self.states for c in conditions for part in c.parts)
        return self.square and known and len(conditions) >= len(self.states)

    def start(self, conditions: Sequence[LinearParts], *, continues: bool) -> None:
        """Set the error at the first time of a window from the residuals of its initial conditions.

        Where they continue the window before, the conditions are about the difference to the error at its end.
        """
        matrix = torch.stack([self._row(condition.parts) for condition in conditions])
        wanted = torch.stack([condition.residual[0] for condition in conditions])
        wanted = matrix @ self.error - wanted if continues else -wanted
        if bool(wanted.isfinite().all()):
            self.error = torch.linalg.lstsq(matrix, wanted.unsqueeze(1), driver="gelsd").solution.squeeze(1)

    def errors(self) -> dict[str, float]:
        """The root mean square of each field's error over time; infinite where it grows without limit."""
        found = (self.squares / max(self.points, 1)) ** 0.5  # NaN is infinity minus infinity
        return {name: float(size) for name, size in zip(self.fields, np.nan_to_num(found, nan=np.inf), strict=True)}

    def _row(self, parts: Sequence[Part]) -> Tensor:
        """How a condition changes with the state, (states,)."""
        row = torch.zeros_like(self.error)
        for part in parts:
            row[self.states.index((part.field, part.multi[0]))] += part.slopes[0]
        return row

    def carry(self, equations: Sequence[LinearParts], ends: tuple[float, float]) -> None:
        """Integrate through a window, one short time around each point of its equations."""
        order = equations[0].x[:, 0].argsort()
        time = equations[0].x[order, 0]
        edges = torch.cat([time.new_tensor([ends[0]]), (time[1:] + time[:-1]) / 2, time.new_tensor([ends[1]])])
        steps = torch.linalg.matrix_exp(self._steps(equations)[order] * edges.diff().view(-1, 1, 1)).numpy()
        places = [self.states.index((name, 0)) for name in self.fields]
        state = np.append(self.error.numpy(), 1.0)
        with np.errstate(over="ignore", invalid="ignore"):
            for step in steps:
                state = step @ state
                self.squares += state[places] ** 2
        self.points += len(steps)
        self.error = torch.from_numpy(state[:-1])

    def _steps(self, equations: Sequence[LinearParts]) -> Tensor:
        """d/dt of (state, 1) as a matrix at every point, (n, states + 1, states + 1)."""
        n, size = len(equations[0].x), len(self.states)
        top = torch.zeros(n, len(equations), len(self.fields), dtype=torch.float64)
        lower = torch.zeros(n, len(equations), size + 1, dtype=torch.float64)
        for e, equation in enumerate(equations):
            lower[:, e, size] = equation.residual
            for part in equation.parts:
                if part.multi[0] == self.highest[part.field]:
                    top[:, e, self.fields.index(part.field)] += part.slopes
                else:
                    lower[:, e, self.states.index((part.field, part.multi[0]))] += part.slopes
        solved = -torch.linalg.pinv(top) @ lower
        found = torch.zeros(n, size + 1, size + 1, dtype=torch.float64)
        for s, (name, order) in enumerate(self.states):
            if order + 1 < self.highest[name]:
                found[:, s, s + 1] = 1
            else:
                found[:, s] = solved[:, self.fields.index(name)]
        return found
