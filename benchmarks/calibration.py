"""Whether `discover` can be trusted on few rows: 12 to 60 noisy rows of a known law, and tables of pure noise.

    python benchmarks/calibration.py [--seeds 0 200] [--jobs 2] [--out calibration.jsonl]
    python benchmarks/calibration.py --noise [--seeds 0 100]

Every table has one of twelve laws with constants drawn at random, up to three columns that do not matter, and noise of
5 to 20 %: of the root mean square of the target, or, in half of the tables, of each target. The answer for a table:

- *right*: its constants, fitted anew to exact rows, lead to an error below 1e-6 of the target's rms on fresh rows, and
  it has at most 1.5 times the operations of the law, plus two;
- *simpler*: no more operations and constants than the law, and an error on fresh exact rows below the noise;
- *worse than the mean*: a larger error on fresh exact rows than the mean of the rows, or no number on some row;
- *covered*: the share of fresh noisy rows within the 95 % prediction intervals;
- *constants covered*: of the constants of a law that is right, how many lie within 95 % of their values on exact rows.

Tables of noise have 10 to 60 rows and 1 to 15 columns of normal numbers, and a normal target. Every table is one JSON
line; a table whose line is in the output file is not run again.
"""

import argparse
import time
import warnings
from pathlib import Path

import joblib
import numpy as np
import sympy
import torch
from lines import Lines
from realistic import fitted_anew, operations, relative_error
from scipy.stats import t as student

import knotwork as kw
from knotwork.expressions import float_constants, parse, text, to_numpy

LAWS = {  # text, ranges of constants, ranges of inputs ("log": uniform in the logarithm)
    "line": ("a + b*x", {"a": (-2, 2), "b": (1, 3)}, {"x": (0, 5)}),
    "power": ("a*x**b", {"a": (0.5, 5), "b": (-1.5, 2.5)}, {"x": (1, 30, "log")}),
    "decay": ("a*exp(-b*x)", {"a": (1, 10), "b": (0.3, 1)}, {"x": (0, 5)}),
    "relaxation": ("a + b*exp(-c*x)", {"a": (1, 2), "b": (2, 5), "c": (0.5, 1.2)}, {"x": (0, 6)}),
    "saturation": ("a*x/(b + x)", {"a": (2, 200), "b": (0.5, 2)}, {"x": (0.1, 8, "log")}),
    "logistic": ("a/(1 + exp(b*(c - x)))", {"a": (2, 50), "b": (1, 2), "c": (3, 6)}, {"x": (0, 10)}),
    "activation": ("a*exp(-b/x)", {"a": (1e3, 1e5), "b": (1000, 3000)}, {"x": (280, 420)}),
    "powers": ("a*x**b*z**c", {"a": (0.5, 5), "b": (1, 2.5), "c": (-2, -0.5)}, {"x": (1, 5), "z": (1, 5)}),
    "product": ("a*x**2*z", {"a": (0.5, 5)}, {"x": (1, 4), "z": (1, 4)}),
    "ratio": ("a*x/z", {"a": (0.5, 5)}, {"x": (1, 5), "z": (1, 5)}),
    "shifted ratio": ("a*x/(b + z)", {"a": (1, 5), "b": (0.5, 2)}, {"x": (1, 5), "z": (0.2, 5)}),
    "two terms": ("a*x + b*z**2", {"a": (1, 4), "b": (0.3, 1)}, {"x": (0, 5), "z": (0, 4)}),
}
FRESH = 1000
RIGHT = 1e-6


def inputs(ranges: dict, extra: int, rows: int, rng: np.random.Generator) -> np.ndarray:
    """Rows of the inputs of a law, then of columns that do not matter."""
    columns = []
    for low, high, *scale in ranges.values():
        columns.append(np.exp(rng.uniform(np.log(low), np.log(high), rows)) if scale else rng.uniform(low, high, rows))
    return np.column_stack([*columns, *rng.uniform(0.5, 3, (extra, rows))])


