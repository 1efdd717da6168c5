"""Common parts of all figures: a white sheet for notebooks, colours, and text that is taken literally."""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
from matplotlib import font_manager, rcParams
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.mathtext import MathTextParser
from matplotlib.text import Text
from matplotlib.textpath import text_to_path

from knotwork.errors import warn

# after Okabe and Ito: distinguishable for colour-blind readers, and in grey
INK, GREY, SHADE, PALE, PAPER = "#1a1a1a", "#6e6e6e", "#9a9a9a", "#c4c4c4", "#ffffff"
BLUE, RED, GREEN = "#0072b2", "#d55e00", "#009e73"
LABEL = 10  # font size of labels in points
LONGEST = 48  # characters of a name that are shown
# forbidden in SVG and HTML: control characters, single surrogates, code points that are no characters
UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef"
    + "".join(chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF))
    + "]"
)


@contextmanager
def closing_fonts() -> Iterator[None]:
    """Afterwards no file of a font is open: matplotlib would keep those that it has read. It opens them again."""
    try:
        yield
    finally:
        for owner, name in ((MathTextParser, "_parse_cached"), (font_manager, "_get_font")):
            if cache := getattr(owner, name, None):  # private names of matplotlib 3.8 to 3.11
                cache.cache_clear()


class Sheet(Figure):
    """A white matplotlib Figure made without pyplot. It needs no display and changes no global state."""

    def __init__(self, width: float, height: float) -> None:
        super().__init__(figsize=(width, height), facecolor=PAPER, edgecolor=PAPER)
        self.set_layout_engine("none")  # independent of the style in use

    def draw(self, renderer: Any) -> None:
        with boxes_for_missing_glyphs():
            super().draw(renderer)

    @closing_fonts()
    def savefig(self, *args: Any, **kwargs: Any) -> None:
        """Write the figure to a file, as `matplotlib.figure.Figure.savefig`."""
        super().savefig(*args, **kwargs)

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """The picture that notebooks show, with twice the resolution of the screen; its size is in screen pixels."""
        file = io.BytesIO()
        self.savefig(file, format="png", dpi=2 * self.dpi)
        width, height = self.get_size_inches() * self.dpi
        return file.getvalue(), {"width": round(width), "height": round(height)}


def plain_axes(figure: Figure, left: float = 0.7, bottom: float = 0.55, right: float = 0.15, top: float = 0.3) -> Axes:
    """Axes with margins in inches, a thin frame on two sides and fixed colours, independent of the style in use."""
    width, height = figure.get_size_inches()
    box = (left / width, bottom / height, 1 - (left + right) / width, 1 - (bottom + top) / height)
    axes = figure.add_axes(box, facecolor=PAPER)
    axes.grid(False)
    for side, spine in axes.spines.items():
        spine.set(visible=side in ("left", "bottom"), color=GREY, linewidth=0.8)
    axes.tick_params(which="both", colors=GREY, labelcolor=INK, labelsize=9)
    axes.ticklabel_format(style="sci", scilimits=(-3, 4))  # one common power of ten, so that labels are short
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set(color=INK, fontsize=LABEL)
        axis.get_offset_text().set(color=INK, fontsize=8)
    return axes


def typeset(name: str) -> tuple[str, bool]:
    """The text of a name, and whether it is mathematics: x and x_1 are variables, all other names are literal."""
    name = UNPRINTABLE.sub("\ufffd", " ".join(str(name).split()))
    variable = re.fullmatch(r"([A-Za-z])(?:_(\d+))?", name)
    if variable:
        letter, index = variable.groups()
        return (f"${letter}$" if index is None else f"${letter}_{{{index}}}$"), True
    return (name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"), False


def typeset_function(name: str, negative: bool = False, mirrored: bool = False) -> tuple[str, bool]:
    """The same for a function of the library, or for -f(x), f(-x) or -f(-x): powers of x have superscripts."""
    power, minus = re.fullmatch(r"(1/)?x(?:\^([\d.]+))?", name), "\N{MINUS SIGN}"
    if power:
        return f"${'-' * negative}{power[1] or ''}{'(-x)' if mirrored else 'x'}^{{{power[2] or ''}}}$", True
    return f"{minus * negative}{name}{f'({minus}x)' * mirrored}", False


def label(axis: Axis, typed: tuple[str, bool], after: str = "") -> None:
    """Put typeset text and plain words `after` it on an axis, in a smaller font where it would not fit."""
    text, mathematics = f"{typed[0]}{after}", typed[1]
    box = axis.axes.get_window_extent().transformed(axis.axes.figure.dpi_scale_trans.inverted())
    room = box.width if axis is axis.axes.xaxis else box.height
    size = LABEL * min(1.0, room / max(text_width((text, mathematics), LABEL), 1e-9))
    axis.label.set(text=text, parse_math=mathematics, usetex=False, family=families(text), fontsize=size)


def rounded_down(r2: float) -> str:
    """r² with enough digits to show its distance from 1; never rounded up to 1."""
    missing = 1 - float(r2)
    if not 0 < missing < 0.1:
        return f"{float(r2):.3g}"
    digits = min(15, int(np.ceil(-np.log10(missing))) + 1)
    return f"{np.floor(float(r2) * 10**digits) / 10**digits:.{digits}f}"


def write(axes: Axes, x: float, y: float, typed: tuple[str, bool], size: float, **style: object) -> Text:
    """Typeset text at a point. The characters $, _ and backslash are literal unless the text is mathematics."""
    text, mathematics = typed
    plain = {"parse_math": mathematics, "usetex": False, "fontsize": size, "color": INK, "family": families(text)}
    return axes.text(x, y, text, **(plain | style))  # type: ignore[arg-type]


def text_width(typed: tuple[str, bool], size: float) -> float:
    """Width of typeset text in inches, at a font size in points."""
    text, mathematics = typed
    font = FontProperties(family=families(text), size=size)
    with boxes_for_missing_glyphs():
        return text_to_path.get_text_width_height_descent(text, font, mathematics)[0] / 72


def families(text: str) -> list[str]:
    """Font families for a text: the usual ones, then installed ones that have the missing characters.

    Gives a KnotworkWarning for characters that no font has.
    """
    usual = list(rcParams["font.family"])
    lacking = set() if text.isascii() else set(map(ord, text)) - set(get_font(findfont(FontProperties())).get_charmap())
    if not lacking:
        return usual
    found, left = _fonts_with(frozenset(lacking))
    if left:
        warn(
            "no installed font has all characters of the names in a figure; missing ones are drawn as boxes; "
            "install one that has them, such as Noto Sans of the script in question."
        )
    return [*usual, *found]


@cache
def _fonts_with(characters: frozenset[int]) -> tuple[list[str], set[int]]:
    """Installed families that together have as many of the characters as possible, and the characters that none has."""
    found, left = [], set(characters)
    for entry in sorted(fontManager.ttflist, key=lambda entry: (entry.name, entry.fname)):
        if not left:
            break
        if (entry.style, entry.weight) != ("normal", 400) or entry.name.startswith("Last Resort"):  # has boxes only
            continue
        has = left & set(get_font(entry.fname).get_charmap())
        if has:
            found.append(entry.name)
            left -= has
    return found, left


@contextmanager
def boxes_for_missing_glyphs() -> Iterator[None]:
    """Suppress matplotlib's warnings of single glyphs; `families` warns once of all."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .*missing from")
        yield
