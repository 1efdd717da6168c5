"""One page, in one file, about what a network has learned."""

from __future__ import annotations

import math
import os
import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from knotwork.data import Dataset, as_dataset
from knotwork.drawing import predicted_vs_true
from knotwork.drawing.figure import UNPRINTABLE
from knotwork.errors import DataError, ExpressionError, KnotworkWarning, SpecError
from knotwork.files import write_text
from knotwork.formulas import Formula
from knotwork.formulas.values import evaluate
from knotwork.functions import named_function
from knotwork.keywords import check_keywords
from knotwork.model import KANNetwork, on_cpu
from knotwork.outputs.diagram import diagram, telling_beta
from knotwork.outputs.findings import (
    Curve,
    Predict,
    accuracy,
    columns,
    confusion,
    curves,
    reported_share,
    shares,
    verdicts,
)
from knotwork.outputs.front_figures import tried_formulas
from knotwork.outputs.inline import inline_svg
from knotwork.outputs.layout import MOST_CURVES as MOST_FRAMES
from knotwork.outputs.network_figures import edge_curve
from knotwork.outputs.typesetting import DIGITS, markup, typeset, written
from knotwork.outputs.wording import FILTERS, number, percent
from knotwork.simplify import attribute, input_shares
from knotwork.symbolic import relations, symbolic_formula
from knotwork.training import FitResult

if TYPE_CHECKING:
    from markupsafe import Markup

MOST_CURVES = 48  # number of edges that are drawn one by one
MOST_INPUTS = 40  # number of inputs whose importance is listed
MOST_RELATED = 6  # largest number of inputs whose relations are measured
MOST_TARGETS = 8  # number of targets drawn as predicted against true
MOST_CANDIDATES = 3  # number of candidates shown for an edge
EXTRAPOLATION = {
    "linear": "as straight lines",
    "constant": "with the value at the end of the grid",
    "zero": "with splines that fall to zero",
    "error": "not at all",
}
PAGE = 7.0  # width of the column of text in inches
LARGEST = 1.4  # largest factor by which a small diagram is enlarged
SMALLEST = 0.6  # smallest factor of a diagram on a narrow screen


@check_keywords
def report(
    path: str | Path,
    network: KANNetwork,
    data: object,
    *,
    title: str | None = None,
    result: FitResult | None = None,
    formula: Formula | None = None,
    splines: KANNetwork | None = None,
    baseline: FitResult | None = None,
    importance: Mapping[str, float] | None = None,
    spread: Mapping[str, float] | None = None,
    measured: str = "",
    tried: Sequence[Any] = (),
    lib: Iterable[str] | None = None,
    settings: Mapping[str, object] | None = None,
    seconds: float | None = None,
    classes: Sequence[str] | None = None,
    compared: int = MOST_CURVES,
    measure: str = "RMSE",
    by_hand: bool = False,
    error_rows: str = "",
) -> Path:
    """Write one HTML page about a network. The page needs no other file, script or connection.

    The 48 most important edges are drawn. The same arguments give the same bytes, except for the date.

    Args:
        path: the file to write, such as "report.html". An existing file is replaced.
        network: the network.
        data: the data on which accuracy is computed.
        title: the heading. None: the targets as functions of the inputs.
        result: the fit of the network; its history is drawn.
        formula: the formula. None: that of the network, if all its edges have names.
        splines: the same network before its edges were named.
        baseline: the fit of a general network, for comparison.
        importance: share of each input by name. None: that of `attribute` on the training rows.
        spread: standard deviation of each share, by name, where it is known.
        measured: a sentence on how the importance was measured.
        tried: formulas to list, objects with `formula`, `shape` and validation `error`.
        lib: names of the functions that are compared with curves. None: the default library.
        settings: texts to list by name.
        seconds: duration of the work, in s.
        classes: names of the classes, for a network of logits. Targets are then 0 or 1, one column for each class, or
            one column for the second of two classes. The page reports the share of correct classes.
        compared: number of edges whose splines are compared with named functions, which takes most of the time.
        measure: the name of the errors in the history.
        by_hand: whether a person chose the formula among those that were tried.
        error_rows: the rows on which their errors were measured; the default are validation rows where there are some.

    Returns:
        The path of the page.

    Raises:
        DataError: the file cannot be written; before any work where this can be seen.
    """
    place = _place(path)
    data = as_dataset(data).to("cpu")
    named = splines is not None
    network, splines = on_cpu(network), on_cpu(network if splines is None else splines)
    formula, why_none = (formula, "") if formula is not None else _formula_of(network, data)
    predictors: dict[str, Predict] = {}
    if formula is not None:
        expressions = formula.expressions
        predictors["the formula"] = lambda x: evaluate(expressions, data, x)
    predictors[f"{'its' if formula else 'this'} network {'of splines ' * named}{_width(splines)}"] = splines
    if baseline is not None:
        predictors[f"a baseline network {_width(baseline.model)}"] = baseline.model
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KnotworkWarning)  # of fonts: the page uses those of the reader
        drawn, n_edges = curves(splines, data, lib, MOST_CURVES, compared)
        page = {
            "title": title,
            **_about_data(data),
            **_about_accuracy(predictors, data, classes),
            **_about_formula(formula, why_none, splines if named else None, data),
            **_about_importance(network, data, importance, spread, measured),
            "relations": _relations(network, data) if not classes else [],
            "network": network,
            "diagram": _diagram(network, data),
            "lines": n_edges > MOST_FRAMES,
            "cards": [_card(n, curve, splines, network, data) for n, curve in enumerate(drawn)],
            "n_edges": n_edges,
            "compared": compared,
            "extrapolation": EXTRAPOLATION[network.spec.extrapolation],
            **_about_front(tried, data, by_hand, error_rows),
            "result": result,
            "baseline": baseline,
            "training": _training(result or baseline, measure),
            "settings": dict(settings or {}),
            "seconds": seconds,
            "versions": _versions(),
            "now": f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC",
        }
        text = UNPRINTABLE.sub("\ufffd", _template().render(page))
    try:
        write_text(place, text)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", error)
        raise DataError(f"{str(path)!r} cannot be written ({why}); name another file.") from None
    return place


