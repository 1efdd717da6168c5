"""Kill processes at random moments while they write files or calculate, and see that nothing is lost.

    python benchmarks/kills.py [--kills 50] [--only save,report,fit,...] [--quick] [--out FILE]

For `save` and `report` a process writes the same file again and again; after each SIGKILL the file must be whole: it is
one of those that were written. For `fit`, `levels` (fit_multilevel), `shapes` (fit_shapes), `sparse` (fit_sparse),
`solve` (pde.solve) and `discover` a process calculates with checkpoint=; it is killed and started again until it ends,
and its numbers must be those of a process that was never killed, to the bit. Each kill is one line of JSON in FILE, by
default benchmarks/results/kills.jsonl. A run that was ended goes on after the lines that are there.
Processes are forked, with one thread each, so it needs Linux.
"""

import argparse
import hashlib
import json
import multiprocessing
import os
import random
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

import torch

import knotwork as kw
from knotwork.journal import journal as journals
from knotwork.journal.fingerprints import Fingerprints

RESULTS = Path(__file__).parent / "results" / "kills.jsonl"
FORK = multiprocessing.get_context("fork")


def network(version: int) -> kw.KAN:
    """One of two networks of half a megabyte, so that writing takes a while."""
    return kw.KAN([20, 40, 1], grid=30, seed=version)


def save(place: str, quick: bool) -> None:
    """Write two networks in turn, for ever."""
    networks = [network(0), network(1)]
    while True:
        for one in networks:
            kw.save(one, place)


def report(place: str, quick: bool) -> None:
    """Write a report, for ever."""
    data = kw.sample("x*y", x=(0, 1), y=(0, 1), size=50, seed=0)
    model = kw.KAN([2, 1], seed=0)
    while True:
        model.report(place, data)


def fit(place: str | None, quick: bool) -> str:
    """A fit with a race of starting points and smooth fits; a digest of its numbers."""
    data = kw.sample("exp(sin(3*x) + y**2)", x=(-1, 1), y=(-1, 1), size=200 if quick else 1000, noise=0.1, seed=0)
    model = kw.KAN([2, 5, 1], grid=5 if quick else 10, seed=0)
    optimizer = kw.LevenbergMarquardt(starts=2 if quick else 16, tolerance=0)
    result = model.fit(data, optimizer=optimizer, steps=20 if quick else 60, checkpoint=place)
    return digest([model], result)


def table(quick: bool) -> kw.Dataset:
    """Rows of a sum, with an input too many."""
    return kw.sample("sin(3*x) + y**2 + 0*z", x=(-1, 1), y=(-1, 1), z=(-1, 1), size=100 if quick else 500, seed=0)


def levels(place: str | None, quick: bool) -> str:
    """Fits on three grids, coarse to fine; a digest of their numbers."""
    optimizer = kw.LevenbergMarquardt(starts=2, tolerance=0)
    steps = 6 if quick else 20
    model = kw.KAN([3, 2, 1], grid=3, seed=0)
    result = kw.fit_multilevel(model, table(quick), (3, 6, 12), optimizer=optimizer, steps=steps, checkpoint=place)
    return digest([result.model], result)


def shapes(place: str | None, quick: bool) -> str:
    """Networks of three shapes on two grids; a digest of their numbers."""
    optimizer = kw.LevenbergMarquardt(starts=2, tolerance=0)
    models = [kw.KAN([3, width, 1], grid=3, seed=0) for width in (1, 2, 3)]
    steps = 6 if quick else 20
    results = kw.fit_shapes(models, table(quick), (3, 6), optimizer=optimizer, steps=steps, checkpoint=place)
    return " ".join(digest([result.model], result) for result in results)


def sparse(place: str | None, quick: bool) -> str:
    """The smallest part of a wide network; a digest of its numbers."""
    optimizer = kw.LevenbergMarquardt(starts=2)
    width, steps = (2, 6) if quick else (4, 20)
    model = kw.KAN([3, width, 1], grid=3, seed=0)
    result = kw.fit_sparse(model, table(quick), 0.03, optimizer=optimizer, steps=steps, checkpoint=place)
    return digest([result.model], result)


def solve(place: str | None, quick: bool) -> str:
    """A heat equation in two time windows, coarse to fine; a digest of its numbers."""
    from knotwork import pde

    settings: dict[str, Any] = {"width": [2, 2, 1], "grid": 4, "k": 3, "starts": 2, "steps": 8, "points": 120}
    if not quick:
        settings = {"width": [2, 3, 1], "grid": 8, "starts": 3, "steps": 25}
    solution = pde.solve(pde.library.heat(), **settings, windows=2, checkpoint=place)
    return digest(solution.models, solution)


