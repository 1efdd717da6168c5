"""A discovery as text and as HTML: the formula, what matters, and the front."""

from html import escape

from knotwork.discovery.discovery import Discovery, Entry
from knotwork.formulas import Formula


def as_text(found: Discovery) -> str:
    """The formula with its accuracy, the shares of the inputs, and the front, a line each."""
    from knotwork.expressions import text

    lines = [str(found.formula), f"{found.accuracy} ({found.shape})"]
    lines.append("importance: " + ", ".join(f"{name} {share:.1%}" for name, share in _ranked(found)))
    lines.append("front, simplest first (complexity, r², formula):")
    for entry, formula in _front(found):
        mark = "→" if formula is found.formula else " "
        lines.append(f"{mark} {entry.complexity:>3}  {_five(formula.r2):<7}  {text(formula.round(4).expression)}")
    lines += [f"{title.lower()}: {words}" for title, words in found.remarks.items()]
    return "\n".join([*lines, f"{found.seconds:.1f} s; {found.stop_reason}"])


def as_html(found: Discovery) -> str:
    """The same with formulas set as mathematics (MathML), for notebooks."""
    rows = []
    for entry, formula in _front(found):
        style = ' style="font-weight: bold"' if formula is found.formula else ""
        cells = f"<td>{entry.complexity}</td><td>{_five(formula.r2)}</td>"
        rows.append(f'<tr{style}>{cells}<td style="text-align: left">{_equation(formula)}</td></tr>')
    shares = ", ".join(f"{escape(name)} {share:.1%}" for name, share in _ranked(found))
    head = "<tr><th>complexity</th><th>r²</th><th>formula</th></tr>"
    return (
        f"<p>{_equation(found.formula)}</p>"
        f"<p>{escape(found.accuracy)} ({escape(found.shape)}). "
        f"Importance: {shares}.</p><table><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table>"
        f"{''.join(f'<p>{escape(title)}: {escape(words)}</p>' for title, words in found.remarks.items())}"
        f"<p>{found.seconds:.1f} s; {escape(found.stop_reason)}</p>"
    )


def _five(r2: float) -> str:
    """r² with five digits, a dash where there is none."""
    return f"{r2:.5f}" if r2 == r2 else "–"


def _ranked(found: Discovery) -> list[tuple[str, float]]:
    return sorted(found.importance.items(), key=lambda item: -item[1])


def _front(found: Discovery) -> list[tuple[Entry, Formula]]:
    return [(entry, entry.formula) for entry in found.front if entry.formula is not None]


def _equation(formula: Formula) -> str:
    from knotwork.expressions import mathml, symbol

    left = "".join(mathml(symbol(formula.targets[0])))
    right = "".join(mathml(formula.round(4).expression))
    return f"<math><mrow>{left}<mo>=</mo>{right}</mrow></math>"
