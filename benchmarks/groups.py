"""How often `discover(..., groups=)` finds one law of ten groups, and which of its constants the groups share.

    python benchmarks/groups.py [--noise 0.01] [--seeds 3] [--jobs 2] [LAW ...]

Eight laws, ten groups, 40 rows each; the constants of groups are random. Noise is Gaussian with standard deviation
noise * rms(y). A law is *right* if three things hold. With its constants fitted anew to rows without noise, in each
group, it has an error below 1e-6 of the target's rms on fresh rows. It has at most 1.5 times the operations of the true
law, plus two. And it has no more constants that differ between groups than the true one. It is *near* if its own
constants lead to an error below 1e-3. Every run is one JSON line; a run whose line is in the output file is not
repeated.
"""

import argparse
import statistics
import time
from pathlib import Path

import joblib
import numpy as np
import torch
from lines import Lines
from realistic import NEAR, RIGHT, fitted_anew, operations

import knotwork as kw
from knotwork.expressions import parse, text

GROUPS, ROWS, SECONDS = 10, 40, 60.0
Range = tuple[float, float]
# The law, the ranges of its inputs, of the constants that differ between groups, and the shared constants.
LAWS: dict[str, tuple[str, dict[str, Range], dict[str, Range], dict[str, float]]] = {
    "decay": ("A*exp(-k*t) + c", {"t": (0, 5)}, {"A": (1, 5), "k": (0.3, 2)}, {"c": 0.7}),
    "saturation": ("V*s/(K + s)", {"s": (0.05, 5)}, {"V": (1, 5)}, {"K": 0.83}),
    "power": ("a*x**b", {"x": (0.5, 5)}, {"a": (1, 5)}, {"b": 0.77}),
    "oscillation": ("A*exp(-b*t)*cos(w*t)", {"t": (0, 6)}, {"A": (1, 3), "w": (1, 3)}, {"b": 0.3}),
    "line": ("a*x + b", {"x": (-2, 4)}, {"b": (-3, 5)}, {"a": 1.31}),
    "arrhenius": ("A*exp(-h/T)", {"T": (1, 3)}, {"h": (1, 4)}, {"A": 7.3}),
    "logistic": ("L/(1 + exp(-k*(t - m)))", {"t": (0, 10)}, {"L": (1, 4), "m": (3, 6)}, {"k": 1.1}),
    "product": ("a*x**2*z/(z + b)", {"x": (0.5, 3), "z": (1, 4)}, {"a": (1, 4)}, {"b": 1.7}),
}


def drawn(name: str, rng: np.random.Generator, constants: dict | None = None) -> tuple:
    """Inputs, groups, targets, and the constants of the groups, which are drawn unless given."""
    from knotwork.expressions import to_numpy

    law, ranges, differing, shared = LAWS[name]
    constants = constants or {c: rng.uniform(*one, GROUPS) for c, one in differing.items()}
    group = np.repeat(np.arange(GROUPS), ROWS)
    X = np.column_stack([rng.uniform(*one, len(group)) for one in ranges.values()])
    every = {**dict(zip(ranges, X.T, strict=True)), **{c: v[group] for c, v in constants.items()}}
    every |= {c: np.full(len(group), v) for c, v in shared.items()}
    return X, group, to_numpy(parse(law), list(every))(*every.values()), constants


def run(name: str, noise: float, seed: int) -> dict:
    """One search and its verdict."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(seed)
    X, group, y, constants = drawn(name, rng)
    fresh, _, truth, _ = drawn(name, rng, constants)
    law, ranges, differing, _ = LAWS[name]
    rms, names = float(np.sqrt(np.mean(truth**2))), list(ranges)
    noisy = y + noise * np.sqrt(np.mean(y**2)) * rng.normal(size=len(y))
    key = {"name": name, "noise": noise, "seed": seed}
    began = time.perf_counter()
    try:
        found = kw.discover(X, noisy, names=names, groups=group, seed=seed, time_budget=SECONDS - 5, progress=False)
    except Exception as error:  # counts as not found; the error is in the results
        return {**key, "right": False, "near": False, "failed": repr(error)[:200], "seconds": 0.0}
    seconds, formula = time.perf_counter() - began, found.formula
    as_found = float(np.sqrt(np.mean((formula.predict(fresh, groups=group) - truth) ** 2))) / rms
    counts = operations(formula.template), operations(parse(law))
    anew = anew_in_groups(formula, names, (X, y), (fresh, truth), group) / rms
    small = counts[0] <= 1.5 * counts[1] + 2 and len(formula.differing) <= len(differing)
    verdict = {"right": bool(min(as_found, anew) < RIGHT and small), "near": bool(as_found < NEAR)}
    facts = {"error": as_found, "error_anew": anew, "operations": counts[0], "true_operations": counts[1]}
    numbers = {"differing": len(formula.differing), "shared": len(formula.shared)}
    return {**key, **verdict, **facts, **numbers, "found": text(formula.expression), "seconds": round(seconds, 2)}


def anew_in_groups(
    formula: kw.GroupedFormula, names: list[str], exact: tuple, fresh: tuple, group: np.ndarray
) -> float:
    """The error on fresh rows of the formulas of the groups, their constants fitted to rows without noise."""
    from knotwork.expressions import to_numpy

    squares = []
    for label in formula.labels:
        own = group == label
        law = fitted_anew(formula[label].expression, names, exact[0][own], exact[1][own])
        squares.append((to_numpy(law, names)(*fresh[0][own].T) - fresh[1][own]) ** 2)
    return float(np.sqrt(np.nan_to_num(np.mean(np.concatenate(squares)), nan=np.inf)))


def main() -> None:
    """Run the missing cases and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="laws to run; all by default")
    parser.add_argument("--noise", type=float, default=0.0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("groups.jsonl"))
    options = parser.parse_args()
    done = Lines(options.out)
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    wanted = [{"name": name, "noise": options.noise, "seed": seed} for name in options.names or LAWS for seed in seeds]
    calls = (joblib.delayed(run)(**key) for key in wanted if not done.holds(**key))
    for row in joblib.Parallel(n_jobs=options.jobs, return_as="generator_unordered")(calls):
        done.add(row)
        verdict = "right" if row["right"] else "near" if row["near"] else ""
        print(
            f"{row['name']:<12}{row['seed']:<4}{verdict:<6}{row['seconds']:>6.1f} s {row.get('found') or row['failed']}"
        )
    rows = [row for key in wanted for row in done if key.items() <= row.items()]
    counts = {kind: sum(row[kind] for row in rows) for kind in ("right", "near")}
    median = statistics.median(row["seconds"] for row in rows)
    print(
        f"noise {options.noise:g}: right {counts['right']}, near {counts['near']} of {len(rows)}; median {median:.1f} s"
    )


if __name__ == "__main__":
    main()
