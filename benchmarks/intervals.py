"""How often 95 % intervals contain the true constants, in repeats of a toy example with noise.

    python benchmarks/intervals.py [--repeats 100] [--out intervals.jsonl]

`discover` receives 1,000 rows of 1.7·exp(sin(2.3 x) + 0.8 y²) with 5 % noise, different in every repeat. A repeat
counts if each true constant has a different nearest decimal number in the formula. The interval contains the truth if
it is within 1.96 standard errors. Every repeat is one JSON line; those in the output file are not run again.
"""

import argparse
from pathlib import Path

from lines import Lines

import knotwork as kw

TRUE = {"outer": 1.7, "frequency": 2.3, "square": 0.8}
FORMULA = "1.7*exp(sin(2.3*x) + 0.8*y**2)"
WIDE = 1.96  # standard errors


def run(seed: int) -> dict:
    """One search: the formula, and whether the interval of each constant contains the true value."""
    data = kw.sample(FORMULA, x=(-1, 1), y=(-1, 1), size=800, validation_size=200, noise=0.05, seed=seed)
    formula = kw.discover(data, seed=seed, time_budget=55).formula
    found = {}
    for name, truth in TRUE.items():
        if formula.constants:
            constant = min(formula.constants, key=lambda one: abs(one.value - truth))
            found[name] = {"value": constant.value, "error": constant.error}
    right = len(TRUE) == len({one["value"] for one in found.values()})
    inside = {name: abs(one["value"] - TRUE[name]) <= WIDE * one["error"] for name, one in found.items()}
    return {"seed": seed, "formula": str(formula.expression), "complete": right, "inside": inside, "constants": found}


def main() -> None:
    """Run the missing repeats and print the shares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--out", type=Path, default=Path("intervals.jsonl"))
    options = parser.parse_args()
    done = Lines(options.out)
    for seed in sorted(set(range(options.repeats)) - {row["seed"] for row in done}):
        done.add(run(seed))
    counted = [row for row in done if row["complete"]]
    print(f"formulas with a decimal for each constant: {len(counted)} of {len(done)}")
    for name, truth in TRUE.items():
        share = sum(row["inside"][name] for row in counted) / max(len(counted), 1)
        print(f"{name:<10} {truth}: inside {share:.0%}")


if __name__ == "__main__":
    main()
