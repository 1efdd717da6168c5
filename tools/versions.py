#!/usr/bin/env python3
"""Test knotwork with the oldest versions of its dependencies that pyproject.toml allows, and with the newest ones.

    python tools/versions.py [lowest-direct | highest]

Without an argument both are tested; `make versions` does this. On Linux torch downloads gigabytes of CUDA, which uv
keeps in its cache. With UV_TORCH_BACKEND=cpu in the environment uv uses builds without CUDA.
"""

import sys

from clean_room import ROOT, clean_room, run, run_tests

ABOUT_THE_CHECKOUT = ("tests/shown", "tests/test_rooms.py", "tests/test_tools.py")
OPTIONS = (
    # Versions of different years use names that others have deprecated.
    *("-W", "ignore::DeprecationWarning", "-W", "ignore::PendingDeprecationWarning", "-W", "ignore::FutureWarning"),
    *(f"--ignore={path}" for path in ABOUT_THE_CHECKOUT),
)
INSTALLED = r"""
import re
from importlib.metadata import requires, version
names = [re.match(r"[\w.-]+", needed)[0] for needed in requires("knotwork") if "extra ==" not in needed]
print(", ".join(f"{name} {version(name)}" for name in names))
"""


def main() -> None:
    uv = (sys.executable, "-m", "uv")
    for resolution in sys.argv[1:] or ("lowest-direct", "highest"):
        with clean_room() as room:
            python = room / "env/bin/python"
            run(*uv, "venv", "-q", "--python", sys.executable, "env", room=room)
            run(*uv, "pip", "install", "-q", "--python", python, "--resolution", resolution, f"{ROOT}[dev]")
            print(f"{resolution}: {run(python, '-c', INSTALLED).strip()}", flush=True)
            print(run_tests(room, *OPTIONS), flush=True)


if __name__ == "__main__":
    main()
