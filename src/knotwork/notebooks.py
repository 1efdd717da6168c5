"""How results appear in notebooks: small tables in the colours of the page, so that they are readable on dark pages."""

from collections.abc import Iterable, Sequence
from html import escape


def table(rows: Iterable[Sequence[object]], head: Sequence[object] = (), caption: object = "", more: int = 0) -> str:
    """An HTML table; every text is escaped, and no colour is set.

    Args:
        rows: the cells of each row; the first is aligned left.
        head: the heads of the columns.
        caption: a line above.
        more: the number of rows that were left out, which a line below says.
    """
    left = ' style="text-align: left"'
    above = f"<thead><tr>{''.join(f'<th>{escape(str(cell))}</th>' for cell in head)}</tr></thead>" if head else ""
    lines = []
    for first, *others in rows:
        cells = "".join(f"<td>{escape(str(cell))}</td>" for cell in others)
        lines.append(f"<tr><td{left}>{escape(str(first))}</td>{cells}</tr>")
    below = f"<p>and {more:,} more</p>" if more else ""
    return f"<p>{escape(str(caption))}</p><table>{above}<tbody>{''.join(lines)}</tbody></table>{below}"


def one_line(text: str, longest: int) -> str:
    """A text as one line of at most so many characters."""
    line = " ".join(text.split())
    return line if len(line) <= longest else f"{line[: longest - 3]}..."
