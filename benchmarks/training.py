"""How closely training reaches the accuracy of splines: test errors of known shapes and of networks that are too wide.

    python benchmarks/training.py known          # fit, refine, fit on networks of the right shape
    python benchmarks/training.py blind          # fit_sparse on networks that are too wide, then finer grids
    python benchmarks/training.py noise          # fit_sparse and fit_multilevel on noisy targets
    python benchmarks/training.py known --only J0 --seeds 3

Every seed is one JSON line in `results/training-<experiment>.jsonl`. Lines that exist are not run again, and a table is
printed at the end (with `--summary` only the table). `floor` is the test RMSE of the network of that shape built from
least-squares splines; for xy, which has no such network, and for orders above 3 it is half of a round number.
"""

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import linear_regression, median

from lines import Lines

import knotwork as kw

RESULTS = Path(__file__).parent / "results"
SIN2 = [f"x{i}" for i in range(1, 101)]


@dataclass(frozen=True)
class Known:
    """A function with a network of its shape; `floors` are test RMSEs by number of intervals."""

    name: str
    expression: str
    inputs: dict[str, tuple[float, float]]
    width: list
    floors: dict[int, float]
    size: int = 1000
    k: int = 3
    start: int = 5

    @property
    def grids(self) -> list[int]:
        """Grids from coarse to fine, including every grid with a floor."""
        doubled, last = [self.start], max(self.floors)
        while 2 * doubled[-1] < last:
            doubled.append(2 * doubled[-1])
        return sorted({*doubled, *self.floors})


BOX = {"x": (-1.0, 1.0), "y": (-1.0, 1.0)}
FOUR = dict.fromkeys(("a", "b", "c", "d"), (-1.0, 1.0))
FOUR_D = "exp((sin(pi*(a**2 + b**2)) + sin(pi*(c**2 + d**2)))/2)"
HUNDRED = "exp((" + " + ".join(f"sin(pi*{x}/2)**2" for x in SIN2) + ")/100)"
TWO_D = "exp(sin(pi*x) + y**2)"
KNOWN = [
    Known("J0(20x)", "J0(20*x)", {"x": (-1.0, 1.0)}, [1, 1], {20: 8.1e-3, 50: 9.0e-5}),
    Known("2-D", TWO_D, BOX, [2, 1, 1], {10: 3.0e-4, 20: 1.7e-5, 50: 4.3e-7, 100: 2.7e-8}),
    Known("xy", "x*y", BOX, [2, 2, 1], {20: 5e-9}),
    Known("xy, a product node", "x*y", BOX, [2, (0, 1)], {20: 5e-9}),
    Known("4-D", FOUR_D, FOUR, [4, 2, 1, 1], {10: 1.5e-4, 20: 8.7e-6}, size=5000),
    Known("100-D", HUNDRED, dict.fromkeys(SIN2, (-1.0, 1.0)), [100, 1, 1], {10: 8.8e-6}, size=5000),
    Known("100-D, more rows", HUNDRED, dict.fromkeys(SIN2, (-1.0, 1.0)), [100, 1, 1], {20: 5.2e-7}, size=20000),
    Known("2-D, k=5", TWO_D, BOX, [2, 1, 1], {50: 5e-10}, k=5),
    Known("2-D, k=7", TWO_D, BOX, [2, 1, 1], {50: 5e-13, 100: 5e-13}, k=7),
]


def known(only: str | None, seeds: range) -> Iterator[tuple[dict, Callable[[], dict]]]:
    """Fit and refine repeatedly, with default settings and doubled grids."""
    for case in KNOWN:
        if only is None or only in case.name:
            for seed in seeds:
                yield {"case": case.name, "seed": seed}, lambda case=case, seed=seed: climb(case, seed)


def climb(case: Known, seed: int) -> dict:
    data = kw.sample(case.expression, size=case.size, test_size=2000, seed=seed, **case.inputs)
    model = kw.KAN(case.width, grid=case.start, k=case.k, seed=seed)
    levels, began = [], time.perf_counter()
    for grid in case.grids:
        model = model if grid == case.start else model.refine(grid)
        result = model.fit(data, seed=seed, progress=False)
        seconds = time.perf_counter() - began
        levels.append(
            {
                "grid": grid,
                "test": result.test_rmse,
                "train": result.train_rmse,
                "steps": result.steps,
                "seconds": round(seconds, 2),
                "optimizer": result.optimizer,
                "stopped": result.stop_reason,
            }
        )
    return {"levels": levels, "floors": case.floors}


@dataclass(frozen=True)
class Blind:
    """A function, a network that is too wide for it, and the shape it should be pruned to."""

    name: str
    expression: str
    inputs: dict[str, tuple[float, float]]
    width: list
    shape: list
    floor: float  # of that shape at G = 20
    size: int = 1000


BLIND = [
    Blind("2-D", TWO_D, BOX, [2, 5, 1], [2, 1, 1], 1.7e-5),
    Blind("4-D", FOUR_D, FOUR, [4, 5, 5, 1], [4, 2, 1, 1], 8.7e-6, size=5000),
]


def blind(only: str | None, seeds: range) -> Iterator[tuple[dict, Callable[[], dict]]]:
    """`fit_sparse`, then fits on finer grids."""
    for case in BLIND:
        if only is None or only in case.name:
            for seed in seeds:
                yield {"case": case.name, "seed": seed}, lambda case=case, seed=seed: pruned(case, seed)


