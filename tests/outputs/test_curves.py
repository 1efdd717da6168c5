"""How a fit went and how candidates lie on an edge, as drawn."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

import knotwork as kw
from knotwork.errors import SpecError
from knotwork.formulas import Candidates
from knotwork.model import KANNetwork, Spec, parse_width, trace
from knotwork.outputs import candidates_curve, edge_curve, training_curves
from knotwork.solvers import StopReason
from knotwork.training import FitResult, Record


def result(*history):
    stop = StopReason.CONVERGED
    return FitResult(torch.nn.Linear(1, 1), "lm", "as asked", stop, "done", 0.0, 0.1, None, None, 3, 1.0, history)


def network(width):
    return KANNetwork(Spec(parse_width(width)), generator=torch.Generator().manual_seed(0))


def rows(columns, n=300):
    return 2 * torch.rand(n, columns, generator=torch.Generator().manual_seed(1), dtype=torch.float64) - 1


def lines(figure, gid):
    return [line for line in figure.axes[0].lines if line.get_gid() == gid]


def candidate(function, r2, *constants):
    return SimpleNamespace(function=function, r2=r2, constants=constants)


def labels(figure):
    legend = figure.axes[0].get_legend()
    return [text.get_text() for text in legend.get_texts()] if legend else []


# --- training_curves ---


def test_losses_are_drawn_on_a_logarithmic_scale():
    figure = training_curves(result(Record(1, 0.1, 5, 0.1, 0.2), Record(2, 0.2, 5, 0.01, 0.02)))
    axes = figure.axes[0]
    training, validation = axes.lines
    assert axes.get_yscale() == "log"
    np.testing.assert_allclose(training.get_xydata(), [[1, 0.1], [2, 0.01]])
    np.testing.assert_allclose(validation.get_xydata(), [[1, 0.2], [2, 0.02]])
    assert labels(figure) == ["training", "validation"]
    figure.draw_without_rendering()


def test_every_change_of_the_grid_has_a_line_and_a_label():
    records = [Record(step, 0.1, 5 * 2 ** ((step - 1) // 10), 1 / step) for step in range(1, 31)]  # 5, 10, 20
    figure = training_curves(result(*records))
    assert [line.get_xdata()[0] for line in lines(figure, "grid")] == [11, 21]
    assert [text.get_text() for text in figure.axes[0].texts] == ["G=5", "G=10", "G=20"]
    assert labels(figure) == ["training"]


def test_labels_of_grids_never_collide():
    records = [Record(step, 0.1, step + 1, 0.1) for step in range(40)]
    figure = training_curves(result(*records))
    assert len(lines(figure, "grid")) == 39
    assert len(figure.axes[0].texts) <= 11


def test_the_axis_says_what_was_measured():
    one = result(Record(1, 0.1, 5, 0.1))
    assert [training_curves(one, *m).axes[0].get_ylabel() for m in ((), ("log loss",))] == ["RMSE", "log loss"]


def test_an_empty_history_says_so():
    figure = training_curves(result())
    figure.draw_without_rendering()
    assert [text.get_text() for text in figure.axes[0].texts] == ["no steps were recorded"]


def test_losses_that_have_no_logarithm_are_left_out():
    figure = training_curves(result(Record(1, 0.1, 0, 0.0, None), Record(2, 0.1, 0, float("inf"), 0.5)))
    figure.draw_without_rendering()
    training, validation = figure.axes[0].lines
    assert np.isnan(training.get_ydata()).all()
    assert validation.get_ydata()[1] == 0.5
    assert not figure.axes[0].texts  # a model without a grid


def test_a_history_of_zero_losses_is_drawn_on_a_linear_scale():
    figure = training_curves(result(Record(1, 0.1, 5, 0.0)))
    assert figure.axes[0].get_yscale() == "linear"  # a logarithmic one would have no limits
    (training,) = figure.axes[0].lines
    assert np.isnan(training.get_ydata()).all()
    figure.draw_without_rendering()


# --- edge_curve ---


def test_the_edge_is_drawn_over_its_samples():
    model, x = network([2, 3, 1]), rows(2, 50)
    (line,) = lines(edge_curve(model, x, 1, 2, 0), "edge")
    seen = trace(model, x).layers[1]
    order = seen.inputs[:, 2].argsort()
    at = line.get_xdata()
    assert (at[0], at[-1]) == (seen.inputs[:, 2].min().item(), seen.inputs[:, 2].max().item())
    expected = np.interp(at, seen.inputs[order, 2].detach().numpy(), seen.edges[order, 2, 0].detach().numpy())
    np.testing.assert_allclose(line.get_ydata(), expected, atol=1e-12)


def test_at_most_three_candidates_lie_over_it():
    fits = [candidate("sin", 0.99996, 3.0, 0.5, 2.0, 1.0), candidate("x^2", 0.5, 1, 0, 1, 0)]
    fits += [candidate("log", 0.123456, 1, 0, 1, 0), candidate("exp", 0.1, 1, 0, 1, 0)]
    figure = edge_curve(network([2, 1]), rows(2), 0, 0, 0, fits)
    assert labels(figure) == ["edge", "sin   $r^2$ = 0.999960", "$x^{2}$   $r^2$ = 0.5", "log   $r^2$ = 0.123"]
    sine, square, logarithm = lines(figure, "candidate")
    at = sine.get_xdata()
    np.testing.assert_allclose(sine.get_ydata(), 2 * np.sin(3 * at + 0.5) + 1, atol=1e-12)
    np.testing.assert_allclose(square.get_ydata(), at**2, atol=1e-12)
    assert np.isnan(logarithm.get_ydata()[at <= 0]).all()  # outside its domain
    figure.draw_without_rendering()


def test_a_poor_candidate_does_not_shrink_the_edge():
    model, x = network([2, 1]), rows(2)
    alone, with_candidate = (
        edge_curve(model, x, 0, 0, 0, fits).axes[0].get_ylim() for fits in ([], [candidate("x", 0.0, 1, 0, 1e6, 0)])
    )
    assert alone == with_candidate


def test_r2_is_never_rounded_up_to_one():
    figure = edge_curve(network([2, 1]), rows(2), 0, 0, 0, [candidate("sin", 1 - 4e-9, 1, 0, 1, 0)])
    assert labels(figure)[1] == "sin   $r^2$ = 0.9999999960"


def test_a_named_edge_says_so_and_pruned_inputs_keep_their_numbers():
    model = KANNetwork(Spec(((1, 0), (1, 0)), in_features=3, inputs=(2,)))
    model.layers[0].name_edge(0, 0, "sin", torch.tensor([1.0, 0.0, 1.0, 0.0]))
    axes = edge_curve(model, rows(3), 0, 0, 0).axes[0]
    assert axes.get_title() == "named sin"
    assert axes.get_xlabel() == "$x_{3}$"
    axes = edge_curve(model, rows(3), 0, 0, 0, input_names=["a", "b", "$mass$"]).axes[0]
    assert axes.get_xlabel() == "$mass$"
    assert not axes.xaxis.label.get_parse_math()


def test_a_constant_edge_is_drawn_in_the_middle_and_an_undefined_one_as_a_gap():
    model = network([1, 1])
    constant = edge_curve(model, torch.ones(5, 1), 0, 0, 0)
    (line,) = lines(constant, "edge")
    low, high = constant.axes[0].get_ylim()
    assert low < high
    np.testing.assert_allclose(line.get_ydata(), (low + high) / 2, rtol=1e-12)
    constant.draw_without_rendering()
    model.layers[0].name_edge(0, 0, "log", torch.tensor([1.0, -9.0, 1.0, 0.0]))
    undefined = edge_curve(model, rows(1), 0, 0, 0)
    (line,) = lines(undefined, "edge")
    assert len(line.get_ydata()) > 0 and np.isnan(line.get_ydata()).all()
    undefined.draw_without_rendering()


def test_edges_that_cannot_be_drawn():
    model = network([2, 1])
    model.layers[0].remove_edge(1, 0)
    with pytest.raises(SpecError, match=r"edge \(0, 1, 0\) was removed from this KAN and has no curve to draw"):
        edge_curve(model, rows(2), 0, 1, 0)
    with pytest.raises(SpecError, match="input_names needs one name for each of the 2 inputs"):
        edge_curve(model, rows(2), 0, 0, 0, input_names=["a"])
    with pytest.raises(SpecError, match=r"there is no edge \(0, 2, 0\)"):
        edge_curve(model, rows(2), 0, 2, 0)
    with pytest.raises(SpecError, match=r"edge_curve\(\) draws curves over rows of data, but x has shape \(0, 2\)"):
        edge_curve(model, rows(2, 0), 0, 0, 0)


# --- candidates_curve ---


def test_candidates_draw_the_curve_that_they_were_fitted_to():
    data = kw.sample("exp(2*speed) + y", speed=(-1, 1), y=(-1, 1), size=200, seed=0)
    model = kw.KAN([2, 2, 1], seed=0)
    table = model.suggest_symbolic(0, 0, 1, data)
    figure, other = table.plot(), edge_curve(model, data.X_train, 0, 0, 1, table, input_names=data.input_names)
    assert len(lines(figure, "candidate")) == 3
    for kind in ("edge", "candidate"):
        for line, expected in zip(lines(figure, kind), lines(other, kind), strict=True):
            np.testing.assert_array_equal(line.get_xydata(), expected.get_xydata())
    axes, expected = figure.axes[0], other.axes[0]
    assert axes.get_xlabel() == expected.get_xlabel() == "speed"
    assert axes.get_ylabel() == expected.get_ylabel() == r"$\phi_{0,0,1}$"
    assert labels(figure) == labels(other)
    assert model.suggest_symbolic(1, 0, 0, data).plot().axes[0].get_xlabel() == "node 0 of layer 1"
    assert model.suggest_symbolic(0, 1, 0).plot().axes[0].get_xlabel() == "$x_{2}$"


def test_candidates_that_cannot_be_drawn():
    with pytest.raises(SpecError, match=r"only candidates from KAN.suggest_symbolic\(\) can be drawn"):
        Candidates(()).plot()
    with pytest.raises(SpecError, match="do not hold the curve"):
        candidates_curve(Candidates(()))


def test_a_model_draws_an_edge_of_its_own():
    data = kw.sample("sin(x)", x=(-1, 1), size=50, seed=0)
    model = kw.KAN([1, 1], seed=0)
    model.fit(data, steps=3)
    (axes,) = model.plot_edge(0, 0, 0, data, candidates=model.suggest_symbolic(0, 0, 0, data)).axes
    assert [line.get_gid() for line in axes.lines].count("candidate") == 3
    assert axes.get_xlabel() == edge_curve(model, data.X_train, 0, 0, 0, input_names=["x"]).axes[0].get_xlabel()
    with pytest.raises(kw.KnotworkError, match=r"plot_edge\(\) draws a curve where the samples are.*pass data="):
        model.plot_edge(0, 0, 0)
