"""The Jacobian in closed form equals that of autograd, with the parameters in the documented order."""

import pytest
import torch

import knotwork as kw
from knotwork.functions import LIBRARY
from knotwork.model import (
    FreeParameters,
    KANNetwork,
    NamedEdge,
    Spec,
    jacobian,
    normal_equations,
    sweep,
    trace,
    vjp,
)
from tests.model.networks import every_kind, random_network, rows

NETWORKS = {
    **{f"random {seed}": random_network(seed) for seed in range(30)},
    **{f"random {seed} f32": random_network(seed, "float32") for seed in range(4)},
    **every_kind(),
}
every_network = pytest.mark.parametrize("network", NETWORKS.values(), ids=list(NETWORKS))


def slow_jacobian(network, x):
    """Autograd for one output of one row at a time; columns are selected edge by edge as `FreeParameters` documents."""
    y = network(x)
    parameters = [(layer.coefficients, layer.base_weights, layer.affine) for layer in network.layers]
    flat = [p for layer in parameters for p in layer]
    moving = [p for p in flat if p.requires_grad]
    result = []
    for row in y:
        for value in row:
            options = {"retain_graph": True, "allow_unused": True, "materialize_grads": True}
            slopes = iter(torch.autograd.grad(value, moving, **options) if y.requires_grad else moving)
            result.append(_pick(network, [next(slopes) if p.requires_grad else torch.zeros_like(p) for p in flat]))
    return torch.stack(result).reshape(*y.shape, -1)


def _pick(network, tensors):
    """One vector of the (coefficients, base weights, constants) of each layer, by loops over edges."""
    columns = []
    for l, layer in enumerate(network.layers):
        by_coefficient, by_base, by_constant = tensors[3 * l : 3 * l + 3]
        edges = [(i, j) for i in range(layer.in_features) for j in range(layer.out_features) if layer.mask[i, j] == 1]
        by_row = sorted((i, m, j) for i, j in edges for m in range(layer.grid + layer.k))
        columns += [by_coefficient[place] for place in by_row]
        columns += [by_base[i, j] for i, j in edges if layer.base != "zero"]
        columns += [by_constant[n, c] for n, edge in enumerate(layer.named) if edge[3] for c in range(4)]
    return torch.stack(columns).detach() if columns else torch.zeros(0, dtype=network.spec.torch_dtype())


@every_network
def test_the_jacobian_equals_that_of_autograd(network):
    x = rows(network, 7)
    outputs, derivatives = jacobian(network, x)
    expected = slow_jacobian(network, x)
    # the same few hundred products in another order, relative to the largest derivative
    tolerance = 1000 * torch.finfo(x.dtype).eps
    assert torch.allclose(outputs, network(x), rtol=tolerance, atol=tolerance)
    assert derivatives.shape == expected.shape and derivatives.dtype == x.dtype
    scale = expected.abs().max() if expected.numel() else 1.0
    assert ((derivatives - expected).abs() <= tolerance * scale).all()
    assert not derivatives.requires_grad and not outputs.requires_grad


