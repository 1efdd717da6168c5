"""A figure inside a page looks like the figure and does not affect other parts of the page."""

import re
from xml.etree import ElementTree

import numpy as np
import torch

from knotwork.drawing import predicted_vs_true
from knotwork.drawing.figure import BLUE, INK, Sheet, plain_axes
from knotwork.model import KANNetwork, Spec
from knotwork.outputs import diagram
from knotwork.outputs.inline import inline_svg


def scatter(n=30, name="y"):
    x = np.linspace(0, 1, n)
    return predicted_vs_true(x, x**2, name)


def test_two_figures_share_no_id_and_references_stay_within_each_figure():
    first, second = (inline_svg(scatter(), name, "label") for name in ("one", "two"))
    assert first.replace("one-", "two-") == second
    for name, text in (("one", first), ("two", second)):
        ids = re.findall(r' id="(.*?)"', text)
        referred = re.findall(r'(?:href="|url\()#(.*?)["\)]', text)
        assert len(ids) == len(set(ids)) >= 2
        assert set(ids) == set(referred)
        assert all(i.startswith(f"{name}-") for i in ids)


def test_an_inline_figure_contains_only_drawing_elements_and_plain_text():
    text = inline_svg(scatter(name="<b>&\"' $x$"), "a", "<script>\"'")
    root = ElementTree.fromstring(text)
    assert {e.tag for e in root.iter()} <= {"svg", "g", "path", "defs", "use", "text", "tspan", "clipPath", "rect"}
    assert "://" not in text and "xmlns" not in text and "font-family" not in text and "<!--" not in text
    assert root.get("aria-label") == "<script>\"'"
    assert [e.text for e in root.iter("text") if e.text and "&" in e.text] == [
        "<b>&\"' $x$, true",
        "<b>&\"' $x$, predicted",
    ]


def test_an_inline_figure_has_the_points_of_the_original():
    figure = scatter()
    root = ElementTree.fromstring(inline_svg(figure, "a", "label"))
    marks = [(float(e.get("x", 0)), float(e.get("y", 0))) for e in root.iter("use") if e.get("style") is None]
    axes = figure.axes[0]
    places = axes.transData.transform(axes.collections[0].get_offsets()) * 72 / figure.dpi
    height = 72 * figure.get_figheight()
    np.testing.assert_allclose(marks, np.column_stack([places[:, 0], height - places[:, 1]]), atol=0.006)


def test_colours_of_knotwork_become_those_of_the_page_and_others_stay():
    figure = Sheet(2, 2)
    axes = plain_axes(figure)
    axes.plot([0, 1], [0, 1], color=BLUE)
    axes.plot([0, 1], [1, 0], color="#123456")
    text = inline_svg(figure, "a", "label")
    assert "stroke: var(--blue)" in text and "stroke: #123456" in text and "fill: var(--paper)" in text
    assert BLUE not in text and INK not in text


def test_names_in_any_alphabet_remain_text():
    network = KANNetwork(Spec(((2, 0), (1, 0))), generator=torch.Generator().manual_seed(0))
    x = torch.rand(20, 2, generator=torch.Generator().manual_seed(0))
    text = inline_svg(diagram(network, x, input_names=["Ж שלום", "a_b"], output_names=["µ"]), "a", "label")
    assert all(f">{name}</text>" in text for name in ("Ж שלום", "a_b", "µ"))
