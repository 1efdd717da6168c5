"""Constants of the boundary between two classes: the expression g, which is 0 there, is fitted to labels 0 and 1."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from knotwork.formulas.constants import ConstantsFit, Sample, covariance_of, values_and_slopes
from knotwork.formulas.settings import FORMULAS
from knotwork.formulas.uncertainty import LARGE, Uncertainty, template_of
from knotwork.solvers import NormalEquations, Options, gauss_newton


@dataclass(frozen=True)
class LabelSample(Sample):
    """Rows whose targets (n,) are labels, 0 or 1. The probability of label 1 is ε + (1 - 2ε)/(1 + exp(-s·g)).

    The steepness s > 0 and the share ε of labels that are wrong anywhere are fitted together with the constants of g. A
    boundary that separates the labels perfectly would have an infinite s. A Cauchy prior on the root mean square of s·g
    keeps it finite (Gelman, Jakulin, Pittau and Su 2008, section 2), so that errors are about the distance of the rows
    from the boundary. ε has a prior of a few percent. The "mean squared error" is exp(2·loss), where the loss is the
    mean of the negative logarithm of the likelihood and of the priors: description lengths and tests by likelihood
    ratios then hold as they stand for residuals.
    """

    @property
    def scale(self) -> float:
        """1: losses of labels are pure numbers."""
        return 1.0

    def problem(self, start: Tensor, values: Any, slopes: Any) -> "LabelFit":
        return LabelFit(start, self, values, slopes)


@dataclass(frozen=True)
class Probabilities:
    """How probabilities follow from g: steepness s and share ε of wrong labels."""

    steepness: float
    wrong: float

    def of(self, values: Tensor) -> Tensor:
        """The probability (n,) of label 1 at these values of g."""
        return self.wrong + (1 - 2 * self.wrong) * torch.sigmoid(self.steepness * values)


class LabelFit(ConstantsFit):
    """The constants (P,) of g, ln s, and the logit of 2ε, fitted by the likelihood of labels (Fisher scoring)."""

    def __init__(self, start: Tensor, sample: Sample, values: Any, slopes: Any) -> None:
        super().__init__(start, sample, values, slopes)
        self.count = len(start)
        values_at_start = values(start)
        size = float(values_at_start.square().mean().sqrt()) or 1.0
        tried = [
            torch.cat([start, torch.tensor([math.log(spread / size), _logit(2 * wrong)]).double()])
            for spread in FORMULAS.first_spreads_of_log_odds
            for wrong in FORMULAS.first_wrong_labels
        ]
        self.at = min(tried, key=lambda at: _or_infinite(self._loss(values_at_start, at)))

    def evaluate(self, at: Tensor) -> tuple[float, None]:
        return _or_infinite(self._loss(self.values(at[: self.count]), at)), None

    def _loss(self, values: Tensor, at: Tensor) -> float:
        log_odds = at[-2].exp() * values
        wrong = torch.sigmoid(at[-1]) / 2
        own = torch.where(self.sample.y > 0.5, log_odds, -log_odds)
        likelihood = (wrong + (1 - 2 * wrong) * torch.sigmoid(own)).log()
        weights = 1.0 if self.sample.weights is None else self.sample.weights
        prior = (1 + log_odds.square().mean() / FORMULAS.spread_of_log_odds**2).log()
        prior = prior + wrong / FORMULAS.usual_wrong_labels - (wrong / FORMULAS.usual_wrong_labels).log()
        return float(-(weights * likelihood).mean() + prior / len(values))

    def _slopes(self) -> tuple[Tensor, Tensor]:
        """Values of g (n,) and their derivatives (n, P) by its constants."""
        if self.count:
            return self.slopes(self.at[: self.count])
        values = self.values(self.at[:0])
        return values, values.new_zeros(len(values), 0)

    def linear(self) -> tuple[Tensor, Tensor]:
        """Scores (n,) and the roots of the Fisher information (n, P + 2)."""
        values, slopes = self._slopes()
        steepness, wrong = self.at[-2].exp(), torch.sigmoid(self.at[-1]) / 2
        log_odds = steepness * values
        sure = torch.sigmoid(log_odds)
        p = wrong + (1 - 2 * wrong) * sure
        by_log_odds = (1 - 2 * wrong) * sure * torch.sigmoid(-log_odds)
        by_logit = (1 - 2 * sure) * wrong * (1 - 2 * wrong)
        by_others = by_log_odds[:, None] * torch.cat([steepness * slopes, log_odds[:, None]], 1)
        moves = torch.cat([by_others, by_logit[:, None]], 1)
        deviation = (p * (1 - p)).sqrt().clamp_min(1e-150)
        weigh = self.sample.weighed
        return weigh((p - self.sample.y) / deviation), weigh(moves / deviation[:, None])

    def linearise(self) -> NormalEquations:
        residuals, jacobian = self.linear()
        jacobian = torch.nan_to_num(jacobian, nan=0.0, posinf=0.0, neginf=0.0)
        values, slopes = self._slopes()
        steepness, wrong, n = self.at[-2].exp(), torch.sigmoid(self.at[-1]) / 2, len(self.sample)
        moves = steepness * torch.cat([slopes, values[:, None], torch.zeros_like(values)[:, None]], 1)
        moves = torch.nan_to_num(moves, nan=0.0, posinf=0.0, neginf=0.0)
        weight = 2 / (FORMULAS.spread_of_log_odds**2 + float((steepness * values).square().mean()))
        matrix = jacobian.T @ jacobian / n + weight * (moves.T @ moves) / n**2
        gradient = jacobian.T @ residuals / n + weight * (moves.T @ (steepness * values)) / n**2
        gradient[-1] += (1 - 2 * wrong) * (wrong / FORMULAS.usual_wrong_labels - 1) / n
        matrix[-1, -1] += (1 - 2 * wrong) ** 2 / n
        return NormalEquations(matrix, gradient)

    @property
    def mse(self) -> float:
        return math.exp(2 * self.loss) if self.loss < 300 else math.inf

    def covariance(self) -> Tensor:
        """The covariance (P, P) of the constants of g: the inverse of the Fisher information, without s and ε."""
        matrix = self.linearise().matrix * len(self.sample)
        values, vectors = torch.linalg.eigh(matrix)
        root = vectors * values.clamp_min(0).sqrt()
        return covariance_of(root.T, 1.0, 10**9)[: self.count, : self.count]

    @property
    def probabilities(self) -> Probabilities:
        """Those of the fit."""
        return Probabilities(float(self.at[-2].exp()), float(torch.sigmoid(self.at[-1])) / 2)


def uncertainty_of_boundary(expression: Any, sample: LabelSample) -> tuple[Uncertainty, Probabilities]:
    """The uncertainty of a g whose constants were fitted to these labels, and the probabilities that belong to it."""
    template = template_of(expression)
    start = torch.tensor(list(template.values.values()), dtype=torch.float64)
    fit = sample.problem(start, *values_and_slopes(template, sample))
    gauss_newton(fit, Options(None, FORMULAS.refit_steps, FORMULAS.slow_gain, FORMULAS.slow_steps))
    covariance = fit.covariance()
    open_ = covariance.diagonal().isinf()
    known = covariance.masked_fill(open_[:, None] | open_[None, :], 0.0)
    values, vectors = torch.linalg.eigh(known)
    factor = values.clamp_min(0).sqrt()[:, None] * vectors.T
    blind = torch.eye(len(start), dtype=torch.float64)[open_]
    scale = torch.ones(len(start), dtype=torch.float64)
    return Uncertainty(template, factor, blind, scale, 1.0, LARGE), fit.probabilities


def _logit(share: float) -> float:
    return math.log(share / (1 - share))


def _or_infinite(loss: float) -> float:
    return loss if loss == loss else math.inf
