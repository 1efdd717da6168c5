"""The table: computes rows, drops repeats, reads and writes the file."""

import csv
import gzip
import io
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from snappy import SnapPeaFatalError

from .errors import KnotError
from .invariants import SYMMETRY_GROUPS, invariants

Row = dict[str, str | float]

FEATURES = (
    "chern_simons",
    "cusp_volume",
    "hyperbolic_adjoint_torsion_degree",
    "hyperbolic_torsion_degree",
    "injectivity_radius",
    "longitudinal_translation",
    "meridinal_translation_imag",
    "meridinal_translation_real",
    "short_geodesic_imag_part",
    "short_geodesic_real_part",
    *(f"Symmetry_{group}" for group in SYMMETRY_GROUPS),
    "volume",
)
COLUMNS = ("name", "mirrored", *FEATURES, "signature")


def compute(knots: list[tuple[str, bool]], budget: float | None = None) -> Iterator[tuple[str, bool, dict[str, float]]]:
    """Name, mirror image or not, and invariants of each knot, until `budget` seconds have passed.

    Knots without a hyperbolic structure, or with an unreliable invariant, are skipped. Progress, and each skipped knot
    with the reason, are printed to stderr.
    """
    start, left_out = time.monotonic(), Counter()
    for done, (name, mirrored) in enumerate(knots):
        seconds = time.monotonic() - start
        if budget is not None and seconds > budget:
            _say(f"stopped after {done} of {len(knots)} knots: the budget of {budget:g} s is used up")
            break
        if done and done % 100 == 0:
            _say(f"{done} of {len(knots)} knots in {seconds:.0f} s; {left_out.total()} left out")
        try:
            row = invariants(name, mirrored)
        except (KnotError, SnapPeaFatalError, np.linalg.LinAlgError) as error:
            reason = str(error) or type(error).__name__
            left_out[reason] += 1
            _say(f"{name} left out: {reason}")
            continue
        yield name, mirrored, row
    for reason, count in left_out.most_common():
        _say(f"left out {count}: {reason}")


def build(knots: list[tuple[str, bool]], budget: float | None = None) -> list[Row]:
    """The rows of the table, sorted by name.

    Of knots with equal features to five decimals (usually mutants), the first in the order of `knots` is kept.
    """
    rows: dict[tuple[float, ...], Row] = {}
    computed = 0
    for name, mirrored, row in compute(knots, budget):
        computed += 1
        # + 0.0 turns -0.0 into 0.0
        key = tuple(round(row[column], 5) + 0.0 for column in FEATURES)
        rows.setdefault(key, {"name": name, "mirrored": int(mirrored), **row})
    _say(f"{computed} computed, {computed - len(rows)} equal to another dropped, {len(rows)} rows")
    return sorted(rows.values(), key=lambda row: row["name"])


def write(rows: Iterable[Row], path: Path) -> None:
    """The rows as CSV, real numbers to nine digits; compressed if the path ends in .gz, the same bytes each time."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow(f"{row[c]:.9g}" if isinstance(row[c], float) else row[c] for c in COLUMNS)
    data = text.getvalue().encode()
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


def read(path: Path) -> list[Row]:
    """The rows of a table written by `write`, numbers as floats. Raises ValueError if columns are missing."""
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    reader = csv.DictReader(io.StringIO(text))
    missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
    if missing:
        raise ValueError(f"{path} has no column {', '.join(missing)}; is it a table of knots?")
    return [{c: row[c] if c == "name" else float(row[c]) for c in COLUMNS} for row in reader]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
