"""Which fits a file belongs to: the same call goes on, in the same or in a new process, and any other is refused."""

import pytest
import torch
from torch import nn

import knotwork as kw
from knotwork.errors import CheckpointError, KnotworkError
from knotwork.journal import Journal
from knotwork.solvers import StopReason
from tests.killing import Killed, Killer, assert_same, killed, killed_again_and_again, set_back, write_always

DATA = kw.sample("exp(sin(3*x) + y**2)", x=(-1, 1), y=(-1, 1), size=120, test_size=30, noise=0.1, seed=0)
LABELS = kw.sample(lambda x, y: (x * y > 0.1).to(x), x=(-1, 1), y=(-1, 1), size=120, test_size=30, seed=0)
LM = kw.LevenbergMarquardt(starts=1)
HELD_OUT = kw.sample("sin(9*x)*y", x=(-1, 1), y=(-1, 1), size=40, noise=0.5, seed=0)


def kan(width=(2, 2, 1), **settings):
    return kw.KAN(list(width), **{"grid": 5, "seed": 0, **settings})


def module(outputs=1, dropout=0.3):
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(dropout), nn.Linear(8, outputs))


def stopped_at(step):
    return lambda event: event.stage.startswith("fit") and event.step == step


# --- a loss that was passed ---


def labels(outputs, targets):
    return nn.functional.cross_entropy(outputs, targets[:, 0].long())


LOSSES = {
    "huber": (kan, DATA, nn.HuberLoss()),
    "a module": (module, DATA, nn.L1Loss()),
    "class indices": (lambda: module(3), LABELS, labels),
    "probabilities": (lambda: nn.Sequential(module(), nn.Sigmoid()), LABELS, nn.BCELoss()),
}


@pytest.mark.parametrize(("make", "data", "loss"), LOSSES.values(), ids=list(LOSSES))
def test_the_same_model_goes_on_with_its_own_loss(tmp_path, make, data, loss):
    settings = {"optimizer": "adam", "steps": 12, "loss": loss}
    model, path = make(), tmp_path / "a.kw"
    kw.fit(model, data, callback=stopped_at(5), checkpoint=path, **settings)
    assert_same(kw.fit(model, data, checkpoint=path, **settings), kw.fit(make(), data, **settings))
    steps = Killer()
    kw.fit(model, data, checkpoint=path, callback=steps, **settings)
    assert not steps.events


@pytest.mark.parametrize("make", [kan, lambda: kan(extrapolation="error"), module])
def test_asking_what_a_loss_is_runs_no_model(tmp_path, make):
    """Inputs from 0 to 5 lie outside of the first grids, and running statistics of a batch norm would change."""
    data = kw.sample("sin(x)*y", x=(0, 5), y=(0, 5), size=100, seed=0)
    settings = {"optimizer": "adam", "steps": 3, "loss": nn.HuberLoss()}
    one = kw.fit(make(), data, checkpoint=tmp_path / "a.kw", **settings)
    assert_same(one, kw.fit(make(), data, **settings))


def test_other_parameters_of_a_loss_are_refused(tmp_path):
    settings = {"optimizer": "adam", "steps": 3, "checkpoint": tmp_path / "a.kw"}
    kan().fit(DATA, loss=nn.HuberLoss(), **settings)
    for loss in (nn.HuberLoss(delta=0.3), nn.HuberLoss(delta=1.0 - 1e-8), nn.L1Loss()):
        with pytest.raises(CheckpointError, match=r"loss is HuberLoss \(value .* for fixed outputs\) there"):
            kan().fit(DATA, loss=loss, **settings)


# --- what is frozen, modes and code ---


def frozen(model):
    next(iter(model.parameters())).requires_grad_(False)
    return model


class Scaled(nn.Module):
    def __init__(self, scale):
        super().__init__()
        self.inner, self._scale = module(), scale

    def forward(self, x):
        return self._scale * self.inner(x)


