"""Standard errors of unknown coefficients from the noise of the data."""

from __future__ import annotations

import torch
from torch import Tensor

from knotwork.pde.settings import PDE
from knotwork.pde.solving.system import System


def standard_errors(system: System) -> Tensor:
    """The standard errors (U,) of the unknown coefficients, from independent noise in the data terms alone.

    With H = Σ w_t/n_t·JᵀJ over all terms and D the part of the data, the estimate moves by H⁻¹·w/n·Jᵀe with errors e of
    the data, whose variance is therefore σ² H⁻¹ (w/n)² JᵀJ H⁻¹; σ² is estimated from what the data leave, divided by
    the number of data less those that the fit takes up, the trace of H⁻¹D. NaN without data.
    """
    count = len(system.unknowns)
    matrix, _ = system.normal_equations()
    part, spread = torch.zeros_like(matrix), torch.zeros_like(matrix)
    squares, rows = 0.0, 0
    for term in system.terms:
        if term.name == "data":
            share = term.weight / term.count
            for residual, jacobian in term.rows(system.network, system.unknowns, system.free):
                square = jacobian.T @ jacobian
                part += share * square
                spread += share**2 * square
                squares += float(residual.square().sum())
                rows += len(residual)
    if not count or not rows:
        return torch.full((count,), float("nan"), dtype=torch.float64)
    scale = matrix.diagonal().clamp_min(1e-300).rsqrt()
    even = scale[:, None] * matrix * scale
    ridge = PDE.inverse_ridge * torch.eye(len(even), dtype=even.dtype)
    inverse = scale[:, None] * torch.linalg.pinv(even + ridge, hermitian=True) * scale
    taken_up = float((inverse * part).sum())
    variance = squares / max(rows - taken_up, 1.0)
    chosen = inverse[-count:]
    return (variance * (chosen @ spread * chosen).sum(1)).sqrt()
