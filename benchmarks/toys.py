"""Test error over the number of parameters for the five toy functions of the paper (its section 3.1, figure 3.1).

    python benchmarks/toys.py                               # all missing results
    python benchmarks/toys.py "J0(20x)" --methods kan mlp-lm
    python benchmarks/toys.py --summary                     # run nothing, print existing results

Every run is one JSON line in `results/toys.jsonl`; `toys_figure.py` draws them. The methods:

- `kan`: networks of the paper's shape from G = 3, fitted, refined, fitted again, as `fit_multilevel` does (which keeps
  only the best level); default settings, Levenberg-Marquardt.
- `kan-paper`: the paper's method in knotwork: initial values and extrapolation of its section 2, one start, plain
  L-BFGS with up to 200 steps on each level; a level ends earlier after five steps in a row that gain less than 0.4 %.
- `mlp-lm`: MLPs: the best of four starts after 30 steps of the same Levenberg-Marquardt, then up to 500 more.
- `mlp-lbfgs`: the same MLPs by L-BFGS, up to 500 steps with the same criterion.

In four and in a hundred dimensions there are fewer grids, steps, MLPs and seeds (see `TOYS`). Seeds 20 to 24 of
exp(sin πx + y²), with 1,000 and with 5,000 rows, give the exponent of the error in G.
"""

import argparse
import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
from lines import Lines
from torch import Tensor, nn

import knotwork as kw

RESULTS = Path(__file__).parent / "results" / "toys.jsonl"
SCALING_SEEDS = range(20, 25)
SCALING_ROWS = (1000, 5000)
SCALING_GRIDS = (20, 50, 100)
GRIDS = (3, 5, 10, 20, 50, 100, 200)
PAPER_GRIDS = (*GRIDS, 500, 1000)
MOST = 1500  # largest number of parameters of KANs
RACE = 30  # steps from each start of an MLP
MLPS = ([5], [20], [100], [10, 10], [10, 10, 10, 10])  # hidden widths
METHODS = ("kan", "kan-paper", "mlp-lm", "mlp-lbfgs")


@dataclass(frozen=True)
class Toy:
    """A function, its shape in the paper, and the number of rows."""

    name: str
    expression: str
    inputs: dict[str, tuple[float, float]]
    width: list[int]
    size: int = 1000
    paper_grids: tuple[int, ...] = PAPER_GRIDS
    paper_steps: int = 200
    mlp_steps: int = 500
    mlps: tuple[list[int], ...] = MLPS
    seeds: tuple[int, ...] = (0, 1)


SIN2 = [f"x{i}" for i in range(1, 101)]
BOX = {"x": (-1.0, 1.0), "y": (-1.0, 1.0)}
FOUR = dict.fromkeys(("a", "b", "c", "d"), (-1.0, 1.0))
TOYS = [
    Toy("J0(20x)", "J0(20*x)", {"x": (-1.0, 1.0)}, [1, 1]),
    Toy("2-D", "exp(sin(pi*x) + y**2)", BOX, [2, 1, 1]),
    Toy("xy", "x*y", BOX, [2, 2, 1]),
    Toy(
        "4-D",
        "exp((sin(pi*(a**2 + b**2)) + sin(pi*(c**2 + d**2)))/2)",
        FOUR,
        [4, 4, 2, 1],
        size=5000,
        paper_grids=GRIDS[:5],
        paper_steps=50,
        mlp_steps=200,
        mlps=([5], [20], [10, 10], [10, 10, 10, 10]),
    ),
    Toy(
        "100-D",
        "exp((" + " + ".join(f"sin(pi*{x}/2)**2" for x in SIN2) + ")/100)",
        dict.fromkeys(SIN2, (-1.0, 1.0)),
        [100, 1, 1],
        size=5000,
        paper_grids=GRIDS[:4],
        paper_steps=20,
        mlp_steps=100,
        mlps=([5], [10, 10]),
        seeds=(0,),
    ),
]


def runs(toy: Toy, method: str) -> Iterator[dict]:
    """The description of each run of a method."""
    if (toy.name, method) == ("2-D", "kan"):
        for rows in SCALING_ROWS:
            for seed in SCALING_SEEDS:
                yield {"case": toy.name, "method": method, "shape": toy.width, "rows": rows, "seed": seed}
    for seed in toy.seeds:
        shapes = [toy.width] if method.startswith("kan") else [[toy.width[0], *hidden, 1] for hidden in toy.mlps]
        for shape in shapes:
            yield {"case": toy.name, "method": method, "shape": shape, "rows": toy.size, "seed": seed}


