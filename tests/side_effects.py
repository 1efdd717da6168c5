"""Runs public verbs for the first time in a new process; prints what each of them changed outside its result, as JSON.

`python tests/side_effects.py FOLDER` writes its files into FOLDER.
"""

import gc
import io
import json
import logging
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import matplotlib as mpl
import numpy as np
import torch

import knotwork as kw


def state() -> dict[str, Any]:
    """What belongs to the whole process."""
    gc.collect()
    numpy_generator = np.random.get_state()
    return {
        "environment": dict(os.environ),
        "Python's random numbers": random.getstate(),
        "NumPy's random numbers": (numpy_generator[1].tolist(), numpy_generator[2:]),
        "NumPy's errors": (np.geterr(), np.get_printoptions()),
        "torch's random numbers": torch.get_rng_state().tolist(),
        "torch's defaults": (torch.get_default_dtype(), torch.get_default_device(), torch.is_grad_enabled()),
        "torch's modes": (torch.is_inference_mode_enabled(), torch.is_anomaly_enabled(), torch._tensor_str.PRINT_OPTS),
        "torch's threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "torch's precision": (
            torch.are_deterministic_algorithms_enabled(),
            torch.get_float32_matmul_precision(),
            torch.backends.mkldnn.enabled,
            torch.backends.cudnn.benchmark,
            torch.backends.cudnn.deterministic,
        ),
        "matplotlib's settings": dict(dict.items(mpl.rcParams)),
        "open figures": _open_figures(),
        "filters of warnings": list(warnings.filters),
        "ways of warnings": (warnings.showwarning, warnings.formatwarning),
        "signals": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "timer": signal.getitimer(signal.ITIMER_REAL),
        "folder": os.getcwd(),
        "paths of imports": list(sys.path),
        "limit of recursion": sys.getrecursionlimit(),
        "hooks": (sys.excepthook, threading.excepthook, sys.displayhook, sys.unraisablehook, sys.gettrace()),
        "streams": (sys.stdout, sys.stderr, sys.stdin),
        "logging": (list(logging.root.handlers), logging.root.level, logging.root.manager.disable),
        "descriptors": _descriptors(),
        "temporary files": sorted(os.listdir(tempfile.gettempdir())),
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "processes": (sorted(p.name for p in multiprocessing.active_children()), _children()),
        "garbage collection": (gc.isenabled(), gc.get_threshold()),
    }


def _open_figures() -> list[int]:
    pyplot = sys.modules.get("matplotlib.pyplot")
    return pyplot.get_fignums() if pyplot else []


def _descriptors() -> list[str]:
    """The open files of this process, on systems that list them."""
    links = Path("/proc/self/fd")
    if not links.exists():
        return []
    names = []
    for link in links.iterdir():
        try:
            names.append(os.readlink(link))
        except FileNotFoundError:  # the one that listed the folder
            continue
    return sorted(names)


def _children() -> list[str]:
    files = Path("/proc/self/task").glob("*/children")
    return sorted(child for file in files for child in file.read_text().split())


def differences(before: dict[str, Any], after: dict[str, Any]) -> dict[str, str]:
    """The parts of the state that changed, each with what is new and what is gone."""
    changed = {}
    for part, old in before.items():
        new = after[part]
        if old == new:
            continue
        if isinstance(old, dict):
            old, new = sorted(map(repr, old.items())), sorted(map(repr, new.items()))
        if isinstance(old, list):
            now, was = list(new), []
            for entry in old:
                if entry in now:
                    now.remove(entry)
                else:
                    was.append(entry)
            changed[part] = f"new {now}, gone {was}"[:500]
        else:
            changed[part] = f"from {old} to {new}"[:500]
    return changed


