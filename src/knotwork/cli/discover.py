"""`knotwork discover`: results on the terminal, as JSON, and in files where a folder is specified."""

import json
import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from rich.box import SIMPLE
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from knotwork.cli.option_words import for_command
from knotwork.cli.reading import Reading, formula_of, notes_of
from knotwork.data import Dataset
from knotwork.data.column_names import split_units
from knotwork.discovery import Discovery, discover
from knotwork.discovery.display import bits_beyond, error_heading, with_errors
from knotwork.errors import DataError
from knotwork.files import replacing, write_text
from knotwork.formulas import Formula
from knotwork.kan import save
from knotwork.training import Callback, Event


def run(
    target: str | None,
    inputs: list[str] | None,
    exclude: list[str] | None,
    out: str | None,
    test_size: float | None,
    as_json: bool,
    json_file: str | None,
    *,
    reading: Reading,
    seed: int,
    sigma: str | None = None,
    start: str | None = None,
    **settings: Any,
) -> None:
    """Read the table, discover with these settings, print, and write the files."""
    folder = None if out is None else _folder(out)
    if json_file is not None:
        _writable(json_file)
    if sigma and inputs and split_units([sigma])[0][0] not in split_units(inputs)[0]:
        inputs = [*inputs, sigma]
    data = reading.data(target, inputs, exclude, test_size=test_size, seed=seed)
    with _live() if sys.stderr.isatty() else nullcontext(_Log()) as callback:
        found = discover(
            data, seed=seed, sigma=sigma, start=formula_of(start), progress=False, callback=callback, **settings
        )
    assert found.data is not None
    data = found.data
    files = {} if folder is None else _write(found, folder)
    if folder is not None:
        files["every number"] = str(folder / "result.json")
    if json_file is not None:
        files["every number, as asked"] = json_file
    facts = json.dumps(_finite(_facts(found, data, files)), indent=1, allow_nan=False)
    for place in (path for what, path in files.items() if what.startswith("every number")):
        _put(place, facts)
    if as_json:
        print(facts)
    else:
        _show(found, data, files)


def _end(found: str, facts: dict[str, Any], files: dict[str, str], as_json: bool, json_file: str | None) -> None:
    """Write the facts to the files asked for, and print them, or the discovery as text with what was written."""
    content = json.dumps(_finite(facts), indent=1, allow_nan=False)
    for place in [path for path in (files.get("every number"), json_file) if path is not None]:
        _put(place, content)
    if as_json:
        print(content)
        return
    for line in (found, *(f"{what}: {path}" for what, path in files.items())):
        Console(soft_wrap=True).print(for_command(line), markup=False, highlight=False)


class _Log:
    """A callback that writes stages and new formulas as lines of plain text to stderr."""

    def __init__(self) -> None:
        self.stage = ""
        self.known: set[Any] = set()

    def __call__(self, event: Event) -> None:
        from knotwork.expressions import readable, round_constants, text

        if not event.within and event.stage != self.stage:
            self.stage = event.stage
            self._log(event, event.stage)
        for entry in event.front:
            if entry not in self.known:
                self.known.add(entry)
                shown = text(round_constants(readable(entry.expression), 3))
                self._log(event, f"found complexity {entry.complexity}, error {entry.error:.3g}: {shown}")

    def _log(self, event: Event, words: str) -> None:
        print(f"[{event.seconds:5.1f} s] {words}", file=sys.stderr, flush=True)


@contextmanager
def _live() -> Iterator[Callback]:
    """A callback that shows the formulas so far and the present stage on the terminal, and removes both at the end."""
    screen = _Screen()
    with Live(screen, console=Console(stderr=True), transient=True, refresh_per_second=8):
        yield screen


