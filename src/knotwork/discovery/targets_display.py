"""A discovery of several targets as text, as HTML for notebooks, and as a page."""

from html import escape

from knotwork.discovery.target_discoveries import TargetDiscoveries


def as_text(found: TargetDiscoveries) -> str:
    """The formulas with their accuracy, and what they have in common, a line each."""
    lines = []
    for one in found:
        lines += [str(one.formula), f"  {one.accuracy} ({one.shape})"]
    if found.shared:
        lines += ["in common:", *(f"  {part}" for part in found.shared)]
    if found.constants:
        lines += ["constants in common:", *(f"  {constant}" for constant in found.constants)]
    lines += [f"{title.lower()}: {words}" for title, words in found.remarks.items()]
    return "\n".join([*lines, f"{found.seconds:.1f} s; {found.stop_reason}"])


def as_html(found: TargetDiscoveries) -> str:
    """The same with formulas set as mathematics (MathML)."""
    parts = [f"{one.formula._repr_html_()}<p>{escape(one.shape)}</p>" for one in found]
    common = "".join(f"<li>{escape(str(part))}</li>" for part in found.shared)
    parts.append(f"<p>In common:</p><ul>{common}</ul>" if common else "")
    constants = "".join(f"<li>{escape(str(constant))}</li>" for constant in found.constants)
    parts.append(f"<p>Constants in common:</p><ul>{constants}</ul>" if constants else "")
    parts += [f"<p>{escape(title)}: {escape(words)}</p>" for title, words in found.remarks.items()]
    return f"{''.join(parts)}<p>{found.seconds:.1f} s; {escape(found.stop_reason)}</p>"


def as_page(found: TargetDiscoveries, title: str | None) -> str:
    """One HTML page, with the front of every target."""
    from knotwork.discovery.display import as_html as as_html_of_one
    from knotwork.outputs.plain_page import plain_page

    heading = title or f"{', '.join(found.targets)} as functions of {', '.join(found.formulas[0].variables)}"
    each = "".join(
        f"<h2>{escape(name)}</h2>{as_html_of_one(one)}" for name, one in zip(found.targets, found, strict=True)
    )
    body = (
        f"{as_html(found)}{each}<h2>As text</h2><pre>{escape(as_text(found))}</pre>"
        f"<h2>As LaTeX</h2><pre>{escape(found.latex())}</pre>"
    )
    return plain_page(heading, body)
