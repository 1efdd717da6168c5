"""`knotwork discover`: what the journey found, on the terminal, as JSON, and in files where a folder is named."""

import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from knotwork.data import Dataset, load_table
from knotwork.discover import Discovery, discover
from knotwork.errors import DataError
from knotwork.kan import save


def run(
    file: str,
    target: str | None,
    inputs: list[str] | None,
    out: str | None,
    test: float,
    as_json: bool,
    *,
    seed: int,
    **settings: Any,
) -> None:
    """Read the table, discover with these settings, print, and write what was asked for."""
    folder = None if out is None else _folder(out)
    data = load_table(file, target, inputs, test=test, seed=seed)
    began = time.perf_counter()

    def log(text: str) -> None:
        print(f"[{time.perf_counter() - began:5.1f} s] {text}", file=sys.stderr, flush=True)

    say = None if sys.stderr.isatty() else log
    found = discover(data, seed=seed, say=say, **settings)
    files = {} if folder is None else _write(found, folder)
    if as_json:
        print(json.dumps(_finite(_facts(found, data, files)), indent=1, allow_nan=False))
    else:
        _show(found, data, files)


def _finite(value: Any) -> Any:
    """The same facts with null for what JSON has no number for."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _folder(name: str) -> Path:
    """The folder to write to, made before any work is done."""
    try:
        Path(name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"--out {name!r} cannot be made a folder ({error.strerror}); name another one.") from None
    return Path(name)


def _accuracy(model: torch.nn.Module, data: Dataset) -> tuple[float, float, str]:
    """r² and RMSE of a model, and on which rows: test rows, or others where fewer than two were held out."""
    shares = (("test", data.X_test, data.y_test), ("validation", data.X_val, data.y_val))
    rows, x, y = next((share for share in shares if len(share[1]) > 1), ("training", data.X_train, data.y_train))
    with torch.no_grad():
        error = (model(x) - y).square().mean()
    return 1 - float(error / (y - y.mean(0)).square().mean()), float(error.sqrt()), rows


def _facts(found: Discovery, data: Dataset, files: dict[str, str]) -> dict[str, Any]:
    from knotwork.expressions import text

    return {
        "table": data.title,
        "rows": data.rows()._asdict(),
        "target": data.target_names[0],
        "units": dict(data.units),
        "general_network": dict(zip(("r2", "rmse", "rows"), _accuracy(found.scout.model, data), strict=True)),
        "importance": found.importance,
        "formula": {
            "text": text(found.formula.expression),
            "rounded": text(found.formula.round(4).expression),
            "latex": found.formula.latex(),
            "r2": found.formula.r2,
            "r2_rows": found.formula.r2_rows,
            "gap": found.formula.gap,
            "complexity": found.formula.complexity,
            "shape": found.shape,
            "constants": [{"value": value, "standard_error": error} for value, error in found.formula.errors.items()],
        },
        "pareto": [
            {"complexity": t.formula.complexity, "r2": t.formula.r2, "text": text(t.formula.expression)}
            for t in found.pareto
            if t.formula is not None
        ],
        "files": files,
        "stop_reason": found.stop_reason,
        "seconds": found.seconds,
    }


def _show(found: Discovery, data: Dataset, files: dict[str, str]) -> None:
    from knotwork.expressions import text

    console = Console(soft_wrap=True)
    target, unit = data.target_names[0], data.units.get(data.target_names[0], "")
    rows = data.rows()

    def line(words: str = "") -> None:
        console.print(words, markup=False, highlight=False)

    line(f"{data.title}: {rows.train:,} training, {rows.validation:,} validation and {rows.test:,} test rows")
    line()
    r2, error, where = _accuracy(found.scout.model, data)
    line(f"A general network {_width(found.scout.model)} predicts {data.label(target)} with r² = {r2:.4f}")
    line(f"and RMSE = {error:.4g}{unit and f' {unit}'} on the {where} rows.")
    line()
    table = Table(title="What matters", title_justify="left")
    table.add_column("input")
    table.add_column("share", justify="right")
    table.add_column("")
    for name, share in sorted(found.importance.items(), key=lambda item: -item[1]):
        table.add_row(_plain(data.label(name)), f"{share:.1%}", "█" * round(30 * share))
    console.print(table)
    line()
    table = Table(title="Formulas, simplest first", title_justify="left")
    for heading in ("complexity", f"r² ({found.formula.r2_rows})", "formula"):
        table.add_column(heading, justify="left" if heading == "formula" else "right", overflow="fold")
    for trial in found.pareto:
        assert trial.formula is not None
        mark = "→ " if trial.formula is found.formula else ""
        shown = _plain(text(trial.formula.round(3).expression))
        table.add_row(f"{mark}{trial.formula.complexity}", _four(trial.formula.r2), shown)
    console.print(table)
    line()
    line(f"{target} = {text(found.formula.round(4).expression)}")
    where, gap = found.formula.r2_rows, found.formula.gap
    line(f"({found.shape}; r² = {_four(found.formula.r2)} on the {where} rows; gap to its network {gap:.2g})")
    line()
    for what, path in files.items():
        line(f"{what}: {path}")
    if not files:
        line("Nothing was written; --out FOLDER writes the diagram, the formula and the network.")
    line(f"{found.seconds:.1f} s; {found.stop_reason}")


def _write(found: Discovery, folder: Path) -> dict[str, str]:
    """Report, diagram, formula and network in the folder; their paths by what they are."""
    places = {
        "report": folder / "report.html",
        "network diagram": folder / "diagram.svg",
        "as a picture": folder / "diagram.png",
        "formula": folder / "formula.tex",
        "network": folder / "network.safetensors",
    }
    found.report(places["report"])
    figure = found.plot()
    try:
        figure.savefig(places["network diagram"])
        figure.savefig(places["as a picture"], dpi=200)
        places["formula"].write_text(f"{found.formula.equation()}\n", encoding="utf-8")
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
