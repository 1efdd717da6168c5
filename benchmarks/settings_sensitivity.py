"""The effect of half and double of twelve important settings in small cases.

    python benchmarks/settings_sensitivity.py [--out benchmarks/results/settings_sensitivity.jsonl] [--only FIELD]

Every case is run with the value, with half and with double of it; all other settings stay the same. Costs are counted
in steps, fits or evaluations and not in seconds, so that the results do not depend on the machine. Rows that are in
the file are not run again. docs/settings.md shows the file as a table, and says which cases were changed
after their results were seen. All cases take about twenty minutes on one core.
"""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from lines import Lines
from sklearn.datasets import make_friedman1

import knotwork as kw
from knotwork.expressions import parse, to_numpy
from knotwork.pde import library

BOX = {"x": (-1.0, 1.0), "y": (-1.0, 1.0)}
LM = kw.LevenbergMarquardt(starts=8)
WAVE = "exp(sin(pi*x) + y**2)"
FORMULAS = [  # with the range of every variable
    ("exp(-x**2/2)*y", {"x": (0.5, 2.0), "y": (1.0, 3.0)}),
    ("x*y/(x + y)", {"x": (1.0, 5.0), "y": (1.0, 5.0)}),
    ("sqrt(x**2 + y**2) + 2*z", {"x": (1.0, 3.0), "y": (1.0, 3.0), "z": (1.0, 3.0)}),
]


def fit() -> dict[str, object]:
    """500 exact rows of exp(sin(pi x) + y²), a network [2, 5, 1] with G = 5, three seeds."""
    errors, steps = [], 0
    for seed in range(3):
        data = kw.sample(WAVE, **BOX, size=500, seed=seed)
        result = kw.KAN([2, 5, 1], grid=5, seed=seed).fit(data, optimizer=LM, progress=False)
        errors.append(result.test_rmse)
        steps += result.steps
    return {"test RMSE": median(errors), "steps": steps}


def noisy() -> dict[str, object]:
    """200 rows of the same function with 5 % noise, a network [2, 1, 1] with G = 20, three seeds."""
    errors = []
    for seed in range(3):
        data = kw.sample(WAVE, **BOX, size=200, noise=0.05, seed=seed)
        errors.append(kw.KAN([2, 1, 1], grid=20, seed=seed).fit(data, optimizer=LM, progress=False).test_rmse)
    return {"test RMSE": median(errors)}


def levels() -> dict[str, object]:
    """400 rows of the same function with 0.2 % noise, grids from G = 3, a network [2, 1, 1], three seeds."""
    errors, grids = [], []
    for seed in range(3):
        data = kw.sample(WAVE, **BOX, size=400, noise=0.002, seed=seed)
        result = kw.fit_multilevel(kw.KAN([2, 1, 1], grid=3, seed=seed), data, progress=False)
        errors.append(result.test_rmse)
        grids.append(result.model.spec.grid)
    return {"test RMSE": median(errors), "grids chosen": str(grids)}


def sparse() -> dict[str, object]:
    """400 rows of the same function with 2 % noise, pruned from [2, 4, 1]; [2, 1, 1] is right; three seeds."""
    right, errors = 0, []
    for seed in range(3):
        data = kw.sample(WAVE, **BOX, size=400, noise=0.02, seed=seed)
        result = kw.fit_sparse(kw.KAN([2, 4, 1], grid=5, seed=seed), data, progress=False)
        right += [result.model.spec.nodes(l) for l in range(3)] == [2, 1, 1]
        errors.append(result.test_rmse)
    return {"right": f"{right} of 3", "test RMSE": median(errors)}


def formulas() -> dict[str, object]:
    """Three formulas of two and three variables from 300 rows with 1 % noise each."""
    right, complexity = 0, 0
    for text, ranges in FORMULAS:
        data = kw.sample(text, **ranges, size=300, validation_size=75, test_size=300, noise=0.01, seed=0)
        found = kw.discover(data, seed=0, progress=False)
        columns = data.X_test.T.numpy()
        values = to_numpy(found.formula.expression, list(ranges))(*columns)
        truth = to_numpy(parse(text, list(ranges)), list(ranges))(*columns)
        right += bool(np.abs(values - truth).max() < 1e-6 * truth.std())
        complexity += next(entry.complexity for entry in found.front if entry.formula == found.formula)
    return {"right": f"{right} of 3", "complexity, summed": complexity}


