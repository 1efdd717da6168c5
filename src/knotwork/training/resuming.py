"""Fits in files: what a fit is asked, so that a file is not gone on from with another fit, and results as values."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, fields
from functools import partial
from typing import Any

import torch
from torch import nn

from knotwork.data import Dataset, Stream, as_dataset, dataset_or_stream, tensor_of
from knotwork.errors import CheckpointError
from knotwork.journal import Journal, Value, digest_of, journal_in
from knotwork.model import KANNetwork
from knotwork.solvers import StopReason
from knotwork.training.fit_result import FitResult, Record, state_of
from knotwork.training.optimizers import optimizer_of
from knotwork.training.options import FitOptions
from knotwork.training.standardization import dtype_of


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
        ends = journal.beside("model")
        now = digest_of(state_of(model))
        first = ends.value["first"] if ends.value else state_of(model)
        if ends.value and now == ends.value["last"]:
            model.load_state_dict(first)
        elif now != digest_of(first):
            raise CheckpointError(
                f"{str(checkpoint)!r} belongs to the fit of a network with other values: build it with the same seed, "
                "or pass the path of a new file to begin anew."
            )
        if not journal.done:
            ends.set({"first": first, "last": now})
        try:
            yield journal
        finally:
            if (last := digest_of(state_of(model))) != ends.value["last"]:
                ends.set({"first": first, "last": last})


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
    asked = {"the calculation": calculation, "the network": "; ".join(map(_structure, models)), "data": _data(found)}
    if options.sample_weight is not None:
        asked["sample_weight"] = digest_of(tensor_of(options.sample_weight, "sample_weight"))
    for name, value in {**{f.name: getattr(options, f.name) for f in fields(options)}, **more}.items():
        if name not in ("sample_weight", "restart"):
            text = repr(optimizer_of(value) if name == "optimizer" else value)
            asked[name] = re.sub(" at 0x[0-9a-f]+", "", text)  # an address says nothing in another process
    if values:
        asked["values of the network"] = digest_of([state_of(model) for model in models])
    if callable(options.loss):
        asked["loss"] = _function(options.loss, models[0], as_dataset(found))
    return asked


def _structure(model: nn.Module) -> str:
    return model.spec.to_json() if isinstance(model, KANNetwork) else repr(model)


def _data(data: Dataset | Stream) -> str:
    """What data are: numbers of rows, names, known ranges, and a digest of all rows (of a stream: of its sample)."""
    rows = as_dataset(data)
    tensors = rows.X_train, rows.y_train, rows.X_val, rows.y_val, rows.X_test, rows.y_test
    train, validation, test = rows.rows()
    counts = f"{train} training, {validation} validation and {test} test rows"
    names = f"{', '.join(rows.input_names)} -> {', '.join(rows.target_names)}"
    return f"{counts} of {names} (SHA-256 {digest_of([*tensors, repr(rows.ranges)])[:16]})"


@torch.no_grad()
def _function(loss: Callable[..., Any], model: nn.Module, rows: Dataset) -> str:
    """A loss that was passed, by its name and its value for the first rows, since code has no text to compare."""
    own = dtype_of(model)
    x, y = (part[:1000].to(own) for part in (rows.X_train, rows.y_train))
    name = getattr(loss, "__qualname__", type(loss).__qualname__)
    return f"{name} (first value {float(loss(model(x), y)):.6g})"


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
