"""Files of results: values as JSON with their digest, and pages. Loading runs no code."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from knotwork.data import Preparation
from knotwork.errors import CheckpointError, DataError
from knotwork.files import write_text

T = TypeVar("T")


def write_content(content: dict[str, Any], path: str | Path) -> None:
    """Write values with their digest as JSON, whole or not at all; CheckpointError where that fails."""
    try:
        content = json.loads(json.dumps(content, default=float))
        write_text(path, json.dumps({**content, "sha256": digest(content)}, indent=1))
    except OSError as error:
        raise CheckpointError(f"{str(path)!r} cannot be written ({error.strerror}); name another file.") from None


def read_content(path: str | Path, format: str, needed: str, made: Callable[[dict[str, Any]], T]) -> T:
    """What is made of the values that `write_content` wrote in this format; CheckpointError for any other file, which
    is no file of the kind that is `needed`."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        known = isinstance(content, dict) and content.get("format") == format
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{str(path)!r} cannot be read as a discovery: {error}") from None
    if not known:
        raise CheckpointError(f"{str(path)!r} is no {needed}")
    if content.pop("sha256", None) != digest(content):
        raise CheckpointError(f"{str(path)!r} was changed or damaged after it was saved; save the discovery again.")
    try:
        return made(content)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"{str(path)!r} was changed or damaged after it was saved ({error!r}).") from None


def digest(content: dict[str, Any]) -> str:
    """SHA-256 of the content, so that damage is noticed (it is no signature)."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def preparation_of(content: Mapping[str, Any]) -> Preparation | None:
    """The preparation in the content of a file, if there is one."""
    own = content.get("preparation")
    return None if own is None else Preparation.from_dict(own)


def write_page(path: str | Path, page: str) -> Path:
    """Write a page and give its path; DataError where that fails."""
    place = Path(path)
    try:
        write_text(place, page)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", error)
        raise DataError(f"{str(path)!r} cannot be written ({why}); name another file.") from None
    return place
