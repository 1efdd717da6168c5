"""A callback that returns True when a stage begins ends the solution there, without a further step."""

import math

import pytest

from knotwork import pde
from knotwork.pde.strategies import initial_networks
from knotwork.solvers import StopReason
from tests.pde.test_solve import heat

ONE_LAYER = {"width": [2, 1], "grid": 10, "points": 60, "starts": 1, "steps": 3}
PRODUCTS = {"rank": 2, "grid": 5, "points": 60, "steps": 2, "adaptive": True}


class StopAt:
    """A callback that returns True at the n-th stage of this title, and keeps the events until then and after."""

    def __init__(self, title, number=1):
        self.title, self.number, self.before, self.after = title, number, [], []

    def __call__(self, event):
        if not self.number:
            self.after.append(event)
            return None
        self.before.append(event)
        self.number -= event.stage == self.title and event.step == 0
        return self.number == 0


def steps(events):
    return [event.record for event in events if event.step]


@pytest.mark.parametrize(
    ("title", "settings"),
    [
        ("grid 5", ONE_LAYER),
        ("grid 5", {**ONE_LAYER, "optimizer": "lbfgs"}),
        ("grid 5", {**ONE_LAYER, "optimizer": "adam"}),
        ("grid 10", ONE_LAYER),
        ("round 1", PRODUCTS),
        ("round 2", PRODUCTS),
        ("last round", PRODUCTS),
    ],
)
def test_no_step_follows(title, settings):
    callback = StopAt(title)
    solution = pde.solve(heat(), **settings, callback=callback)
    assert not callback.number and not steps(callback.after)
    assert list(solution.history) == steps(callback.before) and solution.steps == len(solution.history)
    assert (solution.steps == 0) == (title in ("grid 5", "round 1"))
    assert solution.stop is StopReason.CALLBACK and solution.stop_reason == "stopped by the callback"
    assert math.isfinite(solution.residual)


def test_starts_make_no_step_either(monkeypatch):
    def refuse(*args, **settings):
        raise AssertionError

    monkeypatch.setattr(initial_networks, "levenberg_marquardt", refuse)
    callback = StopAt("best of 3 starts")
    solution = pde.solve(heat(), width=[2, 2, 1], grid=5, points=60, starts=3, callback=callback)
    assert [event.stage for event in (*callback.before, *callback.after)] == ["best of 3 starts"]
    assert solution.stop is StopReason.CALLBACK and solution.steps == 0


@pytest.mark.parametrize("title", ["grid 5", "best of 2 starts"])
def test_a_window_without_a_step_is_left_out(title):
    callback = StopAt(title, number=2)
    solution = pde.solve(heat(), **{**ONE_LAYER, "starts": 2}, windows=3, callback=callback)
    assert solution.windows == ((0.0, 1 / 3),) and len(solution.models) == 1
    assert solution.stop is StopReason.CALLBACK and not steps(callback.after)
