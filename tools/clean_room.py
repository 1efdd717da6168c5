"""An environment with an installed knotwork and without this checkout, and the tests run in it.

Used by `make dist` and `make versions`.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]


@contextmanager
def clean_room() -> Iterator[Path]:
    """A temporary folder with a copy of the tests and their settings, but without the package itself."""
    with TemporaryDirectory(prefix="knotwork-") as name:
        room = Path(name)
        shutil.copytree(ROOT / "tests", room / "tests", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", room)
        yield room


def run(*command: object, room: Path = ROOT, **environment: str) -> str:
    """The standard output of a command run in `room`. Exits if the command fails."""
    settings = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    done = subprocess.run(
        [str(part) for part in command], cwd=room, env=settings | environment, stdout=subprocess.PIPE, text=True
    )
    if done.returncode:
        raise SystemExit(f"{done.stdout}\nfailed: {' '.join(map(str, command))}")
    return done.stdout


def run_tests(room: Path, *options: str) -> str:
    """Run tests on the knotwork installed in `room`/env, after checking that it is imported; pytest's last line."""
    python = room / "env/bin/python"
    found = run(python, "-c", "import knotwork; print(knotwork.__file__)", room=room).strip()
    assert Path(found).is_relative_to(room / "env"), f"the tests would have been of {found}"
    return run(python, "-m", "pytest", "-q", *options, room=room).splitlines()[-1]
