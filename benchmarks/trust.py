"""Whether a fit can be trusted: plain arrays, any unit and number type, noise, and the time of a first call.

    python benchmarks/trust.py arrays            # error over that of the best splines, from plain arrays
    python benchmarks/trust.py random            # small random tables of any scale: is each fit good?
    python benchmarks/trust.py units             # the same table in other units: how much the fit differs
    python benchmarks/trust.py noise             # eight columns, noise 0.1, up to 10^6 rows
    python benchmarks/trust.py start             # the first example of the README, line by line, in new processes
    python benchmarks/trust.py arrays --seeds 100 120 --out other.jsonl

Every run is one JSON line in `results/trust-<experiment>.jsonl`. Lines that exist are not run again, and a summary is
printed at the end (with `--summary` only the summary).
"""

import argparse
import re
import subprocess
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import numpy as np
import torch
from lines import Lines
from scipy.interpolate import make_lsq_spline
from scipy.special import j0

import knotwork as kw
from knotwork.errors import KnotworkError

HERE = Path(__file__).parent
Run = tuple[dict, Callable[[], dict]]


# --- arrays ---


def bessel(X: np.ndarray) -> np.ndarray:
    return j0(20 * X[:, 0])


def two_d(X: np.ndarray) -> np.ndarray:
    return np.exp(np.sin(np.pi * X[:, 0]) + X[:, 1] ** 2)


TARGETS = {"J0(20x)": (bessel, [1, 1]), "2-D": (two_d, [2, 1, 1])}
FLOORS = {("2-D", 10): 3.0e-4, ("2-D", 20): 1.7e-5, ("2-D", 50): 4.3e-7}
"""Test RMSE of the [2, 1, 1] network built from least-squares splines, as in training.py."""


def spline_floor(grid: int, k: int = 3) -> float:
    """The RMSE of the best spline of J0(20x) with `grid` intervals."""
    x = np.linspace(-1, 1, 20_001)
    spline = make_lsq_spline(x, j0(20 * x), np.r_[[-1] * k, np.linspace(-1, 1, grid + 1), [1] * k], k)
    return float(np.sqrt(np.mean((spline(x) - j0(20 * x)) ** 2)))


def arrays(seeds: range) -> Iterator[Run]:
    """1,000 rows, of which a fifth is for validation, and 2,000 test rows; no range of the inputs is declared."""
    for name, grid in (("J0(20x)", 20), ("J0(20x)", 50), ("2-D", 10), ("2-D", 20), ("2-D", 50)):
        for seed in seeds:
            yield {"target": name, "grid": grid, "seed": seed}, lambda n=name, g=grid, s=seed: from_arrays(n, g, s)


def from_arrays(name: str, grid: int, seed: int) -> dict:
    function, width = TARGETS[name]
    rng = np.random.default_rng(seed)
    X, X_test = (rng.uniform(-1, 1, (rows, width[0])) for rows in (1000, 2000))
    data = kw.Dataset.from_arrays(X, function(X), X_test=X_test, y_test=function(X_test), seed=seed)
    began = time.perf_counter()
    if width == [1, 1]:
        error = kw.KAN(width, grid=grid, seed=seed).fit(data, progress=False).test_rmse
        floor = spline_floor(grid)
    else:
        grids = [5, 10] if grid == 10 else [5, 10, 20] if grid == 20 else [5, 10, 20, 50]
        model, floor = kw.KAN(width, grid=5, seed=seed), FLOORS[name, grid]
        for size in grids:
            model = model if size == 5 else model.refine(size)
            error = model.fit(data, seed=seed, progress=False).test_rmse
    return {"error": error, "floor": floor, "seconds": round(time.perf_counter() - began, 2)}


def summary_of_arrays(rows: list[dict]) -> Iterator[str]:
    for name, grid in dict.fromkeys((row["target"], row["grid"]) for row in rows):
        ratios = [row["error"] / row["floor"] for row in rows if (row["target"], row["grid"]) == (name, grid)]
        within = sum(ratio <= 2 for ratio in ratios)
        yield f"{name:8} G={grid}: within twice the floor {within} of {len(ratios)}, worst {max(ratios):.2f}"


# --- random tables ---


