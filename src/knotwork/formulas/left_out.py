"""How well a formula predicts rows that its constants were not fitted to, where there are too few rows for a split."""

import torch
from torch import Tensor

from knotwork.data.splitting import equal_rows
from knotwork.formulas.constants import Sample, Template, linearised
from knotwork.formulas.settings import FORMULAS


def left_out(template: Template, sample: Sample) -> Tensor:
    """The values (n,) that rows would have from constants fitted to the other rows, to first order.

    The residual of a row is divided by 1 - h, with its leverage h (Cook and Weisberg, Residuals and Influence in
    Regression, 1982, section 2.1; Ross 1987 for nonlinear fits). Copies of a row are left out together, and so are
    the rows that a sample keeps together. Infinite where such rows alone determine a constant.
    """
    values, residuals, slopes, weights = linearised(template, sample)
    base, groups = _directions(slopes), _of_numbers(sample.together) if sample.together is not None else _groups(sample)
    found = torch.full_like(values, torch.inf)
    alone = torch.cat([rows for rows in groups if len(rows) == 1] or [torch.empty(0, dtype=torch.long)])
    rest = 1 - base[alone].square().sum(1)
    change = residuals[alone] * (1 / rest - 1) / weights[alone]
    without = values[alone] + torch.where(weights[alone] == 0, torch.zeros_like(change), change)
    found[alone] = torch.where(rest > FORMULAS.full_leverage, without, torch.inf)
    for rows in [rows for rows in groups if len(rows) > 1]:
        part = base[rows]
        rest = torch.eye(len(rows), dtype=torch.float64) - part @ part.T
        if float(torch.linalg.eigvalsh(rest)[0]) > FORMULAS.full_leverage:
            without = torch.linalg.solve(rest, residuals[rows])
            change = (without - residuals[rows]) / weights[rows]
            found[rows] = values[rows] + torch.where(weights[rows] == 0, torch.zeros_like(change), change)
    return found


def distinct_rows(sample: Sample) -> int:
    """The number of rows that are no copies of another one."""
    return len(_groups(sample))


def _groups(sample: Sample) -> list[Tensor]:
    """The numbers of rows that are equal to each other, for every different row."""
    parts = (torch.stack([*sample.columns.values()], 1), sample.y[:, None]) if sample.columns else (sample.y[:, None],)
    return _of_numbers(equal_rows(*parts))


def _of_numbers(number: Tensor) -> list[Tensor]:
    """The places of each number in (n,)."""
    number = torch.unique(number, return_inverse=True)[1]
    return list(number.argsort(stable=True).split(torch.bincount(number).tolist()))


def _directions(slopes: Tensor) -> Tensor:
    """Orthonormal columns (n, r) that span the slopes, without directions that the rows do not determine."""
    if not slopes.shape[1]:
        return slopes
    left, singular, _ = torch.linalg.svd(slopes / slopes.norm(dim=0).clamp_min(1e-300), full_matrices=False)
    return left[:, singular > FORMULAS.unseen_direction * singular[0]]
