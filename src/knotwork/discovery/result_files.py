"""Files of values that discoveries without networks are saved in."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from knotwork.data import Preparation
from knotwork.errors import CheckpointError
from knotwork.files import write_text


def write_values(path: str | Path, content: dict[str, Any]) -> None:
    """Write values as JSON, whole or not at all; CheckpointError where the file cannot be written."""
    try:
        write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    except OSError as error:
        raise CheckpointError(f"{str(path)!r} cannot be written ({error.strerror}); name another file.") from None


def read_values(path: str | Path, format: str, kind: str) -> dict[str, Any]:
    """The values of a file of this format; CheckpointError for any other file, which is no `kind`."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{str(path)!r} cannot be read as a discovery: {error}") from None
    if not isinstance(content, dict) or content.get("format") != format:
        raise CheckpointError(f"{str(path)!r} is no {kind}: give a file that its save() wrote.")
    return content


def preparation_of(content: Mapping[str, Any]) -> Preparation | None:
    """The preparation in the content of a file, if there is one."""
    own = content.get("preparation")
    return None if own is None else Preparation.from_dict(own)
