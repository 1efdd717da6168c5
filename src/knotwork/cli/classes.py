"""`knotwork discover` for a target of labels: the boundaries between classes, on the terminal, as JSON and in files."""

import sys
from contextlib import nullcontext
from typing import Any

from knotwork.cli.discover import _end, _folder, _live, _Log, _put, _writable
from knotwork.cli.reading import Reading, notes_of
from knotwork.data.column_names import split_units
from knotwork.discovery import Boundary, ClassDiscovery, discover
from knotwork.discovery.class_journey import holds_labels
from knotwork.errors import TrainingError
from knotwork.formulas import Formula


def labeled(reading: Reading, target: str | None, loss: str) -> bool:
    """Whether the target of a file holds labels: texts or truth values, or numbers with --loss cross_entropy."""
    if target is None or not reading.is_file or loss not in ("auto", "cross_entropy"):
        return False
    frame = reading.frame()
    headers = dict(zip(split_units(list(frame.columns))[0], frame.columns, strict=True))
    header = headers.get(split_units([target])[0][0])
    return header is not None and (loss == "cross_entropy" or holds_labels(frame[header]))


def run_classes(
    reading: Reading,
    target: str | None,
    inputs: list[str] | None,
    exclude: list[str] | None,
    out: str | None,
    as_json: bool,
    json_file: str | None,
    test_size: float | None = None,
    **settings: Any,
) -> None:
    """Read the table, discover the boundaries between its classes, print, and write the files."""
    if test_size is not None:
        raise TrainingError("--test-size cannot be given with labels: a fifth of the rows is kept aside. Leave it out.")
    folder = None if out is None else _folder(out)
    if json_file is not None:
        _writable(json_file)
    assert target is not None
    X, y, split = reading.columns(target, inputs, exclude)
    with _live() if sys.stderr.isatty() else nullcontext(_Log()) as callback:
        found = discover(X, y, missing=reading.missing, split=split, progress=False, callback=callback, **settings)
    assert isinstance(found, ClassDiscovery)
    files = {}
    if folder is not None:
        files["report"] = str(found.report(folder / "report.html"))
        files["formula"] = str(folder / "formula.tex")
        _put(files["formula"], "\n".join(f"{one.formula.latex()} = 0" for one in found.boundaries))
        files["every number"] = str(folder / "result.json")
    _end(str(found), _facts(found, target, files), files, as_json, json_file)


def _facts(found: ClassDiscovery, target: str, files: dict[str, str]) -> dict[str, Any]:
    return {
        "target": target,
        "preparation": notes_of(found),
        "classes": list(found.classes),
        "accuracy": found.accuracy,
        "accuracy_rows": found.accuracy_rows,
        "commonest": found.commonest,
        "boundaries": [_boundary(one) for one in found.boundaries],
        "files": files,
        "stop": found.stop.name,
        "stop_reason": found.stop_reason,
        "loss": found.settings["loss"],
        "failures": dict(found.failures),
        "seconds": found.seconds,
    }


def _boundary(one: Boundary) -> dict[str, Any]:
    front = [
        _formula(entry.formula) | {"shape": entry.shape, "bits_a_row": entry.error}
        for entry in one.front
        if entry.formula is not None
    ]
    own = {"label": one.label, "found": one.found, "steepness": one.steepness, "wrong": one.wrong, "shape": one.shape}
    return own | {"formula": _formula(one.formula), "front": front}


def _formula(formula: Formula) -> dict[str, Any]:
    from knotwork.expressions import text

    constants = [{"symbol": one.symbol, "value": one.value, "standard_error": one.error} for one in formula.constants]
    facts = {"text": text(formula.expression), "latex": formula.latex(), "complexity": formula.complexity}
    return facts | {"constants": constants}
