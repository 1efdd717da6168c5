"""Files are written whole or not at all."""

import errno
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import knotwork as kw
from knotwork import files
from knotwork.errors import KnotworkError
from knotwork.expressions import parse
from knotwork.files import replacing, write_text


def names(folder):
    return sorted(place.name for place in folder.iterdir())


def test_a_new_text_takes_the_place_of_the_old_one(tmp_path):
    place = tmp_path / "a.txt"
    for text in ("one\n", "two: é\n"):
        write_text(place, text)
        assert place.read_bytes() == text.encode()
    assert names(tmp_path) == ["a.txt"]


def test_after_an_error_the_old_file_is_as_it_was_and_nothing_else_is_left(tmp_path):
    place = tmp_path / "a.txt"
    place.write_text("old")

    def fail():
        with replacing(place) as new:
            new.write_text("half of the n")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert place.read_text() == "old" and names(tmp_path) == ["a.txt"]


def test_the_new_file_has_the_same_ending_and_stands_in_the_same_folder(tmp_path):
    with replacing(tmp_path / "figure.svg") as new:
        assert new.suffix == ".svg" and new.parent == tmp_path.resolve()


def test_a_link_stays_a_link(tmp_path):
    target, link = tmp_path / "target.txt", tmp_path / "link.txt"
    target.write_text("old")
    link.symlink_to(target)
    write_text(link, "new")
    assert link.is_symlink() and target.read_text() == "new"


def test_permissions_stay(tmp_path):
    place = tmp_path / "a.txt"
    place.write_text("old")
    place.chmod(0o640)
    write_text(place, "new")
    assert place.stat().st_mode & 0o777 == 0o640


def test_what_is_no_ordinary_file_is_written_directly(tmp_path):
    write_text("/dev/null", "text")
    assert Path("/dev/null").is_char_device()


def test_the_error_of_a_missing_folder_names_the_path_that_was_passed(tmp_path):
    place = tmp_path / "missing" / "a.txt"
    with pytest.raises(FileNotFoundError) as caught:
        write_text(place, "text")
    assert caught.value.filename == str(place)


def small():
    return kw.KAN([1, 1], seed=0)


def report(path):
    data = kw.sample("x", x=(0, 1), size=20, seed=0)
    small().report(path, data)


WRITERS = {
    "network": lambda path: small().save(path),
    "formula": lambda path: kw.Formula((parse("2*x"),), ("x",), ("y",), gap=0.0, r2=1.0, rmse=0.0).save(path),
    "report": report,
}


@pytest.mark.parametrize("writer", WRITERS.values(), ids=list(WRITERS))
def test_on_a_full_disk_the_old_file_stays(tmp_path, monkeypatch, writer):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    place = tmp_path / "file"
    place.write_text("old")
    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(KnotworkError, match="No space left on device"):
        writer(place)
    assert place.read_text() == "old" and names(tmp_path) == ["file"]


LOOP = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("files", sys.argv[1])
files = importlib.util.module_from_spec(spec)
spec.loader.exec_module(files)
print("ready", flush=True)
n = 0
while True:
    n += 1
    files.write_text(sys.argv[2], f"{n % 10}" * 300_000)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_after_a_kill_at_any_moment_the_file_is_whole(tmp_path):
    place, delays = tmp_path / "a.txt", random.Random(0)
    for _ in range(20):
        with subprocess.Popen(
            [sys.executable, "-c", LOOP, files.__file__, str(place)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None and process.stdout.readline() == "ready\n"
            time.sleep(delays.uniform(0.01, 0.1))
            process.send_signal(signal.SIGKILL)
        text = place.read_text()
        assert len(text) == 300_000 and len(set(text)) == 1
