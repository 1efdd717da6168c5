#!/usr/bin/env python3
"""Draw the picture at the top of README and of the documentation: `python docs/figures.py`, written to docs/_static.

A fitted network, what pruning leaves of it, the names of its edges, and the formula.
"""

import io
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

import knotwork as kw
from knotwork.drawing.figure import BLUE, GREY, INK, RED, Sheet

WIDTH, HEIGHT, DPI = 8.6, 3.0, 200  # inches, inches, dots an inch
COLOURS = 64  # of the picture's palette, which keeps the file small


def panels() -> tuple[list[Figure], str]:
    """The network fitted with the penalty, pruned, and named; and the formula in LaTeX."""
    data = kw.sample("exp(sin(pi*x) + y**2)", x=(-1, 1), y=(-1, 1), size=1000, seed=0)
    model = kw.KAN(width=[2, 5, 1], grid=5, k=3, seed=0)
    model.fit(data, lamb=1e-3)
    pruned = model.prune(data)
    pruned = kw.fit_multilevel(pruned, data).model
    named = pruned.auto_symbolic(data)
    formula = named.symbolic_formula(data)
    return [model.plot(data), pruned.plot(data), named.plot(data)], formula.latex()


def picture(figures: list[Figure], latex: str) -> Figure:
    """The panels side by side, each with its verb, and the formula on the right."""
    sheet = Sheet(WIDTH, HEIGHT)
    places = (0.05, 3.62, 5.07)
    captions = ("fit", "prune", "name the edges")
    for figure, left, caption in zip(figures, places, captions, strict=True):
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=DPI)
        width, height = figure.get_size_inches()
        scale = min(2.4 / height, 3.3 / width)
        bottom = 1.65 - height * scale / 2
        box = (left / WIDTH, bottom / HEIGHT, width * scale / WIDTH, height * scale / HEIGHT)
        axes = sheet.add_axes(box)
        axes.imshow(np.asarray(Image.open(buffer)), aspect="auto", interpolation="lanczos")
        axes.set_axis_off()
        middle = (left + width * scale / 2) / WIDTH
        sheet.text(middle, 0.06, caption, ha="center", color=RED if caption.startswith("name") else BLUE, fontsize=11)
    sheet.text(7.6 / WIDTH, 0.53, f"${latex}$", ha="center", va="center", color=INK, fontsize=17)
    sheet.text(7.6 / WIDTH, 0.06, "read the formula", ha="center", color=INK, fontsize=11)
    for left in (3.46, 4.96, 6.52):
        sheet.text(left / WIDTH, 0.53, "→", ha="center", va="center", color=GREY, fontsize=18)
    return sheet


def main() -> None:
    buffer = io.BytesIO()
    picture(*panels()).savefig(buffer, format="png", dpi=DPI)
    small = Image.open(buffer).convert("RGB").quantize(COLOURS)
    target = Path(__file__).parent / "_static" / "network-to-formula.png"
    small.save(target, optimize=True)
    print(f"{target}: {target.stat().st_size / 1024:.0f} kB, {small.width} x {small.height}")


if __name__ == "__main__":
    main()
