"""The command line, `knotwork discover`. Progress goes to stderr, results to stdout; wrong input ends with status 2."""

from knotwork.cli.main import main

__all__ = ["main"]