def known(seed: int) -> dict:
    """One table with a known law, what `discover` finds in it, and how good that is."""
    rng = np.random.default_rng(seed)
    law = list(LAWS)[seed % len(LAWS)]
    form, constants, ranges = LAWS[law]
    rows, extra, level = int(rng.integers(12, 61)), int(rng.choice([0, 0, 1, 3])), rng.uniform(0.05, 0.2)
    values = {name: rng.uniform(*ends) for name, ends in constants.items()}
    truth = parse(form).subs({sympy.Symbol(name, real=True): value for name, value in values.items()})
    truth = truth.subs({s: values[str(s)] for s in truth.free_symbols if str(s) in values})
    names = [*ranges, *("uvw"[:extra])]
    X, fresh = inputs(ranges, extra, rows, rng), inputs(ranges, extra, FRESH, rng)
    exact, exact_fresh = (np.broadcast_to(to_numpy(truth, names)(*part.T), len(part)) for part in (X, fresh))
    of_each = bool(rng.integers(2))
    size = level * (np.abs(exact) if of_each else np.sqrt(np.mean(exact**2)))
    size_fresh = level * (np.abs(exact_fresh) if of_each else np.sqrt(np.mean(exact**2)))
    y, y_fresh = exact + size * rng.normal(size=rows), exact_fresh + size_fresh * rng.normal(size=FRESH)
    key = {"kind": "law", "seed": seed, "law": law, "rows": rows, "extra": extra, "of each": of_each}
    found, seconds = searched(X, y, names, seed)
    formula, noise = found.formula, np.sqrt(np.mean(size_fresh**2))
    with np.errstate(all="ignore"):
        predicted, lower, upper = formula.predict(dict(zip(names, fresh.T, strict=True)), interval=0.95)
    error, of_mean = (np.sqrt(np.mean((one - exact_fresh) ** 2)) for one in (predicted, y.mean()))
    anew_form = fitted_anew(formula.expression, names, X, exact)
    anew = min(relative_error(form, names, fresh, exact_fresh) for form in (formula.expression, anew_form))
    counts = operations(formula.expression), operations(truth)
    right = bool(anew < RIGHT and counts[0] <= 1.5 * counts[1] + 2)
    few = len(float_constants(formula.expression)) <= len(float_constants(truth))
    return {
        **key,
        "found": text(formula.round(4).expression),
        "truth": text(truth),
        "nothing": not formula.expression.free_symbols,
        "right": right,
        "simpler": bool(not right and counts[0] <= counts[1] and few and error < noise),
        "error": float(error / noise),
        "worse than the mean": bool(not error <= of_mean and formula.expression.free_symbols),
        "covered": float(np.mean((lower <= y_fresh) & (y_fresh <= upper))),
        "constants covered": covered_constants(formula, anew_form) if right else [],
        "seconds": seconds,
    }


def covered_constants(formula: kw.Formula, anew: sympy.Expr) -> list[bool]:
    """Whether the value on exact rows of each constant lies within the 95 % interval of the constant."""
    before, after = (sorted(map(float, one.atoms(sympy.Float))) for one in (formula.expression, anew))
    if len(before) != len(after) or not formula.uncertainty:
        return []
    half = student.ppf(0.975, formula.uncertainty[0].degrees)
    errors = {one.value: half * one.error for one in formula.constants}
    pairs = [(errors.get(value), abs(value - right)) for value, right in zip(before, after, strict=True)]
    return [bool(apart <= error) for error, apart in pairs if error is not None]


def of_noise(seed: int) -> dict:
    """One table of noise, and whether `discover` says that there is nothing in it."""
    rng = np.random.default_rng([seed, 1])
    rows, columns = int(rng.integers(10, 61)), int(rng.integers(1, 16))
    X, y = rng.normal(size=(rows, columns)), rng.normal(size=rows)
    found, seconds = searched(X, y, [f"x{n}" for n in range(columns)], seed)
    key = {"kind": "noise", "seed": seed, "rows": rows, "columns": columns}
    nothing = not found.formula.expression.free_symbols
    return {**key, "found": text(found.formula.round(4).expression), "nothing": nothing, "seconds": seconds}


def searched(X: np.ndarray, y: np.ndarray, names: list[str], seed: int) -> tuple[kw.Discovery, float]:
    """What `discover` finds with its defaults, and the seconds of processor time it takes."""
    torch.set_num_threads(1)
    began = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = kw.discover(X, y, names=names, seed=seed, progress=False)
    return found, round(time.process_time() - began, 2)


def summary(rows: list[dict]) -> str:
    """The shares that the panel is about."""

    def share(values: list) -> str:
        return f"{sum(map(float, values)) / max(len(values), 1):.1%} of {len(values)}"

    if rows and rows[0]["kind"] == "noise":
        return f"noise: nothing found in {share([row['nothing'] for row in rows])}"
    return (
        f"right {share([row['right'] for row in rows])}, right or simpler "
        f"{share([row['right'] or row['simpler'] for row in rows])}; worse than the mean "
        f"{share([row['worse than the mean'] for row in rows])}; nothing {share([row['nothing'] for row in rows])}; "
        f"fresh rows within 95 %: {share([row['covered'] for row in rows])} tables; constants within 95 %: "
        f"{share([one for row in rows for one in row['constants covered']])}"
    )


def main() -> None:
    """Run the missing tables and print the shares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--noise", action="store_true", help="tables of pure noise")
    parser.add_argument("--seeds", type=int, nargs=2, help="the first seed, and the number after the last")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("calibration.jsonl"))
    options = parser.parse_args()
    done, run = Lines(options.out), of_noise if options.noise else known
    kind, seeds = ("noise", (0, 100)) if options.noise else ("law", (0, 200))
    wanted = [{"kind": kind, "seed": seed} for seed in range(*(options.seeds or seeds))]
    calls = (joblib.delayed(run)(key["seed"]) for key in wanted if not done.holds(**key))
    for row in joblib.Parallel(n_jobs=options.jobs, return_as="generator_unordered")(calls):
        done.add(row)
        verdict = next((one for one in ("right", "simpler", "nothing") if row.get(one)), "")
        print(f"{row['seed']:>4} {row['seconds']:>6.1f} s {verdict:<8} {row['found']}", flush=True)
    print(summary([row for key in wanted for row in done if key.items() <= row.items()]))


if __name__ == "__main__":
    main()
