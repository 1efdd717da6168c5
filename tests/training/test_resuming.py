"""A fit that is killed and called again ends with the same numbers as one that was never killed."""

import errno
import math
import os
import time
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import knotwork as kw
from knotwork import files
from knotwork.errors import CheckpointError, KnotworkWarning
from knotwork.solvers import StopReason
from knotwork.training import row_samples, smoothness_choice
from knotwork.training.settings import EVIDENCE, SAMPLES
from knotwork.training.smoothness_choice import SmoothnessChoice
from knotwork.training.watch import Watch
from tests.killing import Killed, Killer, assert_same, killed_again_and_again, set_back, write_always

DATA = kw.sample(
    lambda x, y: torch.exp(torch.sin(3 * x) + y**2), x=(-1, 1), y=(-1, 1), size=120, test_size=30, noise=0.1, seed=0
)
LABELS = kw.sample(lambda x, y: (x * y > 0.1).to(x), x=(-1, 1), y=(-1, 1), size=120, test_size=30, seed=0)


def absolute(outputs, targets):
    return (outputs - targets).abs().mean()


def kan(width=(2, 2, 1), **settings):
    return kw.KAN(list(width), **{"grid": 5, "seed": 0, **settings})


def count_calls(function, calls):
    def counted(*args):
        calls.append(args[1])
        return function(*args)

    return counted


def dropout():
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(2, 8), nn.Dropout(0.2), nn.BatchNorm1d(8), nn.Linear(8, 1))


FITS = {
    "lm": (kan, DATA, {"optimizer": kw.LevenbergMarquardt(starts=9), "steps": 14}),
    "lm without a race": (kan, DATA, {"optimizer": kw.LevenbergMarquardt(starts=1), "steps": 20}),
    "lm with a penalty": (kan, DATA, {"lamb": 1e-3, "steps": 12}),
    "lm with patience": (kan, DATA, {"optimizer": kw.LevenbergMarquardt(starts=2), "patience": 3, "steps": 20}),
    "lm in float32": (
        lambda: kan(dtype=torch.float32),
        DATA,
        {"optimizer": kw.LevenbergMarquardt(starts=2), "steps": 14},
    ),
    "lm of labels": (kan, LABELS, {"loss": "cross_entropy", "steps": 8, "optimizer": kw.LevenbergMarquardt(starts=1)}),
    "lm of products": (
        lambda: kan([2, [1, 1], 1], grid=8),
        DATA,
        {"optimizer": kw.LevenbergMarquardt(starts=2), "steps": 14},
    ),
    "a smooth fit": (kan, DATA, {"smoothness": 0.5, "steps": 20}),
    "lbfgs": (kan, DATA, {"optimizer": "lbfgs", "steps": 8}),
    "lbfgs of another loss": (kan, DATA, {"optimizer": "lbfgs", "steps": 7, "loss": absolute}),
    "adam": (kan, DATA, {"optimizer": kw.Adam(batch_size=32), "steps": 30}),
    "adam with patience": (kan, DATA, {"optimizer": kw.Adam(lr=0.1), "steps": 30, "patience": 5}),
    "momentum": (kan, DATA, {"optimizer": kw.TorchOptimizer(torch.optim.RMSprop, batch_size=50), "steps": 40}),
    "a module with dropout": (dropout, DATA, {"steps": 40}),
    "lm of a module": (dropout, DATA, {"optimizer": "lm", "steps": 12}),
    "a stream": (
        kan,
        kw.stream_batches([(DATA.X_train[:50], DATA.y_train[:50]), (DATA.X_train[50:], DATA.y_train[50:])]),
        {"steps": 30},
    ),
}


