"""extrapolation="constant": a network whose splines see every value outside of their grids as the nearest end."""

import pytest
import torch

import knotwork as kw
from knotwork.model import (
    FreeParameters,
    KANNetwork,
    Spec,
    jacobian,
    loss_and_grad,
    normal_equations,
    sweep,
    trace,
    vjp,
)
from knotwork.splines import grid_range
from tests.model import twins


def network(k=3, base="silu", dtype="float64"):
    """Hidden values and half of the rows leave their grids."""
    spec = Spec(
        ((2, 0), (2, 1), (2, 0)), 4, k, base=base, extrapolation="constant", grid_range=(-0.5, 0.5), dtype=dtype
    )
    made = KANNetwork(spec, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for layer in made.layers:
            layer.coefficients.mul_(10)
    made.layers[0].name_edge(0, 1, "sin", torch.tensor([2.0, 0.1, 1.0, 0.0]))
    return made


X = 2 * torch.rand(40, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64) - 1


@pytest.mark.parametrize("k", [0, 1, 3, 5])
@pytest.mark.parametrize("base", ["silu", "identity", "sine", "zero"])
def test_the_network_equals_its_definition(k, base):
    made = network(k, base)
    for seen, layer in zip(trace(made, X).layers, made.layers, strict=True):
        low, high = grid_range(layer.knots, k)
        assert ((seen.inputs < low) | (seen.inputs > high)).any()
    torch.testing.assert_close(made(X), torch.tensor(twins.forward(made, X)), rtol=1e-11, atol=1e-11)


def test_outside_an_edge_has_the_value_at_the_end_and_no_slope_and_named_edges_go_on():
    made = kw.KANLayer(1, 2, extrapolation="constant", dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    made.name_edge(0, 1, "x^2", torch.tensor([1.0, 0.0, 1.0, 0.0]))
    x = torch.tensor([[-1e9], [-1.0], [1.0], [7.0]], dtype=torch.float64, requires_grad=True)
    y = made(x)
    assert y[0, 0] == y[1, 0] and y[3, 0] == y[2, 0] == made(torch.full_like(x, torch.inf))[0, 0] and y[3, 1] == 49
    (slopes,) = torch.autograd.grad(y[:, 0].sum(), x)
    assert slopes[[0, 3]].eq(0).all() and slopes[[1, 2]].ne(0).all()


def test_derivatives_by_parameters_are_those_of_autograd():
    made = network()
    free, parameters = FreeParameters(made), list(made.parameters())
    y = torch.zeros(40, 2, dtype=torch.float64)
    value, slopes = loss_and_grad(made, X, y)
    loss = made(X).square().mean()
    torch.testing.assert_close((value, *slopes), (loss, *torch.autograd.grad(loss, parameters)))
    outputs, derivatives = jacobian(made, X)
    torch.testing.assert_close(outputs, made(X))
    matrix, vector = normal_equations(made, X, lambda outputs, rows: (outputs, None), free)
    flat = derivatives.flatten(0, 1)
    torch.testing.assert_close(matrix, flat.T @ flat)
    torch.testing.assert_close(vector, flat.T @ outputs.flatten())
    torch.testing.assert_close(vjp(made, sweep(made, X), outputs, free), vector)
    by_layer = [(la.coefficients, la.base_weights, la.affine) for la in made.layers]
    wanted = torch.autograd.grad(made(X).square().sum() / 2, parameters)
    found = {id(p): g for p, g in zip(parameters, wanted, strict=True)}
    torch.testing.assert_close(
        vector, free.gather([tuple(found.get(id(t), torch.zeros_like(t)) for t in part) for part in by_layer])
    )


def test_derivatives_by_inputs_are_those_of_autograd():
    made = kw.KAN.from_spec(network().spec)
    made.load_state_dict(network().state_dict())
    x = X.clone().requires_grad_()
    y, by_x, twice = made.derivatives(X, 2)
    total = made(x)
    for j in range(2):
        (first,) = torch.autograd.grad(total[:, j].sum(), x, create_graph=True)
        torch.testing.assert_close(by_x[:, :, j], first)
        second = [torch.autograd.grad(first[:, i].sum(), x, retain_graph=True)[0][:, i] for i in (0, 1)]
        torch.testing.assert_close(twice[:, :, j], torch.stack(second, 1))
    torch.testing.assert_close(y, total)


@pytest.mark.parametrize("optimizer", ["lm", "lbfgs", "adam"])
def test_a_fit_predicts_the_values_at_the_ends_far_outside(optimizer, tmp_path):
    data = kw.sample("sin(2*x) + y**2", x=(-1, 1), y=(-1, 1), size=300, seed=0)
    model = kw.KAN([2, 2, 1], seed=0, extrapolation="constant")
    result = model.fit(data, optimizer=optimizer, steps=60 if optimizer == "adam" else 20)
    assert result.test_rmse < (0.9 if optimizer == "adam" else 0.05)  # the target's spread is 0.8
    low, high = grid_range(model.layers[0].knots, 3)
    far = 1e6 * (2 * torch.rand(50, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64) - 1)
    assert model(far).equal(model(torch.minimum(torch.maximum(far, low), high)))
    model.save(tmp_path / "m")
    again = kw.load(tmp_path / "m")
    assert again.spec.extrapolation == "constant" and again(far).equal(model(far))


def test_new_knots_keep_the_curve_that_is_constant_outside():
    made = kw.KANLayer(1, 1, grid=5, base="silu", extrapolation="constant", dtype=torch.float64)
    x = torch.linspace(-1, 1, 101, dtype=torch.float64)[:, None]
    before = made(x)
    made.set_knots(kw.KANLayer(1, 1, grid=2000, grid_range=(-2, 2), dtype=torch.float64).knots)
    assert (made(x) - before).abs().max() < 1e-3 * before.abs().max()  # the corner at -1 and 1 is smoothed
    beyond = made(torch.tensor([[-1.9], [1.9]], dtype=torch.float64))
    assert (beyond - before[[0, -1]]).abs().max() < 1e-6
