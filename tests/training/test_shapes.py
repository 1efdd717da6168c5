"""A race of several shapes from coarse to fine grids: results are sorted by validation error, models do not change."""

import pytest
import torch

from knotwork import KAN, LevenbergMarquardt, fit_shapes, sample
from knotwork.errors import TrainingError
from knotwork.solvers import StopReason

QUICK = {"optimizer": LevenbergMarquardt(starts=2), "steps": 15}
WIDTHS = ([2, 1, 1], [2, (0, 1), 1], [2, 2, 1], [2, 3, 1])


def product(**options):
    return sample("x*y", x=(-1, 1), y=(-1, 1), size=200, validation_size=50, test_size=50, **options)


def models():
    return [KAN(width, grid=3, seed=0) for width in WIDTHS]


def held_out(result, data):
    return float((result.model(data.X_val) - data.y_val).detach().square().mean().sqrt())


def test_the_shape_of_the_true_function_is_the_first_result():
    results = fit_shapes(models(), product(), (3, 6), optimizer=LevenbergMarquardt(starts=2), steps=40)
    assert results[0].model.spec.width == ((2, 0), (0, 1), (1, 0)) and results[0].test_rmse < 1e-9
    assert len(results) == len(WIDTHS)


def test_results_are_sorted_and_report_the_errors_of_their_models():
    data = product()
    results = fit_shapes(models(), data, (3, 6), **QUICK)
    errors = [result.val_rmse for result in results]
    assert errors == sorted(errors)
    assert errors == pytest.approx([held_out(result, data) for result in results], rel=1e-9, abs=1e-15)


def test_the_better_half_and_at_least_two_models_reach_the_next_grid():
    begun = []

    def seen(event):
        if event.record is not None and event.step == 1:
            begun.append(event.record.grid)

    fit_shapes([*models(), *models()], product(), (3, 6, 12, 24), callback=seen, **QUICK)
    assert [begun.count(grid) for grid in (3, 6, 12, 24)] == [8, 4, 2, 2]


def test_the_given_models_do_not_change():
    given = models()
    before = [{name: value.clone() for name, value in model.state_dict().items()} for model in given]
    results = fit_shapes(given, product(), (3, 6), **QUICK)
    for model, state in zip(given, before, strict=True):
        assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert not {id(result.model) for result in results} & {id(model) for model in given}


def test_no_network_exceeds_the_largest_number_of_parameters():
    results = fit_shapes(models(), product(), (3, 6, 12), max_parameters=60, **QUICK)
    assert results and all(result.model.parameters_in_use() <= 60 for result in results)
    with pytest.raises(TrainingError, match="none of 4 networks has at most max_parameters=5 parameters at G=3"):
        fit_shapes(models(), product(), (3, 6), max_parameters=5, **QUICK)


def test_one_model_is_fitted_on_every_grid():
    (result,) = fit_shapes([KAN([2, 1, 1], grid=3, seed=0)], product(), (3, 6), **QUICK)
    assert result.model.spec.grid in (3, 6)


def test_a_callback_ends_the_race_and_keeps_the_finished_fits():
    results = fit_shapes(models(), product(), (3, 6), callback=lambda event: True, **QUICK)
    assert len(results) == 1 and results[0].stopped_by_caller


def test_all_results_say_that_a_callback_ended_the_comparison():
    """The stop is before the first step on the finer grid, so the best network of every shape is of the coarse one."""
    results = fit_shapes(models(), product(), (3, 6), callback=lambda event: event.stage.endswith("G=6"), **QUICK)
    assert len(results) == len(WIDTHS)
    assert {(result.stop, result.stop_reason) for result in results} == {
        (StopReason.CALLBACK, "stopped by the callback")
    }


@pytest.mark.parametrize("grids", [(), (5, 3), (3, 3), (0, 5), (2.5,)])
def test_grids_are_tried_from_coarse_to_fine(grids):
    with pytest.raises(TrainingError, match=r"grids=.* must be whole numbers from coarse to fine"):
        fit_shapes(models(), product(), grids)


def test_without_validation_rows_the_training_errors_decide():
    data = sample("x*y", x=(-1, 1), y=(-1, 1), size=200, validation_size=0, test_size=50)
    results = fit_shapes(models(), data, (3,), **QUICK)
    assert [r.train_rmse for r in results] == sorted(r.train_rmse for r in results)
