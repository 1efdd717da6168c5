"""The file of a calculation: safetensors for tensors, one text of JSON for the rest. Reading runs no code."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor

from knotwork.errors import CheckpointError
from knotwork.files import replacing
from knotwork.journal.encoding import Value, digest, from_text, to_text

FORMAT = "1"
KIND = "calculation"
TEXT = "text"
AGAIN = "Pass the path of a new file to begin anew"


def checked_path(path: object) -> str:
    """The path as a text; CheckpointError for what is no path."""
    if not isinstance(path, str | os.PathLike) or not str(path):
        raise CheckpointError(f"checkpoint={path!r} is no path: give that of a file, such as checkpoint='run.kw'.")
    return os.fsdecode(path)


def write(path: str, question: Mapping[str, str], entries: Value) -> None:
    """Write what was asked and what is known, whole or not at all; CheckpointError where that is not possible."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    tensors: dict[str, Tensor] = {}
    text = json.dumps(dict(question)) + "\n" + to_text(entries, tensors)
    about = {"knotwork": KIND, "format": FORMAT, "version": version("knotwork"), "sha256": digest(text, tensors)}
    tensors[TEXT] = torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)
    try:
        with replacing(path) as new:
            save_file(tensors, str(new), metadata=about)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path!r} cannot be written ({error}); give the path of a file.") from error


def read(path: str, question: Mapping[str, str]) -> Value:
    """What is known of a calculation; an empty dict without a file. CheckpointError where it is another calculation.

    So it is for any file that is none, was damaged, or was written by another version. A file of a call that was
    refused or ended before any work is taken for none.
    """
    from safetensors import SafetensorError, safe_open

    if not Path(path).exists():
        return {}
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path!r} is no file of a calculation ({error}): give the path of a new file, or of one that was passed "
            "as checkpoint= before."
        ) from error
    if about.get("knotwork") != KIND or TEXT not in tensors:
        raise CheckpointError(f"{path!r} is no file of a calculation, but holds something else. {AGAIN}.")
    ours = FORMAT, version("knotwork")
    theirs = about.get("format"), about.get("version")
    if theirs != ours:
        raise CheckpointError(
            f"{path!r} was written by knotwork {theirs[1]} in format {theirs[0]}, but this is {ours[1]} with format "
            f"{ours[0]}, whose numbers may differ. {AGAIN}, or go on with that version."
        )
    text = tensors.pop(TEXT).numpy().tobytes().decode(errors="replace")
    if about.get("sha256") != digest(text, tensors):
        raise CheckpointError(f"{path!r} was changed or damaged after it was written. {AGAIN}.")
    asked, _, entries = text.partition("\n")
    known = from_text(entries, tensors)
    if not any(map(_is_work, known, known.values())):
        return {}
    _compare(path, json.loads(asked), question)
    return known


def _is_work(place: str, entry: tuple[Value, bool, float]) -> bool:
    """Whether an entry is a result, or the state of a loop: places of parts are "", "/1", "/1/2", "=part ...", ..."""
    value, done, _ = entry
    return done or (value is not None and place[:1] in ("", "/", "="))


def _compare(path: str, theirs: Mapping[str, str], ours: Mapping[str, str]) -> None:
    """CheckpointError for the first thing that was asked otherwise."""
    for name in (*ours, *theirs):
        there, here = (_brief(asked.get(name)) for asked in (theirs, ours))
        if theirs.get(name) != ours.get(name):
            raise CheckpointError(
                f"{path!r} belongs to another calculation: {name} is {there} there, but {here} here. {AGAIN}, or "
                "repeat the call with the same arguments."
            )


def _brief(text: str | None) -> str:
    text = "not given" if text is None else text
    return text if len(text) <= 200 else f"{text[:197]}..."
