"""How the documentation is built: `make docs`. Pages run while they are built, and a cell that fails ends the build."""

import inspect
import re
import textwrap
from importlib.metadata import version as installed_version
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from jupyter_client import KernelManager
from sphinx.application import Sphinx
from sphinx.util.logging import getLogger

project = "knotwork"
author = "knotwork contributors"
copyright = "knotwork contributors, MIT licence"
version = release = installed_version("knotwork")

extensions = ["myst_nb", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]

# Pages
myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 600  # seconds a cell: for machines that do other work as well
nb_merge_streams = True
KernelManager.transport_encryption.default_value = "auto"  # without it every page's kernel warns
nb_code_prompt_show = "The code"
nb_code_prompt_hide = "The code"
nb_mime_priority_overrides = [("html", "image/png", 1), ("html", "text/latex", 2)]

# References: every name of ours must lead somewhere; nothing is looked up on the network, so names of others cannot.
nitpicky = True
nitpick_ignore_regex = [
    (r"py:.*", r"(?!knotwork\b).*"),
    (r"py:class", r"knotwork(\.\w+){3,4}"),  # types in signatures that are no public names
]

# Docstrings
add_module_names = False
autodoc_inherit_docstrings = False
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
maximum_signature_line_length = 88
python_display_short_literal_types = True
smartquotes = False
toc_object_entries_show_parents = "hide"

# Looks
html_theme = "furo"
html_title = "knotwork"
html_static_path = ["_static"]
html_css_files = ["knotwork.css"]
html_copy_source = False
html_show_sphinx = False
html_math_renderer = "mathml"
pygments_style = "friendly"
pygments_dark_style = "monokai"


SECTIONS = {
    "Args": "Arguments",
    "Attributes": "Attributes",
    "Returns": "Returns",
    "Yields": "Yields",
    "Raises": "Raises",
    "Example": "Example",
    "Examples": "Examples",
}


def plain_docstring(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Our docstrings are text with `code` in backticks, indented examples and Google's sections: no other markup."""
    text = "\n".join(lines).rstrip()
    pieces = re.split(rf"(?m)^({'|'.join(SECTIONS)}):$((?:\n(?:[ \t].*|[ \t]*$))*)", text)
    parts = [_plain(pieces[0])]
    for header, body, after in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
        parts += [_section(header, inspect.cleandoc(body)), _plain(after)]
    lines[:] = "\n\n".join(part for part in parts if part).split("\n")


def _plain(text: str) -> str:
    """Paragraphs; those that are indented are examples."""
    return "\n\n".join(
        f"::\n\n{paragraph}" if paragraph.startswith("    ") else _escaped(paragraph)
        for paragraph in text.strip("\n").split("\n\n")
    )


def _section(header: str, body: str) -> str:
    """A section of a docstring: its title, then a list of names, an example, or text."""
    title = f"**{SECTIONS[header]}**"
    if header.startswith("Example"):
        return f"{title}\n\n.. code-block:: pycon\n\n" + textwrap.indent(body, "    ")
    if header in ("Returns", "Yields"):
        return f"{title}\n\n{_plain(body)}"
    entries = re.split(r"(?m)^(?=\S)", body)[1:]  # each begins at the margin
    items = []
    for entry in entries:
        name, colon, meaning = " ".join(entry.split()).partition(": ")
        items.append(f"- ``{name}``: {_escaped(meaning)}" if colon else f"- {_escaped(name)}")
    return f"{title}\n\n" + "\n".join(items)


def _escaped(paragraph: str) -> str:
    """A paragraph in reStructuredText; names of ours in backticks lead to their descriptions."""
    pieces = re.split(r"(?s)(`[^`]+`)", paragraph)
    pieces[::2] = [re.sub(r"([*|_\\])", r"\\\1", piece) for piece in pieces[::2]]
    pieces[1::2] = [
        f":py:obj:{piece}" if re.fullmatch(r"`knotwork\.\w[\w.]*`", piece) else f"`{piece}`" for piece in pieces[1::2]
    ]
    return "".join(pieces)


def plain_signature(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """Defaults that are made by a factory are shown as ..., which can be read as Python."""
    return signature and signature.replace("<factory>", "..."), returns


def mathml(node: nodes.Element, displayed: bool) -> str:
    """A formula as MathML, which browsers draw without JavaScript; a warning where it cannot be read."""
    try:
        return tex2mathml(node.astext(), as_block=displayed)
    except MathError as error:
        getLogger(__name__).warning("%s in the formula %s", error, node.astext(), location=node)
        return ""


def inline_math(translator: Any, node: nodes.math) -> None:
    """A formula in the text."""
    translator.body.append(mathml(node, displayed=False))
    raise nodes.SkipNode


def displayed_math(translator: Any, node: nodes.math_block) -> None:
    """A formula on a line of its own."""
    translator.body.append(f'<div class="math">{mathml(node, displayed=True)}</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_html_math_renderer("mathml", (inline_math, None), (displayed_math, None))
    app.connect("autodoc-process-docstring", plain_docstring)
    app.connect("autodoc-process-signature", plain_signature)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
