"""fit_sparse reduces a network that is too wide to the shape of the function, and fits it without a penalty."""

import importlib

import pytest
import torch

import knotwork as kw
from knotwork.errors import TrainingError
from tests.killing import Killer, assert_same, killed_again_and_again, write_always


def table(unit=1.0, noise=0.0):
    def function(x, y, z):
        return unit * torch.exp(torch.sin(torch.pi * x) + y**2)

    return kw.sample(function, x=(-1, 1), y=(-1, 1), z=(-1, 1), size=400, test_size=200, noise=noise)


def edges(network):
    return [int(layer.active().sum()) for layer in network.layers]


@pytest.mark.parametrize("unit", [1.0, 1e4])
def test_the_shape_of_the_function_is_found_whatever_the_unit(unit):
    """exp(sin πx + y²) needs three edges, and none from z."""
    data = table(unit=unit)
    model = kw.KAN([3, 4, 1], seed=0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    result = kw.fit_sparse(model, data)
    assert [s + p for s, p in result.model.spec.width] == [2, 1, 1]
    assert edges(result.model) == [2, 1]
    assert result.model.spec.inputs == (0, 1)
    assert result.test_rmse < 0.01 * unit
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize("seed", range(4))
def test_redundant_nodes_are_removed_although_each_lowers_the_error_on_a_coarse_grid(monkeypatch, seed):
    """On five intervals three nodes predict better than one; on a finer grid one is sufficient."""
    sparse = importlib.import_module("knotwork.simplify.sparse")
    monkeypatch.setattr(sparse, "prune", lambda network, data, *thresholds: network)
    data = table()
    whole = kw.KAN([3, 3, 1], seed=seed).fit(data)
    result = kw.fit_sparse(kw.KAN([3, 3, 1], seed=seed), data)
    assert edges(result.model) == [3, 1]
    assert result.model.spec.grid == 5
    assert result.val_rmse > 1.05 * whole.val_rmse
    assert result.model.refine(20).fit(data).val_rmse < whole.val_rmse


def test_a_required_node_is_kept(monkeypatch):
    sparse = importlib.import_module("knotwork.simplify.sparse")
    monkeypatch.setattr(sparse, "prune", lambda network, data, *thresholds: network)
    data = kw.sample("x*y", x=(-1, 1), y=(-1, 1), size=400)
    assert edges(kw.fit_sparse(kw.KAN([2, 2, 1], seed=0), data).model) == [4, 2]


def test_the_last_fit_has_no_penalty():
    data = table()
    model = kw.KAN([3, 4, 1], seed=0)
    result = kw.fit_sparse(model, data)
    again = result.model.copy().fit(data)
    assert result.model is not model
    assert result.objective == pytest.approx(result.train_rmse**2, rel=1e-9)
    assert again.train_rmse > 0.9 * result.train_rmse
    steps = [record.step for record in result.history]
    assert steps == list(range(1, result.steps + 1))


def test_edges_fitted_to_noise_are_removed():
    """The noise is a tenth of rms(y). Without edges fitted to it, the error from the true function is smaller."""
    data, clean = table(noise=0.1), table()
    sigma = 0.1 * float(clean.y_train.square().mean().sqrt())
    result = kw.fit_sparse(kw.KAN([3, 4, 1], seed=0), data)
    assert sum(edges(result.model)) <= 6
    assert result.test_rmse < sigma / 2 < kw.KAN([3, 4, 1], seed=0).fit(data, smoothness=None).test_rmse


def test_a_callback_that_returns_true_ends_it():
    data = table()
    result = kw.fit_sparse(
        kw.KAN([3, 4, 1], seed=0), data, callback=lambda event: event.record is not None and event.step == 5
    )
    assert result.stopped_by_caller and result.steps == 5
    assert edges(result.model) == [12, 4]


@pytest.mark.parametrize("sparsity", [0, -1.0, "much", float("nan")])
def test_an_impossible_sparsity_is_refused(sparsity):
    with pytest.raises(TrainingError, match="sparsity="):
        kw.fit_sparse(kw.KAN([3, 1]), table(), sparsity)


def test_a_killed_search_ends_with_the_same_numbers(tmp_path, monkeypatch):
    """Also where it is killed between two fits, or while the pruned network is fitted again."""
    write_always(monkeypatch)
    data = table(noise=0.05)

    def run(callback, path):
        return kw.fit_sparse(kw.KAN([3, 2, 1], grid=3, seed=0), data, 0.03, steps=6, callback=callback, checkpoint=path)

    counted = Killer()
    whole = run(counted, None)
    result, _, kills = killed_again_and_again(run, tmp_path / "a.kw", 0, counted.events // 2)
    assert kills
    assert_same(result, whole)
    assert edges(result.model) != edges(kw.KAN([3, 2, 1]))  # it pruned
    events = Killer()
    again = run(events, tmp_path / "a.kw")
    assert_same(again, whole)
    assert not events.events and again.seconds == result.seconds
