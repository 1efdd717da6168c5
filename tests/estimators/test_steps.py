"""Parts of a fit with smoothness penalty: likelihoods, roughness, Gauss-Newton steps, mini-batches."""

import importlib
from itertools import pairwise

import numpy as np
import pytest
import torch

from knotwork.estimators.large_tables import adam
from knotwork.estimators.linear_start import linear_network
from knotwork.model import FreeParameters
from knotwork.model.settings import ModelSettings
from knotwork.solvers import Ended, Stop, StopReason
from knotwork.splines import grid_range
from knotwork.training.evidence import update_weights
from knotwork.training.evidence_steps import derivatives, gauss_newton
from knotwork.training.likelihood import Bernoulli, Categorical, Normal
from knotwork.training.roughness import Roughness
from knotwork.training.rows import Rows
from knotwork.training.settings import EVIDENCE
from knotwork.training.standardization import rescale_outputs


def targets_for(likelihood, n, generator):
    if isinstance(likelihood, Normal):
        return torch.randn(n, 2, generator=generator, dtype=torch.float64)
    if isinstance(likelihood, Bernoulli):
        return torch.randint(0, 2, (n, 1), generator=generator).double()
    return torch.eye(3, dtype=torch.float64)[torch.randint(0, 3, (n,), generator=generator)]


def problem(likelihood, n=7, seed=0, hidden=(2,), grid=2, k=2):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 2, generator=generator, dtype=torch.float64)
    targets = targets_for(likelihood, n, generator)
    offset = torch.randn(targets.shape[1], generator=generator, dtype=torch.float64)
    weights = torch.rand(n, generator=generator, dtype=torch.float64)
    network = linear_network([2, *hidden, targets.shape[1]], grid, k, x, seed)
    return network, Rows(x, targets, weights, offset, likelihood)


LIKELIHOODS = pytest.mark.parametrize(
    "likelihood", [Normal(), Bernoulli(), Categorical()], ids=lambda l: type(l).__name__
)


@LIKELIHOODS
def test_residuals_have_the_gradient_of_the_log_likelihood(likelihood):
    generator = torch.Generator().manual_seed(1)
    targets = targets_for(likelihood, 9, generator)
    outputs = 3 * torch.randn(targets.shape, generator=generator, dtype=torch.float64).requires_grad_()
    (expected,) = torch.autograd.grad(likelihood.values(outputs, targets).sum(), outputs)
    torch.testing.assert_close(slopes(likelihood, outputs.detach(), targets), expected)


def slopes(likelihood, outputs, targets):
    r, directions = likelihood.residuals(outputs, targets)
    return r if directions is None else torch.einsum("nr,nrk->nk", r, directions)


@LIKELIHOODS
def test_residual_derivatives_give_the_hessian_of_the_log_likelihood(likelihood):
    generator = torch.Generator().manual_seed(2)
    targets = targets_for(likelihood, 1, generator)
    outputs = torch.randn(targets.shape, generator=generator, dtype=torch.float64)
    expected = torch.autograd.functional.hessian(lambda f: likelihood.values(f, targets).sum(), outputs)[0, :, 0]
    directions = likelihood.residuals(outputs, targets)[1]
    root = torch.eye(len(expected), dtype=torch.float64) if directions is None else directions[0]
    torch.testing.assert_close(root.T @ root, expected)


def test_probabilities_of_extreme_logits_stay_finite():
    far = torch.tensor([[800.0]], dtype=torch.float64)
    zero, one = torch.zeros(1, 1, dtype=torch.float64), torch.ones(1, 1, dtype=torch.float64)
    assert float(Bernoulli().values(far, zero)) == 800 and float(Bernoulli().values(-far, one)) == 800
    logits = torch.tensor([[800.0, 0.0, -800.0]], dtype=torch.float64)
    last = torch.eye(3, dtype=torch.float64)[[2]]
    assert float(Categorical().values(logits, last)) == 1600
    assert slopes(Categorical(), logits, last).tolist() == [[1, 0, -1]]
    assert slopes(Bernoulli(), far, zero).tolist() == [[1]] and slopes(Bernoulli(), -far, one).tolist() == [[-1]]


