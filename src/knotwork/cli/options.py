"""Options of a search, and of how a table is read and split."""

from typing import Annotated

import typer


def _size(text: object) -> float:
    """A number of rows (int) or a share of them (float), distinguished as in scikit-learn."""
    return int(str(text)) if str(text).isdigit() else float(str(text))


Separator = Annotated[
    str | None, typer.Option(help="Character between the values of a CSV file, or tab; default: detected.")
]
Decimal = Annotated[str | None, typer.Option(help="Decimal mark of a CSV file, . or ,; default: detected.")]
MissingValues = Annotated[
    str, typer.Option(help="Missing values: drop (their rows), fill (median or most frequent), error.")
]
Split = Annotated[
    str,
    typer.Option(help="Test rows: random, time (the latest), or a column, such as patient, whose rows stay together."),
]
TestSize = Annotated[
    float | None,
    typer.Option(
        parser=_size,
        metavar="SIZE",
        help="Test rows for the report: a number (500) or a share (0.2); default: a fifth, none of fewer than 100.",
    ),
]
TimeBudget = Annotated[float | None, typer.Option(help="Seconds after which the search ends.")]
Checkpoint = Annotated[
    str | None, typer.Option(help="File from which the same command goes on after a kill or Ctrl-C.")
]
Seed = Annotated[int, typer.Option(help="Seed of the split and of the starting points.")]
Lib = Annotated[str | None, typer.Option(help="Functions allowed in the formula, separated by commas.")]
Forbid = Annotated[str | None, typer.Option(help="Functions that formulas must not use, separated by commas.")]
