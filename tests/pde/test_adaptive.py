"""Adaptive refinement places points and knots where the residual is large, and keeps the function."""

import torch

import knotwork as kw
from knotwork import pde
from knotwork.pde.strategies.adaptive import adaptive_points, refined_adaptively

NONE = torch.zeros(0, dtype=torch.float64)


def layer_at_half():
    """An equation whose residual for u = 0 is a thin layer at x = 1/2."""
    return pde.Problem(lambda u, x: u.d("x") - torch.exp(-(((x - 0.5) / 0.02) ** 2)), {"x": (0, 1), "y": (0, 1)})


def test_points_are_dense_where_the_residual_is_large():
    model = kw.KAN([2, 2, 1], grid=4, k=5, seed=0, grid_range=(0.0, 1.0))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    x = adaptive_points(layer_at_half(), model, NONE, 400, seed=0)
    near = float(((x[:, 0] - 0.5).abs() < 0.05).double().mean())
    assert x.shape == (400, 2) and 0.3 < near < 0.7  # 0.1 for evenly distributed points
    assert torch.equal(x, adaptive_points(layer_at_half(), model, NONE, 400, seed=0))


def test_knots_are_dense_where_points_are_dense_and_the_function_is_kept():
    model = kw.KAN([2, 3, 1], grid=5, k=5, seed=0, grid_range=(0.0, 1.0))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for layer in model.layers:
            layer.coefficients += torch.randn(layer.coefficients.shape, generator=generator)
    x = torch.rand(500, 2, generator=generator, dtype=torch.float64)
    x[:, 0] = 0.3 + 0.1 * x[:, 0]
    finer = refined_adaptively(model, x)
    steps = finer.layers[0].knots[:, 5:-5].diff(dim=1)
    assert finer.spec.grid == 10 and steps.shape == (2, 10)
    assert steps[0].amin() < 0.05 < 0.9 * steps[1].amin()
    at = torch.rand(200, 2, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(finer(at), model(at), rtol=1e-11, atol=1e-11)


def test_adaptive_refinement_solves_an_equation_with_a_thin_layer():
    problem = pde.Problem(
        lambda u, x: u.d("x") - 2 * x, {"x": (-1, 1)}, [pde.dirichlet(1.0, on={"x": -1})], exact=lambda x: x**2
    )
    assert pde.solve(problem, width=[1, 1], grid=10, starts=1, steps=5, adaptive=True).relative_l2 < 1e-9
