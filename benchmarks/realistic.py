"""How often `discover` finds physical laws on tables as scientists have them: decades, both signs, SI units.

    python benchmarks/realistic.py [--noise 0.01] [--first 0] [--last 30] [--seeds 1] [--units] [--jobs 2] [NAME ...]
    python benchmarks/realistic.py --method pyoperon ...

`realistic_ranges.json` holds sixty of the Feynman equations with the ranges of Matsubara et al. 2022 (SRSD): "log" is
uniform in the logarithm, "uni" uniform, "int" whole numbers, "pos_neg" of either sign. Physical constants stand in the
formulas with their values in SI units. 1,000 rows; noise is Gaussian with standard deviation noise * rms(y); a minute
for each.

A formula is *right* if two things hold. Its constants, fitted anew to 1,000 rows without noise, lead to an error below
1e-6 of the target's rms on 1,000 fresh rows. And it has at most 1.5 times the operations of the true formula, plus two.
It is *near* if its own constants lead to an error below 1e-3. A search that fails counts as not found. Every run is one
JSON line; a run whose line is in the output file is not repeated.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import joblib
import numpy as np
import sympy
import torch
from feynman import by_operon
from lines import Lines
from scipy.optimize import least_squares

import knotwork as kw
from knotwork.expressions import parse, text, to_numpy

ROWS = 1000
SECONDS = 60.0
RIGHT, NEAR = 1e-6, 1e-3
HERE = Path(__file__).parent
BASE_UNITS = ("m", "s", "kg", "K", "V")


def equations() -> dict[str, dict]:
    """Formula, unit, and range, kind and unit of every variable, by name."""
    return json.loads((HERE / "realistic_ranges.json").read_text())


def truth_of(equation: dict) -> sympy.Expr:
    """The true formula."""
    return parse(equation["formula"].replace("neg(", "(-1)*("))


def drawn(equation: dict, rows: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the variables, and the targets; rows that give no finite target are drawn again."""
    names, formula = list(equation["variables"]), truth_of(equation)
    evaluate, X, y = to_numpy(formula, names), np.empty((0, len(names))), np.empty(0)
    while len(y) < rows:
        more = np.column_stack([column(**v, rows=rows, rng=rng) for v in equation["variables"].values()])
        with np.errstate(all="ignore"):
            values = np.broadcast_to(evaluate(*more.T), rows)
        good = np.isfinite(values)
        X, y = np.r_[X, more[good]], np.r_[y, values[good]]
    return X[:rows], y[:rows]


def column(range: list[float], kind: list[str], units: list[int], rows: int, rng: np.random.Generator) -> np.ndarray:
    """Values of one variable."""
    low, high = range
    if kind[0] == "int":
        return rng.integers(int(low), int(high), rows, endpoint=True).astype(float)
    values = (
        10 ** rng.uniform(np.log10(low), np.log10(high), rows) if kind[0] == "log" else rng.uniform(low, high, rows)
    )
    return values * rng.choice([-1, 1], rows) if kind[1] == "pos_neg" else values


def operations(expression: sympy.Expr) -> int:
    """The number of operators and functions."""
    own = 0 if expression.is_Atom else 1
    if expression.is_Add or expression.is_Mul:
        own = len(expression.args) - 1 - any(a == -1 for a in expression.args)
    return own + sum(map(operations, expression.args))


