"""Defaults of fit(), and error messages for impossible settings."""

import dataclasses
import inspect
import re
import sys

import numpy as np
import pytest
import torch

import knotwork
from knotwork import KAN, LBFGS, MLP, Adam, Dataset, LevenbergMarquardt, TorchOptimizer, sample
from knotwork.errors import ArgumentError, DataError, TrainingError
from knotwork.solvers import Ended, StopReason
from knotwork.training import TRAINING, FitOptions, Optimizer
from knotwork.training.optimizers.gradient import minibatches

DATA = sample(lambda x, y: x * y, x=(-1, 1), y=(-1, 1), size=60, test_size=0)
NO_VALIDATION = sample(lambda x, y: x * y, x=(-1, 1), y=(-1, 1), size=60, test_size=0, validation_size=0)


def mean_absolute(outputs, targets):
    return (outputs - targets).abs().mean()


class Linear(torch.nn.Linear):
    """A module that is neither KAN nor MLP."""


# --- the choice of an optimiser ---


def choice(model, data=DATA, **settings):
    result = knotwork.fit(model, data, steps=1, **settings)
    return result.optimizer, result.why


def test_auto_chooses_second_order_steps_for_small_problems():
    assert choice(KAN([2, 3, 1])) == ("lm", "60 residuals and 81 parameters are few enough for second-order steps")
    two = Dataset.from_arrays(DATA.X_train, DATA.X_train, test_size=0, validation_size=0)
    assert choice(KAN([2, 2]), two)[1].startswith("120 residuals and 36 parameters")  # one for each row and target


DATA_OF_ONE = sample("sin(3*x)", x=(-1, 1), size=50, seed=0)


@pytest.mark.parametrize(
    ("model", "rows"),
    [
        pytest.param(KAN([2, 80, 1], grid=10), 60, id="parameters"),  # 3,360 parameters
        pytest.param(KAN([2, 50, 1], grid=10), 20000, id="both"),  # a row depends on 750 of 2,100 parameters
    ],
)
def test_auto_chooses_gradient_steps_for_large_problems(model, rows):
    data = sample(lambda x, y: x * y, x=(-1, 1), y=(-1, 1), size=rows, test_size=0, validation_size=0)
    size = model.parameters_in_use()
    held = 5 * sum(layer.in_features * layer.out_features for layer in model.layers)
    assert rows * min(size**2, 7 * held**2) > TRAINING.most_products or size > 3000
    assert choice(model, data) == (
        "adam",
        f"{rows} residuals and {size} parameters are too many for second-order steps",
    )


@pytest.mark.parametrize(
    ("model", "settings", "why"),
    [
        (MLP([2, 3, 1]), {}, "this is not a KAN"),
        (KAN([2, 1]), {"loss": mean_absolute}, "the loss is a function that was passed"),
        (Linear(2, 1), {}, "this is not a KAN"),
    ],
)
def test_auto_chooses_gradient_steps_for_losses_that_are_not_squared_errors(model, settings, why):
    assert choice(model, **settings) == ("adam", why)


@pytest.mark.parametrize(
    ("optimizer", "name"),
    [
        ("lm", "lm"),
        ("lbfgs", "lbfgs"),
        ("adam", "adam"),
        ("LM", "lm"),
        ("LBFGS", "lbfgs"),
        ("Adam", "adam"),
        (torch.optim.AdamW, "AdamW"),
        (torch.optim.SGD, "SGD"),
        (torch.optim.RMSprop, "RMSprop"),
    ],
)
def test_a_requested_optimizer_is_used(optimizer, name):
    assert choice(KAN([2, 2, 1]), optimizer=optimizer) == (name, "as asked")


