"""A discovery as one JSON file, without data. Its networks are safetensors files in base64; loading runs no code."""

from __future__ import annotations

import base64
import math
import tempfile
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from knotwork.discovery.discovery import Discovery, Entry, Outlier
from knotwork.discovery.result_files import preparation_of, read_content, write_content
from knotwork.discovery.what_matters import Importance
from knotwork.formulas import Formula
from knotwork.kan import KAN, load, save
from knotwork.solvers import StopReason
from knotwork.training import FitResult, Record

FORMAT = "knotwork discovery 1"
NETWORKS = ("symbolic_model", "spline_model")


def write(found: Discovery, path: str | Path) -> None:
    """Write everything but the data to `path`; CheckpointError where that fails."""
    write_content({"format": FORMAT, **content_of(found)}, path)


def read(path: str | Path) -> Discovery:
    """The discovery that `write` wrote; CheckpointError for any other file."""
    return read_content(path, FORMAT, "discovery: give a file that Discovery.save() wrote.", discovery_of)


def content_of(found: Discovery) -> dict[str, Any]:
    """Everything but the data, as values for JSON."""
    chosen = [n for n, entry in enumerate(found.front) if entry.formula is found.formula]
    return {
        "formula": found.formula.to_dict(),
        "front": [_entry(entry, entry.formula is found.formula) for entry in found.front],
        "chosen": chosen[0] if chosen else None,
        "shape": found.shape,
        "importance": {name: _number(share) for name, share in found.importance.items()},
        "spread": {name: _number(value) for name, value in found.importance.spread.items()},
        "importance of": found.importance.source,
        "correlated": list(found.importance.correlated),
        "seconds": found.seconds,
        "stop": found.stop.name,
        "settings": dict(found.settings),
        "dependent": dict(found.dependent),
        "failures": dict(found.failures),
        "undefined": found.undefined,
        "copies": found.copies,
        "unmet": found.unmet,
        "unknowns": dict(found.unknowns),
        "preparation": found.preparation and found.preparation.to_dict(),
        "error_rows": found.error_rows,
        "by_hand": found.by_hand,
        "outliers": [asdict(one) for one in found.outliers],
        "symbolic_model": _model(found.symbolic_model),
        "spline_model": _model(found.spline_model),
        "baseline": None if found.baseline is None else _fit_with_model(found.baseline),
    }


def discovery_of(content: dict[str, Any]) -> Discovery:
    """The discovery of the values that `content_of` gave."""
    symbolic, spline = _network(content["symbolic_model"]), _network(content["spline_model"])
    formula, chosen = Formula.from_dict(content["formula"]), content["chosen"]
    front = []
    for n, one in enumerate(content["front"]):
        own = (formula, symbolic, spline) if n == chosen else (Formula.from_dict(one["formula"]), *_networks(one))
        expression = own[0].expression
        size, error, bits = int(one["complexity"]), float(one["error"]), float(one["bits"])
        front.append(Entry(size, error, expression, one["shape"], *own, bits, float(one.get("gaps", 0))))
    return Discovery(
        formula,
        tuple(front),
        symbolic,
        spline,
        content["shape"],
        content["baseline"] and _result(content["baseline"]),
        Importance(
            {name: float(share) for name, share in content["importance"].items()},
            {name: float(value) for name, value in content.get("spread", {}).items()},
            content.get("importance of", "the baseline network"),  # earlier files have none of these
            tuple(content.get("correlated", ())),
        ),
        None,
        float(content["seconds"]),
        StopReason[content["stop"]],
        content["settings"],
        content.get("dependent", {}),  # earlier files have none of these
        content.get("failures", {}),
        content.get("undefined", ""),
        content.get("copies", 0),
        tuple(Outlier(**one) for one in content.get("outliers", ())),
        content.get("unmet", ""),
        content.get("unknowns", {}),
        preparation_of(content),
        content.get("error_rows", "validation"),
        content.get("by_hand", False),
    )


def _networks(entry: dict[str, Any]) -> tuple[KAN | None, KAN | None]:
    """The networks of an entry that was not chosen; earlier files have none."""
    symbolic, spline = (entry[name] and _network(entry[name]) if name in entry else None for name in NETWORKS)
    return symbolic, spline


def _entry(entry: Entry, chosen: bool) -> dict[str, Any]:
    """The values of an entry; the networks of the chosen one stand beside the front."""
    assert entry.formula is not None
    networks = {} if chosen else {name: (one := getattr(entry, name)) and _model(one) for name in NETWORKS}
    facts = {"complexity": entry.complexity, "error": _number(entry.error), "bits": _number(entry.bits)}
    return {**facts, "gaps": entry.gaps, "shape": entry.shape, "formula": entry.formula.to_dict(), **networks}


def _number(value: Any) -> Any:
    """A number that JSON can hold; what is not finite becomes text, which `float` reads."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _fit(result: FitResult) -> dict[str, Any]:
    """The fields of a fit but its model."""
    facts = {field.name: getattr(result, field.name) for field in fields(result) if field.name != "model"}
    facts["history"] = [{name: _number(value) for name, value in asdict(one).items()} for one in result.history]
    return {name: value.name if isinstance(value, StopReason) else _number(value) for name, value in facts.items()}


def _fit_with_model(result: FitResult) -> dict[str, Any]:
    assert isinstance(result.model, KAN)
    return {**_fit(result), "model": _model(result.model)}


def _result(content: dict[str, Any]) -> FitResult:
    facts = {name: _restored(value) for name, value in content.items()}
    facts["history"] = tuple(
        Record(**{name: _restored(value) for name, value in one.items()}) for one in content["history"]
    )
    if "stop" in facts:
        facts["stop"] = StopReason[facts["stop"]]
    return FitResult(**{**facts, "model": _network(content["model"])})


def _restored(value: Any) -> Any:
    return float(value) if value in ("inf", "-inf", "nan") else value


def _model(network: KAN) -> str:
    """The safetensors file of a network, in base64."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "model.safetensors"
        save(network, place)
        return base64.b64encode(place.read_bytes()).decode("ascii")


def _network(text: str) -> KAN:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "model.safetensors"
        place.write_bytes(base64.b64decode(text, validate=True))
        return load(place)