def _about_data(data: Dataset) -> dict[str, Any]:
    """The entries of the page about the table."""
    share = reported_share(data)
    return {
        "data": data,
        "columns": columns(data),
        "shares": {name: len(x) for name, (x, _) in shares(data).items()},
        "share": share,
        "where": "held-out test row" if share == "test" else f"{share} row",
    }


def _about_importance(
    network: KANNetwork,
    data: Dataset,
    importance: Mapping[str, float] | None,
    spread: Mapping[str, float] | None,
    measured: str,
) -> dict[str, Any]:
    """The entries about how much each input matters."""
    importance = input_shares(network, data) if importance is None else importance
    return {
        "importance": sorted(importance.items(), key=lambda item: -item[1]),
        "spread": spread or {},
        "measured": measured,
        "most_inputs": MOST_INPUTS,
    }


def _about_accuracy(predictors: Mapping[str, Predict], data: Dataset, classes: Sequence[str] | None) -> dict[str, Any]:
    """The entries about the accuracy of each predictor. The first predictor is the best."""
    best, predict = next(iter(predictors.items()))
    labels = shares(data)[reported_share(data)]
    return {
        "accuracy": [] if classes else accuracy(predictors, data),
        "predicted": [] if classes else _predicted(predict, data),
        "classes": classes,
        "verdicts": verdicts(predictors, data) if classes else {},
        "confusion": confusion(predict, *labels) if classes else [],
        "best": best,
        "most_targets": MOST_TARGETS,
    }


def _about_front(tried: Sequence[Any], data: Dataset, by_hand: bool, error_rows: str) -> dict[str, Any]:
    """The entries about the formulas that were tried."""
    rows = error_rows or ("validation" if "validation" in shares(data) else "training")
    return {"tried": tried_formulas(tried, data), "by_hand": by_hand, "error_rows": rows}


def _about_formula(formula: Formula | None, why_none: str, splines: KANNetwork | None, data: Dataset) -> dict[str, Any]:
    """The entries about the formula, or about the reason why there is none."""
    return {
        "formula": formula,
        "constant": formula is not None and not any(e.free_symbols for e in formula.expressions),
        "constants": _constants(formula),
        "typeset": None if formula is None else typeset(formula),
        "written": None if formula is None else written(formula),
        "why_none": why_none,
        "digits": DIGITS,
        "apart": None if splines is None else _apart(formula, splines, data),
    }


def _relations(network: KANNetwork, data: Dataset) -> list[str]:
    """Relations between the inputs as sentences, for each target; none for many inputs, which take long."""
    if data.n_inputs > MOST_RELATED:
        return []
    return [s for n in range(min(data.n_outputs, MOST_TARGETS)) for s in relations(network, data, n).sentences()]


@torch.no_grad()
def _apart(formula: Formula | None, splines: KANNetwork, data: Dataset) -> float | None:
    """Root mean square difference between the formula and the network of splines over all rows."""
    if formula is None:
        return None
    x = torch.cat([x for x, _ in shares(data).values()])
    return float((evaluate(formula.expressions, data, x) - splines(x)).double().square().mean().sqrt())


def _place(path: str | Path) -> Path:
    place = Path(path)
    if os.path.isdir(place):
        raise DataError(f"{str(path)!r} is a folder; name the file to write, such as {str(place / 'report.html')!r}.")
    if not os.path.isdir(place.parent):
        raise DataError(
            f"{str(path)!r} cannot be written: {str(place.parent)!r} is no folder; create it or name another."
        )
    return place