@pytest.mark.parametrize(("optimizer", "limit"), [("lm", 100), ("lbfgs", 100), ("adam", 2000), (torch.optim.SGD, 2000)])
def test_the_default_number_of_steps(optimizer, limit):
    """The first event contains the largest number of steps; a callback that returns True then ends the fit."""
    events = []
    optimizer = LevenbergMarquardt(starts=1) if optimizer == "lm" else optimizer
    fit = {"optimizer": optimizer, "callback": lambda event: events.append(event) or True}
    result = knotwork.fit(KAN([2, 1], seed=0), DATA, **fit)
    assert [(event.step, event.steps) for event in events] == [(0, limit)]
    assert (result.steps, result.stop_reason) == (0, "stopped by the callback")


def test_the_learning_rate_is_passed_to_the_optimizer():
    """One step of SGD moves in proportion to it."""
    reached = []
    for lr in (1e-3, 2e-3, 4e-3):
        network = KAN([2, 1], seed=0)
        knotwork.fit(network, DATA, optimizer=TorchOptimizer(torch.optim.SGD, lr=lr), steps=1, update_grid=False)
        reached.append(network.layers[0].coefficients.detach())
    assert (reached[1] - reached[0]).abs().max() > 0
    torch.testing.assert_close(2 * (reached[1] - reached[0]), reached[2] - reached[1])


# --- mini-batches ---


@pytest.mark.parametrize(("n", "size"), [(10, 3), (12, 4), (7, 7), (5, 9), (6, None), (9, 1)])
def test_an_epoch_contains_every_row_once(n, size):
    generator = torch.Generator().manual_seed(0)
    batches = minibatches(n, size, generator)
    orders = []
    for _ in range(3):
        order = []
        while len(order) < n:
            batch = next(batches).tolist()
            assert len(batch) <= (size or n)
            order += batch
        assert sorted(order) == list(range(n))
        orders.append(order)
    assert orders[0] != orders[1] != orders[2]


def test_a_fit_uses_every_row_once_in_an_epoch():
    x = torch.linspace(-1, 1, 50, dtype=torch.float64)[:, None]
    seen = []

    def loss(outputs, targets):
        if len(targets) < 50:  # calls with all rows are evaluations
            seen.extend(targets[:, 0].tolist())
        return (outputs - targets).square().mean()

    data = Dataset.from_arrays(x, x, test_size=0, validation_size=0)
    # two epochs of batches of 16, 16, 16 and 2 rows
    knotwork.fit(KAN([1, 1], seed=0), data, loss=loss, optimizer=Adam(batch_size=16), steps=8)
    assert sorted(seen[:50]) == sorted(seen[50:]) == x[:, 0].tolist()
    assert seen[:50] != seen[50:]


def test_large_tables_are_divided_into_batches_by_default():
    x = torch.linspace(-1, 1, 4097, dtype=torch.float64)[:, None]
    data, sizes = Dataset.from_arrays(x, x, test_size=0, validation_size=0), set()

    def loss(outputs, targets):
        if outputs.requires_grad:
            sizes.add(len(targets))
        return (outputs - targets).square().mean()

    for rows, batch_size, wanted in ((4097, None, 1024), (4096, None, 4096), (4097, 5000, 4097), (4097, 50, 50)):
        sizes.clear()
        part = data if rows == 4097 else Dataset.from_arrays(x[:rows], x[:rows], test_size=0, validation_size=0)
        knotwork.fit(KAN([1, 1], seed=0), part, loss=loss, optimizer=Adam(batch_size=batch_size), steps=1)
        assert sizes == {wanted}


# --- what cannot be ---