DIFFERENT = {
    "frozen": (lambda: frozen(kan()), kan, "what is frozen is layers.0.coefficients there, but nothing here"),
    "a part frozen": (module, lambda: frozen(module()), "what is frozen is nothing there, but 0.weight here"),
    "mode": (lambda: module().eval(), module, "evaluation mode is the whole, 0, 1, 2, 3, 4 there, but nothing here"),
    "code": (lambda: Scaled(1.0), lambda: Scaled(1.5), "computes something else with the same parameters"),
}


@pytest.mark.parametrize(("make", "other", "words"), DIFFERENT.values(), ids=list(DIFFERENT))
def test_another_model_of_the_same_values_is_refused(tmp_path, make, other, words):
    settings = {"optimizer": "adam", "steps": 3, "checkpoint": tmp_path / "a.kw"}
    result = kw.fit(make(), DATA, **settings)
    with pytest.raises(CheckpointError, match=words):
        kw.fit(other(), DATA, **settings)
    assert_same(kw.fit(make(), DATA, **settings), result)


@pytest.mark.parametrize("optimizer", [LM, "adam"])
def test_a_killed_fit_of_a_frozen_model_goes_on(tmp_path, monkeypatch, optimizer):
    write_always(monkeypatch)
    settings = {"optimizer": optimizer, "steps": 8, "smoothness": None}

    def run(callback, path):
        return kw.fit(frozen(kan()), DATA, callback=callback, checkpoint=path, **settings)

    result, _, kills = killed_again_and_again(run, tmp_path / "a.kw", 0, 6)
    assert kills
    assert_same(result, kw.fit(frozen(kan()), DATA, **settings))


# --- patience ---


@pytest.mark.parametrize("optimizer", [LM, "lbfgs", kw.Adam(lr=0.3), kw.TorchOptimizer(torch.optim.SGD, lr=0.3)])
@pytest.mark.parametrize("moment", ["the last step", "anywhere"])
def test_a_fit_that_is_killed_when_patience_is_used_up_makes_no_more_steps(tmp_path, monkeypatch, optimizer, moment):
    write_always(monkeypatch)
    settings = {"optimizer": optimizer, "steps": 60, "patience": 2, "smoothness": None}
    data = kw.Dataset.from_arrays(HELD_OUT.X_train, HELD_OUT.y_train, validation_size=0.5, seed=0)
    whole = kan(grid=12).fit(data, **settings)
    assert whole.stop is StopReason.PATIENCE

    def run(callback, path):
        return kan(grid=12).fit(data, callback=callback, checkpoint=path, **settings)

    path = tmp_path / "a.kw"
    if moment == "anywhere":
        assert_same(killed_again_and_again(run, path, 1, 5)[0], whole)
        return
    with monkeypatch.context() as patch:
        patch.setattr("knotwork.training.watch.Watch.restore_best", lambda watch: (_ for _ in ()).throw(killed(path)))
        with pytest.raises(Killed) as kill:
            run(None, path)
    set_back(kill.value)
    assert_same(run(None, path), whole)


def test_a_callback_that_stops_at_once_gives_the_best_state_of_the_file(tmp_path):
    settings = {"optimizer": "adam", "steps": 20, "checkpoint": tmp_path / "a.kw"}
    before = kan().fit(DATA, callback=stopped_at(7), **settings)
    after = kan().fit(DATA, callback=lambda event: True, **settings)
    assert after.steps == before.steps == 7 and after.train_rmse == before.train_rmse


# --- loaders ---


def loader(seed=5, rows=25):
    pairs = torch.utils.data.TensorDataset(DATA.X_train, DATA.y_train)
    generator = torch.Generator().manual_seed(seed)
    return torch.utils.data.DataLoader(pairs, batch_size=rows, shuffle=True, generator=generator)


