"""Laws of a fit: never worse than at the start, reproducible, with correct errors in its result, and stoppable."""

import dataclasses
import math
import re
import sys
from statistics import median

import numpy as np
import pytest
import torch

import knotwork
from knotwork import KAN, LBFGS, MLP, Adam, Dataset, FitResult, LevenbergMarquardt, TorchOptimizer, sample
from knotwork.errors import KnotworkWarning
from knotwork.solvers import Ended, StopReason
from knotwork.training import Optimizer, Penalty, Record, threads_for
from knotwork.training.objective import mean_squared_error
from knotwork.training.standardization import Standardization, standardized

ONE_START = LevenbergMarquardt(starts=1)

OPTIMIZERS = {
    "lm": {"optimizer": LevenbergMarquardt(starts=3), "steps": 8},
    "lbfgs": {"optimizer": "lbfgs", "steps": 3},
    "adam": {"optimizer": Adam(batch_size=32), "steps": 20},
    "AdamW": {"optimizer": torch.optim.AdamW, "steps": 20},
}
every_optimizer = pytest.mark.parametrize("settings", OPTIMIZERS.values(), ids=OPTIMIZERS)


def bumps(size=120, noise=0.0, **options):
    def function(x, y):
        return torch.exp(torch.sin(math.pi * x) + y**2)

    return sample(function, x=(-1, 1), y=(-1, 1), size=size, test_size=50, noise=noise, **options)


def without_validation(data):
    return dataclasses.replace(data, X_val=data.X_val[:0], y_val=data.y_val[:0])


def rmse(model, x, y):
    total = 0.0
    for row, target in zip(model(x.to(torch.float64)).tolist(), y.tolist(), strict=True):
        total += sum((a - b) ** 2 for a, b in zip(row, target, strict=True))
    return math.sqrt(total / y.numel())


