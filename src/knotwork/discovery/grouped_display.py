"""A discovery of groups as text, as HTML for notebooks, and as a page: the law, its constants by group, the front."""

from html import escape
from typing import Any

from knotwork.discovery.display import bits_beyond
from knotwork.discovery.grouped_discovery import GroupedDiscovery, GroupedEntry
from knotwork.formulas import GroupedFormula


def as_text(found: GroupedDiscovery) -> str:
    """The law with its constants, its accuracy, and the front, a line each."""
    formula = found.formula
    lines = [str(formula), f"r² = {formula.r2:.5f} on the {formula.r2_rows} rows ({found.shape})"]
    if formula.shared:
        lines.append(f"shared by all groups: {', '.join(f'{one.symbol} = {one}' for one in formula.shared)}")
    lines.append("front, simplest first (number, complexity, numbers in it, bits, r², law):")
    for n, (entry, law) in enumerate(_front(found)):
        mark, bits = "→" if law is formula else " ", bits_beyond(entry, found.front)
        lines.append(f"{mark} {n:>2} {entry.complexity:>3} {entry.numbers:>4}  {bits:>6}  {law.r2:.5f}  {_line(law)}")
    lines += [f"{title.lower()}: {words}" for title, words in found.remarks.items()]
    return "\n".join([*lines, f"{found.seconds:.1f} s; {found.stop_reason}"])


def as_html(found: GroupedDiscovery) -> str:
    """The same with formulas set as mathematics (MathML)."""
    formula = found.formula
    rows = []
    for n, (entry, law) in enumerate(_front(found)):
        style = ' style="font-weight: bold"' if law is formula else ""
        numbers = (n, entry.complexity, entry.numbers, bits_beyond(entry, found.front), f"{law.r2:.5f}")
        cells = "".join(f"<td>{one}</td>" for one in numbers)
        rows.append(f'<tr{style}>{cells}<td style="text-align: left">{_equation(law)}</td></tr>')
    headings = ("number", "complexity", "numbers in it", "bits", "r²", "law")
    head = f"<tr>{''.join(f'<th>{one}</th>' for one in headings)}</tr>"
    return (
        f"<p>{_equation(formula)}</p>"
        f"<p>r² = {formula.r2:.5f} on the {formula.r2_rows} rows ({escape(found.shape)}).</p>"
        f"{_constants(formula)}<table><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table>"
        f"{''.join(f'<p>{escape(title)}: {escape(words)}</p>' for title, words in found.remarks.items())}"
        f"<p>{found.seconds:.1f} s; {escape(found.stop_reason)}</p>"
    )


def as_page(found: GroupedDiscovery, title: str | None) -> str:
    """One HTML page, with predictions against true values where there are rows."""
    from knotwork.outputs.plain_page import plain_page

    formula = found.formula
    heading = title or f"{formula.target} as a function of {', '.join(formula.variables)}, by {formula.group}"
    figure = ""
    if found.data is not None:
        from knotwork.outputs.inline import inline_svg

        label = f"Predicted {formula.target} against its true values"
        figure = f"<h2>Predictions</h2>{inline_svg(found.plot_predictions(), 'predicted', label)}"
    body = (
        f"{as_html(found)}<h2>As text</h2><pre>{escape(str(formula))}</pre><h2>As LaTeX</h2>"
        f"<pre>{escape(formula.equation())}\n{escape(formula.latex_table())}</pre>{figure}"
    )
    return plain_page(heading, body)


def _constants(formula: GroupedFormula) -> str:
    """The table of the constants of each group, and the shared constants."""
    shared = "".join(f"<p>{escape(one.symbol)} = {escape(str(one))} in all groups</p>" for one in formula.shared)
    if not formula.differing:
        return shared
    head = "".join(f"<th>{escape(name)}</th>" for name in (formula.group, *formula.differing, "rows"))
    lines = []
    for n, label in enumerate(formula.labels):
        cells: list[Any] = [label, *(values[n] for values in formula.differing.values()), formula.rows[n]]
        lines.append(f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in cells)}</tr>")
    return f"{shared}<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _front(found: GroupedDiscovery) -> list[tuple[GroupedEntry, GroupedFormula]]:
    return [(entry, entry.formula) for entry in found.front if entry.formula is not None]


def _line(formula: GroupedFormula) -> str:
    """The expression in one line."""
    from knotwork.expressions import round_constants, text

    return text(round_constants(formula.expression, 4))


def _equation(formula: GroupedFormula) -> str:
    from knotwork.expressions import mathml, round_constants, symbol

    indexed = {symbol(name): symbol(f"{name}[{formula.group}]") for name in formula.differing}
    values = {symbol(one.symbol): round_constants(_number(one.value), 4) for one in formula.shared}
    right = "".join(mathml(formula.template.xreplace({**values, **indexed})))
    return f"<math><mrow>{''.join(mathml(symbol(formula.target)))}<mo>=</mo>{right}</mrow></math>"


def _number(value: float) -> Any:
    from knotwork.expressions import number

    return number(value)