@every_network
def test_a_sweep_without_derivatives_has_the_values_of_a_trace(network):
    x = rows(network, 300)
    seen = sweep(network, x, values_only=True)
    tolerance = 100 * torch.finfo(x.dtype).eps
    for mine, wanted in zip(seen.layers, trace(network, x).layers, strict=True):
        torch.testing.assert_close(mine.inputs, wanted.inputs.detach(), rtol=tolerance, atol=tolerance)
        torch.testing.assert_close(mine.sums, wanted.sums.detach(), rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(seen.outputs, network(x).detach(), rtol=tolerance, atol=tolerance)


@every_network
def test_normal_equations_of_combined_outputs_are_those_of_the_jacobian(network):
    """Residuals that mix the outputs, as those of cross-entropy do."""
    x, free = rows(network, 40), FreeParameters(network)
    outputs, columns = jacobian(network, x, free)
    generator = torch.Generator().manual_seed(0)
    directions = torch.randn(len(x), 2, outputs.shape[1], generator=generator, dtype=x.dtype)
    residuals = torch.randn(len(x), 2, generator=generator, dtype=x.dtype)
    mixed = (directions @ columns).flatten(0, 1)
    matrix, vector = normal_equations(network, x, lambda seen, part: (residuals[part], directions[part]), free)
    for found, wanted in ((matrix, mixed.T @ mixed), (vector, mixed.T @ residuals.flatten())):
        scale = float(wanted.abs().max()) if wanted.numel() else 1.0  # sums of 80 products in another order
        torch.testing.assert_close(found, wanted, rtol=0, atol=1000 * torch.finfo(x.dtype).eps * scale)


def test_the_jacobian_equals_finite_differences():
    """For one network with every feature, because finite differences share no code with knotwork or autograd."""
    network = every_kind()["one of each"]
    x = rows(network, 5)
    free = FreeParameters(network)
    start, step = free.get(), 1e-6
    derivatives = jacobian(network, x, free)[1]
    for p in range(free.size):
        sides = []
        for sign in (1, -1):
            moved = start.clone()
            moved[p] += sign * step
            free.set(moved)
            sides.append(network(x).detach())
        free.set(start)
        assert ((sides[0] - sides[1]) / (2 * step) - derivatives[:, :, p]).abs().max() < 1e-8


def test_a_product_with_a_zero_factor_has_its_derivative():
    """The other factors are multiplied, never the product divided."""
    network = KANNetwork(
        Spec(((1, 0), (0, 1)), arity=3, named=tuple(NamedEdge(0, 0, j, "x") for j in range(3))),
    )
    network.layers[0].affine.data[:, 3] = torch.tensor([0.0, 0.5, 2.0])  # x · (x + 1/2) · (x + 2)
    outputs, derivatives = jacobian(network, torch.zeros(1, 1))
    assert outputs.tolist() == [[0.0]]
    assert derivatives[0, 0].view(3, 4)[:, 3].tolist() == [1.0, 0.0, 0.0]  # by each d: 1/2 · 2, 0 · 2, 0 · 1/2


@pytest.mark.parametrize("f", [f for f in LIBRARY.values() if f.name != "0"], ids=lambda f: f.name)
def test_the_jacobian_of_every_named_function_is_right_in_two_layers(f):
    network = KANNetwork(Spec(((1, 0), (1, 0), (1, 0)), named=(NamedEdge(0, 0, 0, f.name), NamedEdge(1, 0, 0, "x^2"))))
    network.layers[0].affine.data[0] = torch.tensor([0.5, 0.3, 1.2, -0.4])
    x = torch.tensor([[0.2], [0.9]], dtype=torch.float64)
    assert torch.allclose(jacobian(network, x)[1], slow_jacobian(network, x), rtol=1e-10, atol=1e-13)


def test_a_fixed_edge_has_no_derivatives_but_transmits_those_of_others():
    def two_layers(trainable):
        named = (NamedEdge(1, 0, 0, "tanh", trainable),)
        return KANNetwork(Spec(((1, 0), (1, 0), (1, 0)), named=named), generator=torch.Generator().manual_seed(0))

    fixed, free = two_layers(False), two_layers(True)
    x = rows(fixed, 6)
    assert jacobian(fixed, x)[1].equal(jacobian(free, x)[1][..., :-4])
    assert jacobian(fixed, x)[1].abs().max() > 0


@every_network
def test_parameters_set_from_a_vector_give_the_same_vector(network):
    free = FreeParameters(network)
    values = free.get()
    assert values.shape == (free.size,) and values.dtype == network.spec.torch_dtype() and not values.requires_grad
    flat = [p for layer in network.layers for p in (layer.coefficients, layer.base_weights, layer.affine)]
    assert values.equal(_pick(network, flat))

    other = network.copy()
    before = {name: value.clone() for name, value in other.state_dict().items()}
    changed = FreeParameters(other)
    changed.set(values)
    assert all(value.equal(before[name]) for name, value in other.state_dict().items())
    target = torch.linspace(-2, 3, free.size, dtype=values.dtype)
    changed.set(target)
    assert changed.get().equal(target)
    assert network.copy().state_dict()["layers.0.coefficients"].equal(before["layers.0.coefficients"])
    # other values do not change: removed and fixed edges, knots, masks
    for layer, l in zip(other.layers, range(other.spec.depth), strict=True):
        unused = layer.mask == 0
        old = before[f"layers.{l}.coefficients"]
        assert layer.coefficients.detach().transpose(1, 2)[unused].equal(old.transpose(1, 2)[unused])
        fixed = [n for n, edge in enumerate(layer.named) if not edge[3]]
        assert layer.affine.detach()[fixed].equal(before[f"layers.{l}.affine"][fixed])
        assert layer.knots.equal(before[f"layers.{l}.knots"]) and layer.mask.equal(before[f"layers.{l}.mask"])


@every_network
def test_vectors_of_layers_are_joined_in_the_order_of_the_parameters(network):
    free = FreeParameters(network)
    tensors = [
        tuple(torch.randn(p.shape, dtype=p.dtype) for p in (layer.coefficients, layer.base_weights, layer.affine))
        for layer in network.layers
    ]
    assert free.gather(tensors).equal(_pick(network, [t for layer in tensors for t in layer]))


def test_free_are_the_parameters_in_use_unless_constants_are_fixed():
    for network in NETWORKS.values():
        fixed = sum(not edge.trainable for edge in network.spec.named)
        assert FreeParameters(network).size == network.parameters_in_use() - 4 * fixed


def test_residuals_times_the_jacobian_are_the_gradient_of_half_the_squared_error():
    """Second-order fits use Jᵀ r as this gradient."""
    network = kw.KAN([3, (2, 1), 2], seed=0)
    x = rows(network, 40)
    y = torch.randn(40, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    outputs, derivatives = jacobian(network, x)
    by_jacobian = torch.einsum("nop,no->p", derivatives, outputs - y)
    (0.5 * (network(x) - y).square().sum()).backward()
    gradients = [p.grad for layer in network.layers for p in (layer.coefficients, layer.base_weights, layer.affine)]
    gradients = [torch.zeros(0, 4) if g is None else g for g in gradients]
    assert torch.allclose(by_jacobian, _pick(network, gradients), rtol=1e-10, atol=1e-11)


@every_network
def test_the_vjp_is_the_gradient_times_the_jacobian(network):
    x, free = rows(network, 9), FreeParameters(network)
    seen = sweep(network, x)
    by_outputs = torch.randn(seen.outputs.shape, generator=torch.Generator().manual_seed(0), dtype=x.dtype)
    gradient = vjp(network, seen, by_outputs, free)
    expected = torch.einsum("nop,no->p", slow_jacobian(network, x), by_outputs)
    assert gradient.shape == (free.size,) and gradient.dtype == x.dtype
    scale = expected.abs().max() if free.size else 1.0
    assert ((gradient - expected).abs() <= 1000 * torch.finfo(x.dtype).eps * scale).all()


@every_network
def test_a_sweep_has_the_values_and_slopes_of_the_forward_pass(network):
    x = rows(network, 9)
    seen = sweep(network, x)
    tolerance = 1000 * torch.finfo(x.dtype).eps
    for l, (swept, traced) in enumerate(zip(seen.layers, trace(network, x).layers, strict=True)):
        assert torch.allclose(swept.inputs, traced.inputs, rtol=tolerance, atol=tolerance)
        assert torch.allclose(swept.sums, traced.sums, rtol=tolerance, atol=tolerance)
        if l:  # slopes of the edges, by autograd through the layer on its own
            inputs = swept.inputs.clone().requires_grad_()
            edges = network.layers[l].edges(inputs)
            for j in range(edges.shape[2]):
                options = {"retain_graph": True, "allow_unused": True, "materialize_grads": True}
                total = edges[:, :, j].sum()
                slope = torch.autograd.grad(total, inputs, **options)[0] if total.requires_grad else 0 * inputs
                scale = slope.abs().max().clamp_min(1)
                assert (swept.slopes[:, :, j] - slope).abs().max() <= tolerance * scale
    assert torch.allclose(seen.outputs, network(x), rtol=tolerance, atol=tolerance)


@every_network
def test_a_sweep_that_reuses_an_earlier_one_has_the_same_result(network):
    """Parameters may change in between; the rows and the input knots do not."""
    other, x = network.copy(), rows(network, 9)
    known, free = sweep(other, x), FreeParameters(other)
    free.set(free.get() * 1.1 + 0.01)
    fresh, again = sweep(other, x), sweep(other, x, known)
    assert again.outputs.equal(fresh.outputs)
    assert jacobian(other, x, free, again)[1].equal(jacobian(other, x, free, fresh)[1])


def test_the_method_jacobian_also_accepts_an_empty_batch():
    model = kw.KAN([2, 3, 2], seed=0)
    assert model.jacobian(torch.zeros(0, 2)).shape == (0, 2, model.parameters_in_use())
    x = rows(model, 4)
    assert model.jacobian(x).equal(jacobian(model, x)[1])


@every_network
def test_compiled_values_are_the_outputs(network):
    compiled = FreeParameters(network).compiled()
    if compiled is not None:
        x = network.select_inputs(rows(network))
        torch.testing.assert_close(
            compiled.values(x),
            network(rows(network)),
            rtol=1e-5 if x.dtype == torch.float32 else 1e-12,
            atol=1e-6 if x.dtype == torch.float32 else 1e-13,
        )