def random(seeds: range) -> Iterator[Run]:
    """One small fit a seed: shape, rows, scales, offset, noise, type and optimiser are drawn."""
    for seed in seeds:
        yield {"seed": seed}, lambda s=seed: random_fit(s)


def random_table(rng: np.random.Generator, dtype: torch.dtype) -> tuple[np.ndarray, np.ndarray]:
    columns, rows = int(rng.integers(1, 4)), int(rng.integers(15, 200))
    draw = {
        "uniform": lambda: rng.uniform(-1, 1, (rows, columns)),
        "log-normal": lambda: rng.lognormal(0, 2, (rows, columns)),
        "student": lambda: rng.standard_t(1.5, (rows, columns)),
        "duplicates": lambda: rng.choice([0.0, 1.0, 2.5], (rows, columns)),
        "integers": lambda: rng.integers(0, 5, (rows, columns)).astype(float),
    }
    X = draw[rng.choice(list(draw))]()
    y = np.sin(X[:, 0]) + (X[:, -1] / (1 + abs(X[:, -1]))) ** 2 + rng.choice([0, 0.1, 1]) * rng.normal(size=rows)
    most = 25 if dtype == torch.float32 and rng.random() < 0.7 else 300  # 25: a scale that float32 can hold
    x_scale, y_scale = (10.0 ** rng.uniform(-most, most) if rng.random() < 0.7 else 1.0 for _ in range(2))
    return X * x_scale, (y + rng.choice([0, 0, 10, 1e3, 1e6])) * y_scale


def random_fit(seed: int) -> dict:
    rng = np.random.default_rng(seed)
    dtype = torch.float32 if rng.random() < 0.5 else torch.float64
    X, y = random_table(rng, dtype)
    width = [X.shape[1], int(rng.integers(1, 4)), 1] if rng.random() < 0.7 else [X.shape[1], 1]
    optimizer = rng.choice(["lm", "lm", "lm", "lbfgs", "adam"])
    try:
        model = kw.KAN(width, grid=int(rng.integers(2, 9)), seed=seed, dtype=dtype)
        how = kw.LevenbergMarquardt(starts=2) if optimizer == "lm" else str(optimizer)
        result = model.fit((X, y), optimizer=how, steps=60 if optimizer == "adam" else 25, progress=False)
        targets = kw.Dataset.from_arrays(X, y, test_size=0).y_train
    except KnotworkError as error:
        return {"verdict": "refused", "words": str(error)}
    deviations = targets - targets.mean()
    largest = float(deviations.abs().max())
    mean = largest * float((deviations / largest).square().mean().sqrt()) if largest else 0.0
    verdict = "good"
    if not np.isfinite(result.train_rmse):
        verdict = "NaN"
    elif result.train_rmse > mean * (1 + 1e-6):
        verdict = "worse than the mean"
    elif result.converged and result.train_rmse >= mean * (1 - 1e-9) and largest:
        verdict = "wrongly converged"
    return {"verdict": verdict, "optimizer": str(optimizer), "dtype": str(dtype), "stop": result.stop.name}


def summary_of_random(rows: list[dict]) -> Iterator[str]:
    verdicts = Counter(row["verdict"] for row in rows)
    yield f"{len(rows)} random fits: " + ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items())


# --- units ---


def units(seeds: range) -> Iterator[Run]:
    """Fits of y and of factor * y with default settings; difference of the outputs in standard deviations of y."""
    for width in ([2, 1], [2, 2, 1], [2, (0, 1), 1], [2, 5, 1]):
        for factor in (1e-300, 1e-9, 3.0, 1e30):
            for seed in seeds:
                key = {"width": str(width), "factor": factor, "seed": seed}
                yield key, lambda w=width, f=factor, s=seed: in_other_units(w, f, s)


def in_other_units(width: list, factor: float, seed: int) -> dict:
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (400, 2))
    y = np.sin(2 * X[:, 0]) + X[:, 1] ** 2
    outputs = []
    for scale in (1.0, factor):
        model = kw.KAN(width, seed=seed)
        model.fit((X, scale * y), progress=False)
        with torch.no_grad():
            outputs.append(model(torch.as_tensor(X)) / scale)
    difference = outputs[0] - outputs[1]
    return {"difference": float(difference.square().mean().sqrt()) / float(y.std())}


