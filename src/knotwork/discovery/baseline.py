"""The baseline: a general network that says which inputs matter, and how well the target can be predicted at all."""

from collections.abc import Mapping

import torch

from knotwork.data import Dataset
from knotwork.discovery.settings import DISCOVERY
from knotwork.discovery.table import least_importance
from knotwork.kan import KAN
from knotwork.model import Spec
from knotwork.training import FitOptions, FitResult, LevenbergMarquardt, Reporter, fit_levels, fit_with, held_out


def general_network(data: Dataset, seed: int, inputs: tuple[int, ...]) -> KAN:
    """A fresh network [n, 5, 1] of these inputs."""
    width = ((len(inputs), 0), (DISCOVERY.baseline_width, 0), (1, 0))
    spec = Spec(width, DISCOVERY.baseline_grids[0], in_features=data.n_inputs, inputs=inputs)
    return KAN.from_spec(spec, "power", torch.Generator().manual_seed(seed))


def sparse_baseline(data: Dataset, inputs: tuple[int, ...], seed: int, reporter: Reporter) -> FitResult:
    """A general network of these inputs after a short fit with a penalty, which makes useless curves small."""
    optimizer = LevenbergMarquardt(starts=1, tolerance=DISCOVERY.tolerance)
    options = FitOptions(optimizer, DISCOVERY.baseline_steps, lamb=DISCOVERY.baseline_sparsity, seed=seed)
    return fit_with(general_network(data, seed, inputs), data, options, reporter)


def accurate_baseline(sparse: KAN, data: Dataset, reporter: Reporter) -> FitResult:
    """How well a general network predicts the target: the sparse one, fitted on with smoothness, without the penalty.

    Finer grids follow where the network is small: they take too long elsewhere.
    """
    coarse = smooth_fit(sparse, data, reporter)
    edges = sum(int(layer.active().sum()) for layer in sparse.layers)
    large = edges * (DISCOVERY.baseline_grids[-1] + sparse.spec.k) > DISCOVERY.most_of_fine_baseline
    if large or coarse.stopped_by_caller:
        return coarse
    assert isinstance(coarse.model, KAN)
    finer = fit_levels(coarse.model.copy(), data, DISCOVERY.baseline_grids[1:], smooth_options(), reporter, patience=0)
    return finer if held_out(finer) < held_out(coarse) or finer.stopped_by_caller else coarse


def smooth_fit(network: KAN, data: Dataset, reporter: Reporter) -> FitResult:
    """A fit in which every curve is as smooth as the evidence says: it follows no noise, however few the rows."""
    return fit_with(network, data, smooth_options(), reporter)


def smooth_options() -> FitOptions:
    """The options of such a fit."""
    return FitOptions(
        LevenbergMarquardt(tolerance=DISCOVERY.tolerance), DISCOVERY.baseline_grid_steps, smoothness="auto"
    )


def inputs_needed(
    every: tuple[int, ...],
    importance: Mapping[str, float],
    baseline: FitResult,
    data: Dataset,
    seed: int,
    reporter: Reporter,
) -> tuple[tuple[int, ...], bool]:
    """The numbers of the inputs to use, out of `every`, and whether the caller stopped the fit that decides it.

    Negligible inputs are excluded only if the validation rows are predicted as well without them.
    """
    least = least_importance(importance)
    relevant = tuple(n for n in every if importance[data.input_names[n]] >= least)
    if relevant == every:
        return every, False
    without = accurate_baseline(general_network(data, seed, relevant), data, reporter)
    as_good = held_out(without) <= DISCOVERY.exclusion_ratio * held_out(baseline)
    return relevant if as_good else every, without.stopped_by_caller
