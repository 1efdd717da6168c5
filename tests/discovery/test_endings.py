"""Searches end in time: after their budget, and soon after a callback or Ctrl-C asks them to stop."""

import itertools
import time
from functools import partial

import numpy as np
import pytest
import torch

import knotwork as kw
from knotwork.discovery import going_on
from knotwork.functions import select
from knotwork.regression import smooth_targets as smoothing
from knotwork.regression.curve_names import IDENTITY
from knotwork.regression.inside import InsideTerms
from knotwork.regression.inside.fits_inside import Fits
from knotwork.regression.searched_names import searched_names
from knotwork.regression.structures import Rows
from knotwork.regression.term_search import TermSearch
from knotwork.solvers import StopReason
from knotwork.training import Reporter

LATE = 2.0
"""Seconds of processor time that a search may go on after it was to end."""


@pytest.fixture(scope="module", autouse=True)
def imported():
    """The first search of a process also imports what searches need."""
    x, y = noisy_table(200)
    kw.discover(x, y, time_budget=0, progress=False)
    kw.discover(x, x[:, 0] * x[:, 1], names=list("abcd"), form="f(a)*b", progress=False)


def noisy_table(rows=1500):
    """Four inputs and a target with noise, of which structures of curves explain the larger part alone."""
    rng = np.random.default_rng(3)
    x = rng.uniform(0.5, 3, (rows, 4))
    y = np.tanh(x[:, 0] * x[:, 1] - 2 * x[:, 2]) * np.cos(3 * x[:, 3] + x[:, 0]) + 1.5 * x[:, 1]
    return x, y + 0.1 * y.std() * rng.normal(size=rows)


def seconds_of(call):
    """The processor time of a call, which other processes do not lengthen, and what it returns."""
    before = time.process_time()
    found = call()
    return time.process_time() - before, found


def table_of_search(rows=1500):
    """The prepared table, and a search for its terms that is over at once."""
    x, y = (torch.from_numpy(part) for part in noisy_table(rows))
    ready = Rows.of(list(x.T), y, int(0.8 * rows))
    return ready, TermSearch(ready, select(), 0, Reporter().before(0.0))


@pytest.mark.parametrize("budget", [1, 3])
def test_a_search_ends_soon_after_its_time_and_names_the_best_so_far(budget):
    seconds, found = seconds_of(lambda: kw.discover(*noisy_table(), time_budget=budget, progress=False, seed=0))
    assert seconds < budget + LATE
    assert found.formula.r2 > 0.1 and found.stop is StopReason.TIME_BUDGET


def test_a_callback_that_stops_at_its_first_report_ends_the_search_at_once():
    for options in ({}, {"form": "a*f(x1) + g(x2)*x3"}, {"start": "x1*sin(x2) + x3"}):
        options |= {"names": ["x1", "x2", "x3", "x4"], "callback": lambda event: True, "progress": False}
        seconds, found = seconds_of(partial(kw.discover, *noisy_table(), **options))
        assert seconds < LATE and found.stop is StopReason.CALLBACK, options


def test_callbacks_are_called_between_candidates_so_that_they_can_stop_a_long_stage():
    calls = []

    def until_inside(event):
        calls.append((time.process_time(), event.stage))
        return [stage for _, stage in calls].count("trying functions with constants inside") > 2

    found = kw.discover(*noisy_table(), progress=False, callback=until_inside)
    assert found.stop is StopReason.CALLBACK and found.formula.r2 > 0.1
    assert max(b[0] - a[0] for a, b in itertools.pairwise(calls)) < LATE


def test_stages_end_at_once_when_the_time_is_up():
    rows, terms = table_of_search()
    next(terms.simple_sums(), None)
    terms._table(40)
    inside = InsideTerms(rows, terms, select())
    t = torch.linspace(0, 6, 500, dtype=torch.float64)
    curve = (t.sin() * 2).exp() + (3 * t).cos()
    over = Reporter().before(0.0)
    stages = (
        lambda: list(inside.fits(lambda fit: False)),
        lambda: smoothing.smooth_targets(rows, 0, over),
        lambda: searched_names(t, curve, select(), 1e-6, False, over),
        lambda: list(terms.ratios()),
        lambda: list(terms.large_sums()),
    )
    for number, stage in enumerate(stages):
        assert seconds_of(stage)[0] < LATE, number


def test_a_round_of_functions_with_constants_inside_ends_within_the_round(monkeypatch):
    fits, refined = [], Fits.refined
    monkeypatch.setattr(Fits, "refined", lambda self, *given: fits.append(1) or refined(self, *given))
    rows, terms = table_of_search()
    next(terms.simple_sums(), None)
    terms._table(40)
    inside = InsideTerms(rows, terms, select())
    frame = terms.frames(IDENTITY, terms.table)[0]
    whole = TermSearch(rows, select(), 0, Reporter())
    whole.table = terms.table
    found = inside.in_frame(frame)
    short = len(fits)
    inside.terms = whole
    inside.in_frame(frame)
    assert found and short < 0.5 * (len(fits) - short)


def test_ctrl_c_while_noise_is_removed_ends_the_search(monkeypatch):
    rows, _ = table_of_search()
    stopped = type("Stopped", (), {"stop": StopReason.INTERRUPTED})
    monkeypatch.setattr(smoothing, "fit_with", lambda *args: stopped)
    with pytest.raises(KeyboardInterrupt):
        smoothing.smooth_targets(rows, 0, Reporter())


def test_ctrl_c_keeps_the_formula_to_start_from_and_its_neighbours_so_far(monkeypatch):
    def interrupted(search, formula):
        raise KeyboardInterrupt

    monkeypatch.setattr(going_on.NeighbourSearch, "best_neighbour", interrupted)
    x, y = noisy_table(200)
    y = 3 * x[:, 0] * np.sin(x[:, 1]) + x[:, 2] + 0.1 * y
    found = kw.discover(x, y, names=["a", "b", "c", "d"], start="2.5*a*sin(b) + c", progress=False)
    assert found.stop is StopReason.INTERRUPTED
    assert {str(s) for s in found.formula.expression.free_symbols} == {"a", "b", "c"}


@pytest.mark.parametrize("budget", [0, 1])
def test_a_form_with_curves_ends_soon_after_its_time(budget):
    x, y = noisy_table()
    names = ["x1", "x2", "x3", "x4"]
    form = "f(x1*x2 - b*x3)*g(3*x4 + x1) + c*x2"
    seconds, found = seconds_of(lambda: kw.discover(x, y, names=names, form=form, time_budget=budget, progress=False))
    assert seconds < budget + LATE and found.stop is StopReason.TIME_BUDGET


def test_ctrl_c_keeps_the_fit_of_a_form_whose_curves_have_no_names_yet(monkeypatch):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("knotwork.regression.forms.form_names._Names._trial", interrupted)
    x, y = noisy_table(300)
    found = kw.discover(x[:, :2], y, names=["a", "b"], form="f(a) + c*b", progress=False)
    assert found.stop is StopReason.INTERRUPTED and "stays a spline" in found.unknowns["f"]


@pytest.mark.parametrize("classes", [2, 6])
def test_a_search_for_boundaries_ends_soon_after_its_time(classes):
    x, y = noisy_table(3000)
    labels = np.digitize(y, np.quantile(y, np.arange(1, classes) / classes)).astype(str)
    labels = np.char.add("class ", labels)
    seconds, found = seconds_of(lambda: kw.discover(x, labels, time_budget=1, progress=False))
    assert seconds < 1 + LATE
    assert found.stop == StopReason.TIME_BUDGET and len(found.classes) == classes
