"""The number of Feynman equations that each method finds from 1,000 points in at most a minute on one thread.

    python benchmarks/feynman.py [--method knotwork] [--noise 0] [--seeds 1] [--jobs 2] [--sample 40] [NAME ...]
        [--units]

`feynman.csv` holds the hundred equations of "AI Feynman" (Udrescu and Tegmark 2020) and the twenty bonus equations, B1
to B20, with the ranges of their variables. Inputs are drawn uniformly; noise is Gaussian with standard deviation
noise * rms(y). No method receives the shape, the functions or the units, except knotwork with `--units`: the units of
inputs are in `feynman_units.csv`, the unit of the target follows from the true equation, and the results go to a
separate file. A formula is exact if it equals the truth up to a constant factor or a constant offset, as in SRBench (La
Cava et al. 2021). It is evaluated at points of ranges a fifth wider than those of the data, and must agree to 1e-6 of
their spread. `rounded` is the same after the constants of both are rounded to three decimals, as SRBench does. `form`
is the same after the constants were fitted again in double precision and replaced by simple numbers where the data
allow it; this is done for every method, so that arithmetic and printed digits make no difference. Every run is one JSON
line; a run whose line is in the output file is not repeated. `--sample 40` selects that number of equations, always the
same. `pip install -r benchmarks/rivals.txt` installs the other methods.

pyoperon 0.6.2 searches for half a minute of processor time, or until its error is a millionth of the spread, and
selects by description length with the given noise; gplearn 0.4.3 has default settings except for the functions.
"""

import argparse
import csv
import functools
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import joblib
import numpy as np
import sympy
import torch
from lines import Lines

import knotwork as kw
from knotwork.data.units import base_units, unit_of
from knotwork.expressions import parse, symbol, text, to_numpy
from knotwork.formulas.agreement import powers_of
from knotwork.formulas.constants import Constants, Sample, fitted, simplified

ROWS = 1000
SECONDS = 60.0
SHARE = 30.0  # seconds of processor time for pyoperon
HERE = Path(__file__).parent


def equations() -> dict[str, tuple[str, dict[str, tuple[float, float]]]]:
    """Formula and ranges of every equation, by name."""
    with (HERE / "feynman.csv").open() as file:
        rows = list(csv.DictReader(file))
    split = {row["name"]: [part.split(":") for part in row["ranges"].split(";")] for row in rows}
    return {
        row["name"]: (row["formula"], {name: (float(low), float(high)) for name, low, high in split[row["name"]]})
        for row in rows
    }


def by_knotwork(X: np.ndarray, y: np.ndarray, names: list[str], seed: int, noise: float) -> tuple[sympy.Expr, dict]:
    """The formula that `discover` chooses."""
    data = kw.Dataset.from_arrays(X, y, test_size=0, names=names, seed=seed)
    found = kw.discover(data, seed=seed, time_budget=SECONDS - 5)
    return found.formula.expression, {"shape": found.shape, "stop": found.stop_reason}


def by_knotwork_with_units(
    X: np.ndarray, y: np.ndarray, names: list[str], seed: int, noise: float, target: str
) -> tuple[sympy.Expr, dict]:
    """The formula that `discover` chooses if the units of inputs and target are specified."""
    with (HERE / "feynman_units.csv").open() as file:
        known = {row["variable"]: row["unit"] for row in csv.DictReader(file)}
    units = {**{name: known[name] for name in names}, "the target": target}
    data = kw.Dataset.from_arrays(X, y, test_size=0, names=names, target_names="the target", units=units, seed=seed)
    found = kw.discover(data, seed=seed, time_budget=SECONDS - 5)
    said = str(found.formula.units[0])
    return found.formula.expression, {"shape": found.shape, "stop": found.stop_reason, "units": said}


def by_operon(X: np.ndarray, y: np.ndarray, names: list[str], seed: int, noise: float) -> tuple[sympy.Expr, dict]:
    """The model with the smallest description length on pyoperon's front after half a minute of processor time."""
    from pyoperon.sklearn import SymbolicRegressor

    spread, began = float(np.std(y)), time.process_time()
    search = SymbolicRegressor(
        allowed_symbols="add,sub,mul,div,constant,variable,exp,log,sqrt,square,sin,cos,tanh,asin",
        objectives=["r2", "length"], optimizer_iterations=10, epsilon=0.0, generations=2, max_evaluations=10**9,
        uncertainty=[max(noise, 1e-6) * float(np.sqrt(np.mean(y**2)))], random_state=seed + 1, warm_start=True,
    )  # fmt: skip
    rounds = 0
    while time.process_time() - began < SHARE:
        search.fit(X, y)
        rounds += 1
        if min(model["mean_squared_error"] for model in search.pareto_front_) < (1e-6 * spread) ** 2:
            break
    written = search.get_model_string(search.model_, 17, [f"v{n}" for n in range(len(names))])
    return _read(written, names), {"generations": 2 * rounds}


