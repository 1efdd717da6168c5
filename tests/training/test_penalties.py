"""Penalties are those of eq. 2.17-2.20, and their quadratic model is an upper bound for second-order steps."""

import math

import numpy as np
import pytest
import torch

from knotwork import KAN
from knotwork.model import FreeParameters, trace
from knotwork.training import Penalty, edge_norms, entropy

# With k = 1 and G = 1 a curve is the straight line between its two coefficients, at -1 and at 1.
X = torch.tensor([[-1.0, 0.3], [0.0, -0.7], [0.5, 0.1], [1.0, 0.9]], dtype=torch.float64)


def by_hand():
    """h = x - 0.25 from the edges x and -0.25, then 2h; |φ|₁ of the three edges on X: 0.625, 0.25 and 1.25."""
    network = KAN([2, 1, 1], grid=1, k=1, base="zero", seed=0)
    with torch.no_grad():
        network.layers[0].coefficients[:, :, 0] = torch.tensor([[-1.0, 1.0], [-0.25, -0.25]])
        network.layers[1].coefficients[0, :, 0] = torch.tensor([-2.0, 2.0])
    return network


def random_network(width=(2, 3, 1), seed=0, **settings):
    network = KAN(list(width), grid=4, seed=seed, init="paper", **settings)
    return network, torch.rand(60, width[0], generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2 - 1


def test_the_penalty_computed_by_hand():
    network = by_hand()
    first, second = (edge_norms(layer) for layer in trace(network, X).layers)
    torch.testing.assert_close(first[:, 0], torch.tensor([0.625, 0.25], dtype=torch.float64))
    torch.testing.assert_close(second[:, 0], torch.tensor([1.25], dtype=torch.float64))
    disorder = -(5 / 7 * math.log(5 / 7) + 2 / 7 * math.log(2 / 7))
    assert entropy(first).item() == pytest.approx(disorder, rel=1e-14)
    assert entropy(second).item() == 0
    expected = 0.1 * (3.0 * (0.875 + 1.25) + 0.5 * disorder)
    assert Penalty(0.1, l1=3.0, entropy=0.5).value(network, X).item() == pytest.approx(expected, rel=1e-14)


def test_the_penalty_equals_a_loop_over_edges():
    network, x = random_network((2, (2, 1), 2))
    total = 0.0
    for layer in trace(network, x).layers:
        edges = layer.edges.detach().numpy()
        norms = [np.abs(edges[:, i, j]).mean() for i in range(edges.shape[1]) for j in range(edges.shape[2])]
        total += 1.5 * sum(norms) - 0.7 * sum(n / sum(norms) * math.log(n / sum(norms)) for n in norms)
    assert Penalty(2.0, 1.5, 0.7).value(network, x).item() == pytest.approx(2.0 * total, rel=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_penalties_are_never_negative(seed):
    network, x = random_network((2, 3, 2), seed)
    for penalty in (Penalty(1.0), Penalty(1.0, l1=0.0), Penalty(1.0, entropy=0.0)):
        assert penalty.value(network, x).item() >= 0


def test_the_entropy_is_zero_for_one_edge_and_largest_for_equal_edges():
    assert float(entropy(torch.tensor([0.0, 3.0, 0.0]))) == 0
    assert float(entropy(torch.full((2, 4), 0.3, dtype=torch.float64))) == pytest.approx(math.log(8), rel=1e-14)
    norms = torch.rand(3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert float(entropy(7 * norms)) == pytest.approx(float(entropy(norms)), rel=1e-12)


def test_a_zero_network_has_no_penalty_and_a_finite_slope():
    network, x = random_network()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    value = Penalty(1.0).value(network, x)
    value.backward()
    assert value.item() == 0
    for parameter in network.parameters():
        if parameter.numel():
            assert parameter.grad is not None and not parameter.grad.any()
    norms = torch.zeros(2, 3, requires_grad=True)
    entropy(norms).backward()
    assert norms.grad is not None and not norms.grad.any()


def test_one_dead_edge_leaves_the_slope_of_the_others_finite():
    network, x = random_network((2, 2, 1))
    network.layers[0].remove_edge(0, 1)
    with torch.no_grad():
        network.layers[0].coefficients[1, :, 0] = 0
        network.layers[0].base_weights[1, 0] = 0
    Penalty(1.0).value(network, x).backward()
    assert all(bool(p.grad.isfinite().all()) for p in network.parameters() if p.grad is not None)
    assert network.layers[0].coefficients.grad[0, :, 0].any()


# --- the quadratic model ---


def mixed():
    """A network with splines, a product node, a trainable and a fixed named edge, and a removed edge."""
    network, x = random_network((2, (2, 1), 1))
    network.fix_symbolic(0, 0, 0, "sin", params=(1.3, 0.2, 0.7, 0.1))
    network.fix_symbolic(0, 1, 1, "x^2", params=(0.9, 0.1, 0.4, -0.3), trainable=False)
    network.layers[0].remove_edge(1, 0)
    return network, x


@pytest.mark.parametrize("make", [random_network, mixed, lambda: random_network(base="zero")])
@pytest.mark.parametrize("penalty", [Penalty(0.3), Penalty(0.3, entropy=0.0), Penalty(0.3, l1=0.0)])
def test_the_gradient_is_that_of_finite_differences(make, penalty):
    network, x = make()
    free = FreeParameters(network)
    gradient = penalty.quadratic(network, x, free)[1]
    start, step = free.get(), 1e-6  # rounding errors of 1e-16 / step and truncation errors of step² are near 1e-10
    for p in range(free.size):
        ends = []
        for sign in (1, -1):
            moved = start.clone()
            moved[p] += sign * step
            free.set(moved)
            ends.append(penalty.value(network, x).item())
        assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(float(gradient[p]), abs=1e-7)
    free.set(start)


@pytest.mark.parametrize("make", [random_network, mixed])
def test_the_curvature_is_symmetric_and_never_negative(make):
    network, x = make()
    free = FreeParameters(network)
    curvature = Penalty(1.0).quadratic(network, x, free)[0]
    torch.testing.assert_close(curvature, curvature.T, rtol=1e-12, atol=1e-14)
    values = torch.linalg.eigvalsh(curvature)
    assert float(values.min()) >= -1e-12 * float(values.max())
    assert float(values.max()) > 0


def last_layer_edge(network, free, source, target):
    """Positions of the coefficients and the base weight of an edge of the last layer in the parameter vector."""
    start = free.get()
    layer = network.layers[-1]
    with torch.no_grad():
        layer.coefficients[source, :, target] += 1
        layer.base_weights[source, target] += 1
    places = (free.get() != start).nonzero().flatten()
    free.set(start)
    return places


@pytest.mark.parametrize("make", [lambda: random_network((2, 3, 2)), mixed])
def test_the_quadratic_model_lies_above_the_penalty_of_an_edge(make):
    """Parabolas touch |φ| from above. They may be 2 % of the norm lower, because of the smoothing at φ = 0."""
    network, x = make()
    penalty, free = Penalty(1.0, l1=1.0, entropy=0.0), FreeParameters(network)
    curvature, gradient = penalty.quadratic(network, x, free)
    start, today = free.get(), penalty.value(network, x).item()
    norms = edge_norms(trace(network, x).layers[-1]).detach()
    generator = torch.Generator().manual_seed(1)
    for source, target in network.layers[-1].active().nonzero().tolist():
        places = last_layer_edge(network, free, source, target)
        slack = 0.021 * float(norms[source, target])
        for size in (1e-3, 0.1, 1.0, 10.0):
            step = torch.zeros_like(start)
            step[places] = size * torch.randn(len(places), generator=generator, dtype=start.dtype)
            free.set(start + step)
            model = today + float(gradient @ step + step @ curvature @ step / 2)
            assert model >= penalty.value(network, x).item() - slack
        mirror = torch.zeros_like(start)
        mirror[places] = -2 * start[places]  # φ → -φ: the same norm, where the parabola touches again
        model = today + float(gradient @ mirror + mirror @ curvature @ mirror / 2)
        assert today - slack <= model <= today + 1e-9
    free.set(start)


def test_a_layer_of_fixed_named_edges_also_has_a_penalty():
    network, x = random_network((1, 1, 1))
    network.fix_symbolic(0, 0, 0, "sin", params=(3.0, 0.0, 1.0, 0.0), trainable=False)
    free = FreeParameters(network)
    curvature, gradient = Penalty(1.0).quadratic(network, x, free)
    assert gradient.shape == (free.size,) and bool(gradient.isfinite().all()) and bool(curvature.isfinite().all())
