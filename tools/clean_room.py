"""An environment that holds an installed knotwork and nothing of this checkout, and the tests run in it.

`make dist` and `make versions` work in it.
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
    """A temporary folder with a copy of the tests and their settings, and no package that Python could find."""
    with TemporaryDirectory(prefix="knotwork-") as name:
        room = Path(name)
        shutil.copytree(ROOT / "tests", room / "tests", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", room)
        yield room


def run(*command: object, room: Path = ROOT, **environment: str) -> str:
    """What a command run in `room` prints on its standard output; its failure ends everything."""
    settings = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    done = subprocess.run(
        [str(part) for part in command], cwd=room, env=settings | environment, stdout=subprocess.PIPE, text=True
    )
    if done.returncode:
        raise SystemExit(f"{done.stdout}\nfailed: {' '.join(map(str, command))}")
    return done.stdout


def run_tests(room: Path, *options: str) -> str:
    """Run tests on the knotwork that is installed in `room`/env, after making sure of that; pytest's last line."""
    python = room / "env/bin/python"
    found = run(python, "-c", "import knotwork; print(knotwork.__file__)", room=room).strip()
    assert Path(found).is_relative_to(room / "env"), f"the tests would have been of {found}"
    return run(python, "-m", "pytest", "-q", *options, room=room).splitlines()[-1]
