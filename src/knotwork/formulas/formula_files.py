"""Formulas as plain values for JSON, and the exact inverse. Reading runs no code from a file."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import torch
from torch import Tensor

from knotwork.errors import CheckpointError, ExpressionError
from knotwork.formulas.agreement import Agreement
from knotwork.formulas.constants import Template
from knotwork.formulas.uncertainty import Constant, Uncertainty

if TYPE_CHECKING:
    from knotwork.formulas.formula import Formula

FORMAT = "knotwork formula 1"
SHARES = ("test", "validation", "training", "left-out")
LOSSES = ("mse", "cross_entropy")

T = TypeVar("T")


def formula_to_dict(formula: Formula) -> dict[str, Any]:
    """Everything that a formula holds, as lists, dicts, texts and numbers for JSON."""
    from knotwork.expressions import text, to_tree

    content = {
        "format": FORMAT,
        "text": [text(expression) for expression in formula.expressions],
        "expressions": [to_tree(expression) for expression in formula.expressions],
        "variables": list(formula.variables),
        "targets": list(formula.targets),
        "gap": _written(formula.gap),
        "r2": _written(formula.r2),
        "rmse": _written(formula.rmse),
        "r2_rows": formula.r2_rows,
        "constants": [
            {"symbol": one.symbol, "value": _written(one.value), "error": _written(one.error), "unit": one.unit}
            for one in formula.constants
        ],
        "uncertainty": [_uncertainty_to_dict(one) for one in formula.uncertainty],
        "loss": formula.loss,
        "reduced_chi2": None if formula.reduced_chi2 is None else _written(formula.reduced_chi2),
        "units": [agreement_to_dict(one) for one in formula.units],
    }
    return {**content, "sha256": _digest(content)}


def formula_from_dict(kind: type[Formula], content: Any, where: str = "this") -> Formula:
    """The formula that `formula_to_dict` wrote; CheckpointError for anything else. `where` names the source."""
    if not isinstance(content, Mapping) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, Mapping) else type(content).__name__
        raise CheckpointError(
            f"{where} is not a formula in the format {FORMAT!r} (it says {found!r}); only what Formula.save() or "
            "Formula.to_json() wrote can be read."
        )
    known = {name: value for name, value in content.items() if name != "sha256"}
    if content.get("sha256") != _digest(known):
        raise CheckpointError(f"{where} was changed or damaged after it was written; save the formula again.")
    try:
        return _read(kind, known)
    except (KeyError, TypeError, ValueError, ExpressionError, RecursionError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else error
        raise CheckpointError(f"{where} does not hold a formula: {reason}") from error


def formula_from_json(kind: type[Formula], text: str, where: str = "this text") -> Formula:
    """The formula in a JSON text; CheckpointError for any other text."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{where} is not JSON ({error}); only formulas that were saved can be read.") from None
    return formula_from_dict(kind, content, where)


def _read(kind: type[Formula], content: Mapping[str, Any]) -> Formula:
    """The formula of a content whose digest is right; ValueError, TypeError or KeyError where it is none."""
    from knotwork.expressions import from_tree, text

    variables, targets = _texts(content["variables"]), _texts(content["targets"])
    expressions = tuple(from_tree(tree, set(variables)) for tree in content["expressions"])
    uncertainty = tuple(_uncertainty_from_dict(one, variables) for one in content["uncertainty"])
    constants = tuple(
        Constant(_text(one["symbol"]), _number(one["value"]), _number(one["error"]), _text_or_none(one["unit"]))
        for one in content["constants"]
    )
    units = tuple(agreement_from_dict(one) for one in content["units"])
    if len(set(variables)) < len(variables):
        _refuse("a variable occurs twice")
    if not 0 < len(expressions) == len(targets):
        _refuse(f"{len(expressions)} expressions for {len(targets)} targets")
    if len(uncertainty) not in (0, len(targets)) or len(units) not in (0, len(targets)):
        _refuse("uncertainty and units need one entry for each target, or none")
    if uncertainty and len(constants) != sum(len(one.values) for one in uncertainty):
        _refuse(f"{len(constants)} constants, but covariances of {sum(len(one.values) for one in uncertainty)}")
    if [text(expression) for expression in expressions] != content["text"]:
        _refuse("the text does not belong to the expressions")
    return kind(
        expressions, variables, targets,
        _number(content["gap"]), _number(content["r2"]), _number(content["rmse"]),
        _one_of(content["r2_rows"], SHARES), constants, uncertainty, _one_of(content["loss"], LOSSES), units,
        None if content.get("reduced_chi2") is None else _number(content["reduced_chi2"]),
    )  # fmt: skip


