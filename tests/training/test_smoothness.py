"""The weak smoothness penalty: no effect where rows determine the curve, a polynomial elsewhere."""

from dataclasses import replace

import pytest
import torch

from knotwork import KAN, sample
from knotwork.model import FreeParameters
from knotwork.splines import evaluate, fit_coefficients
from knotwork.training import TRAINING, levenberg_marquardt
from knotwork.training.levenberg_marquardt import half_derivatives
from knotwork.training.smoothness import Smoothness, _differences


def smooth(network, x, weight=1e-2):
    free = FreeParameters(network)
    matrix, gradient = half_derivatives(network, x, network(x).detach(), free, None)
    return free, Smoothness(network, free, matrix.diagonal(), weight), matrix, gradient


def a_network():
    network = KAN([2, (2, 1), 2], grid=4, seed=0, init="paper")
    network.fix_symbolic(0, 0, 1, "sin", params=(1.0, 0.0, 1.0, 0.0))
    network.layers[0].remove_edge(1, 2)
    network.layers[1].base_weights.requires_grad_(False)
    return network, 2 * torch.rand(50, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 1


def test_coefficient_places_are_the_positions_in_the_parameter_vector():
    network, _ = a_network()
    free = FreeParameters(network)
    with torch.no_grad():
        for layer in network.layers:
            layer.coefficients.copy_(torch.arange(layer.coefficients.numel()).view_as(layer.coefficients))
    vector = free.get()
    for layer, places in zip(network.layers, free.coefficient_places(), strict=True):
        edges = [(i, j) for i in range(layer.in_features) for j in range(layer.out_features) if layer.mask[i, j] == 1]
        torch.testing.assert_close(vector[places], torch.stack([layer.coefficients[i, :, j] for i, j in edges]))


def test_the_added_terms_are_half_the_derivatives_of_the_penalty():
    network, x = a_network()
    free, smoothness, matrix, gradient = smooth(network, x)
    at = free.get()
    more, slope = smoothness.add_to(matrix, gradient, at)
    direction = torch.randn(len(at), generator=torch.Generator().manual_seed(1), dtype=at.dtype)
    values = [smoothness.value(at + step * direction) for step in (-1.0, 0.0, 1.0)]  # exact for a quadratic function
    assert float(direction @ (slope - gradient)) == pytest.approx((values[2] - values[0]) / 4, rel=1e-10)
    bend = float(direction @ (more - matrix) @ direction)
    assert bend == pytest.approx((values[2] - 2 * values[1] + values[0]) / 2, rel=1e-10)


@pytest.mark.parametrize("even", [True, False])
@pytest.mark.parametrize("k", [0, 1, 2, 3, 5])
def test_the_penalty_of_polynomials_up_to_its_order_is_zero(k, even):
    network = KAN([1, 1], grid=6, k=k, base="zero", grid_range=(-1, 1), seed=0)
    if not even:
        network.layers[0].set_knots(network.layers[0].knots + 0.1 * network.layers[0].knots ** 2)
    knots = network.layers[0].knots[0]
    x = torch.linspace(float(knots[k]), float(knots[-k - 1]), 60, dtype=torch.float64)[:, None]
    for power, rough in ((k, False), (k + 1, True)):
        with torch.no_grad():
            layer = network.layers[0]
            layer.coefficients.copy_(fit_coefficients(x, (x**power)[:, :, None], layer.knots, k))
        free, smoothness, _, _ = smooth(network, x)
        assert (smoothness.value(free.get()) > 1e-6) == rough


@pytest.mark.parametrize("k", [0, 1, 3])
def test_the_penalty_of_a_grid_with_one_interval_is_zero(k):
    free, smoothness, _, _ = smooth(KAN([1, 1], grid=1, k=k, grid_range=(-1, 1), seed=0), torch.rand(9, 1).double())
    assert smoothness.value(free.get()) == 0


def test_the_penalty_does_not_depend_on_the_units_of_targets_and_inputs():
    ratios = []
    for unit in (1.0, 1e3):
        network, x = a_network()
        with torch.no_grad():
            for layer in list(network.layers)[-1:]:
                layer.coefficients.mul_(unit)
                layer.base_weights.mul_(unit)
        free, smoothness, _, _ = smooth(network, x)
        ratios.append(smoothness.value(free.get()) / float(network(x).detach().square().mean()))
    # the penalty scales with the square of the unit, also that of the first layer through the curves after it
    assert ratios[1] == pytest.approx(ratios[0], rel=1e-9)


def test_a_curve_is_a_polynomial_where_there_are_no_rows():
    """A gap and both ends of the grid have no rows; the penalty alone determines a cubic there."""
    x = 2 * torch.rand(200, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 1
    x = x[(x[:, 0] < 0.2) | (x[:, 0] > 0.6)][:, :1]
    everywhere = torch.linspace(-1.5, 1.5, 101, dtype=torch.float64)[:, None]
    errors = []
    for weight in (TRAINING.smoothness, 0.0):
        network = KAN([1, 1], grid=20, grid_range=(-1.5, 1.5), base="zero", seed=0)
        levenberg_marquardt(network, x, x**3 - x, steps=50, smoothness=weight)
        errors.append(float((network(everywhere) - everywhere**3 + everywhere).detach().abs().max()))
    assert errors[0] < 1e-3 and errors[1] > 0.1


def two_curves():
    """Four waves in the first input, and exp in the second, where the last 1.5 of 20 intervals have no rows."""
    x = 2 * torch.rand(400, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 1
    x[:, 1] = 0.925 * x[:, 1] - 0.075
    beyond = torch.stack([torch.zeros(31), torch.linspace(0.85, 1, 31)], 1).double()
    return x, beyond, lambda x: (4 * torch.pi * x[:, :1]).sin() + (2 * x[:, 1:]).exp()


def test_the_penalty_of_one_rough_curve_does_not_dominate_that_of_others():
    x, _, f = two_curves()
    network = KAN([2, 1], grid=10, grid_range=(-1, 1), base="zero", seed=0)
    levenberg_marquardt(network, x, f(x))
    free, smoothness, _, _ = smooth(network, x)
    before = smoothness._by_curve(free.get())
    assert before[0] > 100 * before[1]
    most = 1e-4 * float(before.sum())
    assert smoothness.weaken(free.get(), most) == pytest.approx(smoothness.value(free.get()), rel=1e-12)
    after = smoothness._by_curve(free.get())
    torch.testing.assert_close(after[0], after.new_tensor(most / 2))
    torch.testing.assert_close(
        after[1], torch.minimum(after.new_tensor(most / 2), 1e-4**TRAINING.smoothness_together * before[1])
    )
    assert after[1] / before[1] > 10 * after[0] / before[0]
    assert smoothness.weaken(free.get(), most) == pytest.approx(float(after.sum()), rel=1e-12)


def test_the_added_terms_are_half_the_derivatives_also_after_weakening():
    network, x = a_network()
    free, smoothness, matrix, gradient = smooth(network, x)
    at = free.get()
    value = smoothness.weaken(at, 1e-3 * smoothness.value(at))
    more, slope = smoothness.add_to(matrix, gradient, at)
    assert float(at @ (slope - gradient)) == pytest.approx(value, rel=1e-9)  # a quadratic form
    assert float(at @ (more - matrix) @ at) == pytest.approx(value, rel=1e-9)


def test_a_curve_is_continued_equally_well_next_to_a_rougher_one(monkeypatch):
    x, beyond, f = two_curves()
    errors = []
    for together in (TRAINING.smoothness_together, 1.0):
        monkeypatch.setattr("knotwork.training.smoothness.TRAINING", replace(TRAINING, smoothness_together=together))
        network = KAN([2, 1], grid=10, k=5, grid_range=(-1, 1), base="zero", seed=0)
        levenberg_marquardt(network, x, f(x))
        network = network.refine(20)
        levenberg_marquardt(network, x, f(x))
        errors.append(float((network(beyond) - f(beyond)).detach().abs().max()))
    assert errors[0] < errors[1] / 2


def test_where_rows_determine_the_curve_the_error_is_that_of_the_best_spline():
    data = sample("exp(sin(pi*x))", x=(-1, 1), size=1000, test_size=0, seed=0)
    network = KAN([1, 1], grid=20, base="zero", seed=0)
    result = network.fit(data)
    layer, x, y = network.layers[0], data.X_train, data.y_train
    closest = fit_coefficients(x, y[:, :, None], layer.knots, 3)
    error = (evaluate(x, layer.knots, closest, 3)[:, 0] - y).square().mean().sqrt()
    assert float(error) <= result.train_rmse <= 1.02 * float(error)


@pytest.mark.parametrize("even", [True, False])
@pytest.mark.parametrize(("k", "grid"), [(1, 8), (3, 8), (5, 9)])
def test_with_exact_rows_the_penalty_of_linear_jumps_is_zero(k, grid, even):
    """Of a spline whose k-th derivative is that of a parabola in the middle of each interval."""
    network = KAN([1, 1], grid=grid, k=k, base="zero", grid_range=(-1, 1), seed=0)
    layer = network.layers[0]
    if not even:
        layer.set_knots(layer.knots + 0.1 * layer.knots**2)
    knots = layer.knots[0]
    middles = (knots[k : grid + k] + knots[k + 1 : grid + k + 1]) / 2
    steps = [_differences(layer.knots, k, higher)[0] for higher in (0, 1, TRAINING.exact_order)]
    found = []
    for power in (2, 4):
        jumps = (middles**power).diff()
        coefficients = torch.linalg.lstsq(steps[0], jumps.unsqueeze(1), driver="gelsd").solution
        torch.testing.assert_close(steps[0] @ coefficients, jumps.unsqueeze(1))
        found.append([float((step @ coefficients).abs().max()) for step in steps])
    assert found[0][2] < 1e-12 < found[0][0] and found[1][2] > 1e-3
    assert [len(step) for step in steps] == [grid - 1, grid - 2, grid - 3]


def test_the_order_of_the_penalty_is_limited_by_the_number_of_intervals():
    for grid, left in ((1, 0), (2, 1), (3, 1), (4, 1)):
        assert _differences(torch.arange(7.0 + grid).expand(2, -1), k=3, higher=2).shape == (2, left, grid + 3)


def errors_beyond_the_rows(monkeypatch, noise):
    """Errors for exp where 1.5 of 20 intervals have no rows, with the higher order for exact rows and without."""
    x = torch.linspace(-1, 0.85, 150, dtype=torch.float64)[:, None]
    beyond = torch.linspace(0.85, 1, 31, dtype=torch.float64)[:, None]
    y = (2 * x).exp() + noise * torch.randn(150, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    errors = []
    for exact in (TRAINING.noise_free, 0.0):
        monkeypatch.setitem(levenberg_marquardt.__globals__, "TRAINING", replace(TRAINING, noise_free=exact))
        network = KAN([1, 1], grid=10, grid_range=(-1, 1), base="zero", seed=0)
        levenberg_marquardt(network, x, y)
        network = network.refine(20)
        levenberg_marquardt(network, x, y)
        errors.append(float((network(beyond) - (2 * beyond).exp()).detach().abs().max()))
    return errors


def test_exact_rows_are_extrapolated_more_accurately(monkeypatch):
    higher, lower = errors_beyond_the_rows(monkeypatch, 0.0)
    assert higher < lower / 3


def test_noisy_rows_are_extrapolated_with_the_lower_order(monkeypatch):
    higher, lower = errors_beyond_the_rows(monkeypatch, 1e-3)
    assert higher == lower
