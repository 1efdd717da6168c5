"""The command, its subcommands, and the handling of errors."""

import sys
import warnings
from typing import Annotated, Any

import typer

from knotwork.cli import options
from knotwork.cli.option_words import for_command
from knotwork.errors import KnotworkError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
bench = typer.Typer(no_args_is_help=True)
app.add_typer(bench, name="bench")


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"knotwork {version('knotwork')}")
        raise typer.Exit


@app.callback()
def knotwork(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version, then exit.")
    ] = False,
) -> None:
    """Kolmogorov-Arnold networks: from a table to a formula."""


@app.command()
def discover(
    file: Annotated[str, typer.Argument(help="CSV or Parquet file, or the name of a packaged table such as 'knots'.")],
    target: Annotated[
        str | None, typer.Option(help="Column to explain (packaged tables have a default); several by commas.")
    ] = None,
    inputs: Annotated[str | None, typer.Option(help="Input columns, separated by commas; default: all others.")] = None,
    exclude: Annotated[str | None, typer.Option(help="Columns that are not inputs, separated by commas.")] = None,
    separator: options.Separator = None,
    decimal: options.Decimal = None,
    missing: options.MissingValues = "drop",
    split: options.Split = "random",
    groups: Annotated[
        str | None, typer.Option(help="Column of groups, such as patients: constants may differ between them.")
    ] = None,
    form: Annotated[
        str | None, typer.Option(help="Form of the law with unknown constants and curves, as in 'a*f(x) + b/y'.")
    ] = None,
    start: Annotated[
        str | None, typer.Option(help="Formula to go on from, as text, or result.json of an earlier --out folder.")
    ] = None,
    out: Annotated[
        str | None, typer.Option(help="Folder for report, diagram, formula and network; created if needed.")
    ] = None,
    lib: options.Lib = None,
    forbid: options.Forbid = None,
    linear: Annotated[str | None, typer.Option(help="Inputs that enter linearly, separated by commas.")] = None,
    required: Annotated[str | None, typer.Option(help="Inputs that formulas must hold, separated by commas.")] = None,
    max_complexity: Annotated[int | None, typer.Option(help="Symbols of a formula at most.")] = None,
    positive: Annotated[bool, typer.Option("--positive", help="The result must not fall below 0.")] = False,
    loss: Annotated[
        str,
        typer.Option(help="mse, relative (shares of the target), huber, poisson (counts), cross_entropy (labels)."),
    ] = "auto",
    sigma: Annotated[str | None, typer.Option(help="Column with the standard deviation of each row's target.")] = None,
    keep_outliers: Annotated[
        bool, typer.Option("--keep-outliers", help="Use rows, too, that contradict the formula of all others.")
    ] = False,
    test_size: options.TestSize = None,
    time_budget: options.TimeBudget = None,
    checkpoint: options.Checkpoint = None,
    seed: options.Seed = 0,
    units: Annotated[bool, typer.Option(help="Whether the units in headers guide the search.")] = True,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object in place of the text.")] = False,
    json_file: Annotated[str | None, typer.Option(help="File for the same JSON object.")] = None,
) -> None:
    """Find a formula for a column of a table, and show the evidence for it."""
    known = {"lib": _list(lib), "forbid": _list(forbid), "linear": _list(linear), "loss": loss}
    known |= {
        "form": form,
        "start": start,
        "required": _list(required),
        "max_complexity": max_complexity,
        "positive": positive,
    }
    settings = {**known, "time_budget": time_budget, "seed": seed, "units": None if units else False}
    settings["checkpoint"] = checkpoint
    from knotwork.cli.reading import Reading
    from knotwork.data.preparation import checked_missing

    reading = Reading(file, separator, decimal, checked_missing(missing), split)
    files = {"out": out, "as_json": json, "json_file": json_file}
    columns = {"inputs": _list(inputs), "exclude": _list(exclude)}
    own = {"groups": groups, "test_size": test_size, "sigma": sigma, "keep_outliers": keep_outliers}
    _discover(reading, target, **columns, **files, **own, **settings)


def _discover(reading: Any, target: str | None, *, groups: str | None, keep_outliers: bool, **options: Any) -> None:
    """Run the search that the target and the groups ask for: of several targets, groups, classes, or one formula."""
    from knotwork.cli.targets import run_targets, targets_named

    targets = targets_named(reading, target)
    if targets is not None:
        run_targets(reading, targets, groups=groups, keep_outliers=keep_outliers, **options)
        return
    if groups is not None:
        from knotwork.cli.groups import run_groups

        options.pop("test_size")
        run_groups(reading, target, groups, **options)
        return
    from knotwork.cli.classes import labeled, run_classes
    from knotwork.cli.discover import run

    if labeled(reading, target, options["loss"]):
        run_classes(reading, target, **options)
        return
    run(target, reading=reading, keep_outliers=keep_outliers, **options)


@bench.callback()
def measurements() -> None:
    """Measure speed and memory on this machine."""


@bench.command()
def layers(
    cases: Annotated[str | None, typer.Option(help="Cases or beginnings of their names, separated by commas.")] = None,
    rounds: Annotated[int, typer.Option(help="Number of measurements of every candidate.")] = 20,
    threads: Annotated[int, typer.Option(help="Number of threads, and of cores that the process uses.")] = 1,
    no_rivals: Annotated[bool, typer.Option("--no-rivals", help="Exclude other KAN libraries.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Three short rounds, as a test that it runs.")] = False,
    grids: Annotated[
        bool, typer.Option("--grids", help="Only knotwork: even and uneven grids, 5 and 200 intervals.")
    ] = False,
    memory: Annotated[bool, typer.Option("--memory", help="Peak memory in place of times.")] = False,
    json: Annotated[str | None, typer.Option(help="File for every number, or - for stdout in place of tables.")] = None,
) -> None:
    """Compare KAN layers with MLPs of equal numbers of parameters, and with other installed KAN libraries."""
    from knotwork.cli.bench import run_layers

    run_layers(_list(cases), rounds, threads, no_rivals, quick, grids, memory, json)


def _list(text: str | None) -> list[str] | None:
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]


def main() -> None:
    """Run the command. An error of knotwork is one line on stderr and exit status 2."""
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            try:
                app()
            finally:
                for warning in {str(w.message): w for w in caught}:
                    print(f"note: {for_command(warning)}", file=sys.stderr)
    except KnotworkError as error:
        print(f"knotwork: {for_command(str(error))}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("knotwork: interrupted", file=sys.stderr)
        sys.exit(130)