SGD = torch.optim.SGD
WHOLE = "{}={!r} is not possible: it must be a whole number of at least 1."
WRONG = [
    *(
        ({name: value}, WHOLE.format(name, value))
        for name in ("steps", "patience")
        for value in (0, -3, 1.5, True, "5")
    ),
    *(
        (
            {"grid_eps": value},
            f"grid_eps={value!r} is not possible: give a number from 0 (knots at quantiles) to 1 (even knots), "
            "or None for knots that follow the rows where tails are heavy.",
        )
        for value in (-0.1, 1.1, float("nan"), "1", True)
    ),
    *(
        ({"seed": value}, f"seed={value!r} is not possible: give a whole number of 0 or more, such as seed=0.")
        for value in (None, -1, 1.5, "0")
    ),
    ({"progress": 2}, "progress=2 is not understood: pass True, False, or None to show it on a terminal."),
    ({"loss": "huber"}, "loss='huber' is not known; pass 'mse', 'cross_entropy' or a function of (outputs, targets)."),
    ({"loss": None}, "loss=None is not known; pass 'mse', 'cross_entropy' or a function of (outputs, targets)."),
    *(
        ({name: value}, f"{name}={value!r} is not possible: a penalty's weight must be 0 or positive.")
        for name in ("lamb", "lamb_l1", "lamb_entropy")
        for value in (-0.1, float("nan"), None, "1e-3")
    ),
    *(
        (
            {"optimizer": optimizer},
            f"optimizer={optimizer!r} is not known; choose 'auto', 'lm', 'lbfgs', 'adam', a value such as "
            "kw.Adam(lr=1e-3), or pass a class such as torch.optim.AdamW.",
        )
        for optimizer in ("sgd", None, torch.nn.Linear)
    ),
    ({"optimizer": torch.optim.LBFGS}, "torch.optim.LBFGS searches along lines over all rows; pass optimizer='lbfgs'."),
    (
        {"optimizer": "lm", "loss": mean_absolute},
        "optimizer='lm' minimises loss='mse' or 'cross_entropy', but the loss is a function that was passed; use "
        "'lbfgs' or 'adam'.",
    ),
]


@pytest.mark.parametrize(("settings", "message"), WRONG, ids=lambda value: str(value)[:40])
def test_impossible_settings_are_refused(settings, message):
    network = KAN([2, 2, 1], seed=0)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises((TrainingError, DataError)) as caught:
        network.fit(DATA, **settings)
    assert str(caught.value) == message
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_data_with_other_numbers_of_columns_than_the_network_are_refused():
    three = Dataset.from_arrays(np.random.default_rng(0).normal(size=(20, 3)), np.arange(20.0))
    with pytest.raises(TrainingError) as caught:
        KAN([2, (3, 1), 1]).fit(three)
    assert str(caught.value) == (
        "fit() got 3 input columns but this KAN expects 2 (width=[2, (3, 1), 1]). "
        "Pass width=[3, ...] or choose 2 columns."
    )
    with pytest.raises(TrainingError) as caught:
        KAN([3, 5, 2]).fit(three)
    assert str(caught.value) == (
        "fit() got 1 target columns but this KAN has 2 outputs (width=[3, 5, 2]). "
        "Pass width=[..., 1] or choose other targets."
    )
    with pytest.raises(DataError, match="data has type int, but a Dataset, a pair"):
        KAN([2, 1]).fit(3)


def test_patience_without_validation_rows_is_refused():
    with pytest.raises(TrainingError) as caught:
        KAN([2, 2, 1]).fit(NO_VALIDATION, patience=5)
    assert str(caught.value) == (
        "patience= needs validation rows, but this data has none; make it with validation_size=0.2."
    )


def test_options_for_kans_are_refused_for_other_models():
    with pytest.raises(TrainingError) as caught:
        knotwork.fit(MLP([2, 3, 1]), DATA, lamb=0.1)
    assert str(caught.value) == "lamb=0.1 penalises the edges of a KAN, but this is a MLP; use lamb=0."