def state(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


# --- never worse ---


ABSURD = [
    *OPTIMIZERS.values(),
    *({"optimizer": TorchOptimizer(torch.optim.SGD, lr=lr), "steps": 30} for lr in (10.0, 1e6, 1e100, 1e300)),
    *({"optimizer": Adam(lr=lr), "steps": 10} for lr in (1e3, 1e100, 1e300)),
    *({"optimizer": LBFGS(lr=lr), "steps": 3} for lr in (1e10, 1e300)),
]


@pytest.mark.parametrize("settings", ABSURD, ids=lambda s: str(s["optimizer"]))
@pytest.mark.parametrize("lamb", [0.0, 1e-2])
def test_a_fit_never_ends_worse_than_it_began(settings, lamb):
    data = bumps()
    network = KAN([2, 2, 1], seed=0)
    network.fit(data, steps=5, optimizer=ONE_START)
    units = Standardization.of(data.y_train)

    def objective():
        with standardized(network, units, torch.float64):
            loss = mean_squared_error(network(data.X_train), units(data.y_train))
            return units.scale**2 * (loss + Penalty(lamb).value(network, data.X_train)).item()

    before = objective()
    result = network.fit(data, lamb=lamb, **settings)
    assert result.objective <= before * (1 + 1e-12)
    assert result.objective == pytest.approx(objective(), rel=1e-9)
    assert all(bool(value.isfinite().all()) for value in network.state_dict().values())


class Still(Optimizer):
    """An optimiser that does not change the model."""

    def minimise(self, task):
        return Ended(0, StopReason.STEP_LIMIT, "enough")


@pytest.mark.parametrize("weights", [None, torch.linspace(0.5, 2.0, 120, dtype=torch.float64)])
@pytest.mark.parametrize("outputs", [1, 2])
def test_lamb_is_in_units_of_the_targets(outputs, weights):
    """Loss and penalty scale with the square of the unit, for metres or kilometres and any origin."""
    data = bumps(validation_size=0)
    objectives = []
    for unit in (1.0, 1024.0):
        y = unit * torch.cat([data.y_train, data.y_train**2], 1)[:, :outputs]
        network = KAN([2, outputs], seed=0, base="zero", grid_range=(-1, 1))
        with torch.no_grad():
            network.layers[0].coefficients.mul_(unit)
        network.fitted.fill_(True)  # values of a new network have no unit
        scaled = Dataset.from_arrays(data.X_train, y, test_size=0, validation_size=0)
        free, penalised = (
            network.fit(scaled, optimizer=Still(), lamb=lamb, sample_weight=weights).objective for lamb in (0.0, 0.1)
        )
        assert penalised > 1.001 * free
        objectives.append((free / unit**2, penalised / unit**2))
    assert objectives[1] == pytest.approx(objectives[0], rel=1e-12)


@pytest.mark.parametrize("lr", [1e10, 1e300])
def test_a_fit_without_progress_leaves_a_new_network_unfitted(lr):
    data = bumps()
    network = KAN([2, 2, 1], seed=0)
    before = state(network)
    result = network.fit(data, optimizer=TorchOptimizer(torch.optim.SGD, lr=lr), steps=20)
    assert result.stop_reason.startswith("the loss became ")
    assert result.stop_reason.endswith("; the best state so far was kept")
    assert same(network.state_dict(), before)
    assert not network.fitted  # the next fit sets the grids and races several starts, like a first fit


@every_optimizer
def test_a_start_with_a_loss_of_nan_is_reported_and_kept(settings):
    network = KAN([2, 1, 1], seed=0)
    network.fix_symbolic(0, 0, 0, "log", params=(1.0, 0.0, 1.0, 0.0))  # half of the inputs are negative
    before = state(network)
    result = network.fit(bumps(), **settings)
    assert "NaN" in result.stop_reason or "nan" in result.stop_reason
    assert math.isnan(result.objective) and result.steps == 0 and result.history == ()
    assert same(network.state_dict(), before)


# --- the same every time ---


@every_optimizer
def test_the_same_seed_gives_the_same_result_bit_for_bit(settings):
    states, results = [], []
    for _ in range(2):
        network = KAN([2, 3, 1], seed=0)
        results.append(network.fit(bumps(), **settings, seed=5))
        states.append(state(network))
        torch.rand(3)
    assert same(*states)
    timeless = [[dataclasses.replace(r, seconds=0) for r in result.history] for result in results]
    assert timeless[0] == timeless[1] != []


@pytest.mark.parametrize("name", ["lm", "adam"])
def test_another_seed_gives_another_result(name):
    states = []
    for seed in (0, 1):
        network = KAN([2, 1, 1], seed=9)
        network.fit(bumps(), **OPTIMIZERS[name], seed=seed)
        states.append(state(network))
    assert not same(*states)


@every_optimizer
def test_a_fit_changes_neither_the_global_random_generator_nor_the_data(settings):
    data = bumps()
    before, rows = torch.get_rng_state(), [data.X_train.clone(), data.y_train.clone(), data.X_val.clone()]
    KAN([2, 2, 1], seed=0).fit(data, **settings)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(*pair) for pair in zip(rows, (data.X_train, data.y_train, data.X_val), strict=True))


# --- what it reports ---


@every_optimizer
def test_the_errors_reported_are_those_of_the_model(settings):
    data = bumps(noise=0.1)
    network = KAN([2, 2, 1], seed=0)
    result = network.fit(data, **settings, smoothness=None)
    assert result.model is network
    assert result.train_rmse == pytest.approx(rmse(network, data.X_train, data.y_train), rel=1e-12)
    assert result.val_rmse == pytest.approx(rmse(network, data.X_val, data.y_val), rel=1e-12)
    assert result.test_rmse == pytest.approx(rmse(network, data.X_test, data.y_test), rel=1e-12)
    assert result.objective == pytest.approx(result.train_rmse**2, rel=1e-12)
    assert len({result.train_rmse, result.val_rmse, result.test_rmse}) == 3
    assert min(record.train for record in result.history) == pytest.approx(result.train_rmse, rel=1e-9)


