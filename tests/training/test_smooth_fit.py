"""Fits of rows with noise: smoothness chosen by the evidence, only where the rows hold noise."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import knotwork as kw
from knotwork.errors import TrainingError
from knotwork.model import FreeParameters
from knotwork.training import multistart, smoothness_choice
from knotwork.training.evidence_steps import RegularisedLikelihood
from knotwork.training.roughness import Roughness
from knotwork.training.rows import counted, effective_number
from knotwork.training.settings import TRAINING

FEW = kw.LevenbergMarquardt(starts=8)


def table(rows, noise, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (rows + 1000, 3))
    f = np.sin(3 * X[:, 0]) * X[:, 1]
    y = f + noise * f.std() * rng.normal(size=len(X)) * (np.arange(len(X)) < rows)
    return kw.Dataset.from_arrays(X[:rows], y[:rows], X_test=X[rows:], y_test=y[rows:])


@pytest.mark.parametrize("noise", [0.1, 0.5])
def test_noise_is_not_followed(noise):
    data = table(400, noise, seed=1)
    close, chosen = kw.KAN([3, 5, 1], seed=0), kw.KAN([3, 5, 1], seed=0)
    followed = close.fit(data, optimizer=FEW, smoothness=None)
    result = chosen.fit(data, optimizer=FEW)
    spread = float(data.y_test.std())
    assert result.smoothness.startswith("chosen by the evidence: the rows hold noise")
    assert float(result.smoothness.split()[-1]) == pytest.approx(noise * spread, rel=0.25)
    assert result.test_rmse < 0.6 * followed.test_rmse
    estimator = kw.KANRegressor(5, 5, random_state=0).fit(data.X_train.numpy(), data.y_train.numpy())
    others = torch.tensor(estimator.predict(data.X_test.numpy())) - data.y_test[:, 0]
    assert result.test_rmse < 1.2 * float(others.square().mean().sqrt())


@pytest.mark.parametrize("width", [[2, 5, 1], [2, (2, 1), 1]])
def test_exact_rows_are_fitted_to_the_bit_as_without_smoothness(width):
    data = kw.sample("exp(x)*y + x", x=(-1, 1), y=(-1, 1), size=400, seed=0)
    close, chosen = kw.KAN(width, seed=0), kw.KAN(width, seed=0)
    first, second = close.fit(data, smoothness=0), chosen.fit(data)
    assert torch.equal(close(data.X_test), chosen(data.X_test))
    assert first.smoothness == "off, as asked" and second.smoothness == "off: the rows look exact"
    assert [r.train for r in first.history] == [r.train for r in second.history]


def test_where_noise_is_clear_the_fit_that_follows_the_rows_is_not_made():
    """Eight columns, three of them without effect: found in the first round, and as good as an estimator's fit."""
    rng = np.random.default_rng(5)
    X = rng.uniform(-1, 1, (3000, 8))
    truth = np.sin(3 * X[:, 0]) * X[:, 1] + X[:, 2] ** 2 + np.exp(X[:, 3]) * X[:, 4]
    y = truth[:1000] + 0.1 * rng.normal(size=1000)
    stages, model = [], kw.KAN([8, 6, 1], seed=5)
    data = kw.Dataset.from_arrays(X[:1000], y, test_size=0)
    model.fit(data, callback=lambda event: stages.append((event.stage, event.step)))
    assert [stage[:5] for stage, step in stages if step == 0] == ["race ", "smoot", "smoot", "smoot"]
    assert sum(stage.startswith("race") for stage, _ in stages) <= 9  # one round of one group
    estimator = kw.KANRegressor(random_state=5).fit(X[:1000], y)
    errors = [np.sqrt(np.mean((p[1000:] - truth[1000:]) ** 2)) for p in (model.predict(X), estimator.predict(X))]
    assert errors[0] < 1.2 * errors[1]


def test_the_time_of_a_fit_to_noisy_rows_does_not_grow_faster_than_the_rows(monkeypatch):
    """Rows times steps, nearly proportional to the time: for ten times the rows it is less than five times as large."""
    visited, linearise = [], RegularisedLikelihood.linearise
    monkeypatch.setattr(
        RegularisedLikelihood, "linearise", lambda self: (visited.append(len(self.rows)), linearise(self))[1]
    )
    for rows in (1250, 12_500):
        visited.append(-rows)
        result = kw.KAN([3, 8, 1], seed=0).fit(table(rows, 0.3), optimizer=FEW)
        assert result.smoothness.startswith("chosen by the evidence")
    second = visited.index(-12_500)
    few, many = visited[1:second], visited[second + 1 :]
    assert 0 < sum(few) < sum(many) < 5 * sum(few)
    assert sorted(set(many)) == [1000, 10_000] and many.count(10_000) < 15


def test_rows_that_only_look_noisy_in_the_race_are_fitted_exactly(monkeypatch):
    """Where a smooth fit to all rows finds far less noise than one to the rows of the race, the race goes on."""
    monkeypatch.setattr(smoothness_choice, "TRAINING", replace(TRAINING, race_rows=60))
    monkeypatch.setattr(multistart, "TRAINING", replace(TRAINING, race_rows=60))
    data = kw.sample("exp(sin(pi*x) + y**2)", x=(-1, 1), y=(-1, 1), size=1000, seed=0)
    close, chosen, titles = kw.KAN([2, 3, 1], seed=0), kw.KAN([2, 3, 1], seed=0), []
    close.fit(data, smoothness=None)
    result = chosen.fit(data, callback=lambda event: titles.append(event.stage))
    assert any(title.startswith("smooth") for title in titles) and result.smoothness == "off: the rows look exact"
    assert torch.equal(close(data.X_test), chosen(data.X_test))


