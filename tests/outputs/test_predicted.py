"""Predictions against the truth, as drawn."""

import numpy as np
import pytest
import torch

from knotwork.errors import DataError
from knotwork.outputs import predicted_vs_true


def summary(figure):
    return figure.axes[0].texts[0].get_text()


def test_every_point_and_the_diagonal():
    true, predicted = torch.tensor([0.0, 1.0, 2.0]), torch.tensor([[0.0], [1.0], [3.0]])
    axes = predicted_vs_true(true, predicted, "price").axes[0]
    np.testing.assert_allclose(axes.collections[0].get_offsets(), [[0, 0], [1, 1], [2, 3]])
    (diagonal,) = axes.lines
    np.testing.assert_allclose(diagonal.get_xdata(), diagonal.get_ydata())
    assert axes.get_xlim() == axes.get_ylim()
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("price, true", "price, predicted")


def test_r2_and_rmse():
    figure = predicted_vs_true([0.0, 1.0, 2.0], np.array([0.0, 1.0, 3.0]), "y")
    assert summary(figure) == "$r^2$ = 0.5000\nRMSE = 0.577"  # 1 - 1/2, and the root of 1/3


def test_r2_of_a_constant_is_undefined():
    figure = predicted_vs_true([2.0, 2.0], [2.0, 2.0], "y")
    figure.canvas.draw()
    assert summary(figure) == "$r^2$ undefined: the true values are all equal\nRMSE = 0"


def test_many_points_are_counted_in_hexagons(tmp_path):
    true = np.random.default_rng(0).normal(size=20_000)
    figure = predicted_vs_true(true, true, "y")
    counts = figure.axes[0].collections[0].get_array()
    assert counts.sum() == 20_000
    figure.savefig(tmp_path / "figure.svg")
    assert (tmp_path / "figure.svg").stat().st_size < 500_000


def test_hostile_names_are_literal():
    figure = predicted_vs_true([0.0, 1.0], [0.0, 1.0], "<b>&$x_1$ in $")
    figure.canvas.draw()
    assert not figure.axes[0].xaxis.label.get_parse_math()
    assert figure.axes[0].get_xlabel() == "<b>&$x_1$ in $, true"


@pytest.mark.parametrize(
    ("true", "predicted", "message"),
    [
        ([1.0], [1.0, 2.0], "y_true has 1 values but y_pred has 2; pass predictions of the same rows."),
        ([], [], "y_true and y_pred have no values to draw; pass at least one row."),
        ([1.0], [float("nan")], "y_pred has 1 values that are not finite numbers; drop those rows first."),
        (
            np.ones((2, 2)),
            [1.0, 2.0],
            "y_true must be one column of values, but has shape (2, 2); pick one output, as in",
        ),
    ],
)
def test_errors_say_what_to_do(true, predicted, message):
    with pytest.raises(DataError) as error:
        predicted_vs_true(true, predicted, "y")
    assert message in str(error.value)
