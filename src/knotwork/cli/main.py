"""The command, its subcommands, and how errors end."""

import sys
import warnings
from typing import Annotated

import typer

from knotwork.errors import KnotworkError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def knotwork() -> None:
    """Kolmogorov-Arnold networks: from a table to a formula."""


@app.command()
def discover(
    file: Annotated[str, typer.Argument(help="CSV or Parquet file, or the name of a packaged table such as 'knots'.")],
    target: Annotated[str | None, typer.Option(help="Column to explain (packaged tables have a default).")] = None,
    inputs: Annotated[str | None, typer.Option(help="Input columns, separated by commas; default: all others.")] = None,
    out: Annotated[str | None, typer.Option(help="Folder for diagram, formula and network; made if needed.")] = None,
    lib: Annotated[str | None, typer.Option(help="Functions allowed in the formula, separated by commas.")] = None,
    test: Annotated[float, typer.Option(help="Share of the rows held out for the report.")] = 0.2,
    time_budget: Annotated[float | None, typer.Option(help="Seconds after which no other shape is tried.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the split and of the starting points.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object in place of the text.")] = False,
) -> None:
    """Find a formula for a column of a table, and show what it rests on."""
    from knotwork.cli.discover import run

    run(file, target, _list(inputs), out, _list(lib), test, time_budget, seed, json)


def _list(text: str | None) -> list[str] | None:
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]


def main() -> None:
    """Run the command; an error of ours is one line on stderr and exit status 2."""
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            try:
                app()
            finally:
                for warning in {str(w.message): w for w in caught}:
                    print(f"note: {warning}", file=sys.stderr)
    except KnotworkError as error:
        print(f"knotwork: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("knotwork: interrupted", file=sys.stderr)
        sys.exit(130)
