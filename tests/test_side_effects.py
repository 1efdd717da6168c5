"""A verb changes nothing that belongs to the whole process, also where it loads a library for the first time."""

import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import warnings
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
import torch

from knotwork.undisturbed import NEEDED, undisturbed
from tests import side_effects

SET_BY_LIBRARIES = ("TORCHINDUCTOR_CACHE_DIR", "KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK")


def test_no_verb_changes_anything_outside_its_result(tmp_path):
    folder, temporary = tmp_path / "files", tmp_path / "temporary"
    folder.mkdir()
    temporary.mkdir()
    environment = {name: value for name, value in os.environ.items() if name not in SET_BY_LIBRARIES}
    script = Path(side_effects.__file__)
    done = subprocess.run(
        [sys.executable, script, folder],
        env=environment | {"TMPDIR": str(temporary)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    changed = json.loads(done.stdout.splitlines()[-1])
    assert {verb: what for verb, what in changed.items() if what} == {}


def _set_a_variable(monkeypatch, stack):
    monkeypatch.setenv("KNOTWORK_TEST", "1")


def _open_a_file(monkeypatch, stack):
    stack.append(Path(__file__).open())  # noqa: SIM115


def _make_a_temporary_file(monkeypatch, stack):
    stack.append(tempfile.NamedTemporaryFile())  # noqa: SIM115


def _start_a_thread(monkeypatch, stack):
    ended = threading.Event()
    threading.Thread(target=ended.wait).start()
    stack.append(type("Ending", (), {"close": lambda self: ended.set()})())


DISTURBANCES = {
    "environment": _set_a_variable,
    "descriptors": _open_a_file,
    "threads": _start_a_thread,
    "temporary files": _make_a_temporary_file,
    "Python's random numbers": lambda monkeypatch, stack: random.random(),
    "NumPy's random numbers": lambda monkeypatch, stack: np.random.random(),
    "torch's random numbers": lambda monkeypatch, stack: torch.rand(1),
    "matplotlib's settings": lambda monkeypatch, stack: monkeypatch.setitem(mpl.rcParams, "font.size", 11.5),
    "filters of warnings": lambda monkeypatch, stack: warnings.simplefilter("error", ResourceWarning),
    "folder": lambda monkeypatch, stack: monkeypatch.chdir("/"),
    "paths of imports": lambda monkeypatch, stack: monkeypatch.syspath_prepend("/nowhere"),
}


@pytest.mark.parametrize("part", DISTURBANCES)
def test_the_comparison_sees_a_change(part, monkeypatch):
    stack = []
    before = side_effects.state()
    try:
        DISTURBANCES[part](monkeypatch, stack)
        assert part in side_effects.differences(before, side_effects.state())
    finally:
        for opened in stack:
            opened.close()


def test_what_a_library_changes_while_it_is_loaded_is_put_back(tmp_path, monkeypatch):
    monkeypatch.setenv("CHANGED", "old")
    monkeypatch.setenv("REMOVED", "old")
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    before, made = side_effects.state(), tmp_path / "compiled"
    with undisturbed():
        os.environ.update(CHANGED="new", ADDED="new", TORCHINDUCTOR_CACHE_DIR=str(made))
        del os.environ["REMOVED"]
        made.mkdir()
        random.random()
        warnings.simplefilter("ignore")
    assert side_effects.differences(before, side_effects.state()) == {}
    assert not made.exists()
    assert sys.platform == "darwin" or not NEEDED


def test_a_folder_of_compiled_code_that_is_in_use_stays(tmp_path, monkeypatch):
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    (tmp_path / "code").touch()
    with undisturbed():
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(tmp_path)
    assert (tmp_path / "code").exists()
    assert "TORCHINDUCTOR_CACHE_DIR" not in os.environ
