"""Optimisers of `solve` are values or names; settings of a value are used, or refused with an error message."""

import re

import pytest
import torch

import knotwork as kw
from knotwork import pde
from knotwork.errors import TrainingError
from knotwork.pde.solving.gradient_methods import minimise
from knotwork.pde.solving.hidden_grids import update_hidden_grids
from knotwork.pde.solving.optimizers import chosen_optimizer
from knotwork.pde.solving.system import System
from knotwork.pde.solving.terms import make_terms
from knotwork.training import Optimizer
from tests.pde.test_solve import heat, oscillator, small_system

SMALL = {"width": [2, 1], "grid": 5, "points": 50, "steps": 3}


NONLINEAR = {**SMALL, "width": [2, 2, 1]}


def stages(**settings):
    """The titles of the stages of a small solution, which begin and make one step each."""
    seen = []
    pde.solve(heat(), **SMALL, **settings, callback=lambda event: seen.append(event.stage))
    return list(dict.fromkeys(seen))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lm", kw.LevenbergMarquardt(starts=6, tolerance=1e-3)),
        ("lbfgs", kw.LBFGS(lr=1.0)),
        ("adam", kw.Adam(lr=1e-3)),
    ],
)
def test_the_name_of_an_optimiser_means_its_default_value(name, value):
    first, second = (pde.solve(heat(), **SMALL, optimizer=optimizer) for optimizer in (name, value))
    for a, b in zip(first.model.parameters(), second.model.parameters(), strict=True):
        assert torch.equal(a, b)
    assert [step.objective for step in first.history] == [step.objective for step in second.history]
    assert chosen_optimizer(name.upper()) == chosen_optimizer(name) == chosen_optimizer(value)


def test_the_name_of_an_optimiser_has_the_defaults_of_solve():
    """Six starts, and eight steps in a row that lower the objective by less than a thousandth end a grid."""
    for optimizer in ("lm", "adam", kw.LBFGS()):
        assert stages(optimizer=optimizer)[0] == "best of 6 starts"
    solution = pde.solve(heat(), **{**NONLINEAR, "steps": 100}, starts=1)
    assert "8 steps in a row" in solution.stop_reason and "by 0.001 of it" in solution.stop_reason


def test_the_argument_starts_takes_precedence_over_that_of_the_optimiser():
    three = kw.LevenbergMarquardt(starts=3)
    assert stages(optimizer=three)[0] == "best of 3 starts"
    assert stages(optimizer=three, starts=2)[0] == "best of 2 starts"
    assert stages(optimizer="lbfgs", starts=2)[0] == "best of 2 starts"


def test_the_argument_tolerance_takes_precedence_over_that_of_the_optimiser():
    """With a tolerance of 1 no step counts as progress, so that eight of them are made."""
    settings, easy = {**NONLINEAR, "steps": 100}, kw.LevenbergMarquardt(starts=1, tolerance=1.0)
    solution = pde.solve(heat(), **settings, optimizer=easy)
    assert "8 steps in a row" in solution.stop_reason and "by 1 of it" in solution.stop_reason and solution.steps == 8
    solution = pde.solve(heat(), **settings, optimizer=easy, tolerance=1e-2)
    assert "by 0.01 of it" in solution.stop_reason and solution.steps > 8


def test_the_learning_rate_of_adam_is_used():
    """The first step of Adam moves every parameter by the rate, as far as its slope is not tiny."""
    for rate in (1e-2, 1e-4):
        system = small_system()
        before = system.get()
        minimise(system, kw.Adam(lr=rate), steps=1, update_grid=False)
        assert float((system.get() - before).abs().median()) == pytest.approx(rate, rel=1e-3)


def test_the_learning_rate_of_lbfgs_is_used():
    """On a linear problem torch's first trial is lr·min(1, 1/|g|₁) along the slope; a short one is not interpolated."""

    def straight():
        system = System(
            kw.KAN([1, 1], grid=4, k=5, seed=0, base="zero", grid_range=(0.0, 3.0)),
            make_terms(oscillator(), 50, 1, 0),
            torch.zeros(0, dtype=torch.float64),
        )
        update_hidden_grids(system.network, system.rows)
        return system

    moved = []
    for rate in (1e-3, 1e-1):
        system = straight()
        before = system.get()
        minimise(system, kw.LBFGS(lr=rate), steps=1, update_grid=False)
        moved.append(system.get() - before)
    assert not torch.equal(*moved)


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        (
            kw.LevenbergMarquardt(n_jobs=2),
            "n_jobs=2 has no effect here, as solve() uses one process: pass kw.LevenbergMarquardt without it.",
        ),
        (
            kw.Adam(batch_size=64),
            "batch_size=64 has no effect here, as each step takes all points: pass kw.Adam without it.",
        ),
        ("auto", "optimizer='auto' is not known here: choose 'lm', 'lbfgs', 'adam', or a value such as"),
        (
            kw.TorchOptimizer(torch.optim.SGD, lr=0.1),
            "solve() takes no optimiser class of torch, here SGD: pass kw.LevenbergMarquardt(), kw.LBFGS() or",
        ),
        (torch.optim.AdamW, "solve() takes no optimiser class of torch, here AdamW"),
        ("sgd", "optimizer='sgd' is not known here"),
        (None, "optimizer=None is not known here"),
        (["lm"], "optimizer=['lm'] is not known here"),
    ],
)
def test_settings_that_solve_cannot_use_are_refused(optimizer, message):
    with pytest.raises(TrainingError, match=re.escape(message)):
        pde.solve(heat(), **SMALL, optimizer=optimizer)


def test_an_optimiser_of_the_user_is_refused():
    class Own(Optimizer):
        def minimise(self, task):
            raise AssertionError

    class Similar(kw.Adam):
        pass

    for optimizer in (Own(), Similar()):
        with pytest.raises(TrainingError, match="is not known here"):
            pde.solve(heat(), **SMALL, optimizer=optimizer)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"starts": 0}, "starts=0 is not possible"),
        ({"tolerance": -1.0}, "tolerance=-1.0 is not possible: it must be 0 or positive"),
        ({"tolerance": "small", "optimizer": "adam"}, "tolerance='small' is not possible"),
    ],
)
def test_impossible_numbers_are_refused(settings, message):
    with pytest.raises(TrainingError, match=re.escape(message)):
        pde.solve(heat(), **SMALL, **settings)
