"""Searches that are killed at any moment and resumed find what a search finds that nothing has stopped."""

import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest

import knotwork as kw
from knotwork.discovery.storage import NETWORKS, content_of
from knotwork.errors import CheckpointError
from knotwork.journal import journal as journals
from knotwork.journal.fingerprints import Fingerprints
from knotwork.regression import searched_names
from knotwork.regression.groups import grouped_search
from knotwork.solvers import StopReason
from tests.killing import Killer, killed_again_and_again

rng = np.random.default_rng(0)
X = rng.uniform(0.5, 2, (120, 2))
NOISE = rng.standard_normal(120)
RATIO = X[:, 0] / X[:, 1]


def noisy_ratio(**options):
    return kw.discover(X, RATIO + 0.05 * NOISE, **options)


def curve(**options):
    x = np.linspace(0.5, 4, 80)
    return kw.discover(x[:, None], np.exp(-x) + 0.02 * NOISE[:80], names=["t"], **options)


def few_rows(**options):
    return kw.discover(X[:25], 3 * X[:25, 0] ** 2 + 0.05 * NOISE[:25], **options)


def groups(**options):
    of = np.repeat(["a", "b", "c"], 40)
    factor = np.repeat([1.0, 2.0, 3.0], 40)
    return kw.discover(X[:, :1], factor * X[:, 0] ** 2 + 0.05 * NOISE, groups=of, **options)


def classes(**options):
    inside = X[:, 0] ** 2 + X[:, 1] < 2.5
    return kw.discover(X, np.where(inside, "in", "out"), **options)


def targets(**options):
    return kw.discover(X, np.c_[X[:, 0] + RATIO, X[:, 1] - RATIO] + 0.02 * NOISE[:, None], **options)


def form(**options):
    y = 2 * np.sin(2 * X[:, 0]) + X[:, 1] + 0.02 * NOISE
    return kw.discover(X, y, names=["u", "v"], form="a*f(u) + v", **options)


SEARCHES = [noisy_ratio, curve, few_rows, groups, classes, targets, form]


def contents(found):
    """All that was found, as a text, but for times."""
    if hasattr(found, "discoveries"):
        parts = [contents(one) for one in found]
        return json.dumps([*parts, repr(found.constants), found.stop.name])
    if not hasattr(found, "baseline"):
        return f"{found!r} {found.front if hasattr(found, 'front') else found.boundaries} {found.stop}".replace(
            f"{found.seconds:.2g} s", ""
        )
    content = content_of(found)
    if found.baseline is not None:
        content["baseline"]["model"] = digest(found.baseline.model)
    for one in content["front"]:
        for name in NETWORKS:  # of formulas that are not chosen; the formulas say the same
            one.pop(name, None)
    content["symbolic_model"], content["spline_model"] = digest(found.symbolic_model), digest(found.spline_model)
    return re.sub(r'"seconds": [-0-9.e]+', "", json.dumps(content))


def digest(network):
    """All that a network is; the bytes of its file have an order that differs from time to time."""
    return Fingerprints().of([network.spec.to_json(), network.state_dict()])


@pytest.mark.parametrize("search", SEARCHES, ids=lambda search: search.__name__)
def test_a_search_that_is_killed_again_and_again_finds_the_same(search, tmp_path, monkeypatch):
    often = replace(journals.JOURNAL, seconds_between=0.05, share_of_time=0.5)
    monkeypatch.setattr(journals, "JOURNAL", often)
    for module, name, limit in ((grouped_search, "GROUPS", "source"), (searched_names, "REGRESSION", "search")):
        endless = replace(getattr(module, name), **{f"seconds_of_{limit}": math.inf})  # they end where time is up
        monkeypatch.setattr(module, name, endless)
    counting = Killer()
    whole = search(progress=False, callback=counting)
    found, titles, kills = killed_again_and_again(
        lambda killer, path: search(progress=False, callback=killer, checkpoint=path),
        tmp_path / "search.kw",
        seed=1,
        within=2 * max(counting.events, 4),
    )
    assert contents(found) == contents(whole)
    assert kills == 0 or any(title.startswith("going on from") for title in titles)


