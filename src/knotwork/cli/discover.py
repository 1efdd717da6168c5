"""`knotwork discover`: what the journey found, on the terminal, as JSON, and in files where a folder is named."""

import json
import time
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from knotwork.data import Dataset, load_table
from knotwork.discover import Discovery, discover
from knotwork.errors import DataError
from knotwork.functions import select
from knotwork.kan import save


def run(
    file: str,
    target: str | None,
    inputs: list[str] | None,
    out: str | None,
    lib: list[str] | None,
    test: float,
    time_budget: float | None,
    seed: int,
    as_json: bool,
) -> None:
    """Read the table, discover, print, and write what was asked for."""
    folder = None if out is None else _folder(out)
    if lib is not None:
        select(lib)  # a misspelt function is refused before any work
    data = load_table(file, target, inputs, test=test, seed=seed)
    progress = Console(stderr=True)
    began = time.perf_counter()
    with progress.status("starting") as status:

        def say(text: str) -> None:
            status.update(f"{text} ({time.perf_counter() - began:.0f} s)")
            if not progress.is_terminal:
                progress.print(f"[{time.perf_counter() - began:5.1f} s] {text}", markup=False, highlight=False)

        found = discover(data, lib=lib, time_budget=time_budget, seed=seed, say=say)
    files = {} if folder is None else _write(found, folder)
    if as_json:
        print(json.dumps(_facts(found, data, files), indent=1))
    else:
        _show(found, data, files)


def _folder(name: str) -> Path:
    """The folder to write to, made before any work is done."""
    try:
        Path(name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"--out {name!r} cannot be made a folder ({error.strerror}); name another one.") from None
    return Path(name)


def _r2(model: torch.nn.Module, data: Dataset) -> float:
    """Share of the variance of the test rows (validation rows without them) that the model explains."""
    x, y = (data.X_test, data.y_test) if len(data.X_test) > 1 else (data.X_val, data.y_val)
    with torch.no_grad():
        return 1 - float((model(x) - y).square().mean() / (y - y.mean(0)).square().mean())


def _facts(found: Discovery, data: Dataset, files: dict[str, str]) -> dict[str, Any]:
    return {
        "table": data.title,
        "rows": data.rows()._asdict(),
        "target": data.target_names[0],
        "general_network": {"r2_test": _r2(found.scout.model, data), "rmse_test": found.scout.test_rmse},
        "importance": found.importance,
        "formula": {
            "text": str(found.formula.expression),
            "rounded": str(found.formula.round(4).expression),
            "latex": found.formula.latex(),
            "r2_test": found.formula.r2,
            "gap": found.formula.gap,
            "complexity": found.formula.complexity,
            "shape": found.shape,
            "constants": [{"value": value, "standard_error": error} for value, error in found.formula.errors.items()],
        },
        "pareto": [
            {"complexity": t.formula.complexity, "r2_test": t.formula.r2, "text": str(t.formula.expression)}
            for t in found.pareto
            if t.formula is not None
        ],
        "files": files,
        "seconds": found.seconds,
    }


def _show(found: Discovery, data: Dataset, files: dict[str, str]) -> None:
    console = Console(soft_wrap=True)
    target = data.target_names[0]
    rows = data.rows()

    def line(text: str = "") -> None:
        console.print(text, markup=False, highlight=False)

    line(f"{data.title}: {rows.train:,} training, {rows.validation:,} validation and {rows.test:,} test rows")
    line()
    line(
        f"A general network {_width(found.scout.model)} predicts {target} with r² = {_r2(found.scout.model, data):.4f}"
    )
    line(f"and RMSE = {found.scout.test_rmse:.4g} on the test rows." if found.scout.test_rmse is not None else "")
    line()
    table = Table(title="What matters", title_justify="left")
    table.add_column("input")
    table.add_column("share", justify="right")
    table.add_column("")
    for name, share in sorted(found.importance.items(), key=lambda item: -item[1]):
        table.add_row(_plain(name), f"{share:.1%}", "█" * round(30 * share))
    console.print(table)
    line()
    table = Table(title="Formulas, simplest first", title_justify="left")
    for heading in ("complexity", "r² (test)", "formula"):
        table.add_column(heading, justify="left" if heading == "formula" else "right", overflow="fold")
    for trial in found.pareto:
        assert trial.formula is not None
        mark = "→ " if trial.formula is found.formula else ""
        shown = _plain(str(trial.formula.round(3).expression))
        table.add_row(f"{mark}{trial.formula.complexity}", _four(trial.formula.r2), shown)
    console.print(table)
    line()
    line(f"{target} = {found.formula.round(4).expression}")
    line(
        f"({found.shape}; r² = {_four(found.formula.r2)} on the test rows; gap to its network {found.formula.gap:.2g})"
    )
    line()
    for what, path in files.items():
        line(f"{what}: {path}")
    if not files:
        line("Nothing was written; --out FOLDER writes the diagram, the formula and the network.")
    line(f"{found.seconds:.1f} s")


def _write(found: Discovery, folder: Path) -> dict[str, str]:
    """Diagram, formula and network in the folder; their paths by what they are."""
    places = {
        "network diagram": folder / "diagram.svg",
        "as a picture": folder / "diagram.png",
        "formula": folder / "formula.tex",
        "network": folder / "network.safetensors",
    }
    figure = found.plot()
    try:
        figure.savefig(places["network diagram"])
        figure.savefig(places["as a picture"], dpi=200)
        places["formula"].write_text(f"{found.data.target_names[0]} = {found.formula.latex()}\n", encoding="utf-8")
        save(found.named, places["network"])
    except OSError as error:
        raise DataError(
            f"{error.filename!r} cannot be written ({error.strerror}); name another --out folder."
        ) from None
    return {what: str(place) for what, place in places.items()}


def _width(model: Any) -> list[int]:
    return [s + p for s, p in model.spec.width]


def _four(r2: float) -> str:
    """r² with four digits, never rounded up to 1 while something is unexplained."""
    return "1" if r2 >= 1 - 1e-12 else f"{min(r2, 0.9999):.4f}" if r2 > 0.99995 else f"{r2:.4f}"


def _plain(text: str) -> str:
    """Text that Rich shows as it is."""
    from rich.markup import escape

    return escape(text)