def test_a_killed_fit_of_a_loader_that_shuffles_goes_on(tmp_path, monkeypatch):
    write_always(monkeypatch)
    whole = kan().fit(loader(), steps=30)

    def run(callback, path):
        return kan().fit(loader(), steps=30, callback=callback, checkpoint=path)

    result, _, kills = killed_again_and_again(run, tmp_path / "a.kw", 0, 15)
    assert kills
    assert_same(result, whole)


def test_a_loader_is_passed_through_as_often_with_a_file_as_without(tmp_path):
    class Counted:
        def __init__(self):
            self.passes = 0

        def __iter__(self):
            self.passes += 1
            return iter([(DATA.X_train, DATA.y_train)])

    for fit in (
        lambda data, **more: kan().fit(data, steps=3, optimizer="adam", **more),
        lambda data, **more: kw.fit_multilevel(kan(), data, [5, 6], steps=3, optimizer="adam", **more),
        lambda data, **more: kw.fit_shapes([kan()], data, [5], steps=3, **more),
        lambda data, **more: kw.fit_sparse(kan([2, 1]), data, 0.2, steps=2, **more),
    ):
        with_file, without = Counted(), Counted()
        fit(without)
        fit(with_file, checkpoint=tmp_path / f"{id(fit)}.kw")
        assert with_file.passes == without.passes


def test_a_loader_whose_passes_differ_is_refused_in_words(tmp_path):
    one, model = loader(), kan()
    model.fit(one, steps=30, callback=stopped_at(5), checkpoint=tmp_path / "a.kw")
    with pytest.raises(CheckpointError, match="one that shuffles must be built anew"):
        model.fit(one, steps=30, checkpoint=tmp_path / "a.kw")
    assert model.fit(loader(), steps=30, checkpoint=tmp_path / "a.kw").stop is StopReason.STEP_LIMIT


# --- files in which there is nothing ---


def fails(outputs, targets):
    raise ValueError("a mistake")


BROKEN = {
    "patience without validation rows": ({"patience": 3}, KnotworkError),
    "steps": ({"steps": 0}, KnotworkError),
    "an optimiser": ({"optimizer": "lm", "loss": nn.L1Loss()}, KnotworkError),
    "a loss that fails": ({"loss": fails}, ValueError),
}


@pytest.mark.parametrize(("wrong", "error"), BROKEN.values(), ids=list(BROKEN))
def test_a_call_that_was_refused_does_not_block_the_corrected_one(tmp_path, wrong, error):
    data = kw.Dataset.from_arrays(DATA.X_train, DATA.y_train, validation_size=0, test_size=0)
    settings = {"optimizer": "adam", "steps": 6}
    with pytest.raises(error):
        kan(seed=4).fit(data, checkpoint=tmp_path / "a.kw", **{**settings, **wrong})
    result = kan().fit(data, checkpoint=tmp_path / "a.kw", **settings)
    assert_same(result, kan().fit(data, **settings))


def test_after_ctrl_c_before_anything_is_kept_the_same_network_begins_from_its_first_values(tmp_path):
    settings = {"optimizer": "adam", "steps": 9}

    def ctrl_c(event):
        if event.step == 4:
            raise KeyboardInterrupt

    model, path = kan(), tmp_path / "a.kw"
    for _ in range(3):  # the second and third end in the state in which they found the network
        assert model.fit(DATA, callback=ctrl_c, checkpoint=path, **settings).stop is StopReason.INTERRUPTED
    assert_same(model.fit(DATA, checkpoint=path, **settings), kan().fit(DATA, **settings))


# --- copies ---


def test_the_first_values_are_copied_once(tmp_path, monkeypatch):
    settings = {"optimizer": LM, "steps": 9, "smoothness": None}
    kan().fit(DATA, callback=stopped_at(4), checkpoint=tmp_path / "a.kw", **settings)
    places, value = [], Journal.value
    monkeypatch.setattr(Journal, "value", property(lambda self: (places.append(self._place), value.fget(self))[1]))
    kan().fit(DATA, checkpoint=tmp_path / "a.kw", **settings)
    assert places.count("model") == 1