def pruned(case: Blind, seed: int) -> dict:
    data = kw.sample(case.expression, size=case.size, test_size=2000, seed=seed, **case.inputs)
    began = time.perf_counter()
    model = kw.fit_sparse(kw.KAN(case.width, seed=seed), data, seed=seed, progress=False).model
    shape = [s + p for s, p in model.spec.width]
    tests = {}
    for grid in (5, 10, 20):
        model = model.refine(grid)
        tests[grid] = model.fit(data, seed=seed, progress=False).test_rmse
    return {"shape": shape, "tests": tests, "floor": case.floor, "seconds": round(time.perf_counter() - began, 2)}


def noise(only: str | None, seeds: range) -> Iterator[tuple[dict, Callable[[], dict]]]:
    """`fit_sparse` on [2, 5, 1], then `fit_multilevel`: the error against exact targets, in units of the noise."""
    for level in (0.01, 0.1):
        if only is None or only == str(level):
            for seed in seeds:
                yield {"noise": level, "seed": seed}, lambda level=level, seed=seed: denoised(level, seed)


def denoised(level: float, seed: int) -> dict:
    data = kw.sample(TWO_D, size=1000, test_size=2000, seed=seed, noise=level, **BOX)
    sigma = level * float(kw.sample(TWO_D, size=1000, seed=seed, **BOX).y_train.square().mean().sqrt())
    began = time.perf_counter()
    sparse = kw.fit_sparse(kw.KAN([2, 5, 1], seed=seed), data, seed=seed, progress=False)
    result = kw.fit_multilevel(sparse.model, data, seed=seed, progress=False)
    shape = [s + p for s, p in result.model.spec.width]
    error = {"shape": shape, "grid": result.model.spec.grid, "error / sigma": result.test_rmse / sigma}
    return {**error, "seconds": round(time.perf_counter() - began, 2)}


def summary(experiment: str, rows: list[dict]) -> Iterator[str]:
    """Print one line for each case: number of seeds that reached the floor, median and worst error."""
    if experiment == "known":
        for case in dict.fromkeys(row["case"] for row in rows):
            mine = [row for row in rows if row["case"] == case]
            for grid in mine[0]["floors"]:
                levels = [level for row in mine for level in row["levels"] if level["grid"] == int(grid)]
                floor, tests = mine[0]["floors"][grid], [level["test"] for level in levels]
                met = sum(test <= 2 * floor for test in tests)
                seconds = median(level["seconds"] for level in levels)
                yield (
                    f"{case:20} G={grid:4} floor {floor:.1e}  median {median(tests):.1e}  worst {max(tests):.1e}  "
                    f"within 2x: {met} of {len(tests)}  median {seconds:.1f} s"
                )
            if case == "2-D" and "100" in mine[0]["floors"]:
                yield f"{case:20} falls like G to the power {exponent(mine, (20, 50, 100)):.2f}, G = 20 to 100, medians"
    elif experiment == "blind":
        for case in BLIND:
            mine = [row for row in rows if row["case"] == case.name]
            if mine:
                tests = [row["tests"]["20"] for row in mine]
                yield (
                    f"{case.name:6} G=20  median {median(tests):.1e}  worst {max(tests):.1e}  within 10x of "
                    f"{case.floor:.1e}: "
                    f"{sum(test <= 10 * case.floor for test in tests)} of {len(mine)}  known shape: "
                    f"{sum(row['shape'] == case.shape for row in mine)}  "
                    f"median {median(r['seconds'] for r in mine):.1f} s"
                )
    elif experiment == "noise":
        for level in dict.fromkeys(row["noise"] for row in rows):
            errors = [row["error / sigma"] for row in rows if row["noise"] == level]
            third = sum(error < 1 / 3 for error in errors)
            yield (
                f"noise {level}: error / sigma median {median(errors):.2f}, worst {max(errors):.2f}, "
                f"below a third: {third} of {len(errors)}"
            )


def exponent(rows: list[dict], grids: tuple[int, ...]) -> float:
    """The slope of the straight line through log(median test error) against log(G)."""
    errors = [median(level["test"] for row in rows for level in row["levels"] if level["grid"] == g) for g in grids]
    return linear_regression([math.log(g) for g in grids], [math.log(error) for error in errors]).slope


EXPERIMENTS = {"known": known, "blind": blind, "noise": noise}


def main() -> None:
    """Run the missing cases and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", choices=list(EXPERIMENTS))
    parser.add_argument("--only", help="only cases whose name contains this text")
    parser.add_argument("--seeds", type=int, default=20, help="number of seeds")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--out", type=Path, help="file of the results")
    parser.add_argument("--summary", action="store_true", help="run nothing, print existing results")
    options = parser.parse_args()
    path = options.out or RESULTS / f"training-{options.experiment}.jsonl"
    seeds = range(options.first, options.first + options.seeds)
    rows = Lines(path)
    if not options.summary:
        for key, run in EXPERIMENTS[options.experiment](options.only, seeds):
            if not rows.holds(**key):
                print(json.dumps(rows.add({**key, **run()})), flush=True)
    print("\n".join(summary(options.experiment, rows)))


if __name__ == "__main__":
    main()