def agreement_to_dict(one: Agreement) -> dict[str, Any]:
    """Whether units agree, as values for JSON."""
    return {
        "agree": one.agree,
        "words": one.words,
        "constants": [[_written(value), words] for value, words in one.constants],
        "constant_units": [[_written(value), unit] for value, unit in one.constant_units],
    }


def agreement_from_dict(one: Mapping[str, Any]) -> Agreement:
    """The inverse of `agreement_to_dict`; ValueError or KeyError for anything else."""
    agree, words = _flag(one["agree"]), _text(one["words"])
    return Agreement(agree, words, _pairs(one["constants"], _text), _pairs(one["constant_units"], _text_or_none))


def _uncertainty_to_dict(one: Uncertainty) -> dict[str, Any]:
    from knotwork.expressions import to_tree

    return {
        "expression": to_tree(one.template.expression),
        "symbols": [symbol.name for symbol in one.template.values],
        "values": [_written(value) for value in one.values],
        "factor": _rows(one.factor),
        "blind": _rows(one.blind),
        "scale": [_written(value) for value in one.scale.tolist()],
        "deviation": _written(one.deviation),
        "degrees": one.degrees,
        "relative": one.relative,
    }


def _uncertainty_from_dict(content: Mapping[str, Any], variables: Sequence[str]) -> Uncertainty:
    from knotwork.expressions import from_tree, symbol

    symbols, values = _texts(content["symbols"]), [_number(value) for value in content["values"]]
    if len(set(symbols)) < len(symbols) or set(symbols) & set(variables):
        _refuse("two constants, or a constant and a variable, have the same name")
    expression = from_tree(content["expression"], {*variables, *symbols})
    template = Template(expression, dict(zip(map(symbol, symbols), values, strict=True)))
    if type(content["degrees"]) is not int:
        _refuse("degrees of freedom are whole numbers")
    count = len(values)
    scale = torch.tensor([_number(value) for value in content["scale"]], dtype=torch.float64)
    if len(scale) != count:
        _refuse(f"{len(scale)} scales of {count} constants")
    factor, blind = _matrix(content["factor"], count), _matrix(content["blind"], count)
    deviation, relative = _number(content["deviation"]), _flag(content.get("relative", False))  # not in older files
    return Uncertainty(template, factor, blind, scale, deviation, content["degrees"], relative)


def _written(value: float) -> float | str:
    """A number for JSON; infinite numbers and NaN, which JSON does not have, as texts."""
    value = float(value)
    return value if math.isfinite(value) else str(value)


def _number(value: Any) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    if value in ("inf", "-inf", "nan"):
        return float(value)
    _refuse(f"{value!r} is no number")


def _rows(matrix: Tensor) -> list[list[float | str]]:
    return [[_written(value) for value in row] for row in matrix.tolist()]


def _matrix(rows: Sequence[Sequence[Any]], columns: int) -> Tensor:
    if any(len(row) != columns for row in rows):
        _refuse(f"a covariance of {columns} constants has rows of another length")
    values = [[_number(value) for value in row] for row in rows]
    return torch.tensor(values, dtype=torch.float64).reshape(len(rows), columns)


def _pairs(pairs: Sequence[Sequence[Any]], read: Callable[[Any], T]) -> tuple[tuple[float, T], ...]:
    return tuple((_number(value), read(meaning)) for value, meaning in pairs)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else _refuse(f"{value!r} is no text")


def _text_or_none(value: Any) -> str | None:
    return None if value is None else _text(value)


def _texts(values: Any) -> tuple[str, ...]:
    return tuple(_text(value) for value in values) if isinstance(values, list) else _refuse(f"{values!r} is no list")


def _flag(value: Any) -> bool:
    return value if isinstance(value, bool) else _refuse(f"{value!r} is neither true nor false")


def _one_of(value: Any, known: Sequence[str]) -> str:
    return value if value in known else _refuse(f"{value!r} is none of {', '.join(known)}")


def _refuse(reason: str) -> NoReturn:
    raise ValueError(reason)


def _digest(content: Mapping[str, Any]) -> str:
    """SHA-256 of the content. It detects damage, but it is no signature."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
