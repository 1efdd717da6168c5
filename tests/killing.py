"""Calculations that are killed at any moment, for tests: in this process by an exception that nothing catches.

The file is set back to what it was at the kill, so that nothing counts that was written while the exception rose.
"""

import random
from dataclasses import replace

import torch

from knotwork.journal import journal as journals


class Killed(BaseException):
    """Stands for SIGKILL: no part of the package catches it."""


class Killer:
    """A callback that raises `Killed` at the n-th event, counts events, and keeps the titles of stages and the file."""

    def __init__(self, at=None, path=None):
        self.at, self.path, self.events, self.titles = at, path, 0, []

    def __call__(self, event):
        self.events += 1
        if event.step == 0:
            self.titles.append(event.stage)
        if self.events == self.at:
            raise killed(self.path)


def killed(path):
    """The exception for a kill now, with what is in the file, which `set_back` restores."""
    kill = Killed()
    kill.path, kill.held = path, path and path.read_bytes()
    return kill


def set_back(kill):
    """Put into the file what was there at the kill."""
    kill.path.write_bytes(kill.held)


def write_always(monkeypatch):
    """From now on a journal is written whenever there is something new."""
    always = replace(journals.JOURNAL, seconds_between=0.0, share_of_time=float("inf"))
    monkeypatch.setattr(journals, "JOURNAL", always)


def killed_again_and_again(run, path, seed, within):
    """The result of `run(callback, checkpoint)` that is killed until it ends, the titles of stages, and the kills.

    Each run is killed at a random event of the next `within` ones.
    """
    moments, titles, kills = random.Random(seed), [], 0
    while True:
        killer = Killer(moments.randint(1, within), path)
        try:
            result = run(killer, path)
        except Killed as kill:
            set_back(kill)
            kills += 1
            assert kills < 300, "it does not go on"
        else:
            return result, [*titles, *killer.titles], kills
        titles += killer.titles


def numbers(result):
    """All numbers of a FitResult or a Solution but for its times."""
    models = getattr(result, "models", None) or [result.model]
    skipped = ("model", "models", "seconds", "history", "problem", "windows")
    plain = {name: repr(value) for name, value in vars(result).items() if name not in skipped}
    states = [{name: value.clone() for name, value in model.state_dict().items()} for model in models]
    return plain, [replace(record, seconds=0.0) for record in result.history], states


def assert_same(one, other):
    """The same numbers to the bit, whole history included."""
    (plain, history, states), (others, past, values) = numbers(one), numbers(other)
    assert plain == others
    assert repr(history) == repr(past)
    for state, value in zip(states, values, strict=True):
        assert state.keys() == value.keys()
        assert all(torch.equal(state[name], value[name]) for name in state)
