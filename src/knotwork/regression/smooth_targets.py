"""The targets of a noisy table without most of their noise: what a smooth network predicts."""

import torch
from torch import Tensor

from knotwork.data import Dataset
from knotwork.model import KANNetwork, Spec
from knotwork.regression.structures import Rows
from knotwork.regression.term_settings import TERMS
from knotwork.regression.term_table import typical_size
from knotwork.solvers import StopReason
from knotwork.training import FitOptions, LevenbergMarquardt, Reporter, fit_with


def smooth_targets(rows: Rows, seed: int, reporter: Reporter) -> Tensor | None:
    """The targets (n,) as a smooth network of the training rows predicts them; None where it leaves hardly any noise.

    None, too, where the `reporter` ends the fit; KeyboardInterrupt where Ctrl-C does.

    Relative residuals are those of the logarithm, so that targets of both signs have none.
    """
    signs = rows.y.sign()
    if rows.train < TERMS.rows_to_smooth or (rows.relative and not bool((signs == signs[0]).all())):
        return None
    x = torch.stack([_evened(axis.values) for axis in rows.axes], 1)
    y = rows.y.abs().log() if rows.relative else rows.y / rows.scale
    t = rows.train
    names = tuple(map(str, range(x.shape[1])))
    data = Dataset(x[:t], y[:t, None], x[t:], y[t:, None], x[:0], y[:0, None], names, ("y",))
    spec = Spec(((x.shape[1], 0), (TERMS.nodes_to_smooth, 0), (1, 0)))
    network = KANNetwork(spec, generator=torch.Generator().manual_seed(seed))
    weights = None if rows.weights is None else rows.weights[:t]
    options = FitOptions(LevenbergMarquardt(starts=1), sample_weight=weights, smoothness="auto", seed=seed)
    result = fit_with(network, data, options, reporter.within("removing noise"))
    if result.stop is StopReason.INTERRUPTED:
        raise KeyboardInterrupt
    if result.stop in (StopReason.CALLBACK, StopReason.TIME_BUDGET):
        return None
    with torch.no_grad():
        smooth = result.model(x)[:, 0]
    if float((smooth - y)[:t].square().mean().sqrt()) < TERMS.least_noise:
        return None
    return signs * smooth.exp() if rows.relative else smooth * rows.scale


def _evened(column: Tensor) -> Tensor:
    """An input over decades by its logarithm, or one that behaves so far from zero; others as they are."""
    least, most = column.abs().min(), column.abs().max()
    if bool(column.min() > 0):
        return column.log() if bool(most > TERMS.wide_ratio_to_smooth * least) else column
    size = typical_size(column)
    return (column / size).asinh() if bool(most > TERMS.wide_ratio_to_smooth * size) else column