class _Screen:
    """The formulas so far above the present stage, drawn by Rich."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.front: tuple[Any, ...] = ()
        self.stage, self.step = "reading the table", ""

    def __call__(self, event: Event) -> None:
        self.front = event.front
        self.stage = f"{event.within}: {event.stage}" if event.within else event.stage
        self.step = f", step {event.step}" if event.step else ""
        if event.record is not None:
            self.step += f", {event.record}"

    def __rich__(self) -> Group:
        from knotwork.expressions import readable, round_constants, text

        table = Table(title="Formulas so far", title_justify="left")
        for heading in ("complexity", "error", "formula"):
            table.add_column(heading, justify="left" if heading == "formula" else "right", no_wrap=True)
        for entry in self.front:
            shown = _plain(text(round_constants(readable(entry.expression), 3)))
            table.add_row(str(entry.complexity), f"{entry.error:.3g}", shown)
        line = Text(f"{time.perf_counter() - self.began:.0f} s, {self.stage}{self.step}", no_wrap=True)
        return Group(table, line) if self.front else Group(line)


def _finite(value: Any) -> Any:
    """The same facts with null for numbers that JSON does not have."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _folder(name: str) -> Path:
    """The folder for the files, created before any work is done."""
    try:
        Path(name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"--out {name!r} cannot be made a folder ({error.strerror}); name another one.") from None
    return Path(name)


def _writable(name: str) -> None:
    """Raise DataError for a file that cannot be written, before any work is done. A new file is removed again."""
    place = Path(name)
    try:
        new = not place.exists()
        place.open("a", encoding="utf-8").close()
        if new:
            place.unlink()
    except OSError as error:
        raise DataError(
            f"--json-file {name!r} cannot be written ({error.strerror}): name a file in an existing folder."
        ) from None


def _put(name: str, text: str) -> None:
    try:
        write_text(name, f"{text}\n")
    except OSError as error:
        raise DataError(f"{name!r} cannot be written ({error.strerror}); name another file.") from None


def _accuracy(model: torch.nn.Module, data: Dataset) -> tuple[float, float, str]:
    """r² and RMSE of a model, and the rows: test rows, or others where there are fewer than two."""
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
        "preparation": notes_of(found),
        "baseline": found.baseline
        and dict(zip(("r2", "rmse", "rows"), _accuracy(found.baseline.model, data), strict=True)),
        "importance": dict(found.importance),
        "importance_spread": {name: one if one == one else None for name, one in found.importance.spread.items()},
        "importance_of": found.importance.source,
        "formula": {
            "text": text(found.formula.expression),
            "rounded": text(found.formula.round(4).expression),
            "latex": found.formula.latex(),
            "r2": found.formula.r2,
            "r2_rows": found.formula.r2_rows,
            "gap": found.formula.gap,
            "complexity": found.formula.complexity,
            "shape": found.shape,
            "units": _units(found.formula),
            "constants": _constants(found.formula),
            "correlations": {
                "constants": [one.value for one in found.formula.constants],
                "matrix": found.formula.correlations.tolist(),
            },
        },
        "error_rows": found.error_rows,
        "pareto": [
            {
                "complexity": entry.formula.complexity,
                "bits": entry.bits,
                "error": entry.error,
                "r2": entry.formula.r2,
                "rmse": entry.formula.rmse,
                "shape": entry.shape,
                "text": text(entry.formula.expression),
                "rounded": text(entry.formula.round(4).expression),
                "latex": entry.formula.latex(),
                "constants": _constants(entry.formula),
                "units": _units(entry.formula),
                "chosen": entry.formula is found.formula,
            }
            for entry in found.front
            if entry.formula is not None
        ],
        "files": files,
        "stop": found.stop.name,
        "stop_reason": found.stop_reason,
        "loss": found.settings["loss"],
        "undefined": found.undefined,
        "copies": found.copies,
        "unmet": found.unmet,
        "unknowns": dict(found.unknowns),
        "reduced_chi2": found.formula.reduced_chi2,
        "outliers": [asdict(one) for one in found.outliers],
        "dependent": dict(found.dependent),
        "failures": dict(found.failures),
        "seconds": found.seconds,
    }


def _constants(formula: Formula) -> list[dict[str, Any]]:
    """Every constant with its standard error."""
    return [
        {"symbol": one.symbol, "value": one.value, "standard_error": one.error, "unit": one.unit}
        for one in formula.constants
    ]


def _units(formula: Formula) -> str | None:
    """Whether the units of the output agree, as words, if all units are known."""
    return str(formula.units[0]) if formula.units else None