def by_gplearn(X: np.ndarray, y: np.ndarray, names: list[str], seed: int, noise: float) -> tuple[sympy.Expr, dict]:
    """The formula of gplearn's regressor."""
    from gplearn.functions import make_function
    from gplearn.genetic import SymbolicRegressor

    def exp(values: np.ndarray) -> np.ndarray:
        return np.exp(np.clip(values, -50, 50))

    functions = ("add", "sub", "mul", "div", "sqrt", "log", "sin", "cos")
    search = SymbolicRegressor(
        function_set=(*functions, make_function(function=exp, name="exp", arity=1)),
        metric="mse", random_state=seed,
    )  # fmt: skip
    search.fit(X, y)
    return _read(_infix(search._program.program), names), {"generations": len(search.run_details_["generation"])}


def _infix(program: list) -> str:
    """gplearn's list of functions, variables and constants in prefix order as text."""
    signs = {"add": "+", "sub": "-", "mul": "*", "div": "/"}

    def take() -> str:
        item = next(items)
        if isinstance(item, int):
            return f"v{item}"
        if not hasattr(item, "arity"):
            return f"({item!r})".replace("np.float64", "")
        parts = [take() for _ in range(item.arity)]
        if item.name in signs:
            return f"({parts[0]} {signs[item.name]} {parts[1]})"
        inner = f"Abs({parts[0]})" if item.name in ("sqrt", "log") else parts[0]  # the protected functions of gplearn
        return f"{item.name}({inner})"

    items = iter(program)
    return take()


def _read(written: str, names: list[str]) -> sympy.Expr:
    symbols = {f"v{n}": sympy.Symbol(name, real=True) for n, name in enumerate(names)}
    found = sympy.sympify(written.replace("^", "**"), locals={**symbols, "square": lambda a: a**2})
    return found.xreplace({symbols[f"v{n}"]: symbol(name) for n, name in enumerate(names)})


def refined(found: sympy.Expr, X: np.ndarray, y: np.ndarray, names: list[str]) -> sympy.Expr:
    """The expression with its decimals fitted to the rows again, or replaced by simple numbers where rows allow."""
    constants = Constants()
    free = found.xreplace({number: constants(float(number)) for number in found.atoms(sympy.Float)})
    columns = {name: torch.as_tensor(column) for name, column in zip(names, X.T, strict=True)}
    sample = Sample(columns, torch.as_tensor(y))
    template = simplified(fitted(constants.template(free), sample), sample)
    return template.filled() if template.mse < float("inf") else found


METHODS: dict[str, Callable[..., tuple[sympy.Expr, dict]]] = {
    "knotwork": by_knotwork,
    "pyoperon": by_operon,
    "gplearn": by_gplearn,
}


UNITS = "knotwork, units"


def target_unit(name: str) -> str:
    """The unit of the target of an equation, from the units of its variables."""
    with (HERE / "feynman_units.csv").open() as file:
        known = {row["variable"]: unit_of(row["unit"]) for row in csv.DictReader(file)}
    return base_units(powers_of(parse(equations()[name][0]), known))


