"""Figures need no display, change no global state, and are displayed in notebooks."""

import os
import pickle
import subprocess
import sys
import warnings

import pytest
from matplotlib.figure import Figure

from knotwork.drawing.figure import Sheet, families, plain_axes, text_width, typeset, typeset_function, write
from knotwork.errors import KnotworkWarning

SCRIPT = """
import sys, torch
from matplotlib.figure import Figure
from knotwork.drawing import predicted_vs_true
from knotwork.model import KANNetwork, Spec
from knotwork.outputs import diagram, edge_curve
from knotwork.solvers import StopReason
from knotwork.training import FitResult, Record
network, x = KANNetwork(Spec(((2, 0), (1, 0)))), torch.rand(20, 2)
history = (Record(1, 0.1, 5, 0.1),)
fit = FitResult(network, "lm", "", StopReason.STEP_LIMIT, "", 0.0, 0.1, None, None, 1, 0.1, history)
figures = [diagram(network, x), edge_curve(network, x, 0, 0, 0), predicted_vs_true([0.0, 1.0], [0.0, 1.0], "y")]
for figure in [*figures, fit.plot()]:
    assert isinstance(figure, Figure)
    figure.draw_without_rendering()
    assert figure._repr_png_()
print("pyplot" if "matplotlib.pyplot" in sys.modules else "no pyplot")
"""


def test_figures_build_without_a_display_and_without_pyplot():
    environment = {k: v for k, v in os.environ.items() if k not in ("MPLBACKEND", "DISPLAY", "WAYLAND_DISPLAY")}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "no pyplot\n", done.stderr


def test_other_packages_do_not_import_matplotlib():
    script = "import sys, knotwork, knotwork.simplify; print(any(m.startswith('matplotlib') for m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_notebooks_show_a_figure_in_its_own_size():
    sheet = Sheet(3, 2)
    sheet.set_dpi(100)
    picture, size = sheet._repr_png_()
    assert picture.startswith(b"\x89PNG")
    assert size == {"width": 300, "height": 200}
    assert sheet.dpi == 100


def test_figures_can_be_pickled():
    sheet = Sheet(3, 2)
    plain_axes(sheet)
    again = pickle.loads(pickle.dumps(sheet))
    assert isinstance(again, Figure)
    assert list(again.get_size_inches()) == [3, 2]


def test_single_letters_are_typeset_as_variables_and_other_names_literally():
    assert typeset("x") == ("$x$", True)
    assert typeset("T_12") == ("$T_{12}$", True)
    for literal in ("", "alpha", "x_a", "x_1_2", "$x$", "E=mc^2", "x1", "_1"):
        assert typeset(literal) == (literal, False)
    assert typeset("two\nlines") == ("two lines", False)


def test_powers_are_typeset_as_exponents():
    assert typeset_function("x^2") == ("$x^{2}$", True)
    assert typeset_function("1/x^3") == ("$1/x^{3}$", True)
    assert typeset_function("x^1.5") == ("$x^{1.5}$", True)
    assert typeset_function("1/sqrt") == ("1/sqrt", False)


def drawn(name):
    """The warnings of knotwork when a name is drawn, and its fonts; any other warning is an error."""
    figure = Sheet(3, 2)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        text = write(plain_axes(figure), 0, 0, typeset(name), 10)
        figure.draw_without_rendering()
        text_width(typeset(name), 10)
    assert {w.category for w in caught} <= {KnotworkWarning}
    return {str(w.message) for w in caught}, text.get_fontfamily()


def test_characters_missing_in_the_usual_font_are_drawn_in_another_font():
    for name in ("speed", "скорость", "μ² ≤ ∑"):
        assert drawn(name) == (set(), families("x"))
    said, fonts = drawn("a\u20dd")  # an enclosing circle: not in DejaVu Sans, but in STIX, which is part of matplotlib
    assert said == set()
    assert fonts[: len(families("x"))] == families("x")
    assert len(fonts) == len(families("x")) + 1


def test_characters_that_no_font_has_give_one_warning():
    said, _ = drawn("\U0003fffd\U0003fffc and \U0003fffb")  # unassigned characters, which no font has
    (sentence,) = said
    assert sentence.startswith(
        "no installed font has all characters of the names in a figure; missing ones are drawn as boxes"
    )


@pytest.mark.parametrize("character", ["\x00", "\x08", "\ud800", "\ufffe", "\x9f", "\U0010ffff"])
def test_characters_that_are_not_allowed_in_documents_are_shown_as_unknown(character, tmp_path):
    assert typeset(f"a{character}b") == ("a\ufffdb", False)
    figure = Sheet(3, 2)
    write(plain_axes(figure), 0, 0, typeset(f"a{character}b"), 10)
    figure.savefig(tmp_path / "figure.svg")
