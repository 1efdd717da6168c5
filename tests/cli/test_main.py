"""The command `knotwork` without a subcommand."""

from importlib.metadata import version

from typer.testing import CliRunner

from knotwork.cli.main import app


def test_the_version_is_printed():
    done = CliRunner().invoke(app, ["--version"])
    assert (done.exit_code, done.output) == (0, f"knotwork {version('knotwork')}\n")