def test_a_second_fit_and_a_pruned_network_stay_smooth():
    data = table(400, 0.3)
    model = kw.KAN([3, 5, 1], seed=0)
    first = model.fit(data, optimizer=FEW)
    again = model.fit(data)
    pruned = model.prune(data)
    last = pruned.fit(data)
    assert max(again.test_rmse, last.test_rmse) < 1.15 * first.test_rmse


def test_a_weight_that_is_given_is_kept_and_a_larger_one_gives_straighter_curves():
    data, bends = table(300, 0.1), []
    for weight in (1e-3, 1.0, 1e3):
        model = kw.KAN([3, 3, 1], base="zero", seed=0)
        result = model.fit(data, smoothness=weight)
        assert result.smoothness == f"a weight of {weight:g}, as asked"
        roughness = Roughness(model)
        bends.append(float(roughness.squares(FreeParameters(model).get())[:9, 1].sum()))  # of the first layer
    assert bends[0] > bends[1] > bends[2]


def test_the_history_is_that_of_the_fit_that_was_taken():
    data = table(300, 0.3)
    model = kw.KAN([3, 4, 1], seed=0)
    result = model.fit(data, optimizer=FEW)
    assert result.smoothness.startswith("chosen")
    assert [record.step for record in result.history] == list(range(1, result.steps + 1))
    assert any(r.validation == pytest.approx(result.val_rmse) for r in result.history[-10:])


def test_a_callback_ends_a_smooth_fit_too():
    seen = []

    def stop(event):
        seen.append(event.stage)
        return event.stage.startswith("smooth")

    result = kw.KAN([3, 4, 1], seed=0).fit(table(300, 0.5), optimizer=FEW, callback=stop)
    assert result.stopped_by_caller and sum(stage.startswith("smooth") for stage in seen) == 1


def test_labels_that_overlap_are_fitted_smoothly():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2400, 3))
    y = (2 * X[:, 0] + X[:, 1] ** 2 - 1 + rng.logistic(size=2400) > 0).astype(float)
    losses = {}
    for smoothness in (None, "auto"):
        model = kw.KAN([3, 4, 1], seed=0)
        model.fit((X[:400], y[:400]), loss="cross_entropy", smoothness=smoothness, optimizer=FEW)
        p = model(torch.tensor(X[400:])).detach()[:, 0].sigmoid().clamp(1e-6, 1 - 1e-6)
        truth = torch.tensor(y[400:])
        losses[smoothness] = float(-(truth * p.log() + (1 - truth) * (1 - p).log()).mean())
    assert losses["auto"] < 0.55 < losses[None]  # that of the shares is 0.69


@pytest.mark.parametrize("smoothness", [-1, float("nan"), float("inf"), "some", True, [1]])
def test_a_smoothness_that_is_not_possible_is_refused(smoothness):
    with pytest.raises(TrainingError, match="is not possible: give 'auto', a weight from 0 on, or None"):
        kw.KAN([3, 1], seed=0).fit(table(50, 0), smoothness=smoothness)


def test_other_optimisers_have_no_smoothness():
    with pytest.raises(TrainingError, match="needs second-order steps for a KAN, but the optimiser is 'adam'"):
        kw.KAN([3, 1], seed=0).fit(table(50, 0), optimizer="adam", smoothness=0.5)
    assert kw.KAN([3, 1], seed=0).fit(table(50, 0), optimizer="adam", steps=2).smoothness == ""


def test_the_roughness_of_a_network_with_base_functions_and_removed_edges_has_the_derivatives_of_autograd():
    model = kw.KAN([2, 3, 1], grid=4, seed=0)
    model.layers[0].remove_edge(1, 2)
    roughness, free = Roughness(model, 0.7), FreeParameters(model)
    assert sorted(torch.cat([places.flatten() for places in roughness.places]).tolist()) == list(range(free.size))
    at = torch.randn(free.size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(roughness.slope(at), torch.autograd.functional.jacobian(roughness.value, at))
    curvature = torch.zeros(len(at), len(at), dtype=torch.float64)
    roughness.add_to(curvature)
    torch.testing.assert_close(curvature, torch.autograd.functional.hessian(roughness.value, at))


def test_weights_count_as_the_effective_number_of_rows():
    rng = np.random.default_rng(0)
    weights = torch.tensor(rng.uniform(0.1, 3, 50))
    assert effective_number(torch.full((7,), 3.5)) == pytest.approx(7)
    found = counted(weights)
    assert float(found.sum()) == pytest.approx(float(weights.sum() ** 2 / (weights**2).sum()))
    torch.testing.assert_close(counted(1.7e-9 * weights), found)
    whole = torch.tensor([1.0, 2.0, 2.0, 1.0])
    assert torch.equal(counted(whole), whole)  # copies
