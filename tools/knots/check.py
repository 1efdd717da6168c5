"""Comparison of a table with invariants that are computed again."""

import math
import random
from dataclasses import dataclass

from .table import FEATURES, Row, compute

COMPARED = (*FEATURES, "signature")
PERIODS = {"chern_simons": 0.5, "short_geodesic_imag_part": 2 * math.pi}
TOLERANCE = 1e-6  # relative to values above 1; the file keeps nine digits


@dataclass(frozen=True)
class Report:
    """Differences between recomputed rows and those of a table.

    rows: number of compared rows. missing: knots skipped or not reached within the budget. largest: for each column
    the largest difference. disagreeing: for each knot beyond the tolerance, the columns with the old and the new value.
    """

    rows: int
    missing: list[str]
    largest: dict[str, float]
    disagreeing: dict[str, dict[str, tuple[float, float]]]

    def __str__(self) -> str:
        width = max(map(len, COMPARED))
        lines = [f"{self.rows} rows recomputed; largest differences:"]
        lines += [f"  {column:<{width}}  {difference:.1e}" for column, difference in self.largest.items()]
        if self.missing:
            lines.append(f"{len(self.missing)} rows were not recomputed: {', '.join(self.missing)}")
        lines.append(f"{len(self.disagreeing)} rows disagree by more than {TOLERANCE:g}")
        for name, columns in self.disagreeing.items():
            changes = ", ".join(f"{column} {old:.9g} -> {new:.9g}" for column, (old, new) in columns.items())
            lines.append(f"  {name}: {changes}")
        return "\n".join(lines)


def check(table: list[Row], count: int, seed: int, budget: float | None = None) -> Report:
    """Recompute `count` random rows of the table, each for its mirror image."""
    chosen = random.Random(seed).sample(table, min(count, len(table)))
    old = {str(row["name"]): row for row in chosen}
    largest = dict.fromkeys(COMPARED, 0.0)
    disagreeing: dict[str, dict[str, tuple[float, float]]] = {}
    compared = []
    for name, _, new in compute([(name, row["mirrored"] == 1) for name, row in old.items()], budget):
        compared.append(name)
        for column in COMPARED:
            before, after = float(old[name][column]), float(new[column])
            gap = difference(column, before, after)
            largest[column] = max(largest[column], gap)
            if not gap <= TOLERANCE * max(1, abs(before)):
                disagreeing.setdefault(name, {})[column] = before, after
    missing = [name for name in old if name not in compared]
    return Report(len(compared), missing, largest, disagreeing)


def difference(column: str, a: float, b: float) -> float:
    """|a - b|, modulo the period of the columns that have one."""
    gap = abs(a - b)
    period = PERIODS.get(column)
    return min(gap % period, -gap % period) if period else gap
