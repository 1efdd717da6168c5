"""`knotwork discover --groups COLUMN`: one law for all groups, on the terminal, as JSON and in files."""

import math
import sys
from contextlib import nullcontext
from typing import Any

from knotwork.cli.discover import _end, _folder, _live, _Log, _put, _writable
from knotwork.cli.reading import Reading, notes_of
from knotwork.discovery import GroupedDiscovery, discover
from knotwork.formulas import GroupedFormula


def run_groups(
    reading: Reading,
    target: str | None,
    groups: str,
    inputs: list[str] | None,
    exclude: list[str] | None,
    out: str | None,
    as_json: bool,
    json_file: str | None,
    **settings: Any,
) -> None:
    """Read the table, discover one law for the groups, print, and write the files."""
    folder = None if out is None else _folder(out)
    if json_file is not None:
        _writable(json_file)
    X, y, split = reading.columns(target, inputs, exclude, groups)
    known = {"groups": reading.labels(groups), "missing": reading.missing, "split": split, **settings}
    with _live() if sys.stderr.isatty() else nullcontext(_Log()) as callback:
        found = discover(X, y, progress=False, callback=callback, **known)
    files = {}
    if folder is not None:
        files["report"] = str(found.report(folder / "report.html"))
        files["formula"] = str(folder / "formula.tex")
        _put(files["formula"], f"{found.formula.equation()}\n{found.formula.latex_table()}")
        files["every number"] = str(folder / "result.json")
    _end(str(found), _facts(found, files), files, as_json, json_file)


def _facts(found: GroupedDiscovery, files: dict[str, str]) -> dict[str, Any]:
    return {
        "target": found.formula.target,
        "preparation": notes_of(found),
        "formula": _formula(found.formula) | {"shape": found.shape},
        "front": [
            _formula(entry.formula) | {"shape": entry.shape, "numbers": entry.numbers}
            for entry in found.front
            if entry.formula is not None
        ],
        "files": files,
        "stop": found.stop.name,
        "stop_reason": found.stop_reason,
        "loss": found.settings["loss"],
        "failures": dict(found.failures),
        "seconds": found.seconds,
    }


def _formula(formula: GroupedFormula) -> dict[str, Any]:
    from knotwork.expressions import text

    def facts(one: Any) -> dict[str, Any]:
        return {"symbol": one.symbol, "value": one.value, "standard_error": one.error, "unit": one.unit}

    groups = {
        str(label): {"rows": formula.rows[n], "constants": [facts(own[n]) for own in formula.differing.values()]}
        for n, label in enumerate(formula.labels)
    }
    return {
        "text": text(formula.expression),
        "latex": formula.latex(),
        "r2": formula.r2 if math.isfinite(formula.r2) else None,
        "r2_rows": formula.r2_rows,
        "rmse": formula.rmse,
        "complexity": formula.complexity,
        "shared": [facts(one) for one in formula.shared],
        "group": formula.group,
        "groups": groups,
    }
