"""Points on the boundary between two classes, from a smooth network that predicts the class."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from knotwork.data import Dataset
from knotwork.formulas.constants import Sample
from knotwork.model import KANNetwork, Spec
from knotwork.regression.boundaries.settings import BOUNDARIES
from knotwork.training import FitOptions, LevenbergMarquardt, Reporter, fit_with


@dataclass(frozen=True)
class BoundaryPoints:
    """Points (m, inputs) where smooth networks predict both labels alike, in random order.

    `wrong` (n,) tells of which rows most of the networks predict the other label.
    """

    points: Tensor
    wrong: Tensor

    def columns(self, names: Sequence[str]) -> dict[str, Tensor]:
        """The points as columns by name."""
        return dict(zip(names, self.points.unbind(1), strict=True))


def boundary_points(sample: Sample, seed: int, reporter: Reporter) -> BoundaryPoints | None:
    """Points on the boundaries that smooth networks draw between the labels of the sample; None if they draw none.

    Each network is fitted to its own part of the rows, so that the points of all are scattered about the boundary: the
    errors of one network alone are a smooth curve, which formulas would follow.
    """
    x, y, n = torch.stack(list(sample.columns.values()), 1), sample.y > 0.5, len(sample)
    if n < BOUNDARIES.least_rows:
        return None
    generator, networks = torch.Generator().manual_seed(seed), []
    for number in range(BOUNDARIES.networks):
        rows = torch.randperm(n, generator=generator)[: max(BOUNDARIES.least_rows, n // 2)]
        if not bool(y[rows].all()) and bool(y[rows].any()) and not reporter.stopped:
            networks.append(_network(sample.rows(rows), seed + number, reporter))
    with torch.no_grad():
        votes = [torch.where(network(x)[:, 0] > 0, 1.0, -1.0) for network in networks]
        found = [
            _between(network, [one for one in networks if one is not network], x, vote > 0, generator)
            for network, vote in zip(networks, votes, strict=True)
            if -len(x) < float(vote.sum()) < len(x)
        ]
    if not found:
        return None
    points = torch.cat(found)
    points = points[torch.randperm(len(points), generator=generator)]
    return BoundaryPoints(points, (torch.stack(votes).sum(0) > 0) != y) if len(points) else None


def _network(sample: Sample, seed: int, reporter: Reporter) -> KANNetwork:
    """A smooth network whose output is the log-odds of label 1."""
    x, y = torch.stack(list(sample.columns.values()), 1), sample.y[:, None]
    none, names = x[:0], tuple(map(str, range(x.shape[1])))
    data = Dataset(x, y, none, y[:0], none, y[:0], names, ("y",))
    spec = Spec(((x.shape[1], 0), (BOUNDARIES.nodes, 0), (1, 0)))
    network = KANNetwork(spec, generator=torch.Generator().manual_seed(seed))
    options = FitOptions(
        LevenbergMarquardt(starts=1), loss="cross_entropy", sample_weight=sample.weights, smoothness="auto", seed=seed
    )
    fitted = fit_with(network, data, options, reporter).model
    assert isinstance(fitted, KANNetwork)
    return fitted


def _between(
    network: KANNetwork, others: Sequence[KANNetwork], x: Tensor, positive: Tensor, generator: torch.Generator
) -> Tensor:
    """Points (m, inputs) of equal probability on the way between random rows of either side.

    The other networks must change sides near them, too: wrong labels make islands, but each of one network alone.
    """
    count = BOUNDARIES.points // BOUNDARIES.networks
    sides = [x[positive], x[~positive]]
    ends = [side[torch.randint(len(side), (count,), generator=generator)] for side in sides]
    left, right = ends
    for _ in range(BOUNDARIES.bisections):
        middle = (left + right) / 2
        above = (network(middle)[:, 0] > 0)[:, None]
        left, right = torch.where(above, middle, left), torch.where(above, right, middle)
    point, way = (left + right) / 2, ends[0] - ends[1]
    step = BOUNDARIES.nearness * way / (way / x.std(0).clamp_min(1e-300)).norm(dim=1, keepdim=True).clamp_min(1e-300)
    above, below = torch.zeros(count), torch.zeros(count)
    for other in others:
        above += torch.sign(other(point + step)[:, 0])
        below += torch.sign(other(point - step)[:, 0])
    return point[(above >= 0) & (below <= 0)]
