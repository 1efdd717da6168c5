#!/usr/bin/env python3
"""Compute the packaged table of hyperbolic knots and their invariants, or check it.

    python -m pip install snappy snappy_15_knots spherogram knot_floer_homology numpy
    python tools/make_knots.py --out knots.csv.gz
    python tools/make_knots.py --check knots.csv.gz --rows 100

The defaults are those of the packaged table; it takes about an hour on one core. These packages are
needed only to compute the numbers. knots/invariants.py defines each column.
"""

import argparse
import os
import sys
from pathlib import Path

# set before NumPy is loaded: the matrices are tiny, so threads would only take time
for library in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")

from knots.check import check  # noqa: E402
from knots.selection import LIMIT, PLAN, SEED, choose  # noqa: E402
from knots.table import build, read, write  # noqa: E402


def main() -> int:
    """Exit status 0; with --check 1 if a row disagrees or was not recomputed; 2 for bad input."""
    parser = argparse.ArgumentParser(description="Compute or check the table of hyperbolic knots.")
    task = parser.add_mutually_exclusive_group(required=True)
    task.add_argument("--out", type=Path, metavar="FILE", help="write the table here: .csv or .csv.gz")
    task.add_argument("--check", type=Path, metavar="TABLE", help="recompute random rows of this table and compare")
    parser.add_argument("--rows", type=int, default=20, help="number of rows to check (default %(default)s)")
    parser.add_argument(
        "--seed", type=int, default=SEED, help="seed of the choice of knots or rows (default %(default)s)"
    )
    parser.add_argument(
        "--plan", default=PLAN, help="numbers of knots for each number of crossings (default %(default)s)"
    )
    parser.add_argument(
        "--limit", type=int, default=LIMIT, help="stop after this number of knots (default %(default)s)"
    )
    parser.add_argument("--budget", type=float, metavar="SECONDS", help="stop after this time (default: never)")
    args = parser.parse_args()
    try:
        if args.check:
            report = check(read(args.check), args.rows, args.seed, args.budget)
            print(report)
            return int(bool(report.disagreeing or report.missing))
        if not args.out.parent.is_dir():  # checked before the computation
            raise ValueError(f"there is no directory {args.out.parent}")
        write(build(choose(args.plan, args.seed)[: args.limit], args.budget), args.out)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
