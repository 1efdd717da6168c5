"""Figures need no display, leave no state, and show themselves in notebooks."""

import os
import pickle
import subprocess
import sys

from matplotlib.figure import Figure

from knotwork.outputs.figure import Sheet, plain_axes, typeset, typeset_function

SCRIPT = """
import sys, torch
from matplotlib.figure import Figure
from knotwork.model import KANNetwork, Spec
from knotwork.outputs import diagram, edge_curve, predicted_vs_true, training_curves
from knotwork.training import FitResult, Record
network, x = KANNetwork(Spec(((2, 0), (1, 0)))), torch.rand(20, 2)
fit = FitResult(network, "lm", "", "", 0.0, 0.1, None, None, 1, 0.1, (Record(1, 0.1, 5, 0.1),))
figures = [diagram(network, x), edge_curve(network, x, 0, 0, 0), predicted_vs_true([0.0, 1.0], [0.0, 1.0], "y")]
for figure in [*figures, training_curves(fit)]:
    assert isinstance(figure, Figure)
    figure.canvas.draw()
    assert figure._repr_png_()
print("pyplot" if "matplotlib.pyplot" in sys.modules else "no pyplot")
"""


def test_figures_build_without_a_display_and_without_pyplot():
    environment = {k: v for k, v in os.environ.items() if k not in ("MPLBACKEND", "DISPLAY", "WAYLAND_DISPLAY")}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "no pyplot\n", done.stderr


def test_the_other_rooms_do_not_import_matplotlib():
    script = "import sys, knotwork, knotwork.simplify; print(any(m.startswith('matplotlib') for m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_notebooks_show_a_sheet_in_its_size():
    sheet = Sheet(3, 2)
    sheet.set_dpi(100)
    picture, size = sheet._repr_png_()
    assert picture.startswith(b"\x89PNG")
    assert size == {"width": 300, "height": 200}
    assert sheet.dpi == 100


def test_sheets_can_be_pickled():
    sheet = Sheet(3, 2)
    plain_axes(sheet)
    again = pickle.loads(pickle.dumps(sheet))
    assert isinstance(again, Figure)
    assert list(again.get_size_inches()) == [3, 2]


def test_single_letters_are_variables_and_everything_else_is_literal():
    assert typeset("x") == ("$x$", True)
    assert typeset("T_12") == ("$T_{12}$", True)
    for literal in ("", "alpha", "x_a", "x_1_2", "$x$", "E=mc^2", "x1", "_1"):
        assert typeset(literal) == (literal, False)
    assert typeset("two\nlines") == ("two lines", False)


def test_powers_are_set_as_powers():
    assert typeset_function("x^2") == ("$x^{2}$", True)
    assert typeset_function("1/x^3") == ("$1/x^{3}$", True)
    assert typeset_function("x^1.5") == ("$x^{1.5}$", True)
    assert typeset_function("1/sqrt") == ("1/sqrt", False)
