"""Peak memory and time of large fits and predictions, each in a process of its own; one JSON line a result.

    python benchmarks/memory.py [--out FILE] [--case NAME] [--rows 1000000]

Cases: "intervals" (300 rows, 15,000 and 20,000 intervals), "lm" (20 columns by Levenberg-Marquardt), "adam" (20
columns from a Parquet file by Adam), "predict" (ten times the rows, 20 columns), "noisy" (KANRegressor, eight columns,
noise 0.1).
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

import knotwork as kw


def table(rows: int, columns: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Inputs (rows, columns) in [-1, 1], and sin(3a)·b + c² + exp(d)·e with noise 0.1."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (rows, columns))
    return X, signal(X) + 0.1 * rng.standard_normal(rows)


def signal(X: np.ndarray) -> np.ndarray:
    """The target without noise."""
    return np.sin(3 * X[:, 0]) * X[:, 1] + X[:, 2] ** 2 + np.exp(X[:, 3]) * X[:, 4]


def intervals(rows: int) -> dict:
    """300 rows, whatever `rows` is; the fit, finer grids by a number that is no multiple, and grids placed anew."""
    x = np.random.default_rng(0).uniform(-1, 1, (300, 1))
    model = kw.KAN([1, 1], grid=15_000, seed=0)
    model.fit((x, np.sin(3 * x)), progress=False)
    model = model.refine(20_000)
    model.fit((x, np.sin(3 * x)), progress=False)
    model.layers[0].update_grid(torch.as_tensor(x), 0.5)
    return {"rmse": float(np.sqrt(np.mean((model.predict(x) - np.sin(3 * x[:, 0])) ** 2)))}


def lm(rows: int) -> dict:
    """The error on new rows against the target without noise."""
    model = kw.KAN([20, 5, 1], seed=0)
    result = model.fit(table(rows, 20), optimizer="lm", progress=False)
    fresh = table(4000, 20, 1)[0]
    return {"rmse": float(np.sqrt(np.mean((model.predict(fresh) - signal(fresh)) ** 2))), "steps": result.steps}


def adam(rows: int) -> dict:
    """Batches from a Parquet file, which is written by another process."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.parquet"
        code = "import sys; sys.path.insert(0, sys.argv[3]); import memory; memory.write(sys.argv[1], int(sys.argv[2]))"
        subprocess.run([sys.executable, "-c", code, str(path), str(rows), str(Path(__file__).parent)], check=True)
        model = kw.KAN([20, 5, 1], seed=0)
        model.fit(kw.stream_parquet(path, "y"), progress=False)
    fresh = table(4000, 20, 1)[0]
    return {"rmse": float(np.sqrt(np.mean((model.predict(fresh) - signal(fresh)) ** 2)))}


def write(path: str, rows: int) -> None:
    """Write the table with 20 columns to a Parquet file."""
    import pandas as pd

    X, y = table(rows, 20)
    pd.DataFrame(X, columns=[f"x{i}" for i in range(20)]).assign(y=y).to_parquet(path, row_group_size=65_536)


def predict(rows: int) -> dict:
    """Ten times the rows."""
    model = kw.KAN([20, 5, 1], seed=0)
    model.predict(np.random.default_rng(0).random((10 * rows, 20), dtype=np.float32))
    return {}


def noisy(rows: int) -> dict:
    """The error on new rows against the target without noise."""
    model = kw.KANRegressor(random_state=0).fit(*table(rows, 8))
    fresh = table(4000, 8, 1)[0]
    return {"rmse": float(np.sqrt(np.mean((model.predict(fresh) - signal(fresh)) ** 2))), "steps": model.n_iter_}


CASES = {case.__name__: case for case in (intervals, lm, adam, predict, noisy)}


def main() -> None:
    """Measure one case here, or each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="file to which the lines are appended")
    parser.add_argument("--case", choices=CASES, help="measure this case in this process")
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    if options.case is None:
        for name in CASES:
            more = [] if options.out is None else ["--out", str(options.out)]
            subprocess.run([sys.executable, __file__, "--case", name, "--rows", str(options.rows), *more], check=False)
        return
    began = time.perf_counter()
    found = CASES[options.case](options.rows)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # GiB
    cpu = time.process_time()
    facts = {"case": options.case, "rows": options.rows, "peak_gib": round(peak, 3)}
    facts |= {"seconds": round(time.perf_counter() - began, 1), "cpu_seconds": round(cpu, 1), **found}
    print(json.dumps(facts), flush=True)
    if options.out is not None:
        with options.out.open("a") as file:
            file.write(json.dumps(facts) + "\n")


if __name__ == "__main__":
    main()