def verbs(folder: Path) -> dict[str, Callable[[], object]]:
    """Public verbs on little data, by name. They run in this order."""
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (60, 2))
    y = np.sin(2 * X[:, 0]) + X[:, 1] ** 2
    data = kw.Dataset.from_arrays(X, y, seed=0)
    np.savetxt(folder / "table.csv", np.column_stack([X, y]), delimiter=",", header="a [m],b [s],y", comments="")
    labels = (y > y.mean()).astype(int)
    fitted = kw.KAN([2, 2, 1], grid=3, seed=0)
    fitted.fit(data, steps=20, optimizer=kw.LevenbergMarquardt(starts=1), progress=False)
    kept = SimpleNamespace()

    def fit(optimizer: Any, **settings: Any) -> Callable[[], object]:
        return lambda: kw.KAN([2, 2, 1], grid=3, seed=0).fit(data, optimizer=optimizer, steps=3, **settings)

    def parquet() -> None:
        import pandas

        pandas.DataFrame({"x": X[:, 0], "y": y}).to_parquet(folder / "table.parquet")
        kw.KAN([1, 1], seed=0).fit(kw.stream_parquet(folder / "table.parquet", target="y"), steps=2)

    def fit_module() -> None:
        kw.fit(kw.MLP([2, 3, 1], seed=0), data, optimizer="lm", steps=2)

    def formula() -> None:
        model = kw.KAN.from_expression("sin(2*x_1) + x_2**2", data=data)
        model.auto_symbolic(data).symbolic_formula(data).save(folder / "law.json")
        kw.Formula.load(folder / "law.json")

    def checkpoint() -> None:
        kw.save(fitted, folder / "network.safetensors")
        kw.load(folder / "network.safetensors")

    def regress() -> None:
        kept.regressor = kw.KANRegressor(random_state=0).fit(X, y)
        kept.regressor.predict(X)

    def discover() -> None:
        kept.found = kw.discover(X, 2 * X[:, 0] * X[:, 1], time_budget=1, progress=False)
        kept.found.save(folder / "found.json")

    def solve() -> None:
        kept.solution = kw.pde.solve(kw.pde.library.heat(), width=[2, 1, 1], grid=3, starts=1, steps=2)

    def command() -> None:
        from knotwork.cli import main

        given, stdout, hook = sys.argv, sys.stdout, sys.excepthook
        sys.argv, sys.stdout = ["knotwork", "--help"], io.StringIO()
        try:
            main()
        except SystemExit:
            pass
        finally:
            sys.argv, sys.stdout, sys.excepthook = given, stdout, hook  # Typer sets a hook: a command owns its process

    def save_figure() -> None:
        for ending in ("svg", "png", "pdf"):
            fitted.plot(data).savefig(folder / f"network.{ending}")

    return {
        "sample": lambda: kw.sample("exp(sin(pi*x)*y)", x=(-1, 1), y=(-1, 1), size=50, noise=0.1, seed=0),
        "from_csv": lambda: kw.Dataset.from_csv(folder / "table.csv", "y"),
        "from_parquet": parquet,
        "KAN": lambda: kw.KAN([2, 2, 1], seed=0)(torch.zeros(3, 2, dtype=torch.float64)),
        "fit by lm": fit("lm"),
        "fit of a module": fit_module,
        "fit by lbfgs": fit("lbfgs"),
        "fit by adam": fit("adam"),
        "fit by a class of torch": fit(torch.optim.SGD),
        "fit with a checkpoint": fit("adam", checkpoint=folder / "fit.kw"),
        "fit_multilevel": lambda: kw.fit_multilevel(fitted, data, grids=(3, 5), steps=3),
        "fit_sparse": lambda: kw.fit_sparse(kw.KAN([2, 2, 1], grid=3, seed=0), data, steps=3),
        "prune": lambda: fitted.prune(data),
        "attribute": lambda: kw.attribute(fitted, data.X_train),
        "formula": formula,
        "plot": lambda: fitted.plot(data),
        "plot of an edge": lambda: fitted.plot_edge(0, 0, 0, data),
        "plot of a fit": lambda: kw.KAN([2, 1], seed=0).fit(data, steps=2).plot(),
        "plot of names that need other fonts": lambda: fitted.plot(data, input_names=["温度", "x_2"]),
        "figures": save_figure,
        "report": lambda: fitted.report(folder / "report.html", data),
        "checkpoint": checkpoint,
        "KANRegressor": regress,
        "KANClassifier": lambda: kw.KANClassifier(random_state=0).fit(X, labels).predict_proba(X),
        "plot of an estimator": lambda: kept.regressor.plot(),
        "discover": discover,
        "plot of a discovery": lambda: (kept.found.plot(), kept.found.plot_predictions()),
        "report of a discovery": lambda: kept.found.report(folder / "found.html"),
        "pde.solve": solve,
        "plot of a solution": lambda: kept.solution.plot(),
        "command": command,
    }


def main(folder: Path) -> None:
    """Run all verbs; one line of JSON."""
    warnings.simplefilter("ignore")
    changed = {}
    todo = verbs(folder)
    before = state()
    for name, verb in todo.items():
        verb()
        after = state()
        changed[name] = differences(before, after)
        before = after
        gc.freeze()  # what is alive now is not looked through again
    print(json.dumps(changed))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
