"""Values as tensors and one text of JSON, and back: numbers, texts, tensors, and lists, tuples and dicts of these."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

Value = Any
"""None, True, False, an int, a float, a str, a Tensor; a list, a tuple or a dict of values."""


def copied(value: Value) -> Value:
    """A copy, with its tensors on the CPU, that nothing else changes; TypeError for what is no `Value`."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True).contiguous()
    if isinstance(value, list | tuple):
        return type(value)(copied(part) for part in value) if type(value) in (list, tuple) else _refused(value)
    if isinstance(value, Mapping):
        return {_key(key): copied(part) for key, part in value.items()}
    return _refused(value)


def to_text(value: Value, tensors: dict[str, Tensor]) -> str:
    """A copied value as JSON, in which tensors are the names under which they are put into `tensors`."""

    def plain(part: Value) -> Any:
        if isinstance(part, Tensor):
            tensors[name := str(len(tensors))] = part
            return {"tensor": name}
        if isinstance(part, list):
            return [plain(one) for one in part]
        if isinstance(part, tuple):
            return {"tuple": [plain(one) for one in part]}
        if isinstance(part, dict):
            return {"dict": [[key, plain(one)] for key, one in part.items()]}
        return part

    return json.dumps(plain(value))  # a float is written with all of its digits


def from_text(text: str, tensors: Mapping[str, Tensor]) -> Value:
    """The value that `to_text` wrote; ValueError or KeyError for another text."""

    def value(part: Any) -> Value:
        if isinstance(part, list):
            return [value(one) for one in part]
        if not isinstance(part, dict):
            return part
        [(kind, held)] = part.items()
        if kind == "tensor":
            return tensors[held]
        if kind == "tuple":
            return tuple(value(one) for one in held)
        if kind == "dict":
            return {key: value(one) for key, one in held}
        raise ValueError(f"unknown kind of value {kind!r}")

    return value(json.loads(text))


def digest(text: str, tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of a text and of tensors with names, types and shapes. It detects damage, but it is no signature."""
    found = hashlib.sha256(text.encode())
    for name, tensor in sorted(tensors.items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return found.hexdigest()


def digest_of(value: Value) -> str:
    """SHA-256 of a value."""
    tensors: dict[str, Tensor] = {}
    return digest(to_text(value, tensors), tensors)


def _key(key: object) -> int | str:
    return key if isinstance(key, int | str) else _refused(key)


def _refused(value: object) -> Any:
    raise TypeError(f"a value of type {type(value).__name__} cannot be kept in a file")
