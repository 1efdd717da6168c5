"""How a CSV file is laid out: its encoding, lines of comments, the line of names, and a line of units under it."""

import bz2
import csv
import gzip
import io
import lzma
import re
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO

from knotwork.data.column_values import is_number
from knotwork.data.settings import DATA
from knotwork.data.units import is_unit

COMMENTS = ("#", "%", "//")
_DECIMAL = re.compile(r"[+-]?\d*,?\d+([eE][+-]?\d+)?")


@dataclass(frozen=True)
class Layout:
    """The first lines of a file.

    Attributes:
        encoding: of its text.
        skipped: the numbers of lines, from 0, that hold comments or titles.
        lines: the first lines of the file.
    """

    encoding: str
    skipped: tuple[int, ...]
    lines: tuple[str, ...]

    def cells(self, separator: str) -> list[list[str]]:
        """The cells of the first lines that are not skipped and not empty."""
        kept = [line for n, line in enumerate(self.lines) if n not in self.skipped and line.strip()]
        return [cells_of(line, separator) for line in kept]


def layout_of(path: Path, encoding: str) -> Layout:
    """The layout of a file in this encoding."""
    with opened_text(path, encoding) as file:
        lines = tuple(islice(file, DATA.lines_examined + DATA.most_comment_lines))
        comments = [n for n, line in enumerate(lines) if line.lstrip().startswith(COMMENTS)]
        if comments:  # others may follow far below
            comments += [n for n, line in enumerate(file, len(lines)) if line.lstrip().startswith(COMMENTS)]
    return Layout(encoding, tuple(comments), lines)


def titles(layout: Layout, separator: str) -> tuple[int, ...]:
    """The numbers of the lines above the names that are titles: of other numbers of cells than the table has."""
    rows = [(n, cells_of(line, separator)) for n, line in enumerate(layout.lines) if n not in layout.skipped]
    rows = [(n, cells) for n, cells in rows if any(cell.strip() for cell in cells)]
    if len(rows) < 3:
        return ()
    usual = Counter(len(cells) for _, cells in rows).most_common(1)[0][0]
    full = [len(cells) == usual and sum(bool(cell.strip()) for cell in cells) > 1 for _, cells in rows]
    first = full.index(True) if usual > 1 and True in full else 0
    named = not any(is_number(cell.strip()) for cell in rows[first][1])
    above = range(rows[first][0]) if named and first else ()
    return tuple(n for n in above if n not in layout.skipped)


def commented_names(layout: Layout, separator: str) -> list[str] | None:
    """The names in the last comment above a table of numbers, such as `# x y`; None where there are none."""
    rows = layout.cells(separator)
    comments = [layout.lines[n] for n in layout.skipped if n < len(layout.lines)]
    if not rows or not comments or not all(_DECIMAL.fullmatch(c.strip()) or is_number(c.strip()) for c in rows[0]):
        return None
    names = cells_of(comments[-1].strip().lstrip("#%/ "), separator)
    named = len(names) == len(rows[0]) and not any(is_number(name.strip()) for name in names)
    return [name.strip() for name in names] if named else None


def units_row(rows: Sequence[Sequence[str]]) -> list[str] | None:
    """The units in the line under the names, by column and empty where there is none; None where it holds no units."""
    if len(rows) < 3 or len(rows[1]) != len(rows[0]):
        return None
    units = [cell.strip().strip("[]()").strip() for cell in rows[1]]
    if any(is_number(unit) for unit in units if unit != "1") or not any(map(_has_letter, units)):
        return None
    if not all(unit in ("", "-", "1") or is_unit(unit) for unit in units):
        return None
    below = [[cell.strip() for cell in row] for row in rows[2:] if len(row) == len(units)]
    numeric = [any(_numeric(row[place]) for row in below) for place, unit in enumerate(units) if _has_letter(unit)]
    return ["" if unit == "-" else unit for unit in units] if numeric and all(numeric) else None


def cells_of(line: str, separator: str) -> list[str]:
    """The cells of one line."""
    if len(separator) > 1:
        return line.split()
    return next(csv.reader([line.rstrip("\r\n")], delimiter=separator, skipinitialspace=True), [])


def line_of_row(path: Path, encoding: str, skipped: Sequence[int], separator: str, row: int) -> int:
    """The number, from 1, of the line in which a row of the table begins, rows counted from 0."""
    left = set(skipped)
    with opened_text(path, encoding) as file:
        numbers: list[int] = []

        def counted() -> Iterator[str]:
            for n, line in enumerate(file):
                if n not in left:
                    numbers.append(n + 1)
                    yield line

        rows = csv.reader(counted(), delimiter=separator if len(separator) == 1 else " ")
        seen, begun = -1, 0
        for cells in rows:
            if any(cell.strip() for cell in cells):
                seen += 1
                if seen == row:
                    return numbers[begun]
            begun = len(numbers)
    return 0


@contextmanager
def opened_text(path: Path, encoding: str) -> Iterator[IO[str]]:
    """The text of a file, compressed or not."""
    suffix = path.suffix.lower()
    if suffix == ".zip":
        with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as file:
            yield io.TextIOWrapper(file, encoding, newline="")
        return
    opener = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}.get(suffix, open)
    with opener(path, "rt", encoding=encoding, newline="") as file:  # type: ignore[operator]
        yield file  # type: ignore[misc]


def encoding_of(path: Path) -> str:
    """UTF-16 where a mark at the beginning says so, else UTF-8."""
    with opened_text(path, "latin-1") as file:
        return "utf-16" if file.read(2) in ("\u00ff\u00fe", "\u00fe\u00ff") else "utf-8-sig"


def _has_letter(text: str) -> bool:
    return bool(re.search(r"[^\W\d_]|[%°]", text))


def _numeric(text: str) -> bool:
    return is_number(text) or bool(_DECIMAL.fullmatch(text))