@pytest.mark.parametrize("lamb", [0.0, 0.1])
@every_optimizer
def test_the_history_has_a_record_for_every_step(settings, lamb):
    """Number, time, grid and errors without the penalty, as the callback received them."""
    data, lines, network = bumps(), [], KAN([2, 2, 1], grid=4, seed=0)

    def callback(event):
        if event.record is None:
            return
        record = event.record
        assert (event.step, event.steps, event.within) == (record.step, settings["steps"], "")
        train, validation = rmse(network, data.X_train, data.y_train), rmse(network, data.X_val, data.y_val)
        lines.append((record, train, validation))

    result = network.fit(data, **settings, lamb=lamb, smoothness=None, callback=callback)
    assert result.history == tuple(record for record, _, _ in lines)
    assert [record.step for record in result.history] == list(range(1, result.steps + 1))
    for record, train, validation in lines:
        assert isinstance(record, Record) and record.grid == 4
        assert record.train == pytest.approx(train, rel=1e-9)
        assert record.validation == pytest.approx(validation, rel=1e-9)
    times = [0.0, *(record.seconds for record in result.history), result.seconds]
    assert times == sorted(times)


def test_steps_without_a_loss_are_not_counted():
    result = KAN([2, 2, 1], seed=0).fit(bumps(), optimizer=TorchOptimizer(torch.optim.SGD, lr=1e6), steps=30)
    step = result.steps + 1
    assert re.fullmatch(
        rf"the loss became (inf|nan) at step {step}; the best state so far was kept", result.stop_reason
    )
    assert result.steps == len(result.history) > 0


def test_a_loss_function_of_the_user_is_reported_unchanged():
    def mean_absolute(outputs, targets):
        return (outputs - targets).abs().mean()

    data, network = bumps(), KAN([2, 2, 1], seed=0)
    result = network.fit(data, loss=mean_absolute, steps=60)
    assert result.optimizer == "adam"
    wanted = mean_absolute(network(data.X_train), data.y_train).item()
    assert result.objective == pytest.approx(wanted, rel=1e-12)
    assert min(record.train for record in result.history) == pytest.approx(wanted, rel=1e-12)
    assert result.train_rmse == pytest.approx(rmse(network, data.X_train, data.y_train), rel=1e-12)
    assert result.objective < result.history[0].train


def test_the_result_is_printed_in_one_sentence():
    result = FitResult(KAN([1, 1]), "lm", "as asked", StopReason.CONVERGED, "enough", 1e-4, 0.01, None, 0.0234, 7, 1.25)
    assert str(result) == "lm (as asked), 7 steps in 1.2 s\nRMSE: training 0.01, test 0.0234\nstopped: enough"
    assert "validation 0.5" in str(dataclasses.replace(result, val_rmse=0.5))


def test_a_fit_without_validation_and_test_rows_reports_no_such_errors():
    data = without_validation(bumps())
    data = dataclasses.replace(data, X_test=data.X_test[:0], y_test=data.y_test[:0])
    for settings in OPTIMIZERS.values():
        result = KAN([2, 2, 1], seed=0).fit(data, **settings)
        assert result.val_rmse is None and result.test_rmse is None
        assert result.history and all(record.validation is None for record in result.history)


# --- how it ends ---


@every_optimizer
def test_a_callback_stops_the_fit(settings):
    result = KAN([2, 2, 1], seed=0).fit(
        bumps(), **settings, callback=lambda event: event.stage.startswith("fit") and event.step == 2
    )
    assert (result.steps, len(result.history), result.stop_reason) == (2, 2, "stopped by the callback")
    assert result.stopped_by_caller


@every_optimizer
def test_ctrl_c_returns_the_best_so_far(settings):
    def interrupt(event):
        if event.record is not None and event.stage.startswith("fit") and event.step == 3:
            raise KeyboardInterrupt

    data, network = bumps(), KAN([2, 2, 1], seed=0)
    result = network.fit(data, **settings, callback=interrupt)
    assert result.stop_reason == "interrupted; the best state so far was kept"
    assert result.stopped_by_caller and result.steps == len(result.history) == 3
    best = min(record.train for record in result.history)
    assert rmse(network, data.X_train, data.y_train) == pytest.approx(best, rel=1e-9)