def poisson(most_steps: int = 40) -> dict[str, object]:
    """The paper's Poisson problem with a network [2, 5, 1], G = 5, from one start, at most 40 steps, three seeds."""
    errors, steps = [], 0
    for seed in range(3):
        solution = kw.pde.solve(
            library.poisson(), width=[2, 5, 1], grid=5, seed=seed, starts=1, steps=most_steps, progress=False
        )
        errors.append(solution.relative_l2)
        steps += solution.steps
    return {"relative error": median(errors), "smallest": min(errors), "largest": max(errors), "steps": steps}


def longer_poisson() -> dict[str, object]:
    """The same with at most 100 steps, the default."""
    return poisson(100)


def table() -> dict[str, object]:
    """Friedman's function of 10 columns, of which 5 matter: 300 rows with noise 1, r² on 1,000 others, three seeds."""
    scores, steps = [], 0
    for seed in range(3):
        X, y = make_friedman1(1300, noise=1.0, random_state=seed)
        model = kw.KANRegressor(random_state=seed).fit(X[:300], y[:300])
        scores.append(model.score(X[300:], y[300:]))
        steps += model.n_iter_
    return {"r²": median(scores), "steps": steps}


@dataclass(frozen=True)
class Setting:
    """A field of a settings instance, by folder and name, and the case that shows its effect."""

    room: str
    instance: str
    field: str
    case: Callable[[], dict[str, object]]

    @property
    def settings(self) -> Any:
        """The settings instance of that folder."""
        return getattr(import_module(f"knotwork.{self.room}.settings"), self.instance)


SETTINGS = [
    Setting("solvers", "SOLVER", "first_damping", fit),
    Setting("solvers", "SOLVER", "largest_acceleration", fit),
    Setting("solvers", "SOLVER", "damping_growth", fit),
    Setting("training", "TRAINING", "smoothness", noisy),
    Setting("training", "TRAINING", "level_gain", levels),
    Setting("simplify", "SIMPLIFICATION", "prune_ratio", sparse),
    Setting("regression", "REGRESSION", "finest_grid", formulas),
    Setting("discovery", "DISCOVERY", "baseline_width", formulas),
    Setting("discovery", "DISCOVERY", "front_ratio", formulas),
    Setting("pde", "PDE", "points_per_parameter", poisson),
    Setting("pde", "PDE", "first_roughness", poisson),
    Setting("pde", "PDE", "points_per_parameter", longer_poisson),
    Setting("pde", "PDE", "first_roughness", longer_poisson),
    Setting("estimators", "ESTIMATORS", "hidden_nodes", table),
]


@contextmanager
def changed(settings: Any, field: str, value: float) -> Iterator[None]:
    """Give one field of the frozen settings another value while the block runs."""
    before = getattr(settings, field)
    object.__setattr__(settings, field, value)
    try:
        yield
    finally:
        object.__setattr__(settings, field, before)


def values(value: float) -> dict[str, float]:
    """The value, half and double of it; integers stay integers of at least 1."""
    if isinstance(value, int):
        return {"as it is": value, "half": max(1, value // 2), "double": 2 * value}
    return {"as it is": value, "half": value / 2, "double": 2 * value}


def main() -> None:
    """Run the cases that are not in the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/settings_sensitivity.jsonl"))
    parser.add_argument("--only", help="run only this field")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = Lines(options.out)
    for one in SETTINGS:
        if options.only not in (None, one.field):
            continue
        name = f"{one.instance}.{one.field}"
        for what, value in values(getattr(one.settings, one.field)).items():
            case = one.case.__name__
            if rows.holds(setting=name, what=what, case=case):
                continue
            done = [row["result"] for row in rows if what == row["what"] == "as it is" and row["case"] == case]
            with changed(one.settings, one.field, value):
                result = done[0] if done else one.case()  # the same for all settings of a case
            row = {"setting": name, "case": case, "what": what, "value": value, "result": result}
            print(rows.add(row), flush=True)


if __name__ == "__main__":
    main()
