"""Fits to many rows: samples first, then few steps on all rows."""

import sys

import numpy as np
import pytest
import torch

import knotwork as kw
from knotwork.model import FreeParameters, gradient, normal_equations
from knotwork.model.settings import ModelSettings
from knotwork.solvers import Ended, StopReason
from knotwork.training import row_samples
from knotwork.training.levenberg_marquardt import half_derivatives, levenberg_marquardt
from knotwork.training.likelihood import Bernoulli, Categorical, Normal, Weighted
from knotwork.training.row_samples import largest_sample, on_growing_samples, sample_sizes
from knotwork.training.rows import Rows, effective_number
from knotwork.training.settings import SAMPLES


@pytest.mark.parametrize("parameters", [1, 40, 300, 2500])
def test_samples_grow_and_their_size_does_not_follow_the_rows(parameters):
    for rows in (10, 5_000, 30_000, 200_000, 10_000_000):
        sizes = sample_sizes(rows, parameters)
        assert sizes == sorted(sizes) and all(size < rows for size in sizes)
        assert sum(sizes) <= 1.3 * largest_sample(parameters)
    assert sample_sizes(10**6, parameters) == sample_sizes(10**7, parameters)


def test_few_rows_are_fitted_as_a_whole():
    seen = []

    def minimise(sample, taken, most, last, keeper):
        seen.append((sample, taken, most, last))
        return Ended(3, StopReason.CONVERGED, "")

    on_growing_samples(15_000, 100, 60, torch.Generator(), minimise)
    on_growing_samples(10**6, 100, 60, None, minimise)
    assert seen == [(None, 0, 60, True)] * 2


def test_all_rows_come_last_and_the_limit_of_steps_holds_for_all_together():
    seen = []

    def minimise(sample, taken, most, last, keeper):
        seen.append((None if sample is None else len(sample), taken, last))
        assert sample is None or (len(sample.unique()) == len(sample) and int(sample.max()) < 10**6)
        return Ended(min(most, 30), StopReason.CONVERGED, "")

    ended = on_growing_samples(10**6, 100, 50, torch.Generator().manual_seed(0), minimise)
    assert ended.steps == 50
    assert [last for *_, last in seen] == [False] * (len(seen) - 1) + [True]
    assert seen[-1][0] == largest_sample(100)


@pytest.mark.parametrize(("likelihood", "outputs"), [(Normal(), 2), (Bernoulli(), 1), (Categorical(), 3)])
@pytest.mark.parametrize("named", [False, True])
def test_the_gradient_of_all_rows_is_that_of_the_normal_equations(likelihood, outputs, named, monkeypatch):
    monkeypatch.setattr(sys.modules["knotwork.model.jacobian"], "MODEL", ModelSettings(rows_of_gradient=7))
    network = kw.KAN([2, 3, outputs], grid=4, seed=0)
    if named:
        network.layers[0].name_edge(0, 1, "sin", torch.tensor([1.0, 0.5, 2.0, 0.1]))
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(50, 2, generator=generator, dtype=torch.float64) * 2 - 1
    labels = torch.randint(max(outputs, 2), (50,), generator=generator)
    y = torch.eye(max(outputs, 2), dtype=torch.float64)[labels][:, -outputs:]
    free = FreeParameters(network)

    def residuals(at, rows):
        return likelihood.residuals(at, y[rows])

    wanted = normal_equations(network, x, residuals, free)[1]
    torch.testing.assert_close(gradient(network, x, residuals, free), wanted, rtol=1e-9, atol=1e-11)


def test_moves_of_logits_are_measured_in_units_of_the_noise_of_labels():
    generator = torch.Generator().manual_seed(0)
    before, moves = torch.randn(2, 40, 3, generator=generator, dtype=torch.float64)
    weights = torch.rand(40, generator=generator, dtype=torch.float64)
    labels = torch.eye(3, dtype=torch.float64)[torch.randint(3, (40,), generator=generator)]
    after = before + moves
    total = 0.0
    for w, logits, move in zip(weights, after, moves, strict=True):  # the Fisher information of a label
        p = logits.softmax(0)
        total += float(w * (move @ (torch.diag(p) - torch.outer(p, p)) @ move))
    none = torch.zeros(3, dtype=torch.float64)
    found = Rows(before, labels, weights, none, Categorical()).squared_move(before, after)
    assert found == pytest.approx(total, rel=1e-9)
    plain = Rows(before, labels, weights, none, Normal()).squared_move(before, after)
    assert plain == pytest.approx(float((weights @ moves.square()).sum()), rel=1e-12)