def run(method: str, name: str, noise: float, seed: int) -> dict:
    """One search: the formula, whether it is exact, and the seconds."""
    torch.set_num_threads(1)
    formula, ranges = equations()[name]
    data = kw.sample(formula, **ranges, size=ROWS, test_size=ROWS, validation_size=1, noise=noise, seed=seed)
    X, y, names = data.X_train.numpy(), data.y_train[:, 0].numpy(), list(ranges)
    began, worked = time.perf_counter(), time.process_time()
    try:
        search = (
            functools.partial(by_knotwork_with_units, target=target_unit(name)) if method == UNITS else METHODS[method]
        )
        found, more = search(X, y, names, seed, noise)
    except Exception as error:  # counts as not found; the error is in the results
        return {
            "method": method, "name": name, "noise": noise, "seed": seed, "exact": False, "rounded": False,
            "error": repr(error)[:200], "seconds": round(time.perf_counter() - began, 2),
        }  # fmt: skip
    seconds, processor = time.perf_counter() - began, time.process_time() - worked
    truth = parse(formula)
    predicted = to_numpy(found, names)(*data.X_test.numpy().T)
    target = data.y_test[:, 0].numpy()
    return {
        "method": method,
        "name": name,
        "noise": noise,
        "seed": seed,
        "exact": same(found, truth, ranges),
        "rounded": same(rounded(found), rounded(truth), ranges),
        "form": same(refined(found, X, y, names), truth, ranges),
        "rmse": float(np.sqrt(np.mean((predicted - target) ** 2) / np.mean(target**2))),
        "found": text(found),
        "seconds": round(seconds, 2),
        "processor": round(processor, 2),
        **more,
    }


def same(found: sympy.Expr, truth: sympy.Expr, ranges: dict[str, tuple[float, float]]) -> bool:
    """Whether the ratio or the difference of two expressions is constant, also at points outside the data."""
    rng = np.random.default_rng(0)
    points = [rng.uniform(low - 0.2 * (high - low), high + 0.2 * (high - low), 2000) for low, high in ranges.values()]
    values, target = (np.asarray(to_numpy(e, list(ranges))(*points), dtype=float) for e in (found, truth))
    both = np.isfinite(values) & np.isfinite(target)
    if both.sum() < 0.9 * np.isfinite(target).sum() or values[both].std() == 0:
        return False
    values, target = values[both], target[both]
    scale = float(values @ target) / float(values @ values)
    near = np.abs(target) < np.quantile(np.abs(target), 0.9)  # poles outside the data would determine the scale
    difference = target - values
    small = 1e-6 * target[near].std()
    return bool(
        scale != 0
        and (
            np.abs(scale * values - target)[near].max() < small
            or np.abs(difference - difference[near].mean())[near].max() < small
        )
    )


def rounded(expression: sympy.Expr) -> sympy.Expr:
    """The expression with π as a number and decimals rounded to three places."""
    number = expression.xreplace({sympy.pi: sympy.Float(np.pi), sympy.E: sympy.Float(np.e)})
    return number.xreplace({c: sympy.Float(round(float(c), 3)) for c in number.atoms(sympy.Float)})


def main() -> None:
    """Run the missing cases and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="equations to run; all by default")
    parser.add_argument("--method", choices=METHODS, default="knotwork")
    parser.add_argument("--units", action="store_true", help="specify the units for knotwork")
    parser.add_argument("--noise", type=float, default=0.0)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--sample", type=int, help="number of equations, drawn by a fixed seed")
    parser.add_argument("--out", type=Path, default=Path("feynman.jsonl"))
    options = parser.parse_args()
    if options.units and options.method != "knotwork":
        parser.error("--units are given to knotwork only")
    method = UNITS if options.units else options.method
    names = options.names or list(equations())
    if options.sample:
        names = random.Random(0).sample(names, options.sample)
    done = Lines(options.out)
    keys = {(row["method"], row["name"], row["noise"], row["seed"]) for row in done}
    wanted = [(method, name, options.noise, seed) for name in names for seed in range(options.seeds)]
    missing = [key for key in wanted if key not in keys]
    calls = (joblib.delayed(run)(*key) for key in missing)
    for row in joblib.Parallel(n_jobs=options.jobs, return_as="generator_unordered")(calls):
        done.add(row)
        print(f"{row['name']:<10}{'exact' if row['exact'] else '':<7}{row['seconds']:>7.1f} s  {row.get('found', row.get('error'))}", flush=True)  # fmt: skip  # noqa: E501
    rows = [row for row in done if (row["method"], row["name"], row["noise"], row["seed"]) in set(wanted)]
    seconds = statistics.median(row["seconds"] for row in rows)
    counts = {kind: sum(row.get(kind, False) for row in rows) for kind in ("exact", "rounded", "form")}
    print(
        f"{method}, noise {options.noise:g}: exact {counts['exact']} of {len(rows)}, "
        f"rounded to three decimals {counts['rounded']}, constants fitted anew {counts['form']}; median {seconds:.1f} s"
    )


if __name__ == "__main__":
    main()
