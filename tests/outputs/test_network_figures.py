"""One edge of a network as it is drawn, with candidates over it."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

import knotwork as kw
from knotwork.errors import SpecError
from knotwork.model import KANNetwork, Spec, parse_width, trace
from knotwork.outputs import edge_curve


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


def test_the_edge_is_drawn_over_its_samples():
    model, x = network([2, 3, 1]), rows(2, 50)
    (line,) = lines(edge_curve(model, x, 1, 2, 0), "edge")
    seen = trace(model, x).layers[1]
    order = seen.inputs[:, 2].argsort()
    at = line.get_xdata()
    assert (at[0], at[-1]) == (seen.inputs[:, 2].min().item(), seen.inputs[:, 2].max().item())
    expected = np.interp(at, seen.inputs[order, 2].detach().numpy(), seen.edges[order, 2, 0].detach().numpy())
    np.testing.assert_allclose(line.get_ydata(), expected, atol=1e-12)


def test_at_most_three_candidates_are_drawn():
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


def test_a_poor_candidate_does_not_change_the_range_of_the_axis():
    model, x = network([2, 1]), rows(2)
    alone, with_candidate = (
        edge_curve(model, x, 0, 0, 0, fits).axes[0].get_ylim() for fits in ([], [candidate("x", 0.0, 1, 0, 1e6, 0)])
    )
    assert alone == with_candidate


def test_r2_is_never_rounded_up_to_one():
    figure = edge_curve(network([2, 1]), rows(2), 0, 0, 0, [candidate("sin", 1 - 4e-9, 1, 0, 1, 0)])
    assert labels(figure)[1] == "sin   $r^2$ = 0.9999999960"


def test_the_title_shows_the_name_of_an_edge_and_pruned_inputs_keep_their_numbers():
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


def test_edges_that_cannot_be_drawn_are_refused():
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


def test_plot_edge_draws_an_edge_of_the_model():
    data = kw.sample("sin(x)", x=(-1, 1), size=50, seed=0)
    model = kw.KAN([1, 1], seed=0)
    model.fit(data, steps=3)
    (axes,) = model.plot_edge(0, 0, 0, data, candidates=model.suggest_symbolic(0, 0, 0, data)).axes
    assert [line.get_gid() for line in axes.lines].count("candidate") == 3
    assert axes.get_xlabel() == edge_curve(model, data.X_train, 0, 0, 0, input_names=["x"]).axes[0].get_xlabel()
    with pytest.raises(kw.KnotworkError, match=r"plot_edge\(\) draws a curve where the samples are.*pass data="):
        model.plot_edge(0, 0, 0)