def test_outputs_of_another_shape_than_the_targets_are_refused():
    with pytest.raises(
        TrainingError, match=re.escape("outputs have shape (60, 2), but the targets (60, 1): build the")
    ):
        knotwork.fit(MLP([2, 3, 2]), DATA, steps=1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lambda_": 0.1}, r"\(\) has no argument lambda_=: did you mean lamb(_l1)?=\?"),
        ({"opt": "LBFGS"}, r"opt='LBFGS' is pykan's name: here it is optimizer='LBFGS'\."),
        ({"batch": 32}, r"batch=32 is pykan's name and belongs to the optimiser: pass .*kw\.Adam\(batch_size=32\)\."),
        (
            {"lr": 0.1},
            r"lr=0\.1 belongs to the optimiser: pass optimizer=kw\.Adam\(lr=0\.1\), kw\.LBFGS\(lr=0\.1\) or kw",
        ),
        ({"starts": 8}, r"starts=8 belongs to the optimiser: pass optimizer=kw\.LevenbergMarquardt\(starts=8\)\."),
        ({"tolerance": 0}, r"tolerance=0 belongs to the optimiser: pass .*kw\.LevenbergMarquardt\(tolerance=0\)\."),
        ({"n_jobs": 2}, r"n_jobs=2 belongs to the optimiser: pass .*kw\.LevenbergMarquardt\(n_jobs=2\)\."),
        (
            {"img_folder": "x"},
            r"\(\) has no argument img_folder=: its arguments are callback, checkpoint, data, .*grid_eps,",
        ),
    ],
)
@pytest.mark.parametrize("verb", [knotwork.fit, KAN.fit, knotwork.fit_multilevel, knotwork.fit_sparse])
def test_an_unknown_setting_is_refused(settings, message, verb):
    with pytest.raises(ArgumentError, match=message):
        verb(KAN([2, 1]), DATA, **settings)


@pytest.mark.parametrize("verb", [KAN.fit, knotwork.fit_multilevel, knotwork.fit_shapes, knotwork.fit_sparse])
def test_every_function_passes_its_arguments_to_fit(verb, monkeypatch):
    """Each argument that `fit` also has is in the options of the first fit, under the same name."""
    received = []

    def fit_with(model, data, options, *more):
        received.append(options)
        raise KeyboardInterrupt

    for module in ("training.loop", "training.multilevel", "training.shapes", "simplify.sparse"):
        monkeypatch.setattr(sys.modules[f"knotwork.{module}"], "fit_with", fit_with)
    names = inspect.signature(verb).parameters.keys() & {field.name for field in dataclasses.fields(FitOptions)}
    names -= {"patience"} if verb is knotwork.fit_multilevel else set()  # there patience counts levels
    assert len(names) >= 9
    values = {name: Adam() if name == "optimizer" else f"value of {name}" for name in names}
    with pytest.raises(KeyboardInterrupt):
        verb([KAN([2, 1])] if verb is knotwork.fit_shapes else KAN([2, 1]), DATA, **values)
    assert {name: getattr(received[0], name) for name in names} == values


# --- optimisers as values ---


@pytest.mark.parametrize(
    ("make", "message"),
    [
        *(
            (lambda v=value, o=optimizer: o(batch_size=v), WHOLE.format("batch_size", value))
            for value in (0, -3, 1.5, True, "5")
            for optimizer in (Adam, lambda **options: TorchOptimizer(torch.optim.SGD, **options))
        ),
        *((lambda v=v: LevenbergMarquardt(starts=v), WHOLE.format("starts", v)) for v in (0, 1.5, "5")),
        *(
            (lambda v=value, o=optimizer: o(lr=v), f"lr={value!r} is not possible: a learning rate must be positive.")
            for value in (0.0, -1e-3, "fast", float("nan"), None, True)
            for optimizer in (Adam, LBFGS, lambda **options: TorchOptimizer(torch.optim.SGD, **options))
        ),
        *(
            (
                lambda v=value: LevenbergMarquardt(tolerance=v),
                f"tolerance={value!r} is not possible: it must be 0 or positive, a share of the loss.",
            )
            for value in (-1.0, float("nan"), "1e-3")
        ),
        *(
            (
                lambda v=value: LevenbergMarquardt(n_jobs=v),
                f"n_jobs={value!r} is not possible: give a number of processes, or -1 for one a core.",
            )
            for value in (0, 1.5, "2")
        ),
        (lambda: TorchOptimizer(KAN), f"{KAN!r} is no class of optimisers: pass one such as torch.optim.AdamW."),
        (lambda: TorchOptimizer("adam"), "'adam' is no class of optimisers: pass one such as torch.optim.AdamW."),
    ],
)
def test_an_impossible_optimiser_is_refused_when_it_is_created(make, message):
    with pytest.raises(TrainingError) as caught:
        make()
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (LevenbergMarquardt(starts=1), "lm"),
        (LBFGS(), "lbfgs"),
        (Adam(), "adam"),
        (TorchOptimizer(torch.optim.AdamW), "AdamW"),
    ],
)
def test_optimisers_are_compared_by_value(value, name):
    assert choice(KAN([2, 2, 1]), optimizer=value) == (name, "as asked")
    assert value == dataclasses.replace(value) and hash(value) == hash(dataclasses.replace(value))
    with pytest.raises(dataclasses.FrozenInstanceError):
        value.lr = 1.0