def run(toy: Toy, method: str, shape: list[int], rows: int, seed: int) -> dict:
    """The errors of one run on each level."""
    data = kw.sample(toy.expression, size=rows, test_size=2000, seed=seed, **toy.inputs)
    began, levels = time.process_time(), []

    @torch.no_grad()
    def level(model: nn.Module, grid: int | None, **more: object) -> None:
        test = float((model(data.X_test) - data.y_test).square().mean().sqrt())
        size = sum(p.numel() for p in model.parameters())
        seconds = round(time.process_time() - began, 2)
        levels.append({"grid": grid, "parameters": size, "test": test, **more, "seconds": seconds})

    if method == "kan":
        model = kw.KAN(shape, grid=GRIDS[0], seed=seed)
        for grid in GRIDS:
            model = model if grid == GRIDS[0] else model.refine(grid)
            if model.parameters_in_use() > min(MOST, rows):
                break
            result = model.fit(data, optimizer="lm", seed=seed, progress=False)
            level(model, grid, train=result.train_rmse, steps=result.steps)
    elif method == "kan-paper":
        model = kw.KAN(shape, grid=PAPER_GRIDS[0], seed=seed, init="paper", extrapolation="zero")
        for grid in toy.paper_grids:
            model = model.refine(grid)
            result = model.fit(data, optimizer="lbfgs", steps=toy.paper_steps, loss=squared, seed=seed, progress=False)
            level(model, grid, train=result.train_rmse, steps=result.steps)
    elif method == "mlp-lm":
        rivals = [kw.MLP(shape, seed=1000 * seed + n) for n in range(4)]
        best = min((kw.fit(rival, data, optimizer="lm", steps=RACE) for rival in rivals), key=lambda r: r.train_rmse)
        result = kw.fit(best.model, data, optimizer="lm", steps=toy.mlp_steps)
        level(result.model, None, train=result.train_rmse, steps=result.steps)
    else:
        model = kw.MLP(shape, seed=seed)
        result = kw.fit(model, data, optimizer="lbfgs", steps=toy.mlp_steps, seed=seed, progress=False)
        level(model, None, train=result.train_rmse, steps=result.steps)
    return {"levels": levels}


def squared(outputs: Tensor, targets: Tensor) -> Tensor:
    """The mean squared error as a loss of the user, so that L-BFGS does not scale the parameters."""
    return (outputs - targets).square().mean()


def exponent(rows: list[dict], size: int) -> tuple[float, list[float]]:
    """-d log(median test RMSE) / d log G over the grids of the scaling seeds, and that of each seed."""
    curves = []
    for row in rows:
        if row["method"] == "kan" and row["seed"] in SCALING_SEEDS and row["rows"] == size:
            by_grid = {level["grid"]: level["test"] for level in row["levels"]}
            curves.append([by_grid[grid] for grid in SCALING_GRIDS])
    if not curves:
        return float("nan"), []
    return -slope([median(column) for column in zip(*curves, strict=True)]), [-slope(curve) for curve in curves]


def slope(errors: list[float]) -> float:
    """Slope of the least-squares line of log error over log G."""
    x, y = [math.log(grid) for grid in SCALING_GRIDS], [math.log(error) for error in errors]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    products = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    return products / sum((a - mean_x) ** 2 for a in x)


def summary(rows: list[dict]) -> Iterator[str]:
    """For every case and method, the best shape or level by the median of the test RMSE."""
    for toy in TOYS:
        for method in METHODS:
            points: dict[tuple, list[dict]] = {}
            for row in rows:
                if row["case"] == toy.name and row["method"] == method and row["seed"] not in SCALING_SEEDS:
                    for level in row["levels"]:
                        points.setdefault((str(row["shape"]), level["grid"]), []).append(level)
            if points:
                best = min(points, key=lambda at: median(level["test"] for level in points[at]))
                tests, seconds = zip(*((level["test"], level["seconds"]) for level in points[best]), strict=True)
                yield (
                    f"{toy.name:8} {method:10} {best[0]} G={best[1]} {points[best][0]['parameters']:5} parameters "
                    f"median {median(tests):.1e} worst {max(tests):.1e} of {len(tests)} in {median(seconds):.0f} s"
                )
    for size in SCALING_ROWS:
        total, each = exponent(rows, size)
        by_seed = ", ".join(f"{value:.2f}" for value in each)
        yield f"exponent in G of [2, 1, 1] with {size} rows: {total:.2f}; by seed {by_seed}"


def main() -> None:
    """Run the missing cases and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", default=[toy.name for toy in TOYS])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--summary", action="store_true", help="run nothing, print existing results")
    options = parser.parse_args()
    rows = Lines(options.out)
    if not options.summary:
        for toy in TOYS:
            for method in options.methods if toy.name in options.cases else ():
                for key in runs(toy, method):
                    if not rows.holds(**key):
                        found = run(toy, method, key["shape"], key["rows"], key["seed"])
                        print(json.dumps(rows.add({**key, **found})), flush=True)
    print("\n".join(summary(rows)))


if __name__ == "__main__":
    main()