def _show(found: Discovery, data: Dataset, files: dict[str, str]) -> None:
    from knotwork.expressions import text

    console = Console(soft_wrap=True)
    target, unit = data.target_names[0], data.units.get(data.target_names[0], "")
    rows = data.rows()

    def line(words: str = "") -> None:
        console.print(words, markup=False, highlight=False)

    line(f"{data.title}: {rows.train:,} training, {rows.validation:,} validation and {rows.test:,} test rows")
    for note in notes_of(found):
        line(f"- {note}")
    line()
    if found.baseline is not None:
        r2, error, where = _accuracy(found.baseline.model, data)
        line(f"A baseline network {_width(found.baseline.model)} predicts {data.label(target)} with r² = {r2:.4f}")
        line(f"and RMSE = {error:.4g}{unit and f' {unit}'} on the {where} rows.")
        line()
    table = Table(title=f"What matters (to {found.importance.source})", title_justify="left")
    table.add_column("input")
    table.add_column("share", justify="right")
    table.add_column("")
    for name, words in found.importance.words.items():
        table.add_row(_plain(data.label(name)), words, "█" * round(30 * found.importance[name]))
    console.print(table)
    line()
    console.print(_front_table(found))
    line()
    line(f"{target} = {text(found.formula.round(4).expression)}")
    gap = found.formula.gap
    line(f"({found.shape}; {found.accuracy}; gap to its network {gap:.2g})")
    if found.formula.constants:
        line(f"with {with_errors(found.formula.constants)} (standard errors)")
    for words in map(str, found.formula.units):
        line(f"{words[0].upper()}{words[1:]}.")
    line()
    for title, words in found.remarks.items():
        if title != "The table":  # it stands above
            line(f"{title}: {for_command(words)}")
    for what, path in files.items():
        line(f"{what}: {path}")
    if not files:
        line("Nothing was written; --out FOLDER writes the diagram, the formula and the network.")
    line(f"{found.seconds:.1f} s; {found.stop_reason}")


def _front_table(found: Discovery) -> Table:
    """The front with the constants of each formula."""
    from knotwork.expressions import text

    table = Table(title="Formulas, simplest first", title_justify="left", box=SIMPLE, pad_edge=False)
    for heading in ("number", "complexity", "bits", error_heading(found), f"r² ({found.formula.r2_rows})"):
        table.add_column(_plain(heading), justify="right", max_width=10)
    table.add_column("formula", overflow="fold")  # the rest of the line, also where that is short
    for n, entry in enumerate(found.front):
        assert entry.formula is not None
        mark = "→ " if entry.formula is found.formula else ""
        shown = _plain(text(entry.formula.round(3).expression))
        told = [with_errors(entry.formula.constants)] if entry.formula.constants else []
        for one in entry.formula.units:
            told.append(f"units {'agree' if one.strict else 'agree by constants' if one.agree else 'do not agree'}")
        shown += "".join(f"\n[dim]{_plain(words)}[/dim]" for words in told)
        judged = (bits_beyond(entry, found.front), f"{entry.error:.3g}", _four(entry.formula.r2))
        table.add_row(f"{mark}{n}", str(entry.formula.complexity), *judged, shown)
    return table


def _write(found: Discovery, folder: Path) -> dict[str, str]:
    """Write report, diagram, formula and network to the folder; their paths by description."""
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
        for what, options in (("network diagram", {}), ("as a picture", {"dpi": 200})):
            with replacing(places[what]) as new:
                figure.savefig(new, **options)
        write_text(places["formula"], f"{found.formula.equation()}\n")
        save(found.symbolic_model, places["network"])
    except OSError as error:
        raise DataError(
            f"{error.filename!r} cannot be written ({error.strerror}); name another --out folder."
        ) from None
    return {what: str(place) for what, place in places.items()}


def _width(model: Any) -> list[int]:
    return [s + p for s, p in model.spec.width]


def _four(r2: float) -> str:
    """r² with four digits, not rounded up to 1; a dash where there is none."""
    if r2 != r2:
        return "–"
    return "1" if r2 >= 1 - 1e-12 else f"{min(r2, 0.9999):.4f}" if r2 > 0.99995 else f"{r2:.4f}"


def _plain(text: str) -> str:
    """Text that Rich shows unchanged."""
    from rich.markup import escape

    return escape(text)
