"""Progress: a line on terminals and in notebooks, plain text in a log if asked for, and nothing else anywhere."""

import builtins
import os
import pty
import re
import subprocess
import sys
import types

import pytest
import torch

from knotwork import KAN, fit_multilevel, sample
from knotwork.training import Line, multistart, progress, progress_line

DATA = sample(lambda x, y: torch.sin(3 * x) * y, x=(-1, 1), y=(-1, 1), size=60, test_size=0)


class Recorder(Line):
    """Keeps what it is told."""

    def __init__(self):
        self.told = []

    def stage(self, title, total=None, part=""):
        self.told.append((part, title, total))

    def __call__(self, step, losses=""):
        self.told.append((step, losses))


def small():
    return KAN([2, 2, 1], seed=0)


# --- what is told ---


def test_a_fit_tells_its_stages_and_every_step_with_its_losses(monkeypatch):
    monkeypatch.setattr(multistart, "MEETING", ())
    line = Recorder()
    result = small().fit(DATA, steps=3, starts=6, progress=line)
    race = [("", f"race of {n} starts", n) for n in (6, 6, 4, 2)]
    last = ("", "fit (lm), G=5", 3)
    assert [told for told in line.told if len(told) == 3] == [*race, last]
    assert line.told[1:7] == [(rival, "") for rival in range(1, 7)]
    steps = line.told[line.told.index(last) + 1 :]
    assert steps == [
        (record.step, f"RMSE {record.train:.2e}, validation {record.validation:.2e}") for record in result.history
    ]


def test_a_loss_of_ones_own_is_not_called_rmse():
    line = Recorder()
    small().fit(DATA, loss=lambda a, b: (a - b).abs().mean(), steps=1, progress=line)
    assert re.fullmatch(r"loss \S+, validation \S+", line.told[-1][1])


def test_levels_share_one_line():
    line = Recorder()
    fit_multilevel(small(), DATA, [3, 6], steps=1, starts=1, progress=line)
    assert [told for told in line.told if len(told) == 3] == [("", "fit (lm), G=3", 1), ("", "fit (lm), G=6", 1)]


def test_parts_have_titles():
    line = Recorder()
    part = line.part("searching")
    part.stage("fit", 3)
    part(2, "RMSE 1")
    part.part("inside").stage("fit")
    assert line.told == [("searching", "fit", 3), (2, "RMSE 1"), ("searching: inside", "fit", None)]


# --- where it is shown ---


def test_a_log_gets_a_line_a_stage_of_plain_text_if_asked(capsys, monkeypatch):
    monkeypatch.setattr(multistart, "MEETING", ())
    fit_multilevel(small(), DATA, [3, 6], steps=2, starts=4, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    races = [f"race of {n} starts: step {n} of {n}" for n in (4, 4, 4, 2)]
    assert lines[:4] == races
    assert [re.sub(r"\d\.\d\de[-+]\d\d", "#", line) for line in lines[4:]] == [
        f"fit (lm), G={grid}: step 2 of 2, RMSE #, validation #" for grid in (3, 6)
    ]
    assert err.isprintable() or err.replace("\n", "").isprintable()  # no escape codes


@pytest.mark.parametrize("show", [None, False])
def test_a_log_gets_nothing_unasked(show, capsys):
    with progress_line(show) as line:
        line.stage("fit", 3)
        line(1, "RMSE 1")
        line.part("a").stage("b")
    assert capsys.readouterr() == ("", "")


PROGRAM = """
import sys, time
from knotwork.training import progress_line
with progress_line({show}) as line:
    line.part("searching").stage("fit (lm), G=5", 40)
    for step in range(1, 31):
        line(step, "RMSE 1.00e-02, validation 2.00e-02")
        time.sleep(0.03)
print("after")
"""


def on_a_terminal(show, **environment):
    """What a terminal of 80 columns receives on stderr, and stdout."""
    ours, theirs = pty.openpty()
    environment = {"TERM": "xterm-256color", "COLUMNS": "80", **environment}
    done = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(show=show)],
        stdout=subprocess.PIPE,
        stderr=theirs,
        env={**os.environ, **environment},
    )
    os.close(theirs)
    received = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # the other side is closed
            break
        if not piece:
            break
        received += piece
    os.close(ours)
    out = done.communicate(timeout=60)[0]
    assert done.returncode == 0
    return received.decode(), out.decode()


def test_a_terminal_gets_a_bar_that_is_gone_afterwards():
    received, out = on_a_terminal(None)
    assert out == "after\n"
    frames = [re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", frame) for frame in received.split("\x1b[2K")]
    last = [frame.strip() for frame in frames if "30/40" in frame][-1]
    bar = r"fit \(lm\), G=5 [━╸╺]+ 30/40 RMSE 1.00e-02, validation 2.00e-02 \d\d:\d\d"
    assert re.fullmatch(rf"searching\s+{bar}", last)
    assert all(len(line) <= 80 for frame in frames for line in frame.splitlines())
    assert frames[-1].strip() == ""  # the last thing drawn is the empty line
    assert on_a_terminal(False) == ("", "after\n")


@pytest.fixture
def notebook(monkeypatch):
    """A module IPython and a function get_ipython as notebooks have them; what was displayed, in order."""
    shown = []

    class Handle:
        def update(self, thing, raw=False):
            shown.append(thing if raw else thing._repr_mimebundle_((), ())["text/html"])

    def display(thing, display_id):
        assert display_id is True
        handle = Handle()
        handle.update(thing)
        return handle

    module = types.ModuleType("IPython")
    module.display = types.ModuleType("IPython.display")
    module.display.display = display
    monkeypatch.setitem(sys.modules, "IPython", module)
    monkeypatch.setitem(sys.modules, "IPython.display", module.display)
    monkeypatch.setattr(builtins, "get_ipython", type("ZMQInteractiveShell", (), {}), raising=False)
    monkeypatch.setattr(progress, "SOON", 0.0)
    monkeypatch.setattr(progress, "PAUSE", 0.0)
    return shown


def test_a_notebook_gets_a_bar_as_html_that_is_emptied_afterwards(notebook, capsys):
    small().fit(DATA, steps=3, starts=1)
    assert capsys.readouterr() == ("", "")
    pictures = [re.sub("<[^>]+>", "", picture) for picture in notebook[:-1]]
    assert any(re.search(r"fit \(lm\), G=5 ━.* 3/3 RMSE .*, validation", picture) for picture in pictures)
    assert notebook[-1] == {"text/plain": ""}
    notebook.clear()
    small().fit(DATA, steps=3, starts=1, progress=False)
    assert notebook == []


def test_a_notebook_is_not_bothered_with_what_is_over_soon(notebook, monkeypatch):
    monkeypatch.setattr(progress, "SOON", 60.0)
    small().fit(DATA, steps=3, starts=1)
    assert notebook == []


def test_an_interrupt_takes_the_bar_away(notebook):
    def interrupt(record):
        raise KeyboardInterrupt

    assert small().fit(DATA, starts=1, callback=interrupt).stopped_by_caller
    assert len(notebook) > 1
    assert notebook[-1] == {"text/plain": ""}