@pytest.mark.parametrize(("short", "value"), [("lbfgs", LBFGS()), ("adam", Adam()), (SGD, TorchOptimizer(SGD))])
def test_the_name_of_an_optimiser_means_its_default_value(short, value):
    errors = [knotwork.fit(KAN([2, 1], seed=0), DATA, optimizer=way, steps=3).train_rmse for way in (short, value)]
    assert errors[0] == errors[1]


def test_an_optimiser_of_the_user_needs_one_method():
    """The task that this method receives describes the fit."""

    class Doubling(Optimizer):
        def minimise(self, task):
            task.begin()
            for step in range(1, task.steps + 1):
                with torch.no_grad():
                    task.model.layers[0].coefficients.mul_(2.0)
                stop = task.watch(step)
                if stop:
                    return stop.after(step)
            return Ended(task.steps, StopReason.STEP_LIMIT, "enough")

    network, events = KAN([2, 1], seed=0), []
    result = network.fit(DATA, optimizer=Doubling(), steps=3, callback=events.append)
    assert (result.optimizer, result.steps, result.stop_reason) == ("Doubling", 3, "enough")
    assert result.stop is StopReason.STEP_LIMIT
    assert not result.converged and [event.step for event in events] == [0, 1, 2, 3]
    stopped = network.fit(DATA, optimizer=Doubling(), callback=lambda event: event.step == 2)
    assert stopped.stop is StopReason.CALLBACK and stopped.steps == 2


@pytest.mark.parametrize(
    ("verb", "wrong", "right"), [("fit_multilevel", "grid", "grids"), ("fit_shapes", "max_parameter", "max_parameters")]
)
def test_errors_suggest_misspelt_arguments_of_each_function(verb, wrong, right):
    data = sample("x**2", x=(-1, 1), size=50)
    models = KAN([1, 1]) if verb == "fit_multilevel" else [KAN([1, 1])]
    with pytest.raises(ArgumentError, match=rf"no argument {wrong}=: did you mean {right}=\?"):
        getattr(knotwork, verb)(models, data, **{wrong: 5})


def test_more_parameters_than_second_order_steps_can_hold_are_refused_in_words():
    """Before anything is allocated. What is chosen automatically, and the other optimisers, take as many."""
    network = KAN([1, 1], grid=10_000, seed=0)
    what = "free parameters, whose matrix of second derivatives would take 0.8 GB; at most 10,000 are"
    with pytest.raises(
        TrainingError, match=f"optimizer='lm' is not possible for this KAN: it has 10,004 {what} possible. Use 'lbfgs"
    ):
        network.fit(DATA_OF_ONE, optimizer="lm")
    no_base = f"optimizer='gauss-newton' is not possible for this network: it has 10,003 {what}"  # no base function
    with pytest.raises(TrainingError, match=no_base):
        knotwork.KANRegressor(hidden=[], grid=10_000, optimizer="gauss-newton").fit(
            DATA_OF_ONE.X_train.numpy(), DATA_OF_ONE.y_train[:, 0].numpy()
        )
    assert network.fit(DATA_OF_ONE, optimizer="lbfgs", steps=1).optimizer == "lbfgs"
    assert network.fit(DATA_OF_ONE, steps=1).optimizer == "adam"
