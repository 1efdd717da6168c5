"""Frozen tensors do not change in races, pruning, refining and copies."""

import copy

import pytest
import torch

from knotwork import KAN, LevenbergMarquardt, fit_multilevel, fit_sparse, sample

DATA = sample("exp(sin(pi*x) + y**2)", x=(-1, 1), y=(-1, 1), size=150, test_size=0, seed=0)


@pytest.mark.parametrize("optimizer", ["lm", "lbfgs", "adam"])
@pytest.mark.parametrize("name", ["coefficients", "base_weights"])
def test_a_frozen_tensor_is_not_trained_and_the_others_are(optimizer, name):
    network = KAN([2, 2, 1], seed=0)
    frozen = getattr(network.layers[0], name).requires_grad_(False)
    before = {key: value.clone() for key, value in network.named_parameters()}
    network.fit(DATA, optimizer=LevenbergMarquardt(starts=4) if optimizer == "lm" else optimizer, steps=3)
    for key, value in network.named_parameters():
        if value.numel():
            assert torch.equal(value, before[key]) == (value is frozen), key


@pytest.mark.parametrize(
    "way",
    [
        KAN.copy,
        copy.deepcopy,
        lambda network: network.refine(10),
        lambda network: network.refine(7),
        lambda network: fit_multilevel(network, DATA, [5, 10], steps=2).model,
    ],
)
def test_copies_keep_tensors_frozen(way):
    network = KAN([2, 2, 1], seed=0)
    network.layers[0].coefficients.requires_grad_(False)
    network.layers[1].base_weights.requires_grad_(False)
    flags = [parameter.requires_grad for parameter in network.parameters()]
    assert [parameter.requires_grad for parameter in way(network).parameters()] == flags


def test_pruning_keeps_tensors_frozen():
    network = KAN([2, 3, 1], seed=0)
    network.layers[0].coefficients.requires_grad_(False)
    small = fit_sparse(network, DATA).model
    assert [parameter.requires_grad for parameter in small.parameters()] == [False, True, True, True]


def test_a_mask_with_zeros_is_never_taken_for_a_full_one():
    """A new mask may have the memory address of an old one."""
    for _ in range(50):
        layer = KAN([3, 3], seed=0).layers[0]
        assert layer.is_whole()
        layer.mask = torch.zeros(3, 3, dtype=torch.float64)
        assert not layer.is_whole()
        twin = copy.deepcopy(layer)
        twin.mask.fill_(1)
        assert twin.is_whole()


def test_networks_with_extrapolation_error_can_be_raced_and_pruned():
    network = KAN([2, 2, 1], seed=0, grid_range=(-0.5, 0.5), extrapolation="error")
    assert network.fit(DATA, optimizer=LevenbergMarquardt(starts=4), steps=3).steps == 3
    assert fit_sparse(network, DATA).steps > 3
    for call in (lambda: network(DATA.X_train), lambda: network.jacobian(DATA.X_train)):
        with pytest.raises(ValueError, match="outside its grid"):
            call()
    with pytest.raises(ValueError, match="outside its grid"):
        network.loss_and_grad(DATA.X_train, DATA.y_train)


def test_knots_set_by_the_user_are_kept_in_a_race():
    network = KAN([2, 2, 1], grid=7, seed=0)
    for layer in network.layers:
        layer.set_knots(layer.knots + 0.1 * layer.knots**2)
    before = [layer.knots.clone() for layer in network.layers]
    network.fit(DATA, update_grid=False, optimizer=LevenbergMarquardt(starts=3), steps=2)
    assert all(torch.equal(layer.knots, knots) for layer, knots in zip(network.layers, before, strict=True))
