"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A new file, which takes the place of `path` once the block has ended.

    It stands in the same folder and has the same ending. After an error, or if the process is killed, the old file is
    as it was; a file whose name begins with ".knotwork-" may be left by a kill. A link stays a link, and the
    permissions of the old file stay. What is no ordinary file, such as a pipe, is written directly.

    Args:
        path: the file to write.

    Raises:
        OSError: for a path that cannot be written; its `filename` is `path`.
    """
    place = Path(os.path.realpath(path))
    if place.exists() and not place.is_file():
        yield Path(path)
        return
    new = place.with_name(f".knotwork-{secrets.token_hex(6)}{place.suffix}")
    try:
        if place.exists():
            place.open("ab").close()  # a file that may not be changed is not replaced either
        new.open("xb").close()
        yield new
        with new.open("rb") as file:
            os.fsync(file.fileno())
        if place.exists():
            shutil.copymode(place, new)
        new.replace(place)
    except OSError as error:
        error.filename = str(path)
        raise
    finally:
        new.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write a text in UTF-8, with lines that end in a line feed, whole or not at all; see `replacing`."""
    with replacing(path) as new:
        new.write_text(text, encoding="utf-8", newline="\n")
