#!/usr/bin/env python3
"""Build the sdist and the wheel into dist/, install each in an environment without this checkout, and test it there.

Both are installed as on a machine without a C++ compiler. The first example of README is run with the wheel. Run by
`make dist`.
"""

import re
import shutil
import statistics
import sys
import time
import zipfile
from pathlib import Path

from clean_room import ROOT, clean_room, run, run_tests

TESTS = ("tests/kernels/test_active.py", "tests/kernels/test_edge_sums.py", "tests/test_kan.py")
NO_COMPILER = {"CC": "/bin/false", "CXX": "/bin/false"}


def main() -> None:
    shutil.rmtree(ROOT / "dist", ignore_errors=True)
    run(sys.executable, "-m", "build")
    [wheel], [sdist] = (ROOT / "dist").glob("*.whl"), (ROOT / "dist").glob("*.tar.gz")
    print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.2f} MB\n{contents(wheel)}")
    print(f"{sdist.name}: {sdist.stat().st_size / 1e6:.2f} MB")
    with clean_room() as room:
        python = room / "env/bin/python"
        run(sys.executable, "-m", "venv", "env", room=room)
        install = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-c", ROOT / "constraints.txt"]
        run(*install, wheel, room=room, **NO_COMPILER)
        print(f"\nThe wheel, kernels {kernels(room)}\n{first_example(room)}")
        run(*install, f"{wheel}[dev]", room=room, **NO_COMPILER)
        print(run_tests(room, *TESTS))
        print(import_times(python))
        run(*install, "--force-reinstall", "--no-deps", sdist, room=room, **NO_COMPILER)
        print(f"\nThe sdist without a compiler, kernels {kernels(room)}\n{run_tests(room, *TESTS)}")
        assert kernels(room).startswith("reference: no compiled extension"), "there was a compiler after all"


def contents(wheel: Path) -> str:
    """The top folders in a wheel: the package and its metadata; other files do not belong in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        files = {info.filename: info.file_size for info in archive.infolist()}
    strangers = [name for name in files if not name.startswith(("knotwork/", "knotwork-"))]
    assert not strangers, f"in the wheel, but not of the package: {strangers}"
    [extension] = [name for name in files if name.endswith(".so")]
    rest = sum(files.values()) - files[extension]
    return f"  {extension} {files[extension] / 1e6:.2f} MB, {len(files) - 1} other files {rest / 1e6:.2f} MB unpacked"


def kernels(room: Path) -> str:
    """The result of `knotwork.kernels.active()` in the environment of `room`."""
    show = "from knotwork import kernels; print(kernels.active())"
    return run(room / "env/bin/python", "-c", show, room=room).strip()


def first_example(room: Path) -> str:
    """Run the first example of README with the knotwork installed in `room`; it must print what README shows."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    code = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)[0]
    [expected] = re.findall(r"print\(.*\)\s+# (.*)", code)
    start = time.perf_counter()
    printed = run(room / "env/bin/python", "-c", code, room=room, **NO_COMPILER).strip()
    assert printed == expected, f"the first example of README printed {printed!r}"
    return f"The first example of README prints {printed} after {time.perf_counter() - start:.0f} s"


def import_times(python: Path, rounds: int = 9) -> str:
    """Median times in which new processes import torch and knotwork, measured alternately."""
    seconds: dict[str, list[float]] = {"torch": [], "knotwork": []}
    for _ in range(rounds):
        for name, times in seconds.items():
            start = time.perf_counter()
            run(python, "-c", f"import {name}", room=python.parent)
            times.append(time.perf_counter() - start)
    return ", ".join(f"import {name}: {statistics.median(times):.2f} s" for name, times in seconds.items())


if __name__ == "__main__":
    main()
