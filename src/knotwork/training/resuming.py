"""Fits in files: what a fit is asked, so that a file is not gone on from with another fit, and results as values."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, fields
from functools import partial
from math import isfinite
from typing import Any

import torch
from torch import Tensor, nn

from knotwork.data import Dataset, Stream, as_dataset, dataset_or_stream, tensor_of
from knotwork.errors import CheckpointError
from knotwork.journal import Journal, Value, digest_of, journal_in
from knotwork.model import KANNetwork, evaluating
from knotwork.solvers import StopReason
from knotwork.training.fit_result import FitResult, Record, state_of
from knotwork.training.optimizers import optimizer_of
from knotwork.training.options import FitOptions
from knotwork.training.settings import TRAINING
from knotwork.training.standardization import dtype_of

LOADER = "the first pass of the loader (one that shuffles must be built anew, with a generator of the same seed)"


@contextmanager
def fit_journal(checkpoint: object, model: nn.Module, data: object, options: FitOptions) -> Iterator[Journal]:
    """The journal of `fit`, which trains the model in place.

    The model may be as it was when the fit began, in a new process, or as a fit that was ended left it, in the same
    one. It is then set back to its first values, from which the calculation is repeated.
    """
    asked = partial(question, "fit", [model], data, options, values=False)
    with journal_in(checkpoint, asked) as journal:
        if checkpoint is None:
            yield journal
            return
        beside = journal.beside("model")
        known, now = beside.value, digest_of(state_of(model))
        first = known["first"] if known else state_of(model)
        begun = digest_of(first)
        if known and now == known["last"]:
            model.load_state_dict(first)
        elif now != begun:
            raise CheckpointError(
                f"{str(checkpoint)!r} belongs to the fit of a network with other values: build it with the same seed, "
                "or pass the path of a new file to begin anew."
            )
        outputs = _outputs(model, as_dataset(data))
        if known and not _same(outputs, known["outputs"]):
            raise CheckpointError(
                f"{str(checkpoint)!r} belongs to the fit of a model that computes something else with the same "
                "parameters: fit the same code, or pass the path of a new file to begin anew."
            )
        last = known["last"] if journal.done else begun
        if not journal.done:
            beside.set({"first": first, "last": begun, "outputs": outputs})
        try:
            yield journal
        finally:
            if (now := digest_of(state_of(model))) != last:
                beside.set({"first": first, "last": now, "outputs": outputs}, done=True)


def question(
    calculation: str,
    models: Sequence[nn.Module],
    data: object,
    options: FitOptions,
    values: bool = True,
    **more: object,
) -> dict[str, str]:
    """All that the result of a fit depends on, each part as a text by its name; the `values` of models if asked for."""
    found = dataset_or_stream(data)
    asked = {"the calculation": calculation, "the network": "; ".join(map(_structure, models))}
    of_loader = isinstance(found, Stream) and not found.sized
    asked[LOADER if of_loader else "data"] = _data(found)
    asked["what is frozen"] = "; ".join(map(_frozen, models))
    asked["what is in evaluation mode"] = "; ".join(map(_evaluated, models))
    if options.sample_weight is not None:
        asked["sample_weight"] = digest_of(tensor_of(options.sample_weight, "sample_weight"))
    for name, value in {**{f.name: getattr(options, f.name) for f in fields(options)}, **more}.items():
        if name not in ("sample_weight", "restart"):
            text = repr(optimizer_of(value) if name == "optimizer" else value)
            asked[name] = re.sub(" at 0x[0-9a-f]+", "", text)  # an address says nothing in another process
    if values:
        asked["values of the network"] = digest_of([state_of(model) for model in models])
    if callable(options.loss):
        asked["loss"] = _loss(options.loss, models[0], as_dataset(found))
    return asked


def _structure(model: nn.Module) -> str:
    return model.spec.to_json() if isinstance(model, KANNetwork) else repr(model)


def _frozen(model: nn.Module) -> str:
    """The names of parameters that no step changes."""
    return ", ".join(name for name, values in model.named_parameters() if not values.requires_grad) or "nothing"


def _evaluated(model: nn.Module) -> str:
    """The names of parts in evaluation mode, which means nothing for a KAN."""
    parts = [] if isinstance(model, KANNetwork) else model.named_modules()
    return ", ".join(name or "the whole" for name, part in parts if not part.training) or "nothing"


def _data(data: Dataset | Stream) -> str:
    """What data are: numbers of rows, names, known ranges, and a digest of all rows (of a stream: of its sample)."""
    rows = as_dataset(data)
    tensors = rows.X_train, rows.y_train, rows.X_val, rows.y_val, rows.X_test, rows.y_test
    train, validation, test = rows.rows()
    counts = f"{train} training, {validation} validation and {test} test rows"
    names = f"{', '.join(rows.input_names)} -> {', '.join(rows.target_names)}"
    return f"{counts} of {names} (SHA-256 {digest_of([*tensors, repr(rows.ranges)])[:16]})"


@torch.no_grad()
def _outputs(model: nn.Module, rows: Dataset) -> Tensor | None:
    """The outputs for the first rows, since code has no text to compare; None for a KAN: its structure tells all."""
    if isinstance(model, KANNetwork):
        return None
    with evaluating(model), torch.random.fork_rng(devices=[]):
        return model(_first(rows.X_train, model))


def _same(outputs: Tensor | None, kept: Tensor | None) -> bool:
    """Whether outputs are the same but for rounding, which may differ with the number of threads."""
    if outputs is None or kept is None:
        return outputs is kept
    here = outputs.to(kept.device)
    if here.shape != kept.shape or here.dtype != kept.dtype:
        return False
    unit = float(kept.abs().max())
    rounding = torch.finfo(kept.dtype).eps ** 0.5 * (unit if isfinite(unit) else 0.0)
    return torch.allclose(here, kept, rtol=0.0, atol=rounding, equal_nan=True)


def _loss(loss: Callable[..., Any], model: nn.Module, rows: Dataset) -> str:
    """A loss that was passed, by its name and its value, since code has no text to compare.

    The value is that for outputs which no model has computed, so that it is the same before and after steps: half the
    targets plus a tenth or, where the outputs have another shape, a wave.
    """
    y, outputs = _first(rows.y_train, model), _outputs(model, rows)
    shape = y.shape if outputs is None else outputs.shape
    wave = 0.5 + 0.4 * torch.arange(shape.numel()).sin().view(shape).to(y)
    given = (0.5 * y + 0.1 if y.shape == shape else wave).requires_grad_()
    digits = 12 if y.dtype == torch.float64 else 6
    try:
        with torch.random.fork_rng(devices=[]):
            value = f"{float(loss(given, y).detach()):.{digits}g}"
    except Exception:  # it may be defined for the outputs of this model only
        value = "unknown"
    return f"{getattr(loss, '__qualname__', type(loss).__qualname__)} (value {value} for fixed outputs)"


def _first(rows: Tensor, model: nn.Module) -> Tensor:
    """The first rows, as the model takes them."""
    return rows[: TRAINING.rows_compared].to(next(iter(state_of(model).values())).device, dtype_of(model))


def result_as_value(result: FitResult) -> Value:
    """The result of a fit, with the values of its model, for a journal."""
    found = {f.name: getattr(result, f.name) for f in fields(result) if f.name not in ("model", "stop", "history")}
    history = [astuple(record) for record in result.history]
    return {**found, "state": state_of(result.model), "stop": result.stop.name, "history": history}


def result_of(value: Mapping[str, Any], model: nn.Module) -> FitResult:
    """The result that `result_as_value` was given; the values of its model are put into `model`."""
    rest = {name: part for name, part in value.items() if name != "state"}
    model.load_state_dict(value["state"])
    rest["stop"] = StopReason[rest["stop"]]
    rest["history"] = tuple(Record(*record) for record in rest["history"])
    return FitResult(model=model, **rest)