def test_other_exceptions_of_the_callback_are_raised():
    def broken(event):
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        KAN([2, 2, 1], seed=0).fit(bumps(), steps=3, optimizer=ONE_START, callback=broken)


def faster(optimizer):
    """The same optimiser with a larger learning rate if it takes gradient steps, otherwise with one start."""
    if optimizer == torch.optim.AdamW:
        return TorchOptimizer(optimizer, lr=0.05)
    if isinstance(optimizer, LevenbergMarquardt):
        return ONE_START
    return dataclasses.replace(optimizer, lr=0.05) if isinstance(optimizer, Adam) else optimizer


@every_optimizer
def test_patience_stops_and_keeps_the_best_validation_state(settings):
    """Half of the targets' rms is noise, so fitting the training rows soon raises the validation error."""
    data, states, network = bumps(size=60, noise=0.5), [], KAN([2, 3, 1], seed=0)

    def keep(event):
        if event.record is not None:
            states.append(state(network))

    settings = {"optimizer": faster(settings["optimizer"]), "steps": 150}
    result = network.fit(data, **settings, patience=3, smoothness=None, callback=keep)
    assert result.stop_reason == "3 steps brought no better validation loss"
    validation = [record.validation for record in result.history]
    best = validation.index(min(validation))
    assert len(validation) == best + 1 + 3
    assert result.val_rmse == pytest.approx(min(validation), rel=1e-12)
    assert same(network.state_dict(), states[best])


def test_patience_counts_from_the_loss_at_the_start():
    data, network = bumps(), KAN([2, 2, 1], seed=0)
    network.fit(data, steps=8, optimizer=ONE_START)
    before = state(network)
    result = network.fit(data, optimizer=Adam(lr=1.0), steps=50, patience=4)
    assert (result.steps, result.stop_reason) == (4, "4 steps brought no better validation loss")
    assert same(network.state_dict(), before)
    better = network.fit(data, optimizer="lm", steps=20, patience=4)
    assert better.val_rmse < result.val_rmse and better.steps > 4


def test_patience_counts_validation_losses_of_nan():
    data = bumps()

    def loss(outputs, targets):
        value = (outputs - targets).square().mean()
        return value * float("nan") if len(targets) == len(data.y_val) else value

    result = KAN([2, 2, 1], seed=0).fit(data, optimizer="adam", loss=loss, steps=50, patience=4)
    assert (result.steps, result.stop_reason) == (4, "4 steps brought no better validation loss")


def test_convergence_and_limits_are_reported_in_words():
    data = bumps()
    assert (
        KAN([2, 2, 1], seed=0).fit(data, steps=2, optimizer=ONE_START).stop_reason == "the limit of 2 steps was reached"
    )
    assert KAN([2, 2, 1], seed=0).fit(data, optimizer="adam", steps=2).stop_reason == "the limit of 2 steps was reached"
    result = KAN([2, 1], seed=0).fit(data, optimizer="lbfgs", steps=60)
    assert result.stop_reason.startswith("converged: five ")
    assert 5 < result.steps < 60
    exact = sample(lambda x, y: x + y**2, x=(-1, 1), y=(-1, 1), size=100)
    for seed in range(12):
        result = KAN([2, 1], seed=seed).fit(exact, steps=40)
        assert result.stop_reason == "only rounding errors are left"
        assert result.test_rmse < 1e-13


# --- what it takes ---


def test_every_form_of_data_gives_the_same_fit():
    data = bumps()
    x, y = data.X_train, data.y_train
    pairs = {
        "column": (x, y),
        "axis": (x, y[:, 0]),
        "numpy": (x.numpy(), y.numpy()),
        "list": [x, y],
        "pykan": {"train_input": x, "train_label": y, "test_input": x, "test_label": y},
    }
    errors = {
        name: KAN([2, 2, 1], seed=0).fit(form, steps=4, optimizer=ONE_START).train_rmse for name, form in pairs.items()
    }
    assert len(set(errors.values())) == 1, errors


