"""Figures of the formulas of a front, and plain pages that read on narrow screens."""

import re

import numpy as np
import pytest

import knotwork as kw
from knotwork.drawing.formulas import curve_over_rows
from knotwork.expressions import parse
from knotwork.formulas import measured
from knotwork.formulas.values import evaluate
from knotwork.outputs.front_figures import drawn_formula
from knotwork.outputs.plain_page import plain_page


def formula_of(text, names, data):
    expression = parse(text, names)
    return measured((expression,), lambda x: evaluate((expression,), data, x), data)


def table(names, seed=0):
    x = np.random.default_rng(seed).uniform(0.5, 2, (80, len(names)))
    return kw.Dataset.from_arrays(x, x[:, 0] ** 2 + 0.1 * x[:, -1], names=names, seed=0)


def test_one_input_has_a_curve_with_a_band_over_the_rows():
    data = table(["x"])
    drawn = drawn_formula(formula_of("1.02*x**2 + 0.05", ["x"], data), data, 2, "test")
    assert len(drawn.figures) == 1 and "95 %" in drawn.caption and "Formula 2 over the rows" in drawn.figures[0]


@pytest.mark.parametrize(("text", "figures"), [("1.02*x**2 + 0.05*z", 3), ("1.02*x**2 + 0.05", 2), ("2.5", 1)])
def test_several_inputs_have_predictions_and_a_curve_for_each_input_that_is_used(text, figures):
    names = ["x", "y", "z"]
    data = table(names)
    drawn = drawn_formula(formula_of(text, names, data), data, 0, "test")
    assert len(drawn.figures) == figures and ("medians" in drawn.caption) == (figures > 1)
    assert len({re.search(r'aria-label="(.*?)"', one)[1] for one in drawn.figures}) == figures


def test_a_formula_without_finite_values_has_no_figure():
    data = table(["x"])
    assert drawn_formula(formula_of("log(-x)", ["x"], data), data, 0, "test") is None


def test_the_axes_show_rows_and_curve_and_not_the_whole_band():
    x = np.linspace(0, 1, 20)
    figure = curve_over_rows((x, x), (x, x + 0.1), ("a", "b"), (x - 100, x + 100))
    low, high = figure.axes[0].get_ylim()
    assert -0.2 < low < 0 and 1.1 < high < 1.3
    assert {one.get_gid() for one in figure.axes[0].collections} == {"points", "band"}


def test_a_plain_page_fits_narrow_and_dark_screens():
    body = "<p>a</p><table><tr><td>1</td></tr></table><p><math><mn>1</mn></math></p><table></table>"
    page = plain_page("a < b", body)
    assert "<title>a &lt; b</title>" in page and "width=device-width" in page and "prefers-color-scheme:dark" in page
    labels = re.findall(r'role="region" tabindex="0" aria-label="(.*?)"', page)
    assert len(labels) == 3 and len(set(labels)) == 3
    assert re.sub(r"</?div.*?>|<p>|</p>", "", page).endswith(
        re.sub(r"</?div.*?>|<p>|</p>", "", body) + "</main></body></html>\n"
    )
