"""The formulas of a network that was fitted to labels are the logits of its classes."""

import numpy as np
import pytest
import torch

import knotwork as kw
from knotwork.expressions import parse
from knotwork.formulas.constants import Sample
from knotwork.formulas.goals import LABELS
from knotwork.formulas.uncertainty import Uncertainty, constants_of


def labels(rows, seed=0):
    """Rows of two inputs with labels whose log-odds are 2x² - y."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-2, 2, (rows, 2))
    chance = 1 / (1 + np.exp(-(2 * X[:, 0] ** 2 - X[:, 1])))
    return kw.Dataset.from_arrays(X, rng.random(rows) < chance, names=["x", "y"], target_names="rain", seed=seed)


@pytest.fixture(scope="module")
def rain():
    data = labels(3000)
    model = kw.KAN([2, 1], seed=0)
    model.fit(data, loss="cross_entropy", progress=False)
    return data, model.auto_symbolic(data, loss="cross_entropy").symbolic_formula(data, loss="cross_entropy")


def test_the_log_odds_are_found(rain):
    data, formula = rain
    assert formula.targets == ("logit_rain",) and formula.loss == "cross_entropy"
    x, y = data.X_test.numpy().T
    value, lower, upper = formula.predict(np.stack([x, y], 1), interval=0.95, kind="confidence")
    truth = 2 * x**2 - y
    assert np.abs(value - truth).max() < 1
    assert 0.8 < ((lower <= truth) & (truth <= upper)).mean() <= 1  # the errors of all rows of one fit are correlated
    expression = formula.expression
    assert expression.diff("y", 2) == 0 and expression.diff("x", 3) == 0 and expression.diff("x", "y") == 0
    assert float(expression.diff("x", 2)) == pytest.approx(4, rel=0.2)
    assert formula.latex() and str(formula).startswith("logit_rain = ")


def test_the_accuracy_of_a_formula_is_that_of_its_probabilities(rain):
    data, formula = rain
    y = data.y_test[:, 0].numpy()
    p = 1 / (1 + np.exp(-formula.predict(data.X_test.numpy())))
    share = data.y_test.mean().item()
    null = -(share * np.log(share) + (1 - share) * np.log(1 - share))
    deviance = -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))
    assert formula.r2 == pytest.approx(1 - deviance / null, rel=1e-6)  # frequencies of classes are in single precision
    assert formula.rmse == pytest.approx(np.sqrt(np.mean((p - y) ** 2)), rel=1e-9)
    assert formula.gap < 1e-6


def test_standard_errors_are_those_of_logistic_regression():
    data = labels(500)
    model = kw.KAN([2, 1], seed=0)
    model.fix_symbolic(0, 0, 0, "x^2", data, params=(1.0, 0.0, 1.7, 0.3))
    model.fix_symbolic(0, 1, 0, "x", data, params=(1.0, 0.0, -0.9, 0.0))
    formula = model.symbolic_formula(data, loss="cross_entropy")
    x, y = data.X_train.numpy().T
    design = np.stack([-0 * x + y, 0 * x + 1, x**2], 1)  # derivatives by the constants -0.9, 0.3 and 1.7
    p = 1 / (1 + np.exp(-(design @ [-0.9, 0.3, 1.7])))
    expected = np.linalg.inv(design.T @ (design * (p * (1 - p))[:, None]))
    np.testing.assert_allclose([one.value for one in formula.constants], [-0.9, 0.3, 1.7])
    np.testing.assert_allclose(formula.covariance, expected, rtol=1e-8)
    new = np.array([[0.5, 1.0]])
    value, _, upper = formula.predict(new, interval=0.95, kind="confidence")
    at = np.array([1.0, 1.0, 0.25])
    np.testing.assert_allclose((upper - value)[0], 1.959964 * np.sqrt(at @ expected @ at), rtol=1e-6)
    with pytest.raises(kw.KnotworkError, match="labels have no intervals"):
        formula.predict(new, interval=0.95)


def test_the_covariance_of_several_classes_is_that_of_their_joint_likelihood():
    rng = np.random.default_rng(0)
    rows = torch.as_tensor(rng.uniform(-1, 1, (200, 2)))
    classes = torch.as_tensor(rng.integers(0, 3, 200)).double()
    sample = Sample({"x": rows[:, 0], "y": rows[:, 1]}, classes)
    expressions = [parse("0*x"), parse("1.5*x - 0.3"), parse("0.8*x*y + 0.6*x")]

    def loss(v):
        logits = [0 * rows[:, 0], v[1] * rows[:, 0] + v[0], v[3] * rows[:, 0] * rows[:, 1] + v[2] * rows[:, 0]]
        return torch.nn.functional.cross_entropy(torch.stack(logits, 1), classes.long(), reduction="sum")

    at = torch.tensor([-0.3, 1.5, 0.6, 0.8], dtype=torch.float64)
    expected = torch.linalg.inv(torch.autograd.functional.hessian(loss, at))
    known = Uncertainty.of_logits(expressions, sample, LABELS)
    constants = constants_of(known, ("x", "y"))
    formula = kw.Formula(
        tuple(expressions), ("x", "y"), ("a", "b", "c"), 0, 0, 0, constants=constants, uncertainty=known
    )
    assert [one.value for one in formula.constants] == [-0.3, 1.5, 0.6, 0.8]
    np.testing.assert_allclose(formula.covariance, expected, rtol=1e-9)


def test_a_network_with_one_output_for_each_class_has_a_logit_for_each():
    rng = np.random.default_rng(0)
    X = rng.uniform(-2, 2, (1500, 1))
    logits = np.stack([0 * X[:, 0], 2 * X[:, 0], X[:, 0] ** 2], 1)
    y = (logits + rng.gumbel(size=logits.shape)).argmax(1)
    data = kw.Dataset.from_arrays(X, y, names=["x"], target_names="kind", seed=0)
    model = kw.KAN([1, 3], grid=3, seed=0)
    model.fit(data, loss="cross_entropy", progress=False)
    formula = model.auto_symbolic(data, ["x", "x^2"], loss="cross_entropy").symbolic_formula(data, loss="cross_entropy")
    assert formula.targets == ("logit_0", "logit_1", "logit_2")
    values = formula.predict(data.X_test.numpy())
    x = data.X_test.numpy()[:, 0]
    np.testing.assert_allclose(values[:, 1] - values[:, 0], 2 * x, atol=0.6)
    np.testing.assert_allclose(values[:, 2] - values[:, 0], x**2, atol=0.6)


def test_other_losses_are_refused():
    data = labels(50)
    for verb in ("auto_symbolic", "symbolic_formula"):
        with pytest.raises(kw.KnotworkError, match="'cross_entropy' for labels"):
            getattr(kw.KAN([2, 1], seed=0), verb)(data, loss="hinge")


def test_one_of_several_logits_is_zero_and_errors_are_finite():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (2000, 2))
    logits = np.stack([X[:, 0], 2 * X[:, 1] ** 2, -X[:, 0] + 0.5], 1)
    labels = (logits + rng.gumbel(size=logits.shape)).argmax(1)
    data = kw.Dataset.from_arrays(X, labels, names=["x", "y"], target_names="kind", seed=0)
    model = kw.KAN([2, 3], seed=0)
    model.fit(data, loss="cross_entropy", progress=False)
    named = model.auto_symbolic(data, ["x", "x^2"], loss="cross_entropy")
    formula = named.symbolic_formula(data, loss="cross_entropy")
    assert [e == 0 for e in formula.expressions].count(True) == 1
    assert formula.constants and all(np.isfinite(one.error) for one in formula.constants)
    with torch.no_grad():
        expected = named(data.X_test).softmax(1).numpy()
    found = torch.as_tensor(formula.predict(data.X_test.numpy())).softmax(1).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-3)  # replacing constants by simple numbers may change it
    assert formula.gap < 0.01
