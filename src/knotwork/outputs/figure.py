"""What our figures share: a white sheet that notebooks show, colours for every kind of eye, text taken literally."""

import io
import re

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.text import Text
from matplotlib.textpath import text_to_path

# after Okabe and Ito: told apart with any kind of colour vision, and in grey
INK, GREY, PALE, PAPER = "#1a1a1a", "#6e6e6e", "#c4c4c4", "#ffffff"
BLUE, RED, GREEN = "#0072b2", "#d55e00", "#009e73"
LONGEST = 48  # characters of a name that are shown


class Sheet(Figure):
    """A white matplotlib Figure, made without pyplot: no display is needed and no global state is touched."""

    def __init__(self, width: float, height: float) -> None:
        super().__init__(figsize=(width, height), facecolor=PAPER, edgecolor=PAPER)

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """The picture that notebooks show, twice as fine as the screen; its size is in screen pixels."""
        file = io.BytesIO()
        self.savefig(file, format="png", dpi=2 * self.dpi)
        width, height = self.get_size_inches() * self.dpi
        return file.getvalue(), {"width": round(width), "height": round(height)}


def plain_axes(figure: Figure, left: float = 0.7, bottom: float = 0.55, right: float = 0.15, top: float = 0.3) -> Axes:
    """Axes with margins in inches, a thin frame on two sides and our colours whatever style is in force."""
    width, height = figure.get_size_inches()
    box = (left / width, bottom / height, 1 - (left + right) / width, 1 - (bottom + top) / height)
    axes = figure.add_axes(box, facecolor=PAPER)
    axes.grid(False)
    for side, spine in axes.spines.items():
        spine.set(visible=side in ("left", "bottom"), color=GREY, linewidth=0.8)
    axes.tick_params(which="both", colors=GREY, labelcolor=INK, labelsize=9)
    axes.xaxis.label.set(color=INK, fontsize=10)
    axes.yaxis.label.set(color=INK, fontsize=10)
    return axes


def typeset(name: str) -> tuple[str, bool]:
    """A name as it is drawn, and whether that is mathematics: x and x_1 are variables, all else is taken literally."""
    name = " ".join(str(name).split())
    variable = re.fullmatch(r"([A-Za-z])(?:_(\d+))?", name)
    if variable:
        letter, index = variable.groups()
        return (f"${letter}$" if index is None else f"${letter}_{{{index}}}$"), True
    return (name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"), False


def typeset_function(name: str) -> tuple[str, bool]:
    """The same for a function of the library: powers of x are set as powers."""
    power = re.fullmatch(r"(1/)?x(?:\^([\d.]+))?", name)
    return (f"${power[1] or ''}x^{{{power[2] or ''}}}$", True) if power else (name, False)


def write(axes: Axes, x: float, y: float, typed: tuple[str, bool], size: float, **style: object) -> Text:
    """Typeset text at a point; $, _ and backslashes mean themselves unless it is mathematics."""
    text, mathematics = typed
    plain = {"parse_math": mathematics, "usetex": False, "fontsize": size, "color": INK}
    return axes.text(x, y, text, **(plain | style))  # type: ignore[arg-type]


def text_width(typed: tuple[str, bool], size: float) -> float:
    """Width of typeset text in inches, at a font size in points."""
    text, mathematics = typed
    return text_to_path.get_text_width_height_descent(text, FontProperties(size=size), mathematics)[0] / 72
