"""Maps of fields: few values far away do not take all the colours."""

import numpy as np
import pytest

from knotwork.drawing import field_maps

LINE = np.linspace(0, 1, 50)


def colours(values):
    return field_maps({"x": LINE, "t": LINE}, {"u": values}).axes[0].collections[0].get_clim()


def test_colours_are_those_of_all_values():
    values = np.add.outer(LINE, LINE) + 1
    assert colours(values) == (1, 3)
    assert colours(values - 2) == (-1, 1)


def test_a_corner_does_not_take_all_the_colours():
    values = np.sin(7 * np.add.outer(LINE, LINE))
    values[0, -1] = -26
    low, high = colours(values)
    assert -1.01 < low < -0.99 and high == -low


def test_a_constant_has_a_colour():
    assert colours(np.ones((50, 50)))[0] <= 1


def test_numbers_that_are_none_are_not_drawn():
    values = np.add.outer(LINE, LINE)
    values[3, 3] = np.nan
    assert colours(values) == pytest.approx((0, 2))