def _template() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(FILTERS)
    return environment.get_template("report.html.j2")


def _formula_of(network: KANNetwork, data: Dataset) -> tuple[Formula | None, str]:
    """The formula of a network whose edges are all named, or why there is none."""
    left = sum(int((layer.mask > 0).sum()) for layer in network.layers)
    if left:
        total = left + sum(len(layer.named) for layer in network.layers)
        which = "its edges are" if left == total else f"{left} of its {total} edges are"
        return None, f"{which} splines, which no formula can show; auto_symbolic() would name them."
    try:
        return symbolic_formula(network, data), ""
    except (ExpressionError, SpecError) as error:
        return None, str(error)


def _constants(formula: Formula | None) -> list[tuple[str, str, str, str]]:
    """Each constant as typeset, its standard error, and its relative error, in the order of the text."""
    if formula is None:
        return []
    text = written(formula)["text"]
    rows = []
    for one in sorted(formula.constants, key=lambda one: text.find(repr(abs(one.value)))):
        known = math.isfinite(one.error)
        share = percent(abs(one.error / one.value)) if known and one.value else ""
        error = number(one.error, 2) if known else "not determined by these rows"
        rows.append((number(one.value, DIGITS), error, one.unit or "", share))
    return rows


@torch.no_grad()
def _predicted(predict: Predict, data: Dataset) -> list[dict[str, Any]]:
    """Predicted against true values on the reported share, one figure for each target; only finite predictions."""
    x, y = shares(data)[reported_share(data)]
    values = predict(x)
    figures = []
    for n, name in enumerate(data.target_names[:MOST_TARGETS]):
        finite = values[:, n].isfinite()
        svg = None
        if bool(finite.any()):
            figure = predicted_vs_true(y[finite, n], values[finite, n], data.label(name))
            svg = markup(inline_svg(figure, f"predicted-{n}", f"Predicted {name} against its true values"))
        figures.append({"target": name, "svg": svg, "excluded": int((~finite).sum())})
    return figures


def _diagram(network: KANNetwork, data: Dataset) -> dict[str, Any]:
    inputs, outputs = (tuple(data.label(name) for name in names) for names in (data.input_names, data.target_names))
    scores = attribute(network, data.X_train)
    options: dict[str, Any] = {"input_names": inputs, "output_names": outputs, "scores": scores}
    options["beta"] = telling_beta(scores)
    figure = diagram(network, data.X_train, **options)
    scale = min(LARGEST, PAGE / figure.get_figwidth())
    if scale > 1:
        figure = diagram(network, data.X_train, **options, scale=scale)
    nodes = " to ".join(str(s + p) for s, p in network.spec.width)
    svg = inline_svg(figure, "diagram", f"The network, {nodes} nodes, with the curve of every edge")
    return {"svg": markup(svg), "least": round(SMALLEST * 96 * figure.get_figwidth())}


def _card(n: int, curve: Curve, splines: KANNetwork, network: KANNetwork, data: Dataset) -> dict[str, Any]:
    """An edge with its figure and its candidates: first the chosen one, then the best."""
    from knotwork.expressions import mathml, parse

    names = {(e.layer, e.source, e.target): e.function for e in network.spec.named}
    chosen = names.get(curve.edge)
    ranked = sorted(curve.candidates, key=lambda candidate: candidate.function != chosen)[:MOST_CANDIDATES]
    labels = tuple(data.label(name) for name in data.input_names)
    figure = edge_curve(splines, data.X_train, *curve.edge, ranked, input_names=labels)
    legend = figure.axes[0].get_legend()
    if legend:
        legend.remove()  # the table below replaces it
    svg = inline_svg(figure, f"edge-{n}", f"The curve from {curve.source} to {curve.target}")
    functions = {c.function: "".join(mathml(parse(named_function(c.function).expression, ["x"]))) for c in ranked}
    return {
        "curve": curve,
        "svg": markup(svg),
        "candidates": [(c, markup(functions[c.function]), c.function == chosen) for c in ranked],
    }


def _training(result: FitResult | None, measure: str) -> Markup | None:
    if result is None or not result.history:
        return None
    label = "Training and validation error against the step of the fit"
    return markup(inline_svg(result.plot(measure), "training", label))


def _width(network: Any) -> str:
    return str([(s, p) if p else s for s, p in network.spec.width])


def _versions() -> dict[str, str]:
    """Versions of the packages that computed the page. They do not identify the machine."""
    packages = ("knotwork", "torch", "numpy", "sympy", "matplotlib")
    python = ".".join(map(str, sys.version_info[:3]))
    return {**{name: version(name).split("+")[0] for name in packages}, "Python": python}
