"""A figure as SVG inside a page. Its names, styles and addresses have no effect outside the figure."""

import io
import re
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import matplotlib
from matplotlib.figure import Figure

from knotwork.drawing.figure import BLUE, GREEN, GREY, INK, PALE, PAPER, RED, SHADE

COLOURS = {
    INK: "ink",
    GREY: "grey",
    SHADE: "shade",
    PALE: "pale",
    PAPER: "paper",
    BLUE: "blue",
    RED: "red",
    GREEN: "green",
}
NAMESPACE = re.compile(r"\{.*?\}")
REFERENCE = re.compile(r"#([^)\"]+)")
PIXELS = 4 / 3  # pixels of one point


def inline_svg(figure: Figure, name: str, label: str) -> str:
    """The <svg> element of a figure, with the text alternative `label`. Its ids begin with `name`, unique in the page.

    Text stays text, in the fonts of the page. Colours become custom properties of the page (--ink, --paper, ...), so
    that figures follow a dark page. The same figure gives the same bytes.
    """
    file = io.BytesIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "knotwork", "savefig.bbox": None}):
        figure.savefig(file, format="svg", metadata={"Date": None})
    root = ElementTree.fromstring(file.getvalue())
    for parent in list(root.iter()):
        for child in list(parent):
            if NAMESPACE.sub("", child.tag) in ("metadata", "style"):
                parent.remove(child)
    _plain(root)
    _renamed(root, name)
    for element in root.iter():
        _shared_style(element)
    _, _, width, height = root.attrib["viewBox"].split()
    root.attrib = {
        "class": "drawn",
        "role": "img",
        "aria-label": label,
        "viewBox": f"0 0 {width} {height}",
        "width": f"{PIXELS * float(width):.0f}",
        "height": f"{PIXELS * float(height):.0f}",
    }
    return re.sub(r">\s+<", "><", ElementTree.tostring(root, encoding="unicode"))


def _plain(root: Element) -> None:
    """Attributes without namespaces, short numbers, named colours, and font sizes without font families."""
    for element in root.iter():
        element.tag = NAMESPACE.sub("", element.tag)
        attributes = {NAMESPACE.sub("", key): value for key, value in element.attrib.items()}
        for key in {"d", "x", "y", "width", "height", "viewBox", "points"} & set(attributes):
            numbers = re.sub(r"-?\d+\.\d+", _short, attributes[key])
            attributes[key] = " ".join(numbers.split())
        if attributes.get("transform", "").startswith(("rotate(-0 ", "rotate(0 ")):
            del attributes["transform"]
        if "style" in attributes:
            attributes["style"] = _themed(attributes["style"])
        element.attrib = attributes


def _short(number: re.Match[str]) -> str:
    return f"{float(number[0]):.2f}".rstrip("0").rstrip(".")


def _themed(style: str) -> str:
    declarations = [d.strip() for d in style.split(";")]
    kept = "; ".join(d for d in declarations if d and not d.startswith("font-family"))
    kept = re.sub(r"#[0-9a-f]{6}", lambda c: f"var(--{COLOURS[c[0]]})" if c[0] in COLOURS else c[0], kept)
    return re.sub(r"\d+\.\d{3,}", _short, kept)


def _renamed(root: Element, name: str) -> None:
    """Keep only ids that are referred to, numbered in their order after the name of the figure."""
    referring = [(e, key) for e in root.iter() for key in ("href", "clip-path") if key in e.attrib]
    used = {found for e, key in referring for found in REFERENCE.findall(e.attrib[key])}
    new: dict[str, str] = {}
    for element in root.iter():
        old = element.attrib.pop("id", None)
        if old is not None and old in used:
            element.attrib["id"] = new.setdefault(old, f"{name}-{len(new)}")
    for element, key in referring:
        element.attrib[key] = REFERENCE.sub(lambda found: f"#{new[found[1]]}", element.attrib[key])


def _shared_style(group: Element) -> None:
    """The style of the markers of a group once, on the group."""
    styles = {child.attrib.get("style") for child in group}
    if len(group) > 1 and {child.tag for child in group} == {"use"} and len(styles) == 1 and None not in styles:
        group.attrib["style"] = styles.pop() or ""
        for child in group:
            del child.attrib["style"]