@LIKELIHOODS
def test_derivatives_are_those_of_the_weighted_loss(likelihood, monkeypatch):
    # so that rows are processed in several chunks
    few = ModelSettings(jacobian_entries=100)  # a few rows at a time
    monkeypatch.setattr(importlib.import_module("knotwork.model.jacobian"), "MODEL", few)
    network, rows = problem(likelihood)
    free = FreeParameters(network)
    _, slope = derivatives(network, rows, free)
    at, step, expected = free.get(), 1e-6, []
    for i in range(free.size):
        losses = []
        for sign in (1, -1):
            free.set(at + sign * step * torch.eye(free.size, dtype=torch.float64)[i])
            losses.append(float(rows.loss(rows.outputs(network).detach())))
        expected.append((losses[0] - losses[1]) / (2 * step))
    # errors of central differences are step² and rounding / step, both near 1e-10 here
    torch.testing.assert_close(slope, torch.tensor(expected, dtype=torch.float64), rtol=1e-6, atol=1e-8)


def test_the_roughness_has_the_gradient_and_the_hessian_of_autograd():
    network, _ = problem(Normal(), hidden=(3,), grid=3, k=3)
    roughness = Roughness(network, 0.7)
    at = torch.randn(FreeParameters(network).size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    slope = torch.autograd.functional.jacobian(roughness.value, at)
    torch.testing.assert_close(roughness.slope(at), slope)
    curvature = torch.zeros(len(at), len(at), dtype=torch.float64)
    roughness.add_to(curvature)
    torch.testing.assert_close(curvature, torch.autograd.functional.hessian(roughness.value, at))


def test_the_roughness_of_a_line_is_zero_and_of_a_parabola_its_second_derivative_squared():
    network, _ = problem(Normal(), hidden=(), grid=4, k=3)
    roughness = Roughness(network)
    bent = roughness.squares(FreeParameters(network).get())[:, 1]
    assert float(bent.max()) < 1e-20
    with torch.no_grad():  # squares of evenly spaced numbers: every second difference is 2 h²
        line = torch.arange(7, dtype=torch.float64) * 0.5
        network.layers[0].coefficients.copy_((line**2)[None, :, None].expand(2, -1, 2))
    bent = roughness.squares(FreeParameters(network).get())[:, 1]
    assert bent.tolist() == pytest.approx([2.0**2] * 4)  # four edges whose second derivative is 2


def drawn_from_the_prior(hidden, weight):
    """A roughness, and coefficients of which those of the first layer have a prior of this weight."""
    network, _ = problem(Normal(), hidden=(hidden,), grid=3, k=3)
    roughness, at = Roughness(network), FreeParameters(network).get()
    roots = torch.linalg.cholesky(torch.linalg.inv(roughness.precisions()[0] * weight))
    places = roughness.places[0]
    generator = torch.Generator().manual_seed(0)
    draws = torch.randn(*places.shape, 1, generator=generator, dtype=torch.float64)
    at[places] = (roots @ draws).squeeze(2)
    return roughness, at, torch.zeros_like(roughness.weights)


def test_smoothness_weights_that_change_together_converge_to_those_of_the_prior():
    # no data determine the coefficients; each of the two inputs has 80 edges and its own factor
    roughness, at, unknown = drawn_from_the_prior(80, 5.0)
    at[roughness.places[0][80:]] *= 10
    for _ in range(30):
        update_weights(roughness, at, unknown, together=True)
    # 80 edges of 5 values determine a variance to sqrt(2 / 80 / 5), about 10 %; three standard errors are allowed
    expected = torch.tensor([[5.0, 5.0]] * 80 + [[0.05, 0.05]] * 80, dtype=torch.float64)
    torch.testing.assert_close(roughness.weights[:160], expected, rtol=0.35, atol=0)
    assert bool((roughness.weights[160:, 0] == 1).all())


def test_smoothness_weights_of_each_edge_converge_to_the_most_probable_ones():
    """There the logarithm of its prior, with the determinant, has no slope, unless a weight is at its limit."""
    roughness, at, unknown = drawn_from_the_prior(10, 5.0)
    for _ in range(2000):
        update_weights(roughness, at, unknown)
    logs = roughness.weights[:20].log().requires_grad_()
    matrices = torch.einsum("ew,wij->eij", logs.exp(), roughness.measures[0])
    c = at[roughness.places[0]]
    probable = 0.5 * torch.logdet(matrices).sum() - 0.5 * torch.einsum("ei,eij,ej->", c, matrices, c)
    (slope,) = torch.autograd.grad(probable, logs)
    weights = roughness.weights[:20]
    inside = (weights > 1.01 * EVIDENCE.least_weight) & (weights < 0.99 * EVIDENCE.largest_weight)
    assert int(inside.sum()) > 20
    assert float(slope[inside].abs().max()) < 1e-3  # of values of about one


def test_weights_that_change_together_keep_their_ratios():
    roughness, at, unknown = drawn_from_the_prior(3, 5.0)
    roughness.set_weights(1 + torch.rand(12, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64))
    before = roughness.weights.clone()
    update_weights(roughness, at, unknown, together=True)
    change = roughness.weights / before
    for edges in (slice(0, 3), slice(3, 6)):  # those of one input
        torch.testing.assert_close(change[edges], change[edges][:1].expand(3, 2))
    assert not torch.allclose(change[0], change[3])


def noisy_rows(n, columns, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(n, columns, generator=generator, dtype=torch.float64)
    noise = torch.randn(n, 1, generator=generator, dtype=torch.float64)
    return x, noise


def test_the_order_and_the_units_of_columns_have_no_effect():
    x, noise = noisy_rows(200, 4, 0)
    y = torch.sin(6 * x[:, :1]) * x[:, 1:2] + x[:, 2:3] + 0.1 * noise
    order, outputs, weights = torch.tensor([2, 0, 3, 1]), [], []
    for change in (False, True):
        network = linear_network([4, 3, 1], 3, 3, x, seed=0)
        inside = x
        if change:
            first = network.layers[0]
            with torch.no_grad():
                first.coefficients.copy_(first.coefficients[order])
                first.knots = 1000 * first.knots[order]
            inside = 1000 * x[:, order]
        rows = Rows(inside, y, torch.ones(200, dtype=torch.float64), torch.zeros(1, dtype=torch.float64), Normal())
        roughness = Roughness(network)
        gauss_newton(network, rows, roughness, lambda *_: None, steps=12, tolerance=1e-9, learn=True)
        outputs.append(network(inside).detach())
        weights.append(roughness.weights[:12].view(4, 3, 2))
    torch.testing.assert_close(outputs[0], outputs[1], rtol=0, atol=1e-8)  # rounding errors grow in twelve steps
    torch.testing.assert_close(weights[0][order], weights[1], rtol=1e-5, atol=0)


def test_a_line_beside_a_wave_costs_less_than_three_constants():
    """Apart from its level a line has one constant, so its mean squared error is σ²/n, three times that with three."""
    squares = []
    for seed in range(20):
        x, noise = noisy_rows(200, 2, seed)
        y = torch.sin(12 * x[:, :1]) + x[:, 1:] + 0.5 * noise
        network = linear_network([2, 1], 8, 3, x, seed=0)
        one, zero = torch.ones(200, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
        rows = Rows(x, y, one, zero, Normal())
        gauss_newton(network, rows, Roughness(network), lambda *_: None, steps=60, tolerance=1e-4, learn=True)
        wrong = network.layers[0].edges(x)[:, 1, 0].detach() - x[:, 1]
        squares.append(float((wrong - wrong.mean()).square().mean()))  # the constant may be on the other edge
    assert np.mean(squares) < 3 * 0.5**2 / 200


def test_one_layer_with_fixed_smoothness_weights_is_a_ridge_regression():
    network, rows = problem(Normal(), n=30, hidden=(), grid=3, k=3)
    roughness, free, ridge = Roughness(network, 2.0), FreeParameters(network), network.copy()
    curvature, slope = derivatives(network, rows, free)  # the loss is quadratic: its curvature is the same everywhere
    began, prior = free.get(), torch.zeros_like(curvature)
    roughness.add_to(prior)
    gauss_newton(network, rows, roughness, lambda *_: None, steps=300, tolerance=1e-10, learn=False)
    precision = 1.0
    for _ in range(300):  # 1/σ² and the ridge regression for it, alternately
        matrix = precision * curvature + prior
        FreeParameters(ridge).set(began - torch.linalg.solve(matrix, precision * slope + prior @ began))
        determined = float(torch.linalg.solve(matrix, precision * curvature).trace())
        precision = (2 * rows.total - determined) / (2 * float(rows.loss(rows.outputs(ridge).detach())))
    torch.testing.assert_close(rows.outputs(network), rows.outputs(ridge), rtol=0, atol=1e-6)


@pytest.mark.parametrize("likelihood", [Bernoulli(), Categorical()], ids=lambda l: type(l).__name__)
def test_a_fit_with_fixed_smoothness_weights_never_raises_the_objective(likelihood):
    network, rows = problem(likelihood, n=40, hidden=(3,), grid=3, k=3)
    roughness, free, values = Roughness(network), FreeParameters(network), []

    def note(step, loss):
        assert loss == pytest.approx(float(rows.loss(rows.outputs(network).detach())) / rows.total)
        values.append(float(rows.loss(rows.outputs(network).detach()) + roughness.value(free.get())))

    note(0, float(rows.loss(rows.outputs(network).detach())) / rows.total)
    gauss_newton(network, rows, roughness, note, steps=20, tolerance=1e-9, learn=False)
    assert len(values) > 3 and all(later <= before for before, later in pairwise(values))


def test_the_callback_of_each_step_can_stop_the_fit():
    network, rows = problem(Normal(), n=40)
    settings = {"steps": 20, "tolerance": 1e-9, "learn": True}
    enough = Stop(StopReason.CALLBACK, "enough")
    done = gauss_newton(network, rows, Roughness(network), lambda step, loss: enough if step == 4 else None, **settings)
    assert done == Ended(4, StopReason.CALLBACK, "enough")


def test_mini_batches_approach_the_optimum_of_second_order_steps():
    network, rows = problem(Bernoulli(), n=200, hidden=(), grid=3, k=3)
    other = network.copy()
    gauss_newton(network, rows, Roughness(network), lambda *_: None, steps=50, tolerance=1e-9, learn=False)
    pace = {"epochs": 300, "batch_size": 70, "learning_rate": 0.02, "generator": torch.Generator().manual_seed(0)}
    adam(other, rows, Roughness(other), lambda *_: None, **pace)
    difference = (network(rows.x) - other(rows.x)).detach().abs().max()
    assert float(difference) < 0.02  # the logits have a spread of about 1


def test_initial_networks_are_linear_over_the_rows():
    x = torch.tensor(np.random.default_rng(0).normal(size=(20, 3)))
    network = linear_network([3, 4, 2], 5, 3, x, seed=1)
    low, high = grid_range(network.layers[0].knots, 3)
    torch.testing.assert_close(low, x.amin(0))
    torch.testing.assert_close(high, x.amax(0))
    middle = (x[0] + x[1]) / 2
    a, b, c = (network.layers[0](v[None]) for v in (x[0], middle, x[1]))
    torch.testing.assert_close((a + c) / 2, b)
    assert torch.equal(network(x), linear_network([3, 4, 2], 5, 3, x, seed=1)(x))
    assert not torch.equal(network(x), linear_network([3, 4, 2], 5, 3, x, seed=2)(x))


@pytest.mark.parametrize("hidden", [(), (3,)])
def test_rescaling_outputs_is_exact_also_far_outside_the_grid(hidden):
    network, rows = problem(Normal(), hidden=hidden, k=3)
    x = torch.cat([rows.x, 100 * rows.x])
    before = network(x)
    scale, shift = torch.tensor([2.0, -3.0], dtype=torch.float64), torch.tensor([0.5, 1e3], dtype=torch.float64)
    rescale_outputs(network, scale, shift=shift)
    torch.testing.assert_close(network(x), scale * before + shift)
