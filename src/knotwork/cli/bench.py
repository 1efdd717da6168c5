"""`knotwork bench layers`: measurements as tables on the terminal and as JSON."""

import json
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from knotwork import kernels
from knotwork.bench.cases import GRIDS, MEMORY, TIMES, Case, select
from knotwork.bench.layer_times import GridRow, MemoryRow, TimeRow, grids, memory, times
from knotwork.bench.machine import machine, only, versions
from knotwork.bench.rivals import RIVALS, installed, rivals
from knotwork.bench.settings import BENCH
from knotwork.errors import KnotworkError
from knotwork.files import write_text


def run_layers(
    names: list[str] | None,
    rounds: int,
    threads: int,
    no_rivals: bool,
    quick: bool,
    of_grids: bool,
    of_memory: bool,
    to: str | None,
) -> None:
    """Measure, print and write as specified. Raises KnotworkError before it measures, if a file cannot be written."""
    if rounds < 1:
        raise KnotworkError(f"rounds={rounds} is not possible: it must be at least 1.")
    if to is not None and to != "-" and not Path(to).parent.is_dir():
        raise KnotworkError(f"--json {to!r} cannot be written: '{Path(to).parent}' is not a folder.")
    tables = [table for table, asked in ((GRIDS, of_grids), (MEMORY, of_memory)) if asked] or [TIMES]
    wanted = select([case for table in tables for case in table], names)
    others = [] if no_rivals else rivals()
    block = BENCH.quick_seconds_per_reading if quick else BENCH.seconds_per_reading
    rounds = BENCH.quick_rounds if quick else rounds
    progress = Console(stderr=True, soft_wrap=True)

    def log(text: str) -> None:
        progress.print(text, markup=False, highlight=False)

    def cases(table: list[Case]) -> list[Case]:
        return [case for case in table if table in tables and case in wanted]

    with only(threads):
        timed = times(cases(TIMES), others, rounds, block, threads, log)
        on_grids = grids(cases(GRIDS), rounds, block, threads, log)
        peaks = memory(cases(MEMORY), others, threads, log)
    facts = {
        "benchmark": "layers",
        "when": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": {**versions(), **installed()},
        "kernels": str(kernels.active()),
        "threads": threads,
        "rounds": rounds,
        "quick": quick,
        "times": [row.facts() for row in timed],
        "grids": [row.facts() for row in on_grids],
        "memory": [row.facts() for row in peaks],
    }
    if to == "-":
        print(json.dumps(facts, indent=1, allow_nan=False))
        return
    _show(timed, on_grids, peaks, facts, no_rivals)
    if to is not None:
        _write(facts, to)


def _write(facts: dict[str, Any], to: str) -> None:
    try:
        write_text(to, json.dumps(facts, indent=1, allow_nan=False) + "\n")
    except OSError as error:
        raise KnotworkError(f"--json {to!r} cannot be written ({error.strerror}); name another file.") from None


def _show(
    timed: Sequence[TimeRow],
    on_grids: Sequence[GridRow],
    peaks: Sequence[MemoryRow],
    facts: dict[str, Any],
    no_rivals: bool,
) -> None:
    console = Console(soft_wrap=True)
    if timed:
        console.print(_times(timed))
    if on_grids:
        console.print(_grids(on_grids))
    if peaks:
        console.print(_memory(peaks))
    for row in [*timed, *peaks]:
        for candidate, why in row.failures():
            console.print(f"{row.case.name}: {candidate.name} {why}", markup=False, highlight=False)
    missing = [package for package in RIVALS if package not in facts["versions"]]
    if missing and not no_rivals and (timed or peaks):
        console.print(f"Not installed, so not measured: {', '.join(missing)} (see benchmarks/README.md).")
    threads = f"{facts['threads']} thread{'s' if facts['threads'] > 1 else ''}"
    line = f"{facts['machine']['cpu']}, {threads}, medians of {facts['rounds']} rounds; kernels {facts['kernels']}"
    console.print(line, markup=False, highlight=False)


def _times(rows: Sequence[TimeRow]) -> Table:
    table = _table("Time of one call", "ours ms", "MLP ms", "÷ MLP", "best rival*", "÷ ours", "GFLOP/s", "of peak")
    table.caption = "* the fastest whose splines are those of the definition"
    for row in rows:
        rival = row.best_rival()
        for ours in row.ours():
            table.add_row(
                " ".join([row.case.name, *ours.candidate.name.split(", ")[1:]]),
                _milliseconds(ours.median),
                _milliseconds(row.mlp().median),
                f"{ours.median / row.mlp().median:.2f}",
                "–" if rival is None else rival.candidate.name,
                "–" if rival is None else f"{rival.median / ours.median:.2f}",
                _or_dash(row.gflops(ours), ".3g"),
                _or_dash(row.share_of_peak(ours), ".0%"),
            )
    return table


def _grids(rows: Sequence[GridRow]) -> Table:
    names = [t.candidate.name for t in rows[0].timings]
    table = _table("Time of one call of ours, ms", *names, "uneven ÷ even", "G=200 ÷ G=5")
    for row in rows:
        few, few_uneven, many, many_uneven = (t.median for t in row.timings)
        uneven, more = few_uneven / few, many / few
        table.add_row(
            row.case.name, *map(_milliseconds, (few, few_uneven, many, many_uneven)), f"{uneven:.2f}", f"{more:.2f}"
        )
    return table


def _memory(rows: Sequence[MemoryRow]) -> Table:
    table = _table("Peak memory above the data", "candidate", "MiB", "÷ ours")
    for row in rows:
        ours = row.peaks[0][1]
        for candidate, peak in row.peaks:
            if not isinstance(peak, str):
                ratio = "–" if isinstance(ours, str) else f"{peak / ours:.2f}"
                table.add_row(row.case.name, candidate.name, f"{peak:.1f}", ratio)
        table.add_section()
    return table


def _table(title: str, *headings: str) -> Table:
    table = Table(
        title=title,
        title_justify="left",
        caption_justify="left",
        box=SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    table.add_column("case", no_wrap=True)
    for heading in headings:
        name = heading in ("candidate", "best rival*")
        table.add_column(heading, justify="left" if name else "right", min_width=max(map(len, heading.split())))
    return table


def _milliseconds(seconds: float) -> str:
    return f"{1e3 * seconds:.3g}" if seconds < 1 else f"{1e3 * seconds:.0f}"


def _or_dash(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)