def table(rows, seed):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (rows, 3))
    return X, np.sin(3 * X[:, 0]) + X[:, 1] * X[:, 2]


def test_a_fit_by_samples_is_as_good_as_one_on_all_rows(monkeypatch):
    X, y = table(30_000, 0)
    noisy = y + 0.1 * np.random.default_rng(1).standard_normal(len(y))
    fresh, truth = table(2000, 2)
    errors, steps = [], []
    for most in (SAMPLES.rows, 10**9):
        monkeypatch.setattr(row_samples, "SAMPLES", SAMPLES.__class__(rows=most))
        model = kw.KANRegressor(random_state=0).fit(X, noisy)
        errors.append(float(np.sqrt(np.mean((model.predict(fresh) - truth) ** 2))))
        steps.append(model.n_iter_)
    assert (
        errors[0] < 1.25 * errors[1] < 0.02
    )  # the statistical error of 90 coefficients is 0.1 * sqrt(90/30,000) = 0.005


def test_levenberg_marquardt_by_samples_ends_near_the_minimum_on_all_rows(monkeypatch):
    X, y = table(4000, 0)
    x, target = torch.tensor(X), torch.tensor(y + 0.1 * np.random.default_rng(1).standard_normal(len(y)))[:, None]
    small = SAMPLES.__class__(rows=1000, rows_per_parameter=20, smallest=200)
    monkeypatch.setattr(row_samples, "SAMPLES", small)
    losses, on_all, on_samples = [], [], []
    for generator in (None, torch.Generator().manual_seed(0)):
        on_all.clear()
        network = kw.KAN([3, 2, 1], grid=3, seed=0)
        levenberg_marquardt(
            network,
            x,
            target,
            lambda step, loss: on_all.append(step),
            generator=generator,
            each_sample_step=lambda step, loss: on_samples.append(step),
        )
        losses.append(float((network(x) - target).square().mean().detach()))
    assert on_samples == list(range(1, len(on_samples) + 1)) and len(on_samples) > 3
    assert on_all[0] == len(on_samples) + 1  # the steps on all rows follow
    assert losses[1] < 1.01 * losses[0]  # P/n = 0.02 of the loss is what the sample leaves at most


@pytest.mark.parametrize("heavy", [10, 2000])
def test_few_rows_of_large_weight_are_in_every_step_or_in_none_of_the_samples(heavy):
    """A sample of rows with weights counts as many equal rows as one without, or all steps are on all rows."""
    weights = torch.ones(10**6, dtype=torch.float64)
    weights[:heavy] = 1e4
    even, seen = effective_number(weights) / len(weights), []

    def minimise(sample, taken, most, last, keeper):
        seen.append(sample)
        return Ended(most, StopReason.STEP_LIMIT, f"the limit of {most} steps was reached")

    ended = on_growing_samples(len(weights), 100, 40, torch.Generator().manual_seed(0), minimise, even=even)
    assert seen == [None]  # 10 and 2,200 equal rows are too few for samples
    assert ended.sentence == "the limit of 40 steps was reached"


def test_samples_of_rows_with_moderate_weights_are_larger_and_the_limit_of_steps_is_that_of_all():
    weights = torch.ones(200_000, dtype=torch.float64)
    weights[::4] = 9.0
    even, seen = effective_number(weights) / len(weights), []

    def minimise(sample, taken, most, last, keeper):
        seen.append(sample)
        return Ended(most, StopReason.STEP_LIMIT, f"the limit of {most} steps was reached")

    ended = on_growing_samples(len(weights), 100, 40, torch.Generator().manual_seed(0), minimise, even=even)
    assert [effective_number(weights[some]) for some in seen] == pytest.approx([2000, 10_000, 10_000], rel=0.05)
    assert ended.sentence == "the limit of 40 steps was reached" and ended.steps == 40


def test_second_derivatives_on_a_sample_are_scaled_by_its_weights():
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(4000, 2, generator=generator, dtype=torch.float64) * 2 - 1
    weights = torch.ones(4000, dtype=torch.float64)
    weights[:1000] = 9.0
    weights /= weights.mean()
    network, y = kw.KAN([2, 1], grid=3, seed=0), torch.stack([x[:, 0], weights], 1)
    free, goal = FreeParameters(network), Weighted(Normal())
    whole, _ = half_derivatives(network, x, y, free, likelihood=goal)
    for sample in (torch.arange(1000), torch.arange(1000, 4000)):  # heavy rows alone, light rows alone
        few, _ = half_derivatives(network, x, y, free, likelihood=goal, sample=sample)
        assert float(few.trace()) == pytest.approx(float(whole.trace()), rel=0.05)