def summary_of_units(rows: list[dict]) -> Iterator[str]:
    for width in dict.fromkeys(row["width"] for row in rows):
        found = [row["difference"] for row in rows if row["width"] == width]
        yield f"{width:14} difference: median {median(found):.1e}, largest {max(found):.1e} of {len(found)}"


# --- noise and many rows ---


def noise(seeds: range) -> Iterator[Run]:
    """sin(3a)·b + c² + exp(d)·e with noise 0.1 in eight columns; errors are those against the noise-free targets."""
    for rows in (1000, 10_000, 100_000, 1_000_000):
        for how in ("network", "estimator"):
            if how == "network" and rows > 100_000:
                continue
            for seed in seeds if rows < 100_000 else seeds[:1]:
                yield {"rows": rows, "how": how, "seed": seed}, lambda r=rows, h=how, s=seed: denoised(r, h, s)


def denoised(rows: int, how: str, seed: int) -> dict:
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (rows + 5000, 8))
    a, b, c, d, e = X.T[:5]
    truth = np.sin(3 * a) * b + c**2 + np.exp(d) * e
    y = truth[:rows] + 0.1 * rng.normal(size=rows)
    began = time.perf_counter()
    if how == "network":
        model = kw.KAN([8, 6, 1], seed=seed)
        model.fit(kw.Dataset.from_arrays(X[:rows], y, test_size=0, seed=seed), progress=False)
        seconds = time.perf_counter() - began
        with torch.no_grad():
            predicted = model(torch.as_tensor(X[rows:])).numpy()[:, 0]
    else:
        model = kw.KANRegressor(random_state=seed).fit(X[:rows], y)
        seconds = time.perf_counter() - began
        predicted = model.predict(X[rows:])
    return {"error": float(np.sqrt(np.mean((predicted - truth[rows:]) ** 2))), "seconds": round(seconds, 2)}


def summary_of_noise(rows: list[dict]) -> Iterator[str]:
    for size, how in dict.fromkeys((row["rows"], row["how"]) for row in rows):
        mine = [row for row in rows if (row["rows"], row["how"]) == (size, how)]
        error, seconds = median(row["error"] for row in mine), median(row["seconds"] for row in mine)
        yield f"{size:9,} rows, {how:9}: median error {error:.4f}, median {seconds:.1f} s, {len(mine)} seeds"


# --- the first call ---


def start(seeds: range) -> Iterator[Run]:
    """The first code block of README.md in a process of its own, with another seed of data and network."""
    for seed in seeds:
        yield {"seed": seed}, lambda s=seed: first_example(s)


def first_example(seed: int) -> dict:
    block = re.search(r"```python\n(.*?)```", (HERE.parent / "README.md").read_text(), re.DOTALL)
    assert block
    lines = block[1].replace("seed=0", f"seed={seed}")
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", lines], check=True, capture_output=True, text=True)
    return {"formula": done.stdout.strip(), "seconds": round(time.perf_counter() - began, 2)}


def summary_of_start(rows: list[dict]) -> Iterator[str]:
    right = sum(row["formula"] == "exp(y**2 + sin(pi*x))" for row in rows)
    seconds = [row["seconds"] for row in rows]
    yield f"the formula in {right} of {len(rows)} runs, median {median(seconds):.1f} s, slowest {max(seconds):.1f} s"


EXPERIMENTS = {
    "arrays": (arrays, summary_of_arrays, 20),
    "random": (random, summary_of_random, 300),
    "units": (units, summary_of_units, 3),
    "noise": (noise, summary_of_noise, 3),
    "start": (start, summary_of_start, 10),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", choices=EXPERIMENTS)
    parser.add_argument("--seeds", type=int, nargs=2, metavar=("FIRST", "END"), help="default: from 0")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--summary", action="store_true")
    given = parser.parse_args()
    runs, summary, count = EXPERIMENTS[given.experiment]
    lines = Lines(given.out or HERE / "results" / f"trust-{given.experiment}.jsonl")
    warnings.simplefilter("ignore")
    if not given.summary:
        for key, run in runs(range(*given.seeds) if given.seeds else range(count)):
            if not lines.holds(**key):
                print(lines.add({**key, **run()}), flush=True)
    print(*summary(list(lines)), sep="\n")


if __name__ == "__main__":
    main()