@pytest.mark.parametrize(("make", "data", "settings"), FITS.values(), ids=list(FITS))
def test_a_killed_fit_ends_with_the_same_numbers(tmp_path, monkeypatch, make, data, settings):
    write_always(monkeypatch)
    settings = {"smoothness": None, **settings}
    counted = Killer()
    whole = kw.fit(make(), data, callback=counted, **settings)

    def run(callback, path):
        return kw.fit(make(), data, callback=callback, checkpoint=path, **settings)

    path = tmp_path / "a.kw"
    result, titles, kills = killed_again_and_again(run, path, 0, max(2, counted.events // 2))
    assert kills and any(", resumed at step " in title for title in titles)
    assert_same(result, whole)
    assert [r.seconds for r in result.history] == sorted(r.seconds for r in result.history)
    assert result.seconds >= result.history[-1].seconds

    events = Killer()
    again = run(events, path)
    assert_same(again, whole)
    assert not events.events and again.seconds == result.seconds  # it is done


def test_a_race_in_several_processes_goes_on(tmp_path, monkeypatch):
    write_always(monkeypatch)
    settings = {"optimizer": kw.LevenbergMarquardt(starts=9, n_jobs=2), "steps": 5}
    whole = kan().fit(DATA, **settings)
    with pytest.raises(Killed):
        kan().fit(DATA, callback=Killer(3), checkpoint=tmp_path / "a.kw", **settings)
    alone = {**settings, "optimizer": kw.LevenbergMarquardt(starts=9)}
    assert_same(kan().fit(DATA, **alone), whole)
    assert_same(kan().fit(DATA, checkpoint=tmp_path / "a.kw", **settings), whole)


SERIES = {
    "coarse to fine": lambda **more: kw.fit_multilevel(
        kan(grid=3), DATA, [3, 6, 12], optimizer=kw.LevenbergMarquardt(starts=2), steps=8, **more
    ),
    "automatic": lambda **more: kw.fit_multilevel(kan(grid=3), DATA, steps=9, optimizer="lbfgs", **more),
}


@pytest.mark.parametrize("series", SERIES.values(), ids=list(SERIES))
def test_killed_series_end_with_the_same_numbers(tmp_path, monkeypatch, series):
    write_always(monkeypatch)
    counted = Killer()
    whole = series(callback=counted)
    result, _, kills = killed_again_and_again(
        lambda callback, path: series(callback=callback, checkpoint=path), tmp_path / "a.kw", 0, counted.events // 2
    )
    assert kills
    assert_same(result, whole)
    events = Killer()
    again = series(callback=events, checkpoint=tmp_path / "a.kw")
    assert_same(again, whole)
    assert not events.events and again.seconds == result.seconds


def test_a_killed_comparison_of_shapes_ends_with_the_same_numbers(tmp_path, monkeypatch):
    write_always(monkeypatch)
    models = [kan(width, grid=3) for width in ([2, 1, 1], [2, 2, 1], [2, [0, 1]])]

    def run(callback, path):
        return kw.fit_shapes(
            models, DATA, (3, 6), optimizer=kw.LevenbergMarquardt(starts=2), steps=8, callback=callback, checkpoint=path
        )

    counted = Killer()
    whole = run(counted, None)
    results, _, kills = killed_again_and_again(run, tmp_path / "a.kw", 0, counted.events // 2)
    assert kills
    for one, other in zip(results, whole, strict=True):
        assert_same(one, other)


@pytest.mark.parametrize("noise", [0.02, 0.5])
@pytest.mark.parametrize("starts", [1, 4])
def test_a_killed_fit_that_chooses_its_smoothness_ends_with_the_same_numbers(tmp_path, monkeypatch, starts, noise):
    """Also where smooth fits ended the race of starts, and where kills come more often than a smooth fit ends."""
    write_always(monkeypatch)
    data = kw.sample("sin(3*x) + y**2", x=(-1, 1), y=(-1, 1), size=150, noise=noise, seed=0)
    settings = {"optimizer": kw.LevenbergMarquardt(starts=starts), "steps": 15}
    counted = Killer()
    whole = kw.KAN([2, 2, 1], seed=0).fit(data, callback=counted, **settings)
    assert any(title.startswith("smooth") for title in counted.titles)

    def run(callback, path):
        return kw.KAN([2, 2, 1], seed=0).fit(data, callback=callback, checkpoint=path, **settings)

    result, titles, kills = killed_again_and_again(run, tmp_path / "a.kw", 0, 12)
    assert kills and result.smoothness == whole.smoothness
    assert any(title.startswith("smooth") and ", resumed at step " in title for title in titles)
    assert_same(result, whole)


@pytest.mark.parametrize("part", [0.2, 0.9])
@pytest.mark.parametrize("stage", ["fit (lm)", "smooth"])
def test_a_fit_killed_after_its_race_takes_the_best_of_the_smooth_fits_of_the_race(tmp_path, monkeypatch, stage, part):
    """The race of starts is not run again. Of these rows the first of its smooth fits is not the best one."""
    write_always(monkeypatch)
    going_on = replace(EVIDENCE, same_noise=math.inf)  # the smooth fits of the race do not end it
    monkeypatch.setattr(smoothness_choice, "EVIDENCE", going_on)
    rng = np.random.default_rng(151)
    n, noise = int(rng.integers(80, 300)), float(rng.choice([0.03, 0.06, 0.1, 0.2]))
    X = rng.uniform(-1, 1, (n, 3))
    y = np.sin(4 * X[:, 0]) * X[:, 1] + X[:, 2] ** 2 + noise * rng.normal(size=n)
    data = kw.Dataset.from_arrays(X, y, seed=151)
    settings = {"optimizer": kw.LevenbergMarquardt(starts=3), "steps": 20}
    stages, made = [], []
    monkeypatch.setattr(SmoothnessChoice, "_line", count_calls(SmoothnessChoice._line, made))

    def fit(callback, path=None):
        return kw.KAN([3, 2, 1], grid=6, seed=151).fit(data, callback=callback, checkpoint=path, **settings)

    whole = fit(lambda event: stages.append(event.stage))
    assert set(made) == {0, 1, 2} and whole.smoothness.startswith("chosen by the evidence")
    after = stages.index("fit (lm), G=6")
    moments = [n for n, title in enumerate(stages, 1) if n > after and title.startswith(stage)]
    path = tmp_path / "a.kw"
    with pytest.raises(Killed) as kill:
        fit(Killer(moments[int(part * len(moments))], path), path)
    set_back(kill.value)
    counted = Killer()
    assert_same(fit(counted, path), whole)
    assert not any(title.startswith("race") for title in counted.titles)


@pytest.mark.parametrize("settings", [{"smoothness": None}, {"smoothness": 0.5}, {}], ids=["close", "smooth", "chosen"])
def test_a_killed_fit_to_samples_of_many_rows_ends_with_the_same_numbers(tmp_path, monkeypatch, settings):
    """Kills come before the steps on samples have ended, so that each sample must keep its state."""
    write_always(monkeypatch)
    monkeypatch.setattr(row_samples, "SAMPLES", replace(SAMPLES, rows=800, rows_per_parameter=4, smallest=30))
    data = kw.sample("sin(3*x) + y**2", x=(-1, 1), y=(-1, 1), size=2500, noise=0.3, seed=0)
    settings = {"optimizer": kw.LevenbergMarquardt(starts=1), "steps": 30, **settings}
    counted, sampled = Killer(), []
    whole = kan().fit(data, callback=counted, **settings)

    def run(callback, path):
        return kan().fit(data, callback=callback, checkpoint=path, **settings)

    monkeypatch.setattr(Watch, "on_sample", count_calls(Watch.on_sample, sampled))
    result, _, kills = killed_again_and_again(run, tmp_path / "a.kw", 0, 5)
    assert kills > 3 and len(sampled) > 5
    assert_same(result, whole)


# --- ended by the caller ---


@pytest.mark.parametrize("optimizer", [kw.LevenbergMarquardt(starts=2), "lbfgs", "adam"])
def test_after_a_stop_by_the_callback_the_same_network_goes_on(tmp_path, optimizer):
    """Also where the network is the one that the stopped fit left, whose values are no longer the first ones."""
    settings = {"optimizer": optimizer, "steps": 20, "smoothness": None}
    whole = kan().fit(DATA, **settings)
    settings["checkpoint"] = tmp_path / "a.kw"
    model, titles = kan(), []
    stopped = model.fit(DATA, callback=lambda event: event.stage.startswith("fit") and event.step == 7, **settings)
    assert stopped.stop is StopReason.CALLBACK and stopped.steps == 7
    result = model.fit(DATA, callback=lambda event: titles.append(event.stage), **settings)
    assert any(title.endswith("resumed at step 7") for title in titles)
    assert_same(result, whole)
    assert result.model is model and result.seconds >= stopped.seconds


@pytest.mark.parametrize("stage", ["race", "fit"])
def test_after_ctrl_c_the_same_network_goes_on(tmp_path, stage):
    given = {"optimizer": kw.LevenbergMarquardt(starts=4), "steps": 20, "smoothness": None}
    settings = {**given, "checkpoint": tmp_path / "a.kw"}

    def ctrl_c(event):
        if event.stage.startswith(stage) and event.step == 3:
            raise KeyboardInterrupt

    model = kan()
    assert model.fit(DATA, callback=ctrl_c, **settings).stop is StopReason.INTERRUPTED
    assert_same(model.fit(DATA, **settings), kan().fit(DATA, **given))


def test_a_series_that_a_callback_stopped_goes_on(tmp_path):
    series = SERIES["coarse to fine"]
    stopped = series(callback=lambda event: "G=6" in event.stage and event.step == 4, checkpoint=tmp_path / "a.kw")
    assert stopped.stop is StopReason.CALLBACK
    assert_same(series(checkpoint=tmp_path / "a.kw"), series())


# --- what is refused ---


def other(data, **changes):
    return kw.Dataset(**{**vars(data), **changes})


REFUSED = {
    "data": ({"data": other(DATA, y_train=DATA.y_train + 1e-9)}, "data is"),
    "test rows": ({"data": other(DATA, X_test=DATA.X_test[:5], y_test=DATA.y_test[:5])}, "5 test rows"),
    "steps": ({"steps": 9}, "steps is 8 there, but 9 here"),
    "penalty": ({"lamb": 1e-3}, "lamb is 0.0 there, but 0.001 here"),
    "seed": ({"seed": 1}, "seed is 0 there, but 1 here"),
    "optimiser": ({"optimizer": "adam"}, "optimizer is LevenbergMarquardt"),
    "weights": ({"sample_weight": torch.ones(len(DATA.X_train))}, "sample_weight is not given there"),
    "structure": ({"model": kan(grid=6)}, "the network is"),
    "values": ({"model": kan(seed=1)}, "a network with other values: build it with the same seed"),
}


@pytest.mark.parametrize(("change", "words"), REFUSED.values(), ids=list(REFUSED))
def test_another_fit_is_refused(tmp_path, change, words):
    given = {"data": DATA, "optimizer": kw.LevenbergMarquardt(starts=1), "steps": 8, "checkpoint": tmp_path / "a.kw"}
    result = kw.fit(kan(), **given)
    before = (tmp_path / "a.kw").read_bytes()
    with pytest.raises(CheckpointError, match=words) as caught:
        kw.fit(**{"model": kan(), **given, **change})
    assert "a.kw" in str(caught.value) and "Pass the path of a new file" in str(caught.value).replace("or p", "P")
    assert (tmp_path / "a.kw").read_bytes() == before
    assert_same(kw.fit(kan(), **given), result)


def test_another_function_of_the_same_name_is_refused(tmp_path):
    def fit(scale):
        def loss(outputs, targets):
            return scale * (outputs - targets).abs().mean()

        return kan().fit(DATA, loss=loss, optimizer="adam", steps=3, checkpoint=tmp_path / "a.kw")

    fit(1.0)
    with pytest.raises(CheckpointError, match=r"loss is .*value .* for fixed outputs"):
        fit(2.0)


def test_the_file_of_another_calculation_is_refused(tmp_path):
    kan().fit(DATA, steps=2, optimizer="adam", checkpoint=tmp_path / "a.kw")
    with pytest.raises(CheckpointError, match="the calculation is fit there, but fit_multilevel here"):
        kw.fit_multilevel(kan(), DATA, [5], steps=2, optimizer="adam", checkpoint=tmp_path / "a.kw")


def test_the_network_after_another_fit_is_refused(tmp_path):
    model = kan()
    model.fit(DATA, steps=3, optimizer="adam", checkpoint=tmp_path / "a.kw")
    model.fit(DATA, steps=3, optimizer="adam")
    with pytest.raises(CheckpointError, match="other values"):
        model.fit(DATA, steps=3, optimizer="adam", checkpoint=tmp_path / "a.kw")


# --- files that cannot be written ---


@pytest.mark.parametrize("path", ["missing/a.kw", ".", True, 3, ""])
def test_a_path_that_cannot_be_written_is_refused_before_work_begins(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    model, events = kan(), Killer()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(CheckpointError, match="give"):
        model.fit(DATA, checkpoint=path, callback=events)
    assert not events.events
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(CheckpointError, match="cannot be written"):
        kan().fit(DATA, checkpoint=tmp_path / "a.kw")


def test_a_disk_that_fills_does_not_end_the_fit(tmp_path, monkeypatch):
    write_always(monkeypatch)
    settings = {"optimizer": kw.LevenbergMarquardt(starts=2), "steps": 12, "smoothness": None}
    path, writes = tmp_path / "a.kw", []

    def full(descriptor):
        writes.append(descriptor)
        if len(writes) > 6:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as disk:
        disk.setattr(files.os, "fsync", full)
        with pytest.warns(KnotworkWarning, match="No space left on device") as warned:
            result = kan().fit(DATA, checkpoint=path, **settings)
    assert len([one for one in warned if "No space" in str(one.message)]) == 1 and len(writes) > 8
    assert_same(result, kan().fit(DATA, **settings))
    assert_same(kan().fit(DATA, checkpoint=path, **settings), result)  # from what was written before


def test_a_state_that_cannot_be_kept_does_not_end_the_fit(tmp_path, monkeypatch):
    class Strange(torch.optim.SGD):
        def state_dict(self):
            return {**super().state_dict(), "more": object()}

    write_always(monkeypatch)
    settings = {"optimizer": kw.TorchOptimizer(Strange), "steps": 5}
    with pytest.warns(KnotworkWarning, match="a value of type object cannot be kept"):
        result = kan().fit(DATA, checkpoint=tmp_path / "a.kw", **settings)
    assert_same(result, kan().fit(DATA, **settings))


def test_without_a_checkpoint_nothing_is_written_and_no_data_are_read_twice(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("knotwork.training.resuming.digest_of", None)
    kan().fit(DATA, steps=2, optimizer="adam")
    kw.fit_multilevel(kan(), DATA, [5], steps=2, optimizer="adam")
    assert os.listdir(tmp_path) == []


def test_writing_takes_a_small_share_of_the_time(tmp_path, monkeypatch):
    """However slow the disk: a write of 0.1 s may not happen again before 5 s have passed."""
    writes = []
    monkeypatch.setattr(files.os, "fsync", lambda descriptor: (writes.append(descriptor), time.sleep(0.1)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kan().fit(DATA, optimizer="adam", steps=300, checkpoint=tmp_path / "a.kw")
    assert len(writes) <= 3
