"""Fits to labels: second-order steps on the cross-entropy of logits."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

import knotwork as kw
from knotwork.errors import TrainingError
from knotwork.model import FreeParameters
from knotwork.solvers import StopReason
from knotwork.splines import uniform_knots
from knotwork.training import Penalty
from knotwork.training.grids import adapt_hidden_grids
from knotwork.training.levenberg_marquardt import NetworkProblem, half_derivatives, objective_value
from knotwork.training.likelihood import CrossEntropy


def labelled(classes, n=400, seed=0):
    """Rings around the origin, with random labels near their borders."""
    generator = torch.Generator().manual_seed(seed)
    x = 2 * torch.rand(n, 2, generator=generator, dtype=torch.float64) - 1
    radius = x.square().sum(1) + 0.1 * torch.randn(n, generator=generator, dtype=torch.float64)
    return x, (radius * classes / 1.2).long().clamp(0, classes - 1).double()


def mean_loss(network, x, y):
    logits = network(x)
    if logits.shape[1] == 1:
        return torch.nn.functional.binary_cross_entropy_with_logits(logits[:, 0], y)
    return torch.nn.functional.cross_entropy(logits, y.long())


@pytest.mark.parametrize("outputs", [1, 3])
def test_derivatives_are_those_of_torchs_cross_entropy(outputs):
    """One layer is linear in its parameters, so its Gauss-Newton curvature is the exact Hessian."""
    x, y = labelled(max(2, outputs), n=50)
    network = kw.KAN([2, outputs], grid=2, k=2, base="zero", seed=0)
    free = FreeParameters(network)
    matrix, gradient = half_derivatives(network, x, y[:, None], free, likelihood=CrossEntropy())
    shapes = [layer.coefficients.shape for layer in network.layers]

    def loss(values):
        parameters = {"layers.0.coefficients": values.view(shapes[0])}
        return mean_loss(lambda rows: torch.func.functional_call(network, parameters, (rows,)), x, y)

    at = free.get()
    torch.testing.assert_close(2 * gradient, torch.autograd.functional.jacobian(loss, at))
    torch.testing.assert_close(2 * matrix, torch.autograd.functional.hessian(loss, at))


@pytest.mark.parametrize("outputs", [1, 2, 3])
def test_labels_are_fitted_by_second_order_steps_better_than_by_adam(outputs):
    data = kw.Dataset.from_arrays(*labelled(max(2, outputs)), seed=0)
    results, losses = [], []
    for settings in ({"steps": 30, "optimizer": kw.LevenbergMarquardt(starts=1)}, {"optimizer": "adam", "steps": 300}):
        network = kw.KAN([2, 2, outputs], grid=3, seed=0)
        results.append(network.fit(data, loss="cross_entropy", smoothness=None, **settings))
        losses.append(float(mean_loss(network, data.X_train, data.y_train[:, 0]).detach()))
    assert [result.optimizer for result in results] == ["lm", "adam"]
    assert losses[0] < 0.95 * losses[1]
    assert losses[0] == pytest.approx(results[0].objective, rel=1e-9) == min(r.train for r in results[0].history)
    assert results[0].val_rmse < 0.4  # the RMSE of probabilities; guessing would give 0.5


def test_straight_edges_give_the_logistic_regression_of_scikit_learn():
    x, y = labelled(2)
    x = x.abs()
    network = kw.KAN([2, 1], grid=1, k=1, base="zero", grid_range=(0, 1), seed=0)
    network.fit((x, y), loss="cross_entropy", optimizer=kw.LevenbergMarquardt(tolerance=1e-12), smoothness=None)
    rows = kw.Dataset.from_arrays(x, y, test_size=0.0, seed=0)
    other = LogisticRegression(C=1e12, tol=1e-12, max_iter=1000).fit(rows.X_train.numpy(), rows.y_train[:, 0].numpy())
    expected = torch.tensor(other.decision_function(x.numpy()))
    torch.testing.assert_close(network(x).detach()[:, 0], expected, rtol=1e-3, atol=1e-3)


def test_separable_classes_are_fitted_with_a_loss_of_nearly_zero():
    x, _ = labelled(2)
    data = kw.Dataset.from_arrays(x, (x[:, 0] > 0).double(), seed=0)
    result = kw.KAN([2, 1], seed=0).fit(data, loss="cross_entropy")
    assert result.objective < 1e-3 and result.val_rmse < 0.2


@pytest.mark.parametrize(
    ("labels", "width", "message"),
    [
        ([0, 1, 2], [1, 2], "labels from 0 to 1 for 2 outputs, but y holds 2. Number the classes from 0"),
        ([0, 1, 2], [1, 1], "labels from 0 to 1"),
        ([-1, 1, 1], [1, 1], "but y holds -1"),
        ([0.5, 1, 1], [1, 3], "but y holds 0.5"),
    ],
)
def test_invalid_labels_are_refused(labels, width, message):
    y = torch.tensor(labels * 5, dtype=torch.float64)
    with pytest.raises(TrainingError, match=message):
        kw.KAN(width, seed=0).fit((torch.rand(len(y), 1), y), loss="cross_entropy")


def test_one_hot_targets_are_refused_with_the_reason():
    y = torch.eye(2, dtype=torch.float64).repeat(10, 1)
    with pytest.raises(TrainingError, match="takes one column of labels from 0, but y has 2"):
        kw.KAN([1, 2], seed=0).fit((torch.rand(20, 1), y), loss="cross_entropy")


def test_labels_are_also_checked_for_other_models():
    x, y = torch.rand(40, 1), torch.tensor([0.0, 1.0, 2.0, 1.0] * 10)
    with pytest.raises(TrainingError, match="labels from 0 to 1 for 1 outputs, but y holds 2"):
        kw.fit(kw.MLP([1, 3, 1]), (x, y), loss="cross_entropy", steps=2)


def test_pruning_within_a_budget_keeps_the_accuracy():
    x, y = labelled(2)
    model = kw.KAN([2, 3, 1], grid=3, seed=0)
    model.fit((x, y), loss="cross_entropy", steps=20, optimizer=kw.LevenbergMarquardt(starts=1))
    before, after = (
        float(((network(x)[:, 0] > 0) == (y > 0.5)).double().mean())
        for network in (model, model.prune((x, y), budget=0.05, loss="cross_entropy"))
    )
    assert after > before - 0.03 > 0.7


def test_the_penalty_does_not_depend_on_the_numbering_of_classes():
    """Labels have no unit, so the penalty is that of eq. 2.20 without a scale."""
    x, y = labelled(3)
    for names in (torch.tensor([0.0, 1.0, 2.0]), torch.tensor([1.0, 0.0, 2.0])):
        data = kw.Dataset.from_arrays(x, names[y.long()], seed=0)
        network = kw.KAN([2, 3], grid=3, seed=0)
        result = network.fit(data, loss="cross_entropy", lamb=0.1, steps=3)
        loss = mean_loss(network, data.X_train, data.y_train[:, 0]) + Penalty(0.1).value(network, data.X_train)
        assert result.objective == pytest.approx(float(loss.detach()), rel=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_products_of_an_input_with_long_tails_do_not_stop_at_chance(seed):
    """A few products far from all others would take the hidden grid from these, and the fit would lose everything."""
    rows = np.random.default_rng(0)
    a, b, c = rows.uniform(-1, 1, (3, 1500))
    tail = rows.standard_cauchy(1500)
    labels = np.arctan(tail) + a + b > 0
    data = kw.Dataset.from_arrays(np.c_[a, b, c, tail], labels.astype(float), test_size=0.0, seed=0)
    network = kw.KAN([4, (1, 1), 1], seed=0)
    result = network.fit(data, loss="cross_entropy", lamb=1e-3, seed=seed, progress=False)
    right = (network(data.X_train) > 0) == (data.y_train > 0.5)
    assert result.stop is not StopReason.NO_BETTER_THAN_MEAN and float(right.double().mean()) > 0.95


def test_hidden_grids_do_not_move_where_that_ruins_the_fit():
    network = kw.KAN([1, 1, 1], grid=5, seed=0)
    x = torch.cat([torch.linspace(-1, 1, 200, dtype=torch.float64), torch.tensor([1e4], dtype=torch.float64)])[:, None]
    with torch.no_grad():
        network.layers[0].name_edge(0, 0, "x", torch.tensor([1.0, 0.0, 1.0, 0.0]))
        network.layers[1].set_knots(uniform_knots(*torch.tensor([[-1.0], [1.0]], dtype=torch.float64), 5, 3))
        network.layers[1].coefficients.copy_(30 * torch.sin(torch.arange(8.0))[None, :, None])
        labels = (network(x) > 0).double()
    problem = NetworkProblem(network, x, labels, likelihood=CrossEntropy())
    problem.begin()
    before = problem.loss
    problem.follow()
    assert problem.loss == before < 0.3 * problem.spread
    assert adapt_hidden_grids(network, x)
    assert objective_value(network, x, labels, None, CrossEntropy()) > 2 * problem.spread
