"""How often `discover` finds a known formula exactly, and in what time.

    python benchmarks/formulas.py [--seeds 20] [--out formulas.jsonl] [NAME ...]

All settings are defaults, with J0 in the library for the formula that contains it; 1,000 training rows without noise.
Every run is one JSON line; a run whose line is in the output file is not repeated. A formula is exact if it differs
from the truth by less than 1e-6 of the truth's rms on 10,000 new points, and its text, with constants rounded to six
digits, simplifies to the true expression.
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import sympy
from lines import Lines

import knotwork as kw
from knotwork.expressions import parse, round_constants, to_numpy
from knotwork.functions import select

CASES = {
    "exp(sin(pi*x) + y**2)": {"x": (-1, 1), "y": (-1, 1)},
    "x*y": {"x": (-1, 1), "y": (-1, 1)},
    "x/y": {"x": (0.5, 2), "y": (0.5, 2)},
    "sqrt(x**2 + y**2)": {"x": (-1, 1), "y": (-1, 1)},
    "sin(x)*exp(-y)": {"x": (-1, 1), "y": (-1, 1)},
    "sin(x)/y": {"x": (-3, 3), "y": (0.5, 2)},
    "sqrt((x1 - x2)**2 + (x3 - x4)**2)": dict.fromkeys(("x1", "x2", "x3", "x4"), (-1, 1)),
    "(u + v)/(1 + u*v)": {"u": (0, 1), "v": (0, 1)},
    "exp(J0(20*x) + y**2)": {"x": (-1, 1), "y": (-1, 1)},
    "tanh(5*(x1**4 + x2**4 + x3**4 - 1))": dict.fromkeys(("x1", "x2", "x3"), (-1, 1)),
}
MORE_FUNCTIONS = {"exp(J0(20*x) + y**2)": ["J0"]}  # beyond the default library


def run(text: str, seed: int) -> dict:
    """One discovery: the formula, whether it is exact, and the seconds."""
    ranges = CASES[text]
    data = kw.sample(text, **ranges, size=1000, test_size=1000, seed=seed)
    began = time.perf_counter()
    lib = [f.name for f in select()] + MORE_FUNCTIONS[text] if text in MORE_FUNCTIONS else None
    found = kw.discover(data, seed=seed, lib=lib)
    seconds = time.perf_counter() - began
    rng = np.random.default_rng(seed)
    points = [rng.uniform(*bounds, 10_000) for bounds in ranges.values()]
    truth = to_numpy(parse(text), list(ranges))(*points)
    difference = np.abs(found.formula.numpy()(*points) - truth).max() / np.sqrt((truth**2).mean())
    rounded = sympy.nsimplify(round_constants(found.formula.expression, 6).subs(sympy.Float(3.14159), sympy.pi))
    # tanh(atanh(u) + atanh(v)) is (u + v)/(1 + u*v)
    same = any(
        sympy.simplify(way(rounded) - sympy.nsimplify(parse(text))) == 0 for way in (lambda e: e, sympy.expand_trig)
    )
    return {
        "formula": text,
        "seed": seed,
        "found": str(found.formula.expression),
        "exact": bool(difference < 1e-6 and same),
        "difference": float(difference),
        "seconds": round(seconds, 3),
    }


def main() -> None:
    """Run the missing cases and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="formulas to run; all by default")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--out", type=Path, default=Path("formulas.jsonl"))
    options = parser.parse_args()
    done = Lines(options.out)
    for text in options.names or CASES:
        for seed in range(options.seeds):
            if not done.holds(formula=text, seed=seed):
                done.add(run(text, seed))
    for text in options.names or CASES:
        rows = [row for row in done if row["formula"] == text and row["seed"] < options.seeds]
        seconds = [row["seconds"] for row in rows]
        exact = sum(row["exact"] for row in rows)
        print(f"{text:<38} exact {exact:>2} of {len(rows):>2}   median {statistics.median(seconds):5.2f} s")


if __name__ == "__main__":
    main()
