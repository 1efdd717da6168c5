"""Progress: a line in terminals and notebooks, plain text in a log on request, and no other output."""

import builtins
import dataclasses
import os
import pty
import re
import subprocess
import sys
import types

import pytest
import torch

from knotwork import KAN, LevenbergMarquardt, fit_multilevel, sample
from knotwork.errors import TrainingError
from knotwork.training import TRAINING, Reporter, multistart, progress, reporting

ONE_START = LevenbergMarquardt(starts=1)

DATA = sample(lambda x, y: torch.sin(3 * x) * y, x=(-1, 1), y=(-1, 1), size=60, test_size=0)


def small():
    return KAN([2, 2, 1], seed=0)


# --- what is reported ---


def test_a_fit_reports_its_stages_and_every_step_with_its_losses(monkeypatch):
    monkeypatch.setattr(multistart, "TRAINING", dataclasses.replace(TRAINING, race_consensus=()))
    events = []
    result = small().fit(DATA, steps=3, smoothness=None, optimizer=LevenbergMarquardt(starts=6), callback=events.append)
    race = [(f"race of {n} starts", n) for n in (6, 6, 4, 2)]
    last = ("fit (lm), G=5", 3)
    assert [(event.stage, event.steps) for event in events if not event.step] == [*race, last]
    assert [event.step for event in events[:7]] == list(range(7))
    fitted = [event for event in events if event.stage == last[0]]
    assert [event.record for event in fitted] == [None, *result.history]
    assert [event.step for event in fitted] == [0, 1, 2, 3]
    seconds = [event.seconds for event in events]
    assert seconds == sorted(seconds) and seconds[0] >= 0 and seconds[-1] <= result.seconds + 1
    assert {(event.within, event.front) for event in events} == {("", ())}


def test_a_record_is_printed_in_words():
    data = KAN([2, 2, 1], seed=0).fit(DATA, steps=1, optimizer=ONE_START).history[0]
    assert str(data) == f"RMSE {data.train:.2e}, validation {data.validation:.2e}"
    assert str(dataclasses.replace(data, validation=None)) == f"RMSE {data.train:.2e}"
    own = small().fit(DATA, loss=lambda a, b: (a - b).abs().mean(), steps=1).history[0]
    assert str(own).startswith("loss ")


def test_levels_report_one_after_another():
    events = []
    fit_multilevel(small(), DATA, [3, 6], steps=1, optimizer=ONE_START, callback=events.append)
    assert [(event.stage, event.step) for event in events] == [
        (f"fit (lm), G={grid}", step) for grid in (3, 6) for step in (0, 1)
    ]


def test_a_stage_may_have_stages():
    events = []
    reporter = Reporter([events.append])
    part = reporter.within("searching")
    part.stage("fit", 3)
    part(2, "RMSE 1")
    part.within("inside").stage("fit")
    told = [(event.within, event.stage, event.step, event.steps, event.record) for event in events]
    assert told == [
        ("", "searching", 0, None, None),
        ("searching", "fit", 0, 3, None),
        ("searching", "fit", 2, 3, "RMSE 1"),
        ("searching", "inside", 0, None, None),
        ("searching: inside", "fit", 0, None, None),
    ]


def test_one_callback_stops_all_stages_and_the_others_still_receive_the_event():
    events = []
    reporter = Reporter([lambda event: event.step == 2, events.append])
    inner = reporter.within("a")
    assert not inner.stage("b") and not inner(1) and not reporter.stopped
    assert inner(2) and reporter.stopped and inner.stopped
    assert reporter.stage("c") and len(events) == 5


def test_a_callback_that_stopped_receives_no_further_event():
    events, others = [], []
    reporter = Reporter([lambda event: events.append(event) or True, others.append])
    assert reporter.stage("a") and reporter.within("b").stage("c") and reporter.front(["x"]) and reporter.stopped
    assert [event.stage for event in events] == ["a"] and [event.stage for event in others] == ["a", "b", "c", "b"]


@pytest.mark.parametrize(("answer", "stops"), [(1, False), (None, False), (torch.tensor(True), True)])
def test_only_true_stops(answer, stops):
    assert bool(Reporter([lambda event: answer]).stage("fit")) is stops


def test_later_events_contain_the_front():
    events = []
    reporter = Reporter([events.append])
    reporter.within("a").front(["x"])
    reporter.stage("b")
    assert [(event.stage, event.front) for event in events] == [("a", ()), ("", ("x",)), ("b", ("x",))]


