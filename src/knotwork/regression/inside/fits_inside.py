"""Sums of terms with constants inside, fitted by least squares: linear coefficients are eliminated in every step."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from knotwork.regression.inside.functions_inside import Array, Column, Inputs
from knotwork.regression.inside.settings import INSIDE
from knotwork.training import Reporter


@dataclass(frozen=True)
class State:
    """Terms with their coefficients, the unexplained share of the target's size, and bits; fewer are better."""

    columns: tuple[Column, ...]
    coefficients: tuple[float, ...]
    error: float
    bits: float

    @property
    def cost(self) -> int:
        """Symbols."""
        return sum(column.cost for column in self.columns)

    def as_value(self) -> Any:
        """The state as numbers, texts and tuples."""
        return [column.as_value() for column in self.columns], self.coefficients, self.error, self.bits

    @classmethod
    def of_value(cls, value: Any) -> "State":
        """The inverse of `as_value`."""
        return cls(tuple(map(Column.of_value, value[0])), *value[1:])

    @property
    def shape(self) -> tuple[object, ...]:
        """What it is, whatever its constants."""
        return tuple(sorted((column.shape for column in self.columns), key=str))


class Fits:
    """Least squares for weighted targets (n,) of rows with these inputs.

    Beside the terms there may be columns (n, m) of no interest: what they explain is not counted. The `reporter` tells
    when fits end, with what they have.
    """

    def __init__(
        self,
        inputs: Inputs,
        target: Array,
        weight: Array,
        beside: Array | None = None,
        reporter: Reporter | None = None,
    ) -> None:
        self.reporter = reporter or Reporter()
        self.inputs, self.weight, self.n = inputs, weight, len(target)
        self.target = target * weight
        self.size = float(np.sqrt(np.mean(self.target**2))) or 1.0
        self.beside = np.zeros((self.n, 0)) if beside is None else np.linalg.qr(beside * weight[:, None])[0]

    def design(self, columns: Sequence[Column]) -> Array:
        """The weighted terms (n, p)."""
        parts = [self.inputs.value(column) * self.weight for column in columns]
        return np.stack(parts, 1) if parts else np.zeros((self.n, 0))

    def solved(self, design: Array) -> tuple[Array, Array, Array, float]:
        """Coefficients (p,), residuals (n,), an orthonormal basis of all columns, the unexplained share of the size."""
        size = np.linalg.norm(design, axis=0)
        if not np.isfinite(size).all() or bool((size == 0).any()):
            return np.zeros(design.shape[1]), self.target, self.beside, math.inf
        m = self.beside.shape[1]
        q, r = np.linalg.qr(np.concatenate([self.beside, design / size], 1))
        diagonal = np.abs(np.diagonal(r))
        if len(diagonal) and diagonal.min() < INSIDE.dependent:
            return np.zeros(design.shape[1]), self.target, self.beside, math.inf
        along = q.T @ self.target
        residual = self.target - q @ along
        coefficients = np.linalg.solve(r[m:, m:], along[m:]) / size
        return coefficients, residual, q, float(np.sqrt(np.mean(residual**2))) / self.size

    def bits(self, error: float, cost: float) -> float:
        """Bits of an error and of symbols."""
        return self.n * math.log2(error + INSIDE.exact) + math.log2(self.n) * cost if error < math.inf else math.inf

    def state(self, columns: Sequence[Column]) -> State:
        """The terms with their coefficients."""
        coefficients, _, _, error = self.solved(self.design(columns))
        bits = self.bits(error, sum(column.cost for column in columns))
        return State(tuple(columns), tuple(coefficients.tolist()), error, bits)

    def refined(self, columns: Sequence[Column], steps: int) -> State:
        """The terms after damped Gauss-Newton steps of their inner constants (Kaufman 1975)."""
        sizes = np.cumsum([len(column.constants) for column in columns])
        at = np.array([c for column in columns for c in column.constants])
        columns, damping, slow = list(columns), 1e-3, 0
        coefficients, residual, q, error = self.solved(self.design(columns))
        for _ in self.reporter.timely(range(steps if len(at) and error < math.inf else 0)):
            slopes = [
                c * slope * self.weight
                for c, column in zip(coefficients, columns, strict=True)
                for slope in self.inputs.slopes(column)
            ]
            jacobian = np.stack(slopes, 1)
            jacobian = jacobian - q @ (q.T @ jacobian)
            length = np.linalg.norm(jacobian, axis=0)
            if not np.isfinite(length).all():
                break
            jacobian = jacobian / np.maximum(length, 1e-300)
            matrix, downhill, before = jacobian.T @ jacobian, jacobian.T @ residual, error
            for _ in range(INSIDE.attempts):
                step = np.linalg.solve(matrix + damping * np.eye(len(at)), downhill) / np.maximum(length, 1e-300)
                parts = np.split(at + step, sizes[:-1])
                trial = [column.with_constants(part.tolist()) for column, part in zip(columns, parts, strict=True)]
                new = self.solved(self.design(trial))
                if new[3] < error:
                    at, columns, (coefficients, residual, q, error) = at + step, trial, new
                    damping = max(damping / 10, 1e-13)
                    break
                damping = max(damping * 10, 1e-9)
            slow = slow + 1 if error > before * (1 - INSIDE.least_progress) else 0
            if error == before or error < INSIDE.exact / 100 or slow >= INSIDE.patience:
                break
        bits = self.bits(error, sum(column.cost for column in columns))
        return State(tuple(columns), tuple(coefficients.tolist()), error, bits)
