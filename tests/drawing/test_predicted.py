"""Figures of predictions over true values."""

import numpy as np
import pytest
import torch

from knotwork.drawing import predicted_vs_true
from knotwork.errors import DataError


def summary(figure):
    return figure.axes[0].texts[0].get_text()


def test_every_point_and_the_diagonal_are_drawn():
    true, predicted = torch.tensor([0.0, 1.0, 2.0]), torch.tensor([[0.0], [1.0], [3.0]])
    axes = predicted_vs_true(true, predicted, "price").axes[0]
    np.testing.assert_allclose(axes.collections[0].get_offsets(), [[0, 0], [1, 1], [2, 3]])
    (diagonal,) = axes.lines
    np.testing.assert_allclose(diagonal.get_xdata(), diagonal.get_ydata())
    assert axes.get_xlim() == axes.get_ylim()
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("price, true", "price, predicted")


def test_r2_and_rmse_are_shown():
    figure = predicted_vs_true([0.0, 1.0, 2.0], np.array([0.0, 1.0, 3.0]), "y")
    assert summary(figure) == "$r^2$ = 0.5\nRMSE = 0.577"  # 1 - 1/2, and the root of 1/3


def test_r2_is_never_rounded_up_to_one():
    true = np.linspace(0, 1, 11)
    off = np.where(np.arange(11) == 5, true + 1e-5, true)
    assert summary(predicted_vs_true(true, off, "y")).startswith("$r^2$ = 0.9999999999")


def test_r2_of_a_constant_is_undefined():
    figure = predicted_vs_true([2.0, 2.0], [2.0, 2.0], "y")
    figure.draw_without_rendering()
    assert summary(figure) == "$r^2$ undefined: the true values are all equal\nRMSE = 0"


def test_many_points_are_drawn_as_counts_in_hexagons(tmp_path):
    true = np.random.default_rng(0).normal(size=20_000)
    figure = predicted_vs_true(true, true, "y")
    counts = figure.axes[0].collections[0].get_array()
    assert counts.sum() == 20_000
    figure.savefig(tmp_path / "figure.svg")
    assert (tmp_path / "figure.svg").stat().st_size < 500_000


def test_names_with_special_characters_are_drawn_literally():
    figure = predicted_vs_true([0.0, 1.0], [0.0, 1.0], "<b>&$x_1$ in $")
    figure.draw_without_rendering()
    assert not figure.axes[0].xaxis.label.get_parse_math()
    assert figure.axes[0].get_xlabel() == "<b>&$x_1$ in $, true"


def test_a_long_name_is_drawn_smaller_until_it_fits_its_axis():
    figure = predicted_vs_true([0.0, 1.0], [0.0, 1.0], "a name of forty letters, more or less so")
    figure.draw_without_rendering()
    sheet = figure.bbox
    for axis in (figure.axes[0].xaxis, figure.axes[0].yaxis):
        box = axis.label.get_window_extent()
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= sheet.x1 and box.y1 <= sheet.y1


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
def test_bad_arguments_raise_an_error_with_advice(true, predicted, message):
    with pytest.raises(DataError) as error:
        predicted_vs_true(true, predicted, "y")
    assert message in str(error.value)