def test_a_callback_that_is_not_callable_is_refused():
    with pytest.raises(TrainingError, match=r"callback=3 cannot be called: pass a function of an Event, or None\."):
        small().fit(DATA, callback=3)  # type: ignore[arg-type]


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_callback_that_ends_a_race_before_any_step_leaves_the_network_new(n_jobs):
    events = []
    network, own = small(), small()
    result = network.fit(
        DATA,
        optimizer=LevenbergMarquardt(starts=16, n_jobs=n_jobs),
        callback=lambda event: events.append(event) or True,
    )
    assert {event.stage for event in events} == {"race of 8, starts 1 to 8 of 16"}
    assert (result.steps, result.stop_reason) == (0, "stopped by the callback")
    assert not network.fitted  # no step was made: the next fit is the first one
    before, after = own.state_dict(), network.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


# --- where it is shown ---


def test_a_log_receives_one_line_of_plain_text_for_each_stage_on_request(capsys, monkeypatch):
    monkeypatch.setattr(multistart, "TRAINING", dataclasses.replace(TRAINING, race_consensus=()))
    fit_multilevel(small(), DATA, [3, 6], steps=2, optimizer=LevenbergMarquardt(starts=4), progress=True)
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
def test_a_log_receives_nothing_by_default(show, capsys):
    with reporting(show) as reporter:
        reporter.stage("fit", 3)
        reporter(1, "RMSE 1")
        reporter.within("a").stage("b")
    assert capsys.readouterr() == ("", "")


PROGRAM = """
import sys, time
from knotwork.training import reporting
with reporting({show}) as reporter:
    inner = reporter.within("searching")
    inner.stage("fit (lm), G=5", 40)
    for step in range(1, 31):
        inner(step, "RMSE 1.00e-02, validation 2.00e-02")
        time.sleep(0.03)
print("after")
"""


def on_a_terminal(show, **environment):
    """The output that a terminal of 80 columns receives on stderr, and stdout."""
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
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        received += piece
    os.close(ours)
    out = done.communicate(timeout=60)[0]
    assert done.returncode == 0
    return received.decode(), out.decode()


def test_a_terminal_shows_a_bar_that_is_removed_afterwards():
    received, out = on_a_terminal(None)
    assert out == "after\n"
    frames = [re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", frame) for frame in received.split("\x1b[2K")]
    last = [frame.strip() for frame in frames if "30/40" in frame][-1]
    bar = r"fit \(lm\), G=5 [━╸╺]+ 30/40 RMSE 1.00e-02, validation 2.00e-02 \d\d:\d\d"
    assert re.fullmatch(rf"searching\s+{bar}", last)
    assert all(len(line) <= 80 for frame in frames for line in frame.splitlines())
    assert frames[-1].strip() == ""  # the last frame is an empty line
    assert on_a_terminal(False) == ("", "after\n")


@pytest.fixture
def notebook(monkeypatch):
    """Simulates IPython in a notebook; returns the displayed outputs in order."""
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
    monkeypatch.setattr(progress, "FIRST_PICTURE", 0.0)
    monkeypatch.setattr(progress, "PAUSE", 0.0)
    return shown


def test_a_notebook_shows_a_bar_as_html_that_is_removed_afterwards(notebook, capsys):
    small().fit(DATA, steps=3, optimizer=ONE_START)
    assert capsys.readouterr() == ("", "")
    pictures = [re.sub("<[^>]+>", "", picture) for picture in notebook[:-1]]
    assert any(re.search(r"fit \(lm\), G=5 ━.* 3/3 RMSE .*, validation", picture) for picture in pictures)
    assert notebook[-1] == {}
    notebook.clear()
    small().fit(DATA, steps=3, optimizer=ONE_START, progress=False)
    assert notebook == []


def test_a_notebook_shows_no_bar_for_short_work(notebook, monkeypatch):
    monkeypatch.setattr(progress, "FIRST_PICTURE", 60.0)
    small().fit(DATA, steps=3, optimizer=ONE_START)
    assert notebook == []


def test_an_interrupt_removes_the_bar(notebook):
    def interrupt(event):
        raise KeyboardInterrupt

    assert small().fit(DATA, optimizer=ONE_START, callback=interrupt).stopped_by_caller
    assert len(notebook) > 1
    assert notebook[-1] == {}
