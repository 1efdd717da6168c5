"""Naming edges: one edge, all edges with a refit of the network, and back to splines."""

import numpy as np
import pytest
import torch

import knotwork as kw
from knotwork.formulas.goals import LABELS
from knotwork.symbolic import description
from knotwork.symbolic.network_naming import Judge, bounded


@pytest.fixture(scope="module")
def data():
    return kw.sample("exp(sin(pi*x) + y**2)", x=(-1, 1), y=(-1, 1), size=500, test_size=100, seed=0)


@pytest.fixture(scope="module")
def fitted(data):
    return kw.fit_multilevel(kw.KAN([2, 1, 1], seed=0), data, [5, 10], progress=False).model


def state_of(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def same_state(model, state):
    return all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_a_named_edge_computes_the_fit_that_is_returned(fitted, data):
    model = fitted.copy()
    x = model.trace(data).layers[0].inputs[:, 0]
    fit = model.fix_symbolic(0, 0, 0, "sin", data)
    a, b, c, d = fit.constants
    edge = model.trace(data).layers[0].edges[:, 0, 0]
    torch.testing.assert_close(edge, c * torch.sin(a * x + b) + d)
    assert fit.r2 > 0.9999


def test_unnaming_restores_the_spline_exactly(fitted, data):
    model, before = fitted.copy(), state_of(fitted)
    model.fix_symbolic(0, 1, 0, "x^2", data)
    model.fix_symbolic(1, 0, 0, "exp", data)
    model.unfix_symbolic(0, 1, 0)
    model.unfix_symbolic(1, 0, 0)
    assert same_state(model, before)
    with pytest.raises(kw.KnotworkError, match="is not named, so there is nothing to undo"):
        model.unfix_symbolic(0, 1, 0)


def test_given_constants_are_used_and_stay_fixed_if_not_trainable(fitted, data):
    model = fitted.copy()
    model.fix_symbolic(0, 0, 0, "sin", data, params=(3.0, 0.1, 1.0, 0.0), trainable=False)
    model.fit(data, steps=3, progress=False)
    model.fit(data, optimizer="adam", steps=3, progress=False)
    torch.testing.assert_close(model.layers[0].affine[0], torch.tensor([3.0, 0.1, 1.0, 0.0], dtype=torch.float64))


def test_trainable_constants_change_in_a_fit(fitted, data):
    model = fitted.copy()
    model.fix_symbolic(0, 0, 0, "sin", data, params=(3.0, 0.1, 1.0, 0.0))
    model.fit(data, steps=3, progress=False)
    assert abs(float(model.layers[0].affine[0, 0].detach()) - 3.0) > 1e-4


def test_without_data_an_edge_is_sampled_over_its_grid(fitted):
    assert fitted.suggest_symbolic(0, 1, 0)[0].function == "x^2"
    assert fitted.copy().fix_symbolic(0, 1, 0, "x^2").r2 > 0.999


def test_bad_arguments_raise_an_error_with_advice(fitted, data):
    model = fitted.copy()
    with pytest.raises(kw.KnotworkError, match="there is no edge \\(0, 5, 0\\)"):
        model.fix_symbolic(0, 5, 0, "sin", data)
    with pytest.raises(kw.KnotworkError, match="there is no layer 7"):
        model.suggest_symbolic(7, 0, 0, data)
    with pytest.raises(kw.KnotworkError, match="did you mean 'sin'"):
        model.fix_symbolic(0, 0, 0, "sine", data)
    with pytest.raises(kw.KnotworkError, match="give four, \\(a, b, c, d\\)"):
        model.fix_symbolic(0, 0, 0, "sin", data, params=(1.0, 2.0))
    with pytest.raises(kw.KnotworkError, match="out of its domain \\(0, inf\\)"):
        model.fix_symbolic(0, 0, 0, "log", data, params=(1.0, 0.0, 1.0, 0.0))
    with pytest.raises(kw.KnotworkError, match="lib=\\[\\] leaves no function"):
        model.suggest_symbolic(0, 0, 0, data, lib=[])


def test_all_edges_are_named_and_the_original_does_not_change(fitted, data):
    before = state_of(fitted)
    named = fitted.auto_symbolic(data)
    assert same_state(fitted, before)
    assert sorted(edge.function for edge in named.spec.named) == ["exp", "sin", "x^2"]
    assert all(bool(layer.active().all()) for layer in named.layers)
    assert (
        float((named(data.X_test) - data.y_test).detach().abs().max()) < 1e-9
    )  # the true functions, fitted up to rounding errors


def test_a_noisy_edge_is_named_and_not_removed():
    data = kw.sample("sin(4*x)", x=(-1, 1), size=300, noise=0.03, seed=1)
    model = kw.KAN([1, 1], seed=0)
    model.fit(data, progress=False)
    (edge,) = model.auto_symbolic(data).spec.named
    assert edge.function == "sin"


def test_edges_with_a_fit_below_the_threshold_stay_splines(data):
    # no function of the library is similar to this curve
    wild = kw.sample("sin(9*x) * exp(2*x) + abs(x - 0.3)", x=(-1, 1), size=400, seed=0)
    model = kw.fit_multilevel(kw.KAN([1, 1], seed=0), wild, [5, 10, 20], progress=False).model
    assert model.auto_symbolic(wild, lib=["x", "x^2"], r2_threshold=0.99).spec.named == ()


def test_only_edges_with_a_fit_above_the_threshold_are_named():
    mixed = kw.sample("x**2 + sin(9*y) * exp(2*y)", x=(-1, 1), y=(-1, 1), size=400, seed=0)
    model = kw.fit_multilevel(kw.KAN([2, 1], seed=0), mixed, [5, 10, 20], progress=False).model
    (edge,) = model.auto_symbolic(mixed, lib=["x", "x^2", "x^3"], r2_threshold=0.9).spec.named
    assert (edge.source, edge.function) == (0, "x^2")


def test_the_description_is_shorter_for_the_true_function(fitted, data):
    right = fitted.auto_symbolic(data)
    wrong = fitted.auto_symbolic(data, lib=["x", "x^2", "x^3"])
    lengths = [description(model, data.X_train, data.y_train) for model in (right, wrong)]
    assert lengths[0] < lengths[1]


def flipped(n, width, boundary, seed=0):
    """A network fitted to labels of a boundary, of which 0.7 % are wrong, and these data."""
    rows = np.random.default_rng(seed)
    x = np.c_[rows.uniform(-3, 3, n), rows.uniform(0, 2, n), rows.uniform(0, 1, n)]
    labels = (boundary(*x.T) > 0).astype(float)
    given = np.where(rows.uniform(size=n) < 0.007, 1 - labels, labels)
    data = kw.Dataset.from_arrays(x, given, test_size=0.0, seed=0)
    model = kw.KAN(width, seed=seed)
    model.fit(data, loss="cross_entropy", progress=False)
    return model, data


@pytest.mark.parametrize(
    ("width", "boundary"),
    [
        ([3, (1, 1), 1], lambda e, v, a: a * e + 2 * v - 2),
        ([3, 1, 1], lambda e, v, a: e**2 / 4 + v**2 - 2 + 0 * a),
    ],
)
def test_names_keep_the_accuracy_of_labels_and_have_bounded_constants(width, boundary):
    model, data = flipped(500, width, boundary)
    named = model.auto_symbolic(data, loss="cross_entropy")
    judge = Judge.of(model, data, LABELS)
    assert judge.right > 0.93
    assert judge.share_right(named) >= judge.right - 0.01
    assert bounded(named, data.X_train)
    assert len(named.spec.named) >= named.spec.depth


def test_an_edge_of_labels_goes_back_to_its_spline_where_no_name_holds():
    model, data = flipped(1000, [3, 1], lambda e, v, a: e**2 / 4 + v**2 - 2 + 0 * a)
    named = model.auto_symbolic(data, lib=["x"], loss="cross_entropy")
    assert 0 not in {edge.source for edge in named.spec.named}, "e**2 is even"
    judge = Judge.of(model, data, LABELS)
    assert judge.share_right(named) >= judge.right - 0.01


def test_constants_that_no_rows_can_tell_are_not_bounded():
    x = torch.linspace(-1, 1, 101, dtype=torch.float64)[:, None]
    for function, constants, right in [
        ("tanh", (3.0, 0.5, 2.0, 0.0), True),
        ("tanh", (7e24, 0.5, 2.0, 0.0), False),  # a step
        ("sin", (2e-5, 0.05, 4e5, 0.0), False),  # a straight line
        ("x^2", (1e30, 0.0, 1e-60, 0.0), True),  # only c·a² counts
        ("x^2", (1.0, 1e6, 1.0, 0.0), False),  # a straight line
    ]:
        model = kw.KAN([1, 1], seed=0)
        model.fix_symbolic(0, 0, 0, function, params=constants)
        assert bounded(model, x) is right, (function, constants)


@pytest.mark.parametrize("noise", [0.0, 0.01])
@pytest.mark.parametrize("expression", ["x*y", "(x + 2*y)**2", "x - y"])
def test_functions_used_where_they_are_lines_or_parabolas_are_named_as_these(expression, noise):
    data = kw.sample(expression, x=(-1, 1), y=(-1, 1), size=500, noise=noise, seed=0)
    model = kw.fit_sparse(kw.KAN([2, 3, 1], seed=0), data, progress=False).model
    named = model.auto_symbolic(data)
    assert {edge.function for edge in named.spec.named} <= {"x", "x^2"}
    error = float((named(data.X_train) - data.y_train).detach().square().mean().sqrt())
    assert error < 1.1 * noise * float(data.y_train.square().mean().sqrt()) + 1e-10


def test_curves_that_bend_a_little_keep_their_names():
    """The bend of exp(0.05x) is a hundredth of its slope, and exact rows show it."""
    data = kw.sample("exp(0.05*x) + y", x=(-1, 1), y=(-1, 1), size=300, seed=0)
    model = kw.KAN([2, 1], seed=0)
    model.fit(data, progress=False)
    assert sorted(edge.function for edge in model.auto_symbolic(data).spec.named) == ["exp", "x"]
