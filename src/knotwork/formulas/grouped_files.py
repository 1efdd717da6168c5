"""Formulas of groups as plain values for JSON, and the exact inverse. Reading runs no code from a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from knotwork.errors import CheckpointError, ExpressionError
from knotwork.formulas.formula_files import (
    _digest,
    _number,
    _text,
    _text_or_none,
    _texts,
    _uncertainty_from_dict,
    _uncertainty_to_dict,
    _written,
    agreement_from_dict,
    agreement_to_dict,
)
from knotwork.formulas.uncertainty import Constant

if TYPE_CHECKING:
    from knotwork.formulas.grouped_formula import GroupedFormula

FORMAT = "knotwork grouped formula 1"


def grouped_to_dict(formula: GroupedFormula) -> dict[str, Any]:
    """Everything that a formula of groups holds, as lists, dicts, texts and numbers for JSON."""
    from knotwork.expressions import text, to_tree

    content = {
        "format": FORMAT,
        "text": text(formula.expression),
        "template": to_tree(formula.template),
        "variables": list(formula.variables),
        "target": formula.target,
        "group": formula.group,
        "labels": list(formula.labels),
        "rows": list(formula.rows),
        "shared": [_constant_to_dict(one) for one in formula.shared],
        "differing": [[name, [_constant_to_dict(one) for one in own]] for name, own in formula.differing.items()],
        "r2": _written(formula.r2),
        "rmse": _written(formula.rmse),
        "r2_rows": formula.r2_rows,
        "uncertainty": [_uncertainty_to_dict(one) for one in formula.uncertainty],
        "units": [agreement_to_dict(one) for one in formula.units],
    }
    return {**content, "sha256": _digest(content)}


def grouped_from_dict(kind: type[GroupedFormula], content: Any) -> GroupedFormula:
    """The formula that `grouped_to_dict` wrote; CheckpointError for anything else."""
    if not isinstance(content, Mapping) or content.get("format") != FORMAT:
        raise CheckpointError(f"this is not a formula in the format {FORMAT!r}; give what to_dict() wrote.")
    known = {name: value for name, value in content.items() if name != "sha256"}
    if content.get("sha256") != _digest(known):
        raise CheckpointError("this was changed or damaged after it was written; save the formula again.")
    try:
        return _read(kind, known)
    except (KeyError, TypeError, ValueError, ExpressionError, RecursionError) as error:
        raise CheckpointError(f"this does not hold a formula of groups: {error!r}") from error


def _read(kind: type[GroupedFormula], content: Mapping[str, Any]) -> GroupedFormula:
    from knotwork.expressions import from_tree

    variables = _texts(content["variables"])
    shared = tuple(map(_constant_from_dict, content["shared"]))
    differing = {_text(name): tuple(map(_constant_from_dict, own)) for name, own in content["differing"]}
    names = {*variables, *(one.symbol for one in shared), *differing}
    count = len(content["labels"])
    uncertainty = tuple(_uncertainty_from_dict(one, variables) for one in content["uncertainty"])
    if any(len(own) != count for own in differing.values()) or len(uncertainty) != count:
        raise ValueError("every group needs one value of each constant")
    return kind(
        from_tree(content["template"], names), variables, _text(content["target"]), _text(content["group"]),
        tuple(content["labels"]), tuple(content["rows"]), shared, differing, _number(content["r2"]),
        _number(content["rmse"]), _text(content["r2_rows"]), uncertainty,
        tuple(map(agreement_from_dict, content["units"])),
    )  # fmt: skip


def _constant_to_dict(one: Constant) -> dict[str, Any]:
    return {"symbol": one.symbol, "value": _written(one.value), "error": _written(one.error), "unit": one.unit}


def _constant_from_dict(one: Mapping[str, Any]) -> Constant:
    return Constant(_text(one["symbol"]), _number(one["value"]), _number(one["error"]), _text_or_none(one["unit"]))
