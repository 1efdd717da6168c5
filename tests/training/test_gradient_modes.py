"""Fits inside torch's no_grad and inference mode, losses that return no number, and lists of batches."""

from contextlib import nullcontext

import numpy as np
import pytest
import torch

import knotwork as kw
from knotwork.errors import TrainingError

X = np.random.default_rng(0).uniform(-1, 1, (60, 2))
Y = np.sin(2 * X[:, 0]) + X[:, 1] ** 2
OPTIMIZERS = {
    "lm": kw.LevenbergMarquardt(starts=2),
    "lbfgs": "lbfgs",
    "adam": "adam",
    "rmsprop": kw.TorchOptimizer(torch.optim.RMSprop),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("lamb", [0.0, 1e-3])
def test_a_fit_in_any_mode_is_the_same_and_goes_on_outside(mode, optimizer, lamb):
    options = {"optimizer": OPTIMIZERS[optimizer], "steps": 4, "lamb": lamb, "progress": False}
    found = []
    for around in (nullcontext, mode):
        with around():
            model, data = kw.KAN([2, 2, 1], grid=3, seed=0), kw.Dataset.from_arrays(torch.tensor(X), Y)
            model.fit(data, **options)
            finer = model.refine(6)
        found += [[model.fit(data, **options).train_rmse, finer.fit(data, **options).train_rmse]]
    assert found[0] == found[1]


def test_a_module_of_inference_mode_is_refused():
    with torch.inference_mode():
        module = torch.nn.Linear(2, 1).double()
    with pytest.raises(TrainingError, match=r"this Linear was made or changed inside torch\.inference_mode"):
        kw.fit(module, (X, Y), progress=False)


LOSSES = {
    "a float": (lambda o, t: float((o - t).abs().mean()), "loss= returned a float: return a tensor"),
    "NumPy": (lambda o, t: np.mean((o - t).detach().numpy() ** 2), "loss= returned a float64: return a tensor"),
    "nothing": (lambda o, t: None, "loss= returned a NoneType"),
    "a tuple": (lambda o, t: ((o - t).abs().mean(),), "loss= returned a tuple"),
    "every row": (lambda o, t: (o - t).abs(), r"loss= returned a tensor of shape \(48, 1\): return one real number"),
    "complex": (lambda o, t: (o - t).mean() + 1j, "loss= returned complex numbers"),
    "detached": (lambda o, t: (o - t).abs().mean().detach(), "without derivatives by the outputs"),
    "a class": (torch.nn.L1Loss, r"loss= is the class L1Loss: pass an instance of it, L1Loss\(\)"),
}


@pytest.mark.parametrize("optimizer", ["auto", "lbfgs", "adam"])
@pytest.mark.parametrize("kind", LOSSES)
def test_a_loss_that_is_no_number_is_refused_and_changes_nothing(kind, optimizer):
    loss, said = LOSSES[kind]
    model = kw.KAN([2, 2, 1], seed=0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(TrainingError, match=said):
        model.fit((X, Y), loss=loss, optimizer=optimizer, steps=3, progress=False)
    if kind != "detached":  # which is seen only where derivatives are taken, after the first grids were placed
        assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_a_loss_of_one_entry_is_one_number():
    errors = [
        kw.KAN([2, 1], seed=0).fit((X, Y), loss=loss, steps=3, progress=False).train_rmse
        for loss in (lambda o, t: (o - t).abs().mean(), lambda o, t: (o - t).abs().mean()[None], torch.nn.L1Loss())
    ]
    assert errors[0] == errors[1] == errors[2]


@pytest.mark.parametrize("parts", [1, 2, 3])
@pytest.mark.parametrize("kind", [list, tuple])
def test_a_list_of_batches_is_a_stream_whatever_its_length(parts, kind):
    batches = kind((X[n::parts], Y[n::parts]) for n in range(parts))
    stream = kw.as_dataset(batches)
    assert stream.rows() == (60, 0, 0)
    assert kw.KAN([2, 1], seed=0).fit(batches, steps=3, progress=False).optimizer == "adam"


@pytest.mark.parametrize(
    "pair",
    [([[1.0, 2.0], [3.0, 4.0]] * 5, [1.0, 2.0] * 5), [X.tolist(), [[y] for y in Y]], (list(X), list(Y))],
    ids=["lists", "list of lists", "rows"],
)
def test_a_pair_of_lists_stays_a_pair(pair):
    assert kw.as_dataset(pair, validation_size=0).rows().train == len(pair[1])


def test_a_pair_of_two_rows_is_no_list_of_batches():
    data = kw.as_dataset([[[1.0, 2.0], [3.0, 4.0]], [[5.0], [6.0]]], validation_size=0)
    assert data.X_train.shape == (2, 2) and data.y_train.shape == (2, 1)
