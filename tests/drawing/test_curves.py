"""How a fit went and how candidates lie on a curve, as the results draw it."""

import numpy as np
import pytest
import torch

import knotwork as kw
from knotwork.errors import SpecError
from knotwork.formulas import Candidates
from knotwork.formulas.candidates import candidates
from knotwork.functions import named_function
from knotwork.outputs import edge_curve
from knotwork.solvers import StopReason
from knotwork.training import FitResult, Record


def result(*history):
    stop = StopReason.CONVERGED
    return FitResult(torch.nn.Linear(1, 1), "lm", "as asked", stop, "done", 0.0, 0.1, None, None, 3, 1.0, history)


def lines(figure, gid):
    return [line for line in figure.axes[0].lines if line.get_gid() == gid]


def labels(figure):
    legend = figure.axes[0].get_legend()
    return [text.get_text() for text in legend.get_texts()] if legend else []


def test_losses_are_drawn_on_a_logarithmic_scale():
    figure = result(Record(1, 0.1, 5, 0.1, 0.2), Record(2, 0.2, 5, 0.01, 0.02)).plot()
    axes = figure.axes[0]
    training, validation = axes.lines
    assert axes.get_yscale() == "log"
    np.testing.assert_allclose(training.get_xydata(), [[1, 0.1], [2, 0.01]])
    np.testing.assert_allclose(validation.get_xydata(), [[1, 0.2], [2, 0.02]])
    assert labels(figure) == ["training", "validation"]
    figure.draw_without_rendering()


def test_every_change_of_the_grid_has_a_line_and_a_label():
    records = [Record(step, 0.1, 5 * 2 ** ((step - 1) // 10), 1 / step) for step in range(1, 31)]  # 5, 10, 20
    figure = result(*records).plot()
    assert [line.get_xdata()[0] for line in lines(figure, "grid")] == [11, 21]
    assert [text.get_text() for text in figure.axes[0].texts] == ["G=5", "G=10", "G=20"]
    assert labels(figure) == ["training"]


def test_labels_of_grids_never_overlap():
    records = [Record(step, 0.1, step + 1, 0.1) for step in range(40)]
    figure = result(*records).plot()
    assert len(lines(figure, "grid")) == 39
    assert len(figure.axes[0].texts) <= 11


def test_the_axis_label_is_the_measure():
    one = result(Record(1, 0.1, 5, 0.1))
    assert [one.plot(m).axes[0].get_ylabel() for m in (None, "log loss")] == ["RMSE", "log loss"]
    assert result(Record(1, 0.1, 5, 0.1, measure="loss")).plot().axes[0].get_ylabel() == "loss"


def test_the_figure_of_an_empty_history_says_that_it_is_empty():
    figure = result().plot()
    figure.draw_without_rendering()
    assert [text.get_text() for text in figure.axes[0].texts] == ["no steps were recorded"]


def test_losses_without_a_logarithm_are_not_drawn():
    figure = result(Record(1, 0.1, 0, 0.0, None), Record(2, 0.1, 0, float("inf"), 0.5)).plot()
    figure.draw_without_rendering()
    training, validation = figure.axes[0].lines
    assert np.isnan(training.get_ydata()).all()
    assert validation.get_ydata()[1] == 0.5
    assert not figure.axes[0].texts  # a model without a grid


def test_a_history_of_zero_losses_is_drawn_on_a_linear_scale():
    figure = result(Record(1, 0.1, 5, 0.0)).plot()
    assert figure.axes[0].get_yscale() == "linear"  # a logarithmic one would have no limits
    (training,) = figure.axes[0].lines
    assert np.isnan(training.get_ydata()).all()
    figure.draw_without_rendering()


def test_the_plot_of_candidates_shows_the_curve_that_they_were_fitted_to():
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


def test_candidates_of_a_sampled_curve_are_drawn_without_a_network():
    x = torch.linspace(-1, 1, 50, dtype=torch.float64)
    figure = candidates(x, torch.sin(3 * x), [named_function("sin"), named_function("x")]).plot()
    np.testing.assert_allclose(lines(figure, "candidate")[0].get_ydata(), np.sin(3 * x.numpy()), atol=1e-9)
    assert figure.axes[0].get_ylabel() == r"$\phi$"


def test_candidates_without_a_curve_are_refused():
    with pytest.raises(SpecError, match="do not hold the curve"):
        Candidates(()).plot()