@every_optimizer
def test_a_float32_network_stays_in_float32(settings):
    data, network = bumps(), KAN([2, 3, 1], seed=0, dtype=torch.float32)
    result = network.fit(data, **{**settings, "optimizer": faster(settings["optimizer"])})
    assert result.train_rmse < 0.6 * data.y_train.std()
    assert all(p.dtype == torch.float32 for p in network.parameters())
    assert network.layers[0].knots.dtype == torch.float32
    assert KAN([2, 3, 1], seed=0).fit(data.to(torch.float32), **settings).train_rmse > 0


def test_several_targets_and_product_nodes_can_be_fitted():
    x = bumps().X_train
    data = Dataset.from_arrays(x, torch.stack([x.prod(1), x.sum(1), x[:, 0] ** 2], dim=1))
    result = KAN([2, (2, 1), 3], seed=0).fit(data, steps=30, optimizer=LevenbergMarquardt(starts=2))
    assert result.test_rmse < 0.01
    assert result.test_rmse == pytest.approx(rmse(result.model, data.X_test, data.y_test), rel=1e-12)


@pytest.mark.parametrize(("optimizer", "steps"), [(Adam(lr=0.03), 300), ("lbfgs", 5), ("auto", 600)])
def test_the_mlp_baseline_trains(optimizer, steps):
    data, mlp = bumps(), MLP([2, 10, 1], seed=0)
    result = knotwork.fit(mlp, data, optimizer=optimizer, steps=steps)
    assert result.model is mlp
    assert result.train_rmse < 0.5 * data.y_train.std()
    assert result.test_rmse == pytest.approx(rmse(mlp, data.X_test, data.y_test), rel=1e-12)
    assert {record.grid for record in result.history} == {0}


@pytest.mark.parametrize(("optimizer", "steps", "share"), [("lm", 40, 0.9), ("lbfgs", 20, 0.9), ("adam", 400, 0.5)])
def test_every_optimizer_also_minimises_the_penalty(optimizer, steps, share):
    """With the penalty, the fit has a larger error and smaller edges than without."""
    data, penalty, reached = bumps(), Penalty(0.1), []
    units = Standardization.of(data.y_train)

    def size_of_edges(network):
        with standardized(network, units, torch.float64):
            return penalty.value(network, data.X_train)

    for seed in range(5):  # the objective has many minima, and no optimiser always finds the best one
        network = KAN([2, 2, 1], seed=seed)
        network.fit(data, steps=20, optimizer=ONE_START)
        free = network.copy()
        before = free.copy().fit(data, optimizer=Still(), lamb=0.1, update_grid=False).objective
        result = network.fit(data, optimizer=optimizer, steps=steps, lamb=0.1, update_grid=False)
        assert size_of_edges(network) < 0.8 * size_of_edges(free)
        best = free.fit(data, optimizer="lm", steps=150, lamb=0.1, update_grid=False).objective
        reached.append((before - result.objective) / (before - best))
    assert median(reached) > share  # of the decrease that many second-order steps reach


def test_removed_and_fixed_edges_do_not_change():
    data = bumps()
    for settings in OPTIMIZERS.values():
        network = KAN([2, 2, 1], seed=0)
        network.fix_symbolic(0, 0, 0, "sin", params=(3.0, 0.5, 1.0, 0.25), trainable=False)
        network.fix_symbolic(0, 1, 0, "x^2", params=(1.0, 0.0, 1.0, 0.0))
        network.layers[0].remove_edge(0, 1)
        network.fit(data, **settings)
        assert network.layers[0].affine[0].tolist() == [3.0, 0.5, 1.0, 0.25]
        assert network.layers[0].affine[1].tolist() != [1.0, 0.0, 1.0, 0.0]
        assert network.layers[0].active().tolist() == [[True, False], [True, True]]


