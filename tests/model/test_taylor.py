"""Derivatives of a network in one Taylor sweep are those of nested autograd, along any line and of any order."""

import pytest
import torch

import knotwork as kw
from knotwork.errors import SpecError
from tests.model.networks import every_kind, random_network, rows

NETWORKS = {**{f"random {seed}": random_network(seed) for seed in range(16)}, **every_kind()}
every_network = pytest.mark.parametrize("network", NETWORKS.values(), ids=list(NETWORKS))


def nested(network, x, order, lines):
    """The definition: rows are moved along each line, and outputs differentiated repeatedly by the distance."""
    steps = torch.zeros(len(lines), len(x), dtype=x.dtype, requires_grad=True)
    outputs = network(x + torch.einsum("dn,di->ni", steps, lines))
    found = [outputs]
    values = [[column] * len(lines) for column in outputs.T]
    for _ in range(order):
        values = [[_slope(value, steps)[d] for d, value in enumerate(column)] for column in values]
        found.append(torch.stack([torch.stack(column, dim=1) for column in values], dim=2))
    return found


def _slope(values, steps):
    if not values.requires_grad:
        return torch.zeros_like(steps)
    return torch.autograd.grad(values.sum(), steps, create_graph=True, materialize_grads=True)[0]


def agree(found, expected):
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9 * max(1.0, float(expected.detach().abs().max())))


@every_network
def test_derivatives_along_the_axes_are_those_of_nested_autograd(network):
    x = rows(network, 7)
    axes = torch.eye(network.spec.in_features, dtype=x.dtype)
    for found, expected in zip(kw.KAN.derivatives(network, x, 3), nested(network, x, 3, axes), strict=True):
        agree(found, expected)


@every_network
def test_derivatives_along_any_lines_are_those_of_nested_autograd(network):
    x = rows(network, 5)
    lines = torch.randn(2, network.spec.in_features, generator=torch.Generator().manual_seed(1), dtype=x.dtype)
    for found, expected in zip(kw.KAN.derivatives(network, x, 4, lines), nested(network, x, 4, lines), strict=True):
        agree(found, expected)


@every_network
def test_a_loss_of_derivatives_has_the_gradients_of_nested_autograd(network):
    x = rows(network, 9)
    parameters = [p for p in network.parameters() if p.requires_grad and p.numel()]
    axes = torch.eye(network.spec.in_features, dtype=x.dtype)
    gradients = []
    for u, slopes, bends in (kw.KAN.derivatives(network, x), nested(network, x, 2, axes)):
        loss = (bends.sum(1) + u * slopes[:, 0]).square().mean()
        if not loss.requires_grad:
            return
        gradients.append(torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True))
    for found, expected in zip(*gradients, strict=True):
        agree(found, expected)


def test_mixed_derivatives_come_from_two_diagonals():
    model = kw.KAN([2, 3, 1], grid=4, seed=0)
    x = torch.rand(6, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    plus, minus = model.derivatives(x, 2, torch.tensor([[1.0, 1.0], [1.0, -1.0]]))[2][:, :, 0].T
    hessians = torch.stack([torch.autograd.functional.hessian(lambda r: model(r).sum(), row) for row in x])
    agree((plus - minus) / 4, hessians[:, 0, 1])


def test_derivatives_without_gradients_record_no_graph():
    model, x = kw.KAN([2, (1, 1), 1], seed=0), torch.rand(4, 2, dtype=torch.float64)
    model.layers[0].name_edge(0, 0, "sin", torch.tensor([1.0, 0.0, 1.0, 0.0]))
    with torch.no_grad():
        assert not any(part.requires_grad for part in model.derivatives(x, 3))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"order": 0}, "order=0"),
        ({"order": 1.5}, "order=1.5"),
        ({"directions": torch.ones(3)}, r"directions have shape \(3,\)"),
        ({"directions": torch.ones(1, 3)}, r"directions have shape \(1, 3\)"),
        ({"x": torch.ones(2)}, r"x has shape \(2,\)"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(SpecError, match=message):
        kw.KAN([2, 1]).derivatives(**{"x": torch.ones(3, 2), **arguments})