def fitted_anew(found: sympy.Expr, names: list[str], X: np.ndarray, y: np.ndarray) -> sympy.Expr:
    """The expression with its decimals fitted to rows without noise, from the values that they have."""
    known = sorted((c for c in found.atoms(sympy.Float) if c != 0), key=float)
    places = [sympy.Dummy(f"c{n}", real=True) for n in range(len(known))]
    values = np.array([float(c) for c in known])
    evaluate = sympy.lambdify(
        [*map(sympy.Symbol, names), *places], plain(found, names, dict(zip(known, places, strict=True)))
    )
    scale = np.sqrt(np.mean(y**2))

    def errors(share: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return (
                np.nan_to_num((evaluate(*X.T, *(values * share)) - y) / scale, nan=1e3, posinf=1e3, neginf=-1e3) + 0 * y
            )

    if not known:
        return found
    start = np.ones(len(known))
    best = least_squares(errors, start, method="lm", xtol=1e-15, ftol=1e-15, gtol=1e-15, max_nfev=200 * len(known))
    return found.xreplace({c: sympy.Float(float(c) * share, 17) for c, share in zip(known, best.x, strict=True)})


def plain(found: sympy.Expr, names: list[str], more: dict) -> sympy.Expr:
    """The expression in symbols that `lambdify` can write."""
    own = {s: sympy.Symbol(s.name) for s in found.free_symbols}
    return found.xreplace({**own, **more})


def relative_error(found: sympy.Expr, names: list[str], X: np.ndarray, y: np.ndarray) -> float:
    """The root mean square of the errors over that of the targets."""
    with np.errstate(all="ignore"):
        errors = np.broadcast_to(to_numpy(found, names)(*X.T), len(y)) - y
    largest = np.abs(errors).max()
    return float(largest * np.sqrt(np.mean((errors / largest) ** 2)) / np.sqrt(np.mean(y**2))) if largest > 0 else 0.0


def judged(found: sympy.Expr, truth: sympy.Expr, names: list[str], exact: tuple, fresh: tuple) -> dict:
    """Whether a formula is right, near and short, with the numbers that decide it."""
    as_found = relative_error(found, names, *fresh)
    anew = min(as_found, relative_error(fitted_anew(found, names, *exact), names, *fresh))
    counts = operations(found), operations(truth)
    short = counts[0] <= 1.5 * counts[1] + 2
    return {
        "right": bool(anew < RIGHT and short),
        "near": bool(as_found < NEAR),
        "short": bool(counts[0] <= 1.2 * counts[1]),
        "error": as_found,
        "error_anew": anew,
        "operations": counts[0],
        "true_operations": counts[1],
    }


def by_knotwork(X: np.ndarray, y: np.ndarray, names: list[str], seed: int, units: dict | None) -> sympy.Expr:
    """The formula that `discover` chooses."""
    data = kw.Dataset.from_arrays(X, y, test_size=0, names=names, target_names="y", units=units, seed=seed)
    return kw.discover(data, seed=seed, time_budget=SECONDS - 5, progress=False).formula.expression


def unit(powers: list[int]) -> str:
    """Text of a product of powers of base units."""
    return " ".join(f"{name}^{p}" for name, p in zip(BASE_UNITS, powers, strict=True) if p) or "1"


def run(method: str, name: str, noise: float, seed: int, with_units: bool) -> dict:
    """One search and its verdict."""
    torch.set_num_threads(1)
    equation, rng = equations()[name], np.random.default_rng(seed)
    (X, y), fresh = drawn(equation, ROWS, rng), drawn(equation, ROWS, rng)
    names, noisy = list(equation["variables"]), y + noise * np.sqrt(np.mean(y**2)) * rng.normal(size=ROWS)
    units = {"y": unit(equation["units"])} | {v: unit(its["units"]) for v, its in equation["variables"].items()}
    key = {"method": method, "name": name, "noise": noise, "seed": seed, "units": with_units}
    began = time.perf_counter()
    try:
        if method == "pyoperon":
            found = by_operon(X, noisy, names, seed, noise)[0]
        else:
            found = by_knotwork(X, noisy, names, seed, units if with_units else None)
        seconds = time.perf_counter() - began
        verdict = judged(found, truth_of(equation), names, (X, y), fresh)
    except Exception as error:  # counts as not found; the error is in the results
        return {**key, "right": False, "near": False, "short": False, "failed": repr(error)[:200],
                "seconds": round(time.perf_counter() - began, 2)}  # fmt: skip
    return {**key, **verdict, "found": text(found), "seconds": round(seconds, 2)}


def main() -> None:
    """Run the missing cases and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="equations to run; all by default")
    parser.add_argument("--method", choices=("knotwork", "pyoperon"), default="knotwork")
    parser.add_argument("--noise", type=float, default=0.0)
    parser.add_argument("--first", type=int, default=0, help="number of the first equation, in the order of the file")
    parser.add_argument("--last", type=int, help="number after the last equation")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--units", action="store_true", help="specify the units")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("realistic.jsonl"))
    options = parser.parse_args()
    names = options.names or list(equations())[options.first : options.last]
    done = Lines(options.out)
    asked = {"method": options.method, "noise": options.noise, "units": options.units}
    wanted = [{**asked, "name": name, "seed": seed} for name in names for seed in range(options.seeds)]
    calls = (
        joblib.delayed(run)(options.method, key["name"], options.noise, key["seed"], options.units)
        for key in wanted
        if not done.holds(**key)
    )
    for row in joblib.Parallel(n_jobs=options.jobs, return_as="generator_unordered")(calls):
        done.add(row)
        verdict = "right" if row["right"] else "near" if row["near"] else ""
        print(
            f"{row['name']:<10}{verdict:<6}{row['seconds']:>6.1f} s  {row.get('found', row.get('failed'))}", flush=True
        )
    rows = [row for key in wanted for row in done if key.items() <= row.items()]
    counts = {kind: sum(row[kind] for row in rows) for kind in ("right", "near")}
    print(
        f"{options.method}{', units' if options.units else ''}, noise {options.noise:g}: right {counts['right']}, "
        f"near {counts['near']} of {len(rows)}; median {statistics.median(row['seconds'] for row in rows):.1f} s"
    )


if __name__ == "__main__":
    main()
