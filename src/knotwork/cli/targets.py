"""`knotwork discover --target A,B`: formulas of several targets, on the terminal, as JSON and in files."""

import sys
from contextlib import nullcontext
from typing import Any

from knotwork.cli.discover import _end, _facts, _folder, _live, _Log, _put, _writable
from knotwork.cli.reading import Reading
from knotwork.data.column_names import split_units
from knotwork.discovery import TargetDiscoveries, discover
from knotwork.errors import TrainingError


def targets_named(reading: Reading, target: str | None) -> list[str] | None:
    """The targets that --target names, separated by commas; None for one target, whose name may hold commas itself."""
    if target is None or "," not in target or not reading.is_file:
        return None
    columns = list(reading.frame().columns)
    if target in (*columns, *split_units(columns)[0]):
        return None
    names = [name.strip() for name in target.split(",") if name.strip()]
    return names if len(names) > 1 else None


def run_targets(
    reading: Reading,
    targets: list[str],
    inputs: list[str] | None,
    exclude: list[str] | None,
    out: str | None,
    as_json: bool,
    json_file: str | None,
    *,
    test_size: float | None = None,
    sigma: str | None = None,
    **settings: Any,
) -> None:
    """Read the table, discover the formulas of its targets, print, and write the files."""
    if test_size is not None:
        raise TrainingError(
            "--test-size cannot be given with several targets: a fifth of the rows is kept aside. Leave it out."
        )
    folder = None if out is None else _folder(out)
    if json_file is not None:
        _writable(json_file)
    if sigma and inputs and split_units([sigma])[0][0] not in split_units(inputs)[0]:
        inputs = [*inputs, sigma]
    X, y, split = reading.columns(targets, inputs, exclude)
    with _live() if sys.stderr.isatty() else nullcontext(_Log()) as callback:
        known = {"missing": reading.missing, "split": split, "sigma": sigma, **settings}
        found = discover(X, y, progress=False, callback=callback, **known)
    assert isinstance(found, TargetDiscoveries)
    files = {}
    if folder is not None:
        files["report"] = str(found.report(folder / "report.html"))
        files["formulas"] = str(folder / "formula.tex")
        _put(files["formulas"], found.latex())
        files["every number"] = str(folder / "result.json")
    _end(str(found), _facts_of(found, files), files, as_json, json_file)


def _facts_of(found: TargetDiscoveries, files: dict[str, str]) -> dict[str, Any]:
    from knotwork.expressions import text

    each = {}
    for name, one in zip(found.targets, found, strict=True):
        assert one.data is not None
        each[name] = _facts(one, one.data, {})
    return {
        "targets": each,
        "shared": [{"text": text(part.expression), "targets": list(part.targets)} for part in found.shared],
        "constants": [
            {"value": one.value, "standard_error": one.error, "targets": list(one.targets)} for one in found.constants
        ],
        "missing": dict(found.missing),
        "files": files,
        "stop": found.stop.name,
        "stop_reason": found.stop_reason,
        "failures": dict(found.failures),
        "seconds": found.seconds,
    }
