"""A discovery as text and as HTML: the formula, what matters, and the front."""

from collections.abc import Sequence
from html import escape
from typing import Any

from knotwork.discovery.discovery import Discovery, Entry
from knotwork.formulas import Constant, Formula


def as_text(found: Discovery) -> str:
    """The formula with its accuracy, the shares of the inputs, and the front, each formula with its constants."""
    from knotwork.expressions import text

    lines = [str(found.formula), f"{found.accuracy} ({found.shape})"]
    lines.append(f"importance (of {found.importance.source}): {found.importance}")
    lines.append(f"front, simplest first (number, complexity, bits, {error_heading(found)}, r², formula):")
    for n, (entry, formula) in enumerate(_front(found)):
        mark, bits = "→" if formula is found.formula else " ", bits_beyond(entry, found.front)
        numbers = f"{n:>2}  {entry.complexity:>3}  {bits:>6}  {entry.error:<9.3g}  {_five(formula.r2):<7}"
        lines.append(f"{mark} {numbers}  {text(formula.round(4).expression)}")
        if formula.constants:
            lines.append(f"{' ' * 39}with {with_errors(formula.constants)}")
    lines += [f"{title.lower()}: {words}" for title, words in found.remarks.items()]
    return "\n".join([*lines, f"{found.seconds:.1f} s; {found.stop_reason}"])


def error_heading(found: Discovery) -> str:
    """What the errors of the front are: on which rows, and in which unit."""
    unit = found.data.units.get(found.formula.targets[0]) if found.data is not None else None
    return f"{found.error_rows} RMSE{f' in {unit}' if unit else ''}"


def bits_beyond(entry: Any, front: Sequence[Any]) -> str:
    """The bits of an entry beyond those of the best one of its front."""
    beyond = entry.bits - min(one.bits for one in front)
    return f"{beyond:+.0f}" if 0.5 <= beyond < float("inf") else "0" if beyond < 0.5 else "–"


def with_errors(constants: Sequence[Constant]) -> str:
    """Constants with their standard errors and units; those of exact rows without an error."""
    shown = (str(one) if one.error > 1e-9 * abs(one.value) else _exactly(one) for one in constants)
    return ", ".join(shown)


def _exactly(one: Constant) -> str:
    return f"{one.value:.4g}{f' {one.unit}' if one.unit not in (None, '1') else ''}"


def settings_in_words(found: Discovery) -> dict[str, object]:
    """What was asked of the search, and what a reader must know, by title."""
    lib = found.settings.get("functions")
    asked = {"Seed": found.settings.get("seed"), "Functions": ", ".join(lib) if lib else "the default library"}
    asked.update(found.settings.get("limits", {}))
    for known in ("forbidden", "linear"):
        if found.settings.get(known):
            asked[known.capitalize()] = ", ".join(found.settings[known])
    if found.settings.get("time budget") is not None:
        asked["Time budget"] = f"{found.settings['time budget']:g} s"
    return {**asked, **found.remarks}


def as_html(found: Discovery) -> str:
    """The same with formulas set as mathematics (MathML), for notebooks."""
    rows = []
    for n, (entry, formula) in enumerate(_front(found)):
        style = ' style="font-weight: bold"' if formula is found.formula else ""
        numbers = (n, entry.complexity, bits_beyond(entry, found.front), f"{entry.error:.3g}", _five(formula.r2))
        constants = f"<div><small>{escape(with_errors(formula.constants))}</small></div>" if formula.constants else ""
        cells = "".join(f"<td>{one}</td>" for one in numbers)
        rows.append(f'<tr{style}>{cells}<td style="text-align: left">{_equation(formula)}{constants}</td></tr>')
    headings = ("number", "complexity", "bits", escape(error_heading(found)), "r²", "formula")
    head = f"<tr>{''.join(f'<th>{one}</th>' for one in headings)}</tr>"
    importance = f"Importance (of {found.importance.source}): {escape(str(found.importance))}."
    return (
        f"<p>{_equation(found.formula)}</p>"
        f"<p>{escape(found.accuracy)} ({escape(found.shape)}). {importance}</p>"
        f"<table><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table>"
        f"{''.join(f'<p>{escape(title)}: {escape(words)}</p>' for title, words in found.remarks.items())}"
        f"<p>{found.seconds:.1f} s; {escape(found.stop_reason)}</p>"
    )


def _five(r2: float) -> str:
    """r² with five digits, a dash where there is none."""
    return f"{r2:.5f}" if r2 == r2 else "–"


def _front(found: Discovery) -> list[tuple[Entry, Formula]]:
    return [(entry, entry.formula) for entry in found.front if entry.formula is not None]


def _equation(formula: Formula) -> str:
    from knotwork.expressions import mathml, symbol

    left = "".join(mathml(symbol(formula.targets[0])))
    right = "".join(mathml(formula.round(4).expression))
    return f"<math><mrow>{left}<mo>=</mo>{right}</mrow></math>"