def test_after_its_end_the_same_call_finds_the_same_without_a_step_of_a_fit(tmp_path):
    steps = []
    for _ in range(2):
        steps.append([])
        found = noisy_ratio(
            progress=False, callback=lambda event: steps[-1].append(event.step), checkpoint=tmp_path / "search.kw"
        )
    assert contents(found) == contents(noisy_ratio(progress=False))
    assert any(steps[0]) and not any(steps[1])


def test_ctrl_c_keeps_the_best_so_far_and_the_next_call_goes_on(tmp_path):
    def interrupt(event):
        if event.stage.startswith("trying"):
            raise KeyboardInterrupt

    stopped = noisy_ratio(progress=False, callback=interrupt, checkpoint=tmp_path / "search.kw")
    assert stopped.stop is StopReason.INTERRUPTED
    assert contents(noisy_ratio(progress=False, checkpoint=tmp_path / "search.kw")) == contents(
        noisy_ratio(progress=False)
    )


def test_seconds_before_a_kill_count(tmp_path):
    class End(BaseException):
        pass

    def end(event):
        if event.stage.startswith("trying"):
            end.seconds = event.seconds
            raise End

    path = tmp_path / "search.kw"
    with pytest.raises(End):
        noisy_ratio(progress=False, callback=end, checkpoint=path)
    seconds = []
    noisy_ratio(progress=False, callback=lambda event: seconds.append((event.stage, event.seconds)), checkpoint=path)
    again = next(seconds for stage, seconds in seconds if stage.startswith("trying"))
    assert again >= 0.5 * end.seconds


def test_a_budget_that_is_spent_ends_the_next_call_too_and_another_budget_goes_on(tmp_path):
    path = tmp_path / "search.kw"
    short = noisy_ratio(progress=False, time_budget=0.2, checkpoint=path)
    again = noisy_ratio(progress=False, time_budget=0.2, checkpoint=path)
    assert again.formula == short.formula  # of the first stages, which a budget never ends
    whole = noisy_ratio(progress=False, checkpoint=path)
    assert whole.formula == noisy_ratio(progress=False).formula


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"y": RATIO + 1.0}, "data is"),
        ({"X": X + 1.0}, "data is"),
        ({"seed": 1}, "seed is 0 there, but 1 here"),
        ({"lib": ["sin"]}, r"lib is None there, but \['sin'\] here"),
        ({"names": ["a", "b"]}, "names is"),
        ({"max_complexity": 5}, "max_complexity is None there, but 5 here"),
        ({"form": "a*x_1/x_2"}, "form is"),
        ({"sample_weight": np.ones(120)}, "sample_weight is"),
        ({"groups": np.repeat([1, 2, 3], 40)}, "groups is"),
    ],
    ids=lambda one: next(iter(one)) if isinstance(one, dict) else None,
)
def test_a_file_of_other_data_or_settings_is_refused_in_words(change, words, tmp_path, finished):
    given = {"X": X, "y": RATIO, "progress": False, **change}
    with pytest.raises(CheckpointError, match=words):
        kw.discover(**given, checkpoint=finished)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The file of a search."""
    path = tmp_path_factory.mktemp("files") / "search.kw"
    kw.discover(X, RATIO, progress=False, checkpoint=path)
    return path


def test_a_file_of_another_calculation_and_no_file_are_refused(tmp_path, finished):
    with pytest.raises(CheckpointError, match="the calculation is discover there"):
        kw.KAN([2, 1], seed=0).fit((X, RATIO), checkpoint=finished)
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    with pytest.raises(CheckpointError, match="no file of a calculation"):
        kw.discover(X, RATIO, checkpoint=tmp_path / "table.csv")
    with pytest.raises(CheckpointError, match="cannot be written"):
        kw.discover(X, RATIO, checkpoint=tmp_path / "no folder" / "search.kw")
