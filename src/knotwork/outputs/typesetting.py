"""Equations in a page, as MathML, as text and as LaTeX."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING
from unicodedata import bidirectional

from knotwork.formulas import Formula

if TYPE_CHECKING:
    from markupsafe import Markup

DIGITS = 4  # significant digits of constants in a typeset formula


def typeset(formula: Formula) -> list[tuple[Markup, list[Markup]]]:
    """The left side and the terms of the right side of each equation, as MathML."""
    from knotwork.expressions import mathml, symbol

    pairs = zip(formula.targets, formula.round(DIGITS).expressions, strict=True)
    return [(markup("".join(mathml(symbol(name)))), [markup(term) for term in mathml(e)]) for name, e in pairs]


def written(formula: Formula) -> dict[str, str]:
    """The equations as text with all digits, and as LaTeX."""
    from knotwork.expressions import text

    lines = [f"{name} = {text(e)}" for name, e in zip(formula.targets, formula.expressions, strict=True)]
    names = (*formula.targets, *formula.variables)
    latex = formula.round(DIGITS).equation().replace(r" \\ ", " \\\\\n")
    return {"text": isolated("\n".join(lines), names), "latex": isolated(latex, names)}


def isolated(text: str, names: Iterable[str]) -> str:
    """The text with right-to-left names isolated, because they would reorder the numbers around them."""
    from markupsafe import Markup, escape

    shown = escape(text)
    for name in sorted(names, key=len, reverse=True):
        if any(bidirectional(letter) in ("R", "AL") for letter in name):
            shown = shown.replace(escape(name), Markup("<bdi>{}</bdi>").format(name))
    return shown


def markup(text: str) -> Markup:
    """SVG and MathML made here, which the template does not escape."""
    from markupsafe import Markup

    return Markup(text)
