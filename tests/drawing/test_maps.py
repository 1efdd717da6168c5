"""Maps of fields: a few outliers do not determine the colour range."""

import numpy as np
import pytest

from knotwork.drawing import field_maps

LINE = np.linspace(0, 1, 50)


def colours(values):
    return field_maps({"x": LINE, "t": LINE}, {"u": values}).axes[0].collections[0].get_clim()


def test_the_colour_range_covers_all_values():
    values = np.add.outer(LINE, LINE) + 1
    assert colours(values) == (1, 3)
    assert colours(values - 2) == (-1, 1)


def test_a_few_large_values_do_not_determine_the_colour_range():
    values = np.sin(7 * np.add.outer(LINE, LINE))
    values[0, -1] = -26
    low, high = colours(values)
    assert -1.01 < low < -0.99 and high == -low


def test_a_constant_field_has_a_colour_range():
    low, high = colours(np.ones((50, 50)))
    assert low < 1 < high


def test_missing_values_are_ignored_in_the_colour_range():
    values = np.add.outer(LINE, LINE)
    values[3, 3] = np.nan
    assert colours(values) == pytest.approx((0, 2))
