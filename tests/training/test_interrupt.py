"""Ctrl-C at any stage of a fit: the best so far is kept, and the result says that it was interrupted."""

import pytest
import torch

from knotwork import KAN, MLP, LevenbergMarquardt, fit, fit_multilevel, fit_shapes, sample
from knotwork.solvers import StopReason
from knotwork.training import TRAINING, levenberg_marquardt, loop

ONE_START = LevenbergMarquardt(starts=1)

DATA = sample(lambda x, y: torch.exp(torch.sin(3 * x) + y**2), x=(-1, 1), y=(-1, 1), size=120, test_size=0, noise=0.1)


class CtrlC:
    """A callback that raises KeyboardInterrupt at the n-th event after the first one of a stage with that title."""

    def __init__(self, title, after=0):
        self.title, self.after = title, after

    def __call__(self, event):
        if event.stage.startswith(self.title):
            if not self.after:
                raise KeyboardInterrupt
            self.after -= 1


def state(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def error(model):
    with torch.no_grad():
        return float((model(DATA.X_train) - DATA.y_train).square().mean().sqrt())


@pytest.mark.parametrize("after", [1, 3, 6])
def test_an_interrupted_race_returns_the_best_start_so_far(after):
    """The values of the network itself are the first start, so the best start later is not worse."""
    network = KAN([2, 2, 1], seed=0, grid_range=(-1, 1))
    own = network.copy()
    levenberg_marquardt(own, DATA.X_train, DATA.y_train, steps=TRAINING.race_rounds[0][0], update_grid=False)
    result = network.fit(
        DATA,
        optimizer=LevenbergMarquardt(starts=6),
        update_grid=False,
        smoothness=None,  # smooth fits would end the race of these noisy rows
        callback=CtrlC("race of 6 starts", after),
    )
    assert result.stop is StopReason.INTERRUPTED and result.stopped_by_caller
    assert (result.steps, result.history) == (0, ())
    assert result.train_rmse == pytest.approx(error(network), rel=1e-12)
    assert error(network) <= error(own)
    assert network.fitted


@pytest.mark.parametrize("patience", [None, 5])
def test_a_fit_interrupted_at_its_start_does_not_change_the_model(monkeypatch, patience):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "place_grids", interrupt)
    network = KAN([2, 2, 1], seed=0)
    before = state(network)
    result = network.fit(DATA, patience=patience)
    assert result.stop is StopReason.INTERRUPTED
    assert same(network.state_dict(), before) and not network.fitted


@pytest.mark.parametrize("patience", [None, 50])
@pytest.mark.parametrize("settings", [{"optimizer": ONE_START}, {"optimizer": "lbfgs"}, {"optimizer": "adam"}])
def test_interrupted_steps_keep_the_best_state(settings, patience):
    network = KAN([2, 2, 1], seed=0)
    result = network.fit(DATA, steps=20, **settings, patience=patience, callback=CtrlC("fit", 5))
    assert result.stop is StopReason.INTERRUPTED
    assert result.steps == len(result.history) == 5
    judged = [record.train if patience is None else record.validation for record in result.history]
    assert (result.train_rmse if patience is None else result.val_rmse) == pytest.approx(min(judged), rel=1e-9)


def test_with_patience_an_interrupted_race_keeps_the_start_of_the_lowest_validation_loss():
    network = KAN([2, 2, 1], seed=0)
    with torch.no_grad():
        before = float((network(DATA.X_val) - DATA.y_val).square().mean().sqrt())
    settings = {"optimizer": LevenbergMarquardt(starts=6), "smoothness": None}
    result = network.fit(DATA, patience=5, callback=CtrlC("race of 6", 5), **settings)
    assert result.stop is StopReason.INTERRUPTED
    assert result.val_rmse < 0.5 * before


def test_fits_of_other_models_can_be_interrupted():
    result = fit(MLP([2, 5, 1], seed=0), DATA, steps=20, callback=CtrlC("fit", 3))
    assert result.stop is StopReason.INTERRUPTED and result.steps == 3


# --- coarse to fine ---


@pytest.mark.parametrize(("title", "grid"), [("fit (lm), G=3", 3), ("fit (lm), G=6", 6)])
def test_an_interrupted_multilevel_fit_keeps_the_best_so_far(title, grid):
    result = fit_multilevel(
        KAN([2, 2, 1], grid=3, seed=0),
        DATA,
        [3, 6, 12],
        optimizer=ONE_START,
        steps=9,
        callback=CtrlC(title, 4),
    )
    assert result.stop is StopReason.INTERRUPTED
    assert result.history[-1].grid == grid
    assert result.steps == len(result.history)
    assert result.train_rmse == pytest.approx(error(result.model), rel=1e-12)


def test_an_interrupt_between_two_levels_keeps_the_first(monkeypatch):
    def interrupt(self, grid):
        raise KeyboardInterrupt

    monkeypatch.setattr(KAN, "refine", interrupt)
    network = KAN([2, 2, 1], grid=3, seed=0)
    result = fit_multilevel(network, DATA, [3, 6], optimizer=ONE_START, steps=9)
    assert result.stop is StopReason.INTERRUPTED and result.model.spec.grid == 3
    with pytest.raises(KeyboardInterrupt):  # no fit has finished, so there is no result to keep
        fit_multilevel(network, DATA, [6], optimizer=ONE_START, steps=9)


def test_an_interrupted_race_of_shapes_keeps_the_finished_fits(monkeypatch):
    models = [KAN(width, grid=3, seed=0) for width in ([2, 1, 1], [2, 2, 1])]
    results = fit_shapes(models, DATA, (3, 6), optimizer=ONE_START, steps=9, callback=CtrlC("fit (lm), G=3", 4))
    assert [result.stop for result in results] == [StopReason.INTERRUPTED]

    def interrupt(self, grid):
        raise KeyboardInterrupt

    monkeypatch.setattr(KAN, "refine", interrupt)
    results = fit_shapes(models, DATA, (3, 6), optimizer=ONE_START, steps=9)
    assert [result.stop for result in results] == [StopReason.INTERRUPTED, StopReason.INTERRUPTED]
    with pytest.raises(KeyboardInterrupt):
        fit_shapes(models, DATA, (6,), optimizer=ONE_START, steps=9)