def discover(place: str | None, quick: bool) -> str:
    """A search for a formula of noisy rows with two inputs; a digest of all that it found."""
    from knotwork.discovery.storage import content_of

    formula, size = ("x/y", 120) if quick else ("exp(sin(3*x) + y**2)", 300)
    data = kw.sample(formula, x=(0.5, 1.5), y=(0.5, 1.5), size=size, noise=0.1, seed=0)
    found = kw.discover(data, progress=False, checkpoint=place)
    networks = [found.symbolic_model, found.spline_model, *(one.symbolic_model for one in found.front)]
    networks += [] if found.baseline is None else [found.baseline.model]
    content = without(content_of(found), {"seconds", "symbolic_model", "spline_model", "model"})  # bytes have no order
    states = [(network.spec.to_json(), network.state_dict()) for network in networks if isinstance(network, kw.KAN)]
    return Fingerprints().of([json.dumps(content, sort_keys=True), states])


def without(content: Any, left_out: set[str]) -> Any:
    """The same content without the entries of these names."""
    if isinstance(content, dict):
        return {name: without(part, left_out) for name, part in content.items() if name not in left_out}
    return [without(part, left_out) for part in content] if isinstance(content, list) else content


WRITERS = {"save": save, "report": report}
CALCULATIONS = {"fit": fit, "levels": levels, "shapes": shapes, "sparse": sparse, "solve": solve, "discover": discover}


def digest(models: Any, result: Any) -> str:
    """SHA-256 of all numbers of a result but for its times."""
    found = hashlib.sha256()
    for model in models:
        for name, value in model.state_dict().items():
            found.update(name.encode() + value.numpy().tobytes())
    history = [{**vars(record), "seconds": 0} for record in result.history]
    found.update(repr((history, result.steps, result.stop_reason)).encode())
    return found.hexdigest()


def run(task: str, place: str | None, quick: bool, answer: str) -> None:
    """What a process does that may be killed; a calculation writes its digest to the file `answer`."""
    torch.set_num_threads(1)
    journals.JOURNAL = replace(journals.JOURNAL, seconds_between=0.05, share_of_time=0.5)  # many states to go on from
    if task in WRITERS:
        WRITERS[task](str(place), quick)
    Path(answer).write_text(CALCULATIONS[task](place, quick))


def started(task: str, place: str | None, quick: bool, answer: str = "") -> Any:
    """A process that runs the task."""
    process = FORK.Process(target=run, args=(task, place, quick, answer))
    process.start()
    return process


def killed_writers(task: str, kills: range, quick: bool) -> Iterator[dict[str, Any]]:
    """Kill processes that write, and look at their files. Only in the first moments there may be none yet."""
    for seed in kills:
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder) / ("model.safetensors" if task == "save" else "report.html")
            process = started(task, str(place), quick)
            while not place.exists():
                time.sleep(0.01)
            time.sleep(delay := random.Random(seed).uniform(0.0, 0.5))
            process.kill()
            process.join()
            yield {"after": round(delay, 3), "good": is_whole(task, place)}


def is_whole(task: str, place: Path) -> bool:
    """Whether a file is one of those that were written."""
    if task == "report":
        text = place.read_text()
        return text.startswith("<!") and text.rstrip().endswith("</html>")
    found = kw.load(place).state_dict()
    states = [network(version).state_dict() for version in (0, 1)]
    return any(all(torch.equal(value, found[name]) for name, value in state.items()) for state in states)


def killed_calculations(task: str, kills: range, quick: bool) -> Iterator[dict[str, Any]]:
    """Kill each calculation again and again until it ends, and compare its numbers with those of a whole one."""
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer"
        began = time.perf_counter()
        started(task, None, quick, str(answer)).join()
        lasted, expected = time.perf_counter() - began, answer.read_text()
        number = calculation = kills.start
        while number < kills.stop:
            moments, place, waits = random.Random(calculation), Path(folder) / f"{calculation}.kw", []
            answer.unlink()
            while not answer.exists():
                process = started(task, str(place), quick, str(answer))
                wait = (
                    moments.uniform(0.1, 0.6) * lasted * 1.1 ** len(waits)
                )  # longer, should the machine be slower now
                process.join(wait)
                if process.is_alive():
                    process.kill()
                    process.join()
                    waits.append(round(wait, 3))
            for wait in waits[: kills.stop - number]:
                yield {"after": wait, "good": answer.read_text() == expected, "calculation": calculation}
            number, calculation = number + len(waits), calculation + 1
            lasted = lasted if waits else lasted / 2  # it ended before the first kill: the machine is faster now


def main() -> None:
    """Measure what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--only", default=",".join([*WRITERS, *CALCULATIONS]))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    given.out.parent.mkdir(parents=True, exist_ok=True)
    lines = given.out.read_text().splitlines() if given.out.exists() else []
    known = [json.loads(line)["task"] for line in lines]
    for task in given.only.split(","):
        kills = range(known.count(task), given.kills)
        killed = killed_writers if task in WRITERS else killed_calculations
        for line in killed(task, kills, given.quick) if kills else ():
            with given.out.open("a") as file:
                file.write(json.dumps({"task": task, **line}) + "\n")


if __name__ == "__main__":
    main()