# --- what it leaves behind ---


def test_no_progress_is_shown_without_a_terminal(capsys):
    KAN([2, 2, 1], seed=0).fit(bumps(), steps=3, optimizer=ONE_START)
    assert capsys.readouterr() == ("", "")


def test_the_progress_line_is_written_to_stderr_only(capsys):
    KAN([2, 2, 1], seed=0).fit(bumps(), steps=3, optimizer=ONE_START, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "fit (lm)" in err
    assert "RMSE" in err and ", validation" in err
    KAN([2, 2, 1], seed=0).fit(without_validation(bumps()), steps=3, optimizer=ONE_START, progress=True)
    assert "validation" not in capsys.readouterr().err


def test_a_terminal_shows_progress_by_default_but_not_with_progress_false(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    KAN([2, 2, 1], seed=0).fit(bumps(), steps=3, optimizer=ONE_START, progress=False)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    KAN([2, 2, 1], seed=0).fit(bumps(), steps=3, optimizer=ONE_START)
    out, err = capsys.readouterr()
    assert out == "" and "fit (lm)" in err


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_the_number_of_threads_is_restored():
    inside = []

    def callback(event):
        inside.append(torch.get_num_threads())
        if event.step == 2:
            raise RuntimeError("mine")

    KAN([2, 2, 1], seed=0).fit(bumps(), steps=1, optimizer=ONE_START, callback=callback)
    assert torch.get_num_threads() == 2
    with pytest.raises(RuntimeError, match="mine"):
        KAN([2, 2, 1], seed=0).fit(bumps(), steps=2, optimizer=ONE_START, callback=callback)
    assert torch.get_num_threads() == 2
    assert set(inside) == {1}  # these tensors are too small for several threads


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(("entries", "threads"), [(1e3, 1), (1e9, 2)])
def test_only_fits_of_large_tensors_use_several_threads(entries, threads):
    with threads_for(entries):
        assert torch.get_num_threads() == threads
    assert torch.get_num_threads() == 2


def test_a_fit_leaves_no_data_on_the_model():
    network = KAN([2, 2, 1], seed=0)
    names = set(vars(network)), set(network.state_dict())
    network.fit(bumps(), steps=3, optimizer=LevenbergMarquardt(starts=2))
    assert (set(vars(network)), set(network.state_dict())) == names
    assert all(parameter.numel() < 120 for parameter in network.state_dict().values())


@every_optimizer
def test_a_fit_under_no_grad_is_the_same(settings):
    data, models = bumps(), [KAN([2, 2, 1], seed=0) for _ in range(2)]
    models[0].fit(data, **settings)
    with torch.no_grad():
        models[1].fit(data, **settings)
    assert same(state(models[0]), state(models[1]))


@pytest.mark.parametrize("answer", [True, np.bool_(True), torch.tensor(True)])
def test_true_of_python_numpy_and_torch_stops_the_fit(answer):
    x = torch.linspace(-1, 1, 60, dtype=torch.float64)[:, None]
    result = knotwork.fit(
        KAN([1, 1], seed=0), (x, (3 * x).sin()), steps=20, callback=lambda event: event.step == 2 and answer
    )
    assert result.stop is StopReason.CALLBACK and result.steps == 2


def test_a_constant_target_needs_no_edges():
    """The mean is no part of the penalty, so the penalty makes all curves zero."""
    x = torch.linspace(-1, 1, 60, dtype=torch.float64)[:, None]
    with pytest.warns(KnotworkWarning, match="constant"):
        data = Dataset.from_arrays(x, torch.full_like(x, 3.0), validation_size=0, test_size=0)
    network = KAN([1, 1], seed=0)
    result = knotwork.fit(network, data, steps=20, lamb=1e-2)
    assert result.objective < 1e-6 and result.train_rmse < 1e-3
    assert float((network(x) - 3).detach().std()) < 1e-3
