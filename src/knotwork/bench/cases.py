"""The cases that are measured: networks, numbers of rows, tasks, and for each network an MLP of the same size."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import sqrt

import torch
from torch import Tensor

from knotwork.errors import KnotworkError

TASKS = {
    "forward": "forward pass without gradients",
    "step": "a step of Adam",
    "gradient": "loss and all gradients",
    "laplacian": "mean((u_xx + u_yy + u)²) and all gradients",
    "refit": "grids set to the range of the rows again, and a step of Adam",
}


@dataclass(frozen=True)
class Case:
    """One task on one network, inputs uniform in its grid [-1, 1]; `grid` is G and `k` the order of every spline.

    `even` is True if all intervals of a grid have the same length.
    """

    name: str
    width: tuple[int, ...]
    grid: int
    rows: int
    dtype: torch.dtype
    task: str
    k: int = 3
    even: bool = True

    @property
    def parameters(self) -> int:
        """Coefficients and base weights of the KAN, G + k + 1 an edge."""
        return sum(n * m for n, m in pairwise(self.width)) * (self.grid + self.k + 1)

    @property
    def mlp_width(self) -> tuple[int, ...]:
        """Width of the MLP with the same number of hidden layers (at least one) and about as many parameters."""
        n_in, *hidden, n_out = self.width
        extra = max(len(hidden), 1) - 1  # square layers: extra·h² + linear·h + n_out parameters
        linear, missing = n_in + 1 + extra + n_out, self.parameters - n_out
        h = (sqrt(linear**2 + 4 * extra * missing) - linear) / (2 * extra) if extra else missing / linear
        return (n_in, *[max(round(h), 1)] * (extra + 1), n_out)

    @property
    def mlp_parameters(self) -> int:
        """Weights and biases of that MLP."""
        return sum((n + 1) * m for n, m in pairwise(self.mlp_width))

    @property
    def multiplications(self) -> int | None:
        """Fused multiply-adds that a KAN needs for the task; None where they are not counted.

        For each edge and row: k + 1 basis functions and the base for the outputs, the same again for the gradient by
        the parameters, and one more for the gradient by the inputs, which the first layer does not need.
        """
        return self._multiplications(self.width, self.k + 2, self.k + 3)

    @property
    def mlp_multiplications(self) -> int | None:
        """The same for the MLP: one for each weight and row in each of the three."""
        return self._multiplications(self.mlp_width, 1, 1)

    def _multiplications(self, width: Sequence[int], forward: int, by_inputs: int) -> int | None:
        edges = [n * m for n, m in pairwise(width)]
        once, again = forward * sum(edges), forward * sum(edges) + by_inputs * sum(edges[1:])
        counts = {"forward": once, "step": once + again, "gradient": once + again}
        return self.rows * counts[self.task] if self.task in counts else None

    def __str__(self) -> str:
        dtype = str(self.dtype).removeprefix("torch.")
        return f"{list(self.width)}, G={self.grid}, {self.rows} rows, {dtype}: {TASKS[self.task]}"


def samples(case: Case) -> tuple[Tensor, Tensor]:
    """Inputs (rows, in), uniform in the grid, and targets (rows, out); the same for every implementation."""
    generator = torch.Generator().manual_seed(0)
    x = 2 * torch.rand(case.rows, case.width[0], generator=generator, dtype=case.dtype) - 1
    return x, torch.randn(case.rows, case.width[-1], generator=generator, dtype=case.dtype)


def _both(name: str, width: tuple[int, ...], grid: int, rows: int) -> list[Case]:
    return [Case(f"{name}-{task}", width, grid, rows, torch.float32, task) for task in ("forward", "step")]


TIMES = [
    *(Case(f"small-G{grid}", (2, 5, 1), grid, 1000, torch.float64, "gradient") for grid in (5, 50, 200)),
    *(case for grid in (5, 20, 50) for case in _both(f"medium-G{grid}", (64, 64, 64, 10), grid, 1024)),
    *(case for rows in (64, 1024) for case in _both(f"digits-B{rows}", (784, 64, 10), 5, rows)),
    *_both("deep", (256, 256, 256, 256), 8, 256),
    *_both("layer", (1000, 1000), 8, 100),
    Case("laplacian", (2, 10, 1), 10, 2000, torch.float64, "laplacian"),
]
GRIDS = [replace(c, name=c.name.replace(f"-G{c.grid}", "")) for c in TIMES if "-G" not in c.name or c.grid == 5]
MEMORY = [
    *(case for case in TIMES if case.name in ("medium-G50-step", "digits-B1024-step")),
    Case("refit", (784, 64), 5, 1000, torch.float32, "refit"),
]


def select(cases: Sequence[Case], names: Sequence[str] | None) -> list[Case]:
    """The cases whose name is, or begins with, one of the names: "medium" or "medium-G5" stand for all their cases.

    Without names all cases. Raises KnotworkError for a name that matches none.
    """
    if names is None:
        return list(cases)
    for name in names:
        if not any(_matches(name, case) for case in cases):
            known = [case.name for case in cases]
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean '{close[0]}'?" if close else f"the cases are {', '.join(known)}."
            raise KnotworkError(f"There is no case '{name}'; {hint}")
    return [case for case in cases if any(_matches(name, case) for name in names)]


def _matches(name: str, case: Case) -> bool:
    return f"{case.name}-".startswith(f"{name}-")
