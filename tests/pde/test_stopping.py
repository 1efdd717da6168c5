"""A callback that returns True, or Ctrl-C, when a stage begins ends the solution there, without a further step."""

import math

import pytest

from knotwork import pde
from knotwork.pde.strategies import initial_networks
from knotwork.solvers import StopReason
from tests.pde.test_solve import heat

ONE_LAYER = {"width": [2, 1], "grid": 10, "points": 60, "starts": 1, "steps": 3}
PRODUCTS = {"rank": 2, "grid": 5, "points": 60, "steps": 2, "adaptive": True}


class StopAt:
    """A callback that returns True, or raises, at a step of the n-th stage of this title, and keeps all events."""

    def __init__(self, title, number=1, step=0, error=None):
        self.title, self.number, self.step, self.error, self.before = title, number, step, error, []

    def __call__(self, event):
        assert self.number, "an event after the callback has asked to stop"
        self.before.append(event)
        self.number -= event.stage == self.title and event.step == self.step
        if not self.number and self.error:
            raise self.error
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
def test_no_step_follows(title, settings, displayed):
    callback = StopAt(title)
    solution = pde.solve(heat(), **settings, callback=callback)
    assert not callback.number and displayed == callback.before
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
    assert [event.stage for event in callback.before] == ["best of 3 starts"]
    assert solution.stop is StopReason.CALLBACK and solution.steps == 0


CALLER = [(None, StopReason.CALLBACK), (KeyboardInterrupt(), StopReason.INTERRUPTED)]


@pytest.mark.parametrize(("error", "reason"), CALLER)
@pytest.mark.parametrize(("title", "starts"), [("grid 5", 1), ("best of 2 starts", 2)])
def test_a_window_without_a_step_is_left_out(title, starts, error, reason, displayed):
    callback = StopAt(title, number=2, error=error)
    solution = pde.solve(heat(), **{**ONE_LAYER, "starts": starts}, windows=3, callback=callback)
    assert solution.windows == ((0.0, 1 / 3),) and len(solution.models) == 1
    assert solution.stop is reason and displayed == callback.before


@pytest.mark.parametrize(("error", "reason"), CALLER)
def test_a_window_that_its_starts_have_solved_is_kept(error, reason):
    """The steps of random starts are not counted, but the best start is better than a network as it was drawn."""
    callback = StopAt("grid 5", number=2, error=error)
    solution = pde.solve(heat(), **{**ONE_LAYER, "starts": 2}, windows=3, callback=callback)
    assert solution.windows == ((0.0, 1 / 3), (1 / 3, 2 / 3)) and len(solution.models) == 2
    assert solution.stop is reason and {step.window for step in solution.history} == {0}
    assert solution.residual < 1


def test_a_stopped_round_is_kept_where_it_is_better():
    """The step of round 2 lowers the objective, so the solution is better than that of round 1."""
    first = pde.solve(heat(), **PRODUCTS, callback=StopAt("round 2"))
    second = pde.solve(heat(), **PRODUCTS, callback=StopAt("round 2", step=2))
    assert second.stop is StopReason.CALLBACK and second.steps == first.steps + 2
    assert second.history[-1].objective < 0.5 * first.history[-1].objective
    assert second.held_out < 0.9 * first.held_out
