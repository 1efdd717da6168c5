"""Constants of boundaries: the likelihood of labels, the covariance, and labels that g separates perfectly."""

import numpy as np
import pytest
import torch

from knotwork.expressions import parse
from knotwork.formulas.constants import Constants, fitted, values_and_slopes
from knotwork.formulas.label_constants import LabelSample, uncertainty_of_boundary


def sample_of(x: np.ndarray, y: np.ndarray) -> LabelSample:
    return LabelSample({"x": torch.tensor(x)}, torch.tensor(y.astype(float)))


def test_derivatives_of_the_loss_are_finite_differences():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, 80)
    sample = sample_of(x, rng.random(80) < 1 / (1 + np.exp(-3 * (x - 0.2))))
    constant = Constants()
    template = constant.template(parse("x") - constant(0.1) - constant(0.3) * parse("x**2"))
    fit = sample.problem(torch.tensor([0.1, 0.3], dtype=torch.float64), *values_and_slopes(template, sample))
    fit.at = fit.at + torch.tensor([0.05, -0.03, 0.1, 0.2], dtype=torch.float64)
    found = fit.linearise().gradient
    for n in range(4):
        step = torch.zeros(4, dtype=torch.float64)
        step[n] = 1e-5
        slope = (fit.evaluate(fit.at + step)[0] - fit.evaluate(fit.at - step)[0]) / 2e-5
        assert float(found[n]) == pytest.approx(slope, rel=1e-5, abs=1e-9)


def test_errors_cover_the_true_threshold_of_soft_labels():
    inside = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        x = rng.uniform(-1, 1, 300)
        sample = sample_of(x, rng.random(300) < 1 / (1 + np.exp(-8 * (x - 0.25))))
        constant = Constants()
        fit = fitted(constant.template(parse("x") - constant(0.0)), sample)
        (value,), (error,) = fit.values.values(), fit.errors().values()
        inside += abs(value - 0.25) < 2 * error
    assert 88 <= inside <= 100  # 95 of 100 are expected, with a standard deviation of 2.2


def test_of_separated_labels_the_error_is_about_the_gap_between_the_rows():
    ratios = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        x = np.sort(rng.uniform(0, 1, 200))
        sample = sample_of(x, x > 0.4)
        constant = Constants()
        fit = fitted(constant.template(parse("x") - constant(0.5)), sample)
        (value,), (error,) = fit.values.values(), fit.errors().values()
        assert np.isfinite(value) and np.isfinite(error)
        ratios.append(abs(value - 0.4) / error)
    assert np.mean(np.array(ratios) < 2) >= 0.85
    assert np.median(ratios) > 0.15  # nor are errors far too large


def test_wrong_labels_do_not_move_the_boundary():
    rng = np.random.default_rng(3)
    x = rng.uniform(-1, 1, 1000)
    y = (x > 0.3) ^ (rng.random(1000) < 0.1)
    uncertainty, probabilities = uncertainty_of_boundary(parse("x - 0.31"), sample_of(x, y))
    (value,), (error,) = uncertainty.values, uncertainty.errors()
    assert abs(abs(value) - 0.3) < 3 * error < 0.03
    assert probabilities.wrong == pytest.approx(0.1, abs=0.03)
    p = probabilities.of(torch.tensor([-1.0, 1.0]))
    assert torch.allclose(p, torch.tensor([probabilities.wrong, 1 - probabilities.wrong]), atol=1e-6)
