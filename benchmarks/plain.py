"""How often `discover` finds plain formulas of one to four inputs in a form that a person would write.

    python benchmarks/plain.py [--half final] [--noise 0.01] [--draws 3] [--jobs 2] [NAME ...]
    python benchmarks/plain.py --method pyoperon ...

`plain_formulas.json` holds eighty formulas that were drawn up by somebody who did not know how the search works, with
uniform ranges: forty for development ("d01" to "d40") and forty to report ("f01" to "f40"). A draw is a
seed of the rows, of the noise (standard deviation noise * rms(y)) and of the search. *Right* and *near* mean what they
mean in `realistic.py`; *short* is an expression with at most 1.2 times the operations of the true one. The error of a
formula is that on fresh rows without noise, over rms(y). Every run is one JSON line; a run whose line is in the output
file is not repeated.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import joblib
import numpy as np
import torch
from feynman import by_operon
from lines import Lines
from realistic import judged

import knotwork as kw
from knotwork.expressions import parse, text, to_numpy

SECONDS = 60.0
HERE = Path(__file__).parent
SHORT = 1.2


def formulas(half: str) -> dict[str, dict]:
    """The formulas of one half, by name."""
    entries = json.loads((HERE / "plain_formulas.json").read_text())
    return {entry["name"]: entry for entry in entries if entry["name"][0] == half[0]}


def drawn(entry: dict, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the inputs, uniform in their ranges, and the targets."""
    X = np.column_stack([rng.uniform(*ends, entry["rows"]) for ends in entry["ranges"].values()])
    return X, np.broadcast_to(to_numpy(parse(entry["formula"]), list(entry["ranges"]))(*X.T), len(X))


def run(method: str, half: str, name: str, noise: float, draw: int) -> dict:
    """One search and its verdict."""
    torch.set_num_threads(1)
    entry, rng = formulas(half)[name], np.random.default_rng([draw, int(name[1:])])
    (X, y), fresh = drawn(entry, rng), drawn(entry, rng)
    names, noisy = list(entry["ranges"]), y + noise * np.sqrt(np.mean(y**2)) * rng.normal(size=len(y))
    key = {"method": method, "name": name, "noise": noise, "draw": draw}
    began = time.perf_counter()
    try:
        if method == "pyoperon":
            found = by_operon(X, noisy, names, draw, noise)[0]
        else:
            data = kw.Dataset.from_arrays(X, noisy, test_size=0, names=names, target_names="target", seed=draw)
            found = kw.discover(data, seed=draw, time_budget=SECONDS - 5, progress=False).formula.expression
        seconds = time.perf_counter() - began
        verdict = judged(found, parse(entry["formula"]), names, (X, y), fresh)
    except Exception as error:  # counts as not found; the error is in the results
        return {**key, "right": False, "near": False, "short": False, "failed": repr(error)[:200],
                "seconds": round(time.perf_counter() - began, 2)}  # fmt: skip
    short = verdict["operations"] <= SHORT * verdict["true_operations"]
    return {**key, **verdict, "short": short, "found": text(found), "seconds": round(seconds, 2)}


def main() -> None:
    """Run the missing cases and print the counts of each draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="formulas to run; all of the half by default")
    parser.add_argument("--half", choices=("develop", "final"), default="develop")
    parser.add_argument("--method", choices=("knotwork", "pyoperon"), default="knotwork")
    parser.add_argument("--noise", type=float, default=0.0)
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("plain.jsonl"))
    options = parser.parse_args()
    done = Lines(options.out)
    asked = {"method": options.method, "noise": options.noise}
    names = options.names or list(formulas(options.half))
    wanted = [{**asked, "name": name, "draw": draw} for draw in range(options.draws) for name in names]
    calls = (
        joblib.delayed(run)(options.method, options.half, key["name"], options.noise, key["draw"])
        for key in wanted
        if not done.holds(**key)
    )
    for row in joblib.Parallel(n_jobs=options.jobs, return_as="generator_unordered")(calls):
        done.add(row)
        verdict = ("short " if row["short"] else "right ") if row["right"] else "near" if row["near"] else ""
        print(
            f"{row['name']} {row['draw']} {verdict:<6}{row['seconds']:>6.1f} s  {row.get('found', row.get('failed'))}",
            flush=True,
        )
    for draw in range(options.draws):
        rows = [row for key in wanted if key["draw"] == draw for row in done if key.items() <= row.items()]
        right, short = sum(row["right"] for row in rows), sum(row["right"] and row["short"] for row in rows)
        found = f"right {right}, of these short {short}, of {len(rows)}"
        seconds = statistics.median(row["seconds"] for row in rows)
        print(f"draw {draw}, noise {options.noise:g}: {found}; median {seconds:.1f} s")


if __name__ == "__main__":
    main()
