"""Jets along directions, and their Jacobian by the parameters, are those of autograd through the layers."""

import pytest
import torch

import knotwork as kw
from knotwork.errors import SpecError
from knotwork.model import FreeParameters
from knotwork.pde.problems.directional import directions_for, polarisation
from knotwork.pde.solving.jets import input_features, jet_sweep, rows_of_jacobian
from tests.model.networks import random_network, rows

NETWORKS = {f"random {seed}": random_network(seed, named=False) for seed in range(24)}
for width, edges in (([2, 3, 2, 1], [(1, 0, 0), (2, 1, 0)]), ([2, [1, 2], 1], [(1, 0, 0), (1, 1, 0), (1, 2, 0)])):
    fixed = kw.KAN(width, grid=4, k=5, seed=3)
    for edge in edges:
        fixed.fix_symbolic(*edge, "sin", params=(0.7, 0.2, 1.5, 0.1), trainable=False)
    NETWORKS[f"fixed edges of {width}"] = fixed
every_network = pytest.mark.parametrize("network", NETWORKS.values(), ids=list(NETWORKS))


def partial(values, x, multi):
    """The definition by nested autograd, one coordinate after the other."""
    for i, times in enumerate(multi):
        for _ in range(times):
            if not values.requires_grad:
                return torch.zeros_like(values)
            values = torch.autograd.grad(values.sum(), x, create_graph=True, materialize_grads=True)[0][:, i]
    return values


def multis_of(network):
    """Partial derivatives up to the third order, mixed ones where there are two inputs."""
    n = network.spec.width[0][0]
    unit = [tuple(int(i == j) for i in range(n)) for j in range(n)]
    multis = [(0,) * n, tuple(3 * e for e in unit[0]), tuple(2 * e for e in unit[-1])]
    if n > 1:
        multis += [tuple(a + b for a, b in zip(unit[0], unit[1], strict=True))]
        multis += [tuple(2 * a + b for a, b in zip(unit[0], unit[1], strict=True))]
    return multis


def partial_from(outputs, directions, multi):
    if not any(multi):
        return outputs[0]
    return sum(factor * outputs[directions.position(line, order)] for factor, line, order in polarisation(multi))


def swept(network, x, directions):
    selected = network.select_inputs(x)
    return jet_sweep(
        network, input_features(network.layers[0], selected, directions, torch.ones(selected.shape[1])), directions
    )


@every_network
def test_partial_derivatives_are_those_of_nested_autograd(network):
    x = rows(network, 7)
    selected = network.select_inputs(x).clone().requires_grad_()
    full = x.clone()
    full = full.index_copy(1, torch.tensor(network.spec.inputs), selected)
    multis = multis_of(network)
    directions = directions_for(multis)
    outputs = swept(network, x, directions).outputs
    assert multis and outputs.shape[-1] == network(x).shape[1]
    for multi in multis:
        for o in range(outputs.shape[-1]):
            expected = partial(network(full)[:, o], selected, multi)
            found = partial_from(outputs, directions, multi)[:, o]
            scale = max(1.0, float(expected.detach().abs().max()))
            torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-8 * scale)


@every_network
def test_the_jacobian_of_a_residual_is_that_of_autograd(network):
    x = rows(network, 6)
    multis, free = multis_of(network), FreeParameters(network)
    directions = directions_for(multis)

    def residual(parts):
        return parts[0].sum(1) * parts[-1][:, 0] + torch.sin(parts[1]).sum(1) + parts[2].sum(1) ** 2

    sweep = swept(network, x, directions)
    value = residual([partial_from(sweep.outputs, directions, m) for m in multis])
    by_sums = torch.autograd.grad(value.sum(), sweep.sums, allow_unused=True, materialize_grads=True)
    found = rows_of_jacobian(sweep, by_sums, free)

    selected = network.select_inputs(x).clone().requires_grad_()
    full = x.clone().index_copy(1, torch.tensor(network.spec.inputs), selected)
    outputs = network(full)
    parts = [torch.stack([partial(u, selected, m) for u in outputs.T], dim=1) for m in multis]
    expected = []
    for one in residual(parts):
        names, values = zip(*network.named_parameters(), strict=True)
        slopes = torch.autograd.grad(one, values, retain_graph=True, materialize_grads=True)
        slope = {name: torch.zeros_like(value) for name, value in network.state_dict().items()}
        slope.update(zip(names, slopes, strict=True))
        kinds = ("coefficients", "base_weights", "affine")
        expected.append(
            free.gather([tuple(slope[f"layers.{l}.{kind}"] for kind in kinds) for l in range(len(network.layers))])
        )
    expected = torch.stack(expected)
    scale = max(1.0, float(expected.detach().abs().max()))
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-9 * scale)


def test_jacobian_rows_of_repeated_points_are_added():
    network = kw.KAN([2, 3, 1], seed=0)
    x, directions, free = rows(network, 8), directions_for([(1, 0)]), FreeParameters(network)
    sweep = swept(network, x, directions)
    by_sums = torch.autograd.grad(sweep.outputs[1].sum(), sweep.sums)
    apart = rows_of_jacobian(sweep, by_sums, free)
    torch.testing.assert_close(rows_of_jacobian(sweep, by_sums, free, copies=2), apart[:4] + apart[4:])


@pytest.mark.parametrize(
    ("multi", "expected"),
    [
        ((2, 0), {(1, 0): 1.0}),
        ((1, 1), {(1, 1): 0.5, (1, 0): -0.5, (0, 1): -0.5}),
        ((2, 1), {(2, 1): 1 / 6, (1, 1): -1 / 3, (1, 0): -1.0, (0, 1): 1 / 6}),
    ],
)
def test_mixed_derivatives_are_sums_of_directional_derivatives(multi, expected):
    found = {line: factor for factor, line, _ in polarisation(multi)}
    assert found == pytest.approx(expected)


def test_only_the_required_directions_are_computed():
    directions = directions_for([(0, 0), (1, 0), (0, 2)])
    assert directions.vectors == ((1, 0), (0, 1)) and directions.orders == (1, 2) and directions.size == 4


@pytest.mark.parametrize("layer", [0, 1])
def test_named_edges_in_the_first_layer_and_trainable_named_edges_are_refused(layer):
    network = kw.KAN([1, 1, 1], seed=0)
    network.fix_symbolic(layer, 0, 0, "sin", params=(1, 0, 1, 0), trainable=layer == 1)
    with pytest.raises(SpecError, match="trainable=False"):
        swept(network, torch.zeros(2, 1, dtype=torch.float64), directions_for([(1,)]))
