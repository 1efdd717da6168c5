"""Coarse to fine: the grid with the lowest validation error is chosen, and the given model does not change."""

import dataclasses
import math

import pytest
import torch

from knotwork import KAN, LevenbergMarquardt, fit, fit_multilevel, sample
from knotwork.errors import TrainingError
from knotwork.training import TRAINING


def wave(size=150, noise=0.0, frequency=6.0, **options):
    return sample(lambda x: torch.sin(frequency * x), x=(-1, 1), size=size, test_size=50, noise=noise, **options)


def best_of_each_grid(result):
    """The record with the lowest training error of every level."""
    best = {}
    for record in result.history:
        if record.grid not in best or record.train < best[record.grid].train:
            best[record.grid] = record
    return best


def state(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


# With fixed grids and second-order steps the last state of a level is the best, which is kept.
QUICK = {"steps": 12, "optimizer": LevenbergMarquardt(starts=1), "update_grid": False}


@pytest.mark.parametrize("grids", ["auto", [3, 6, 12]])
def test_the_given_model_does_not_change(grids):
    network = KAN([1, 2, 1], grid=3, seed=0)
    before, spec = state(network), network.spec
    result = fit_multilevel(network, wave(), grids, **QUICK)
    assert same(network.state_dict(), before) and network.spec == spec
    assert result.model is not network and isinstance(result.model, KAN)


@pytest.mark.parametrize("noise", [0.0, 0.2])
@pytest.mark.parametrize("grids", ["auto", [2, 4, 9, 30]])
def test_no_tried_grid_is_more_than_a_tenth_better_than_the_chosen_one(grids, noise):
    result = fit_multilevel(KAN([1, 1], grid=2, seed=0), wave(noise=noise), grids, **QUICK)
    levels = best_of_each_grid(result)
    assert len(levels) > 1
    chosen = levels[result.model.spec.grid]
    # the kept state is in the history: the best of its grid or, without noise, the last one that is nearly as good
    errors = (pytest.approx(result.train_rmse, rel=1e-9), pytest.approx(result.val_rmse, rel=1e-9))
    kept = [record for record in result.history if (record.train, record.validation) == errors]
    assert kept and kept[-1].grid == chosen.grid
    assert kept[-1].train <= (TRAINING.alike_losses**0.5 if noise == 0 else 1 + 1e-9) * chosen.train
    for grid, record in levels.items():
        assert record.validation >= TRAINING.level_gain * chosen.validation
        if grid < chosen.grid:  # a finer grid is chosen only if its error is lower by a tenth
            assert chosen.validation < TRAINING.level_gain * record.validation


def test_the_result_describes_the_chosen_model():
    data = wave(noise=0.1)
    result = fit_multilevel(KAN([1, 1], grid=2, seed=0), data, "auto", **QUICK)
    with torch.no_grad():
        for x, y, reported in (
            (data.X_train, data.y_train, result.train_rmse),
            (data.X_val, data.y_val, result.val_rmse),
            (data.X_test, data.y_test, result.test_rmse),
        ):
            assert reported == pytest.approx(float((result.model(x) - y).square().mean().sqrt()), rel=1e-12)
    assert result.objective == pytest.approx(result.train_rmse**2, rel=1e-12)
    assert result.steps == len(result.history) == result.history[-1].step
    assert [record.step for record in result.history] == list(range(1, result.steps + 1))
    times = [record.seconds for record in result.history] + [result.seconds]
    assert times == sorted(times)


def test_a_fine_grid_is_chosen_for_exact_rows_and_not_for_noisy_rows():
    smooth = fit_multilevel(KAN([1, 1], grid=2, seed=0), wave(), "auto", **QUICK)
    noisy = fit_multilevel(KAN([1, 1], grid=2, seed=0), wave(noise=0.5), "auto", **QUICK)
    assert smooth.model.spec.grid >= 16
    assert noisy.model.spec.grid <= 8
    finest = fit_multilevel(KAN([1, 1], grid=2, seed=0), wave(noise=0.5), [2, 4, 8, 16, 32, 64], **QUICK)
    assert finest.history[-1].grid == 64 and finest.model.spec.grid < 64
    assert finest.test_rmse < 0.3  # the noise is 0.5 · rms(y) = 0.35; little of it was learned


def test_without_validation_rows_the_training_errors_decide():
    data = wave(noise=0.5)
    data = dataclasses.replace(data, X_val=data.X_val[:0], y_val=data.y_val[:0])
    result = fit_multilevel(KAN([1, 1], grid=2, seed=0), data, [2, 4, 8, 16, 32, 64], **QUICK)
    assert result.val_rmse is None
    levels = best_of_each_grid(result)
    chosen = levels[result.model.spec.grid]
    assert all(record.train >= TRAINING.level_gain * chosen.train for record in levels.values())


def test_each_level_starts_from_the_result_of_the_coarser_one():
    """For a multiple of the grid, the first step starts from the same function."""
    result = fit_multilevel(KAN([1, 2, 1], grid=3, seed=0), wave(), [3, 6, 12], **QUICK)
    lines = {grid: [r.train for r in result.history if r.grid == grid] for grid in (3, 6, 12)}
    assert lines[6][0] <= lines[3][-1] * (1 + 1e-9)
    assert lines[12][0] <= lines[6][-1] * (1 + 1e-9)


def test_every_grid_of_a_list_is_tried_in_order():
    result = fit_multilevel(KAN([1, 1], grid=5, seed=0), wave(noise=1.0), [3, 5, 10, 20, 40], **QUICK)
    assert list(best_of_each_grid(result)) == [3, 5, 10, 20, 40]


def test_patience_ends_the_refinement():
    """For pure noise no finer grid is better, so patience + 1 levels are tried after the first one."""
    noise = wave(noise=20.0)
    for patience in (0, 1, 2):
        result = fit_multilevel(KAN([1, 1], grid=3, seed=0), noise, [3, 6, 12, 24, 48], patience=patience, **QUICK)
        assert list(best_of_each_grid(result)) == [3, 6, 12, 24, 48][: patience + 2]
        assert result.model.spec.grid == 3


def test_auto_doubles_the_grid_while_there_are_more_rows_than_parameters():
    """The number of parameters, 2 (G + k + 1), must be less than the number of training rows."""
    result = fit_multilevel(KAN([1, 1], grid=5, seed=0), wave(size=100, frequency=60.0), patience=10, **QUICK)
    assert list(best_of_each_grid(result)) == [5, 10, 20, 40]  # 2 · (40 + 4) < 100 <= 2 · (80 + 4)
    two = sample(lambda x: torch.stack([x, x.sin()], 1), x=(-1, 1), size=100, test_size=0)
    result = fit_multilevel(KAN([1, 2], grid=5, seed=0), two, patience=10, **QUICK)
    assert list(best_of_each_grid(result)) == [5, 10, 20, 40]  # twice the parameters, twice the residuals
    result = fit_multilevel(KAN([1, 4, 1], grid=5, seed=0), wave(size=60), patience=10, **QUICK)
    assert list(best_of_each_grid(result)) == [5]


def test_one_level_equals_a_fit():
    data, network = wave(), KAN([1, 2, 1], seed=0)
    result = fit_multilevel(network, data, [5], **QUICK)
    assert same(result.model.state_dict(), fit(network, data, smoothness=None, **QUICK).model.state_dict())


def test_the_kept_model_is_not_changed_by_later_levels():
    """With the same grid twice, the second level gains less than a tenth, so the model of the first is kept."""
    data = wave(noise=0.3)
    result = fit_multilevel(KAN([1, 3, 1], seed=0), data, [5, 5], **{**QUICK, "steps": 25})
    with torch.no_grad():
        error = float((result.model(data.X_train) - data.y_train).square().mean().sqrt())
    assert result.steps > 25
    assert error == pytest.approx(result.train_rmse, rel=1e-12)
    assert error == pytest.approx(result.history[24].train, rel=1e-9)


def test_settings_are_used_on_every_level():
    result = fit_multilevel(KAN([1, 1], grid=3, seed=0), wave(), [3, 6], optimizer="adam", steps=4)
    assert result.optimizer == "adam"
    assert [record.grid for record in result.history] == [3] * 4 + [6] * 4


def test_the_same_seed_gives_the_same_result():
    states = [
        state(
            fit_multilevel(
                KAN([1, 2, 1], grid=3, seed=0), wave(), [3, 6], steps=5, optimizer=LevenbergMarquardt(starts=3), seed=4
            ).model
        )
        for _ in range(2)
    ]
    assert same(*states)


@pytest.mark.parametrize("stop", [True, KeyboardInterrupt])
def test_a_callback_or_ctrl_c_ends_all_levels(stop):
    """They come during the second level, and the third is not started."""
    seen = []

    def callback(event):
        if event.record is None:
            return None
        seen.append(event.record.grid)
        if event.record.grid == 6:
            if stop is True:
                return True
            raise stop

    result = fit_multilevel(KAN([1, 2, 1], grid=3, seed=0), wave(), [3, 6, 12], **QUICK, callback=callback)
    assert set(seen) == {3, 6} and seen.count(6) == 1
    assert not math.isnan(result.val_rmse)


@pytest.mark.parametrize(
    ("grids", "message"),
    [
        ("fine", "grids='fine' is not understood; pass 'auto' or a list of grids such as [5, 10, 20]."),
        *(
            (grids, f"grids={grids!r} must be whole numbers from coarse to fine, such as [5, 10, 20].")
            for grids in ([], [10, 5], [5, 10.0], [0, 5], [5, "10"], 10, None)
        ),
    ],
)
def test_impossible_grids_are_refused(grids, message):
    with pytest.raises(TrainingError) as caught:
        fit_multilevel(KAN([1, 1]), wave(), grids)
    assert str(caught.value) == message


def test_levels_after_the_first_end_sooner_than_fits_of_their_own_and_are_as_accurate():
    data = sample("exp(sin(pi*x) + y**2)", x=(-1, 1), y=(-1, 1), size=500, seed=1)
    begun = KAN([2, 1, 1], grid=5, seed=1)
    begun.fit(data)
    found = fit_multilevel(begun, data, [5, 10, 20])
    level, steps = begun.copy(), 0
    for grid in (5, 10, 20):
        level = level.refine(grid)
        alone = fit(level, data, smoothness=None)
        steps += alone.steps
    assert found.model.spec.grid == 20 and found.steps < steps
    assert found.test_rmse < 1.1 * alone.test_rmse
