"""A discovery of classes as text, as HTML for notebooks, and as a page."""

import math
from html import escape

from knotwork.discovery.class_discovery import Boundary, BoundaryEntry, ClassDiscovery
from knotwork.formulas import Formula


def as_text(found: ClassDiscovery) -> str:
    """The boundaries with their constants, the accuracy, and the fronts, a line each."""
    lines = [accuracy(found)]
    for one in found.boundaries:
        if one.found:
            lines.append(f"{one.label} where {one} > 0 ({one.shape})")
            lines += [f"  {constant.symbol} = {constant}" for constant in one.formula.constants]
            lines.append(f"  log-odds = {one.steepness:.4g} g; wrong labels: {one.wrong:.2%}")
        lines.append("  front, simplest first (number, complexity, bits a row, g):")
        for n, (entry, formula) in enumerate(_front(one)):
            mark = "→" if formula is one.formula else " "
            lines.append(f"{mark} {n:>2}  {entry.complexity:>3}  {entry.error:.4f}  {_line(formula)}")
    lines += [f"{title.lower()}: {words}" for title, words in found.remarks.items()]
    return "\n".join([*lines, f"{found.seconds:.1f} s; {found.stop_reason}"])


def accuracy(found: ClassDiscovery) -> str:
    """The accuracy beside that of the commonest class, in words."""
    if math.isnan(found.accuracy):
        return "accuracy not known, as there are no rows"
    rows = ""
    if found.data is not None:
        train, validation, test = found.data.rows()
        rows = f"{test if found.accuracy_rows == 'test' else train + validation:,} "
    return (
        f"accuracy {found.accuracy:.4f} on the {rows}{found.accuracy_rows} rows "
        f"(the commonest class alone: {found.commonest:.4f})"
    )


def as_html(found: ClassDiscovery) -> str:
    """The same with formulas set as mathematics (MathML)."""
    parts = [f"<p>{escape(accuracy(found))}</p>"]
    for one in found.boundaries:
        if one.found:
            parts.append(f"<p>{escape(str(one.label))} where {_mathml(one.formula)} &gt; 0 ({escape(one.shape)})</p>")
        constants = [f"<li>{escape(f'{constant.symbol} = {constant}')}</li>" for constant in one.formula.constants]
        parts.append(f"<ul>{''.join(constants)}</ul>" if constants and one.found else "")
        rows = []
        for n, (entry, formula) in enumerate(_front(one)):
            style = ' style="font-weight: bold"' if formula is one.formula else ""
            cells = f"<td>{n}</td><td>{entry.complexity}</td><td>{entry.error:.4f}</td>"
            rows.append(f'<tr{style}>{cells}<td style="text-align: left">{_mathml(formula)}</td></tr>')
        head = "<tr><th>number</th><th>complexity</th><th>bits a row</th><th>g</th></tr>"
        parts.append(f"<table><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table>")
    parts += [f"<p>{escape(title)}: {escape(words)}</p>" for title, words in found.remarks.items()]
    return f"{''.join(parts)}<p>{found.seconds:.1f} s; {escape(found.stop_reason)}</p>"


def as_page(found: ClassDiscovery, title: str | None) -> str:
    """One HTML page."""
    from knotwork.outputs.plain_page import plain_page

    variables = ", ".join(found.boundaries[0].formula.variables)
    heading = title or f"{', '.join(map(str, found.classes))} by {variables}"
    equations = "\n".join(rf"{one.formula.latex()} = 0" for one in found.boundaries)
    body = (
        f"{as_html(found)}<h2>As text</h2><pre>{escape(as_text(found))}</pre>"
        f"<h2>As LaTeX</h2><pre>{escape(equations)}</pre>"
    )
    return plain_page(heading, body)


def _front(one: Boundary) -> list[tuple[BoundaryEntry, Formula]]:
    return [(entry, entry.formula) for entry in one.front if entry.formula is not None]


def _line(formula: Formula) -> str:
    from knotwork.expressions import text

    return text(formula.round(4).expression)


def _mathml(formula: Formula) -> str:
    from knotwork.expressions import mathml

    return f"<math><mrow>{''.join(mathml(formula.round(4).expression))}</mrow></math>"
