"""The contents of a report as values: columns, accuracy, importance, and the curve of every edge."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from knotwork.data import Dataset
from knotwork.formulas import Candidate
from knotwork.model import KANNetwork, trace
from knotwork.simplify import attribute
from knotwork.sizes import deviation, root_mean_square
from knotwork.symbolic import suggest_symbolic

Edge = tuple[int, int, int]
Predict = Callable[[Tensor], Tensor]
SUGGESTIONS = 3  # number of candidates shown for an edge


class Column(NamedTuple):
    """One column of the table, over all rows and in original units."""

    name: str
    unit: str
    role: str
    low: float
    high: float
    mean: float
    deviation: float
    constant: bool


class Score(NamedTuple):
    """How well one share of the rows is predicted. r² is NaN where the target is constant."""

    rmse: float
    r2: float


class Accuracy(NamedTuple):
    """One predictor of one target, with its score on every share that has rows."""

    target: str
    predictor: str
    scores: dict[str, Score]


class Verdicts(NamedTuple):
    """How well classes are predicted on one share of the rows: share of correct classes, and cross-entropy per row."""

    right: float
    log_loss: float


@dataclass(frozen=True)
class Curve:
    """One edge: source, target, share, name if it has one, and candidate functions."""

    edge: Edge
    source: str
    target: str
    score: float
    named: str | None
    varies: bool
    candidates: tuple[Candidate, ...]


def shares(data: Dataset) -> dict[str, tuple[Tensor, Tensor]]:
    """Inputs and targets of the shares that have rows, in the order test, validation, training."""
    every = {
        "test": (data.X_test, data.y_test),
        "validation": (data.X_val, data.y_val),
        "training": (data.X_train, data.y_train),
    }
    return {name: rows for name, rows in every.items() if len(rows[0])}


def reported_share(data: Dataset) -> str:
    """The share for which results are reported: the first one with more than one row."""
    return next((name for name, (x, _) in shares(data).items() if len(x) > 1), "training")


def columns(data: Dataset) -> list[Column]:
    """Every input, then every target. `constant` refers to the training rows."""
    x, y = (torch.cat(parts) for parts in zip(*shares(data).values(), strict=True))
    x = x if data.scaling is None else data.scaling.undo(x)
    found = []
    for role, names, values, training in (
        ("input", data.input_names, x, data.X_train),
        ("target", data.target_names, y, data.y_train),
    ):
        for n, name in enumerate(names):
            v = values[:, n].double()
            low, high, mean, spread = (float(f) for f in (v.min(), v.max(), v.mean(), deviation(v)))
            constant = bool((training[:, n] == training[0, n]).all())
            found.append(Column(name, data.units.get(name, ""), role, low, high, mean, spread, constant))
    return found


@torch.no_grad()
def accuracy(predictors: Mapping[str, Predict], data: Dataset) -> list[Accuracy]:
    """Every predictor on every target; the last predictor is the mean of the training rows."""
    mean = data.y_train.mean(0)
    every: dict[str, Predict] = {**predictors, "the mean of the training rows": lambda x: mean.expand(len(x), -1)}
    values = {who: {share: (predict(x), y) for share, (x, y) in shares(data).items()} for who, predict in every.items()}
    return [
        Accuracy(name, who, {share: score(p[:, n], y[:, n]) for share, (p, y) in found.items()})
        for n, name in enumerate(data.target_names)
        for who, found in values.items()
    ]


@torch.no_grad()
def verdicts(predictors: Mapping[str, Predict], data: Dataset) -> dict[str, dict[str, Verdicts]]:
    """Every predictor of logits on every share; the last one are the class frequencies in training."""
    often = _class_numbers(data.y_train).bincount(minlength=max(2, data.n_outputs)).to(data.y_train.dtype)
    often = (often / len(data.y_train)).log()
    often = often[1:] - often[:1] if data.n_outputs == 1 else often
    every: dict[str, Predict] = {**predictors, "the classes' frequencies": lambda x: often.expand(len(x), -1)}
    return {
        who: {share: _verdicts(predict(x), _class_numbers(y)) for share, (x, y) in shares(data).items()}
        for who, predict in every.items()
    }


@torch.no_grad()
def confusion(predict: Predict, x: Tensor, y: Tensor) -> list[list[int]]:
    """Numbers of rows: for each true class (row) those of each predicted class (column)."""
    true, named = _class_numbers(y), _all_logits(predict(x)).argmax(1)
    n = max(2, y.shape[1])
    return (true * n + named).bincount(minlength=n * n).view(n, n).tolist()


def _verdicts(logits: Tensor, true: Tensor) -> Verdicts:
    logits = _all_logits(logits)
    right = float((logits.argmax(1) == true).double().mean())
    return Verdicts(right, float(cross_entropy(logits, true)))


def _all_logits(outputs: Tensor) -> Tensor:
    """One logit for each class. For two classes the network gives only that of the second."""
    return torch.cat([torch.zeros_like(outputs), outputs], dim=1) if outputs.shape[1] == 1 else outputs


def _class_numbers(y: Tensor) -> Tensor:
    """The class of each row, counted from 0. Targets are one column for two classes, else one for each class."""
    return y[:, 0].round().long() if y.shape[1] == 1 else y.argmax(1)


def score(predicted: Tensor, true: Tensor) -> Score:
    """RMSE and r² of predictions (n,); NaN where they are not finite."""
    error = float(root_mean_square((predicted - true).double()))
    spread = float(deviation(true.double()))
    share = error / spread if spread > 0 else float("nan")
    return Score(error, 1 - share * share)  # the power of a large number raises


def curves(
    network: KANNetwork, data: Dataset, lib: Iterable[str] | None, most: int, compared: int
) -> tuple[list[Curve], int]:
    """The `most` most important edges, in the order of the network, and the number of all edges.

    The first `compared` of them have candidates, unless they have a name or are constant on the training rows.
    """
    scores = attribute(network, data.X_train).edges
    layers = trace(network, data.X_train).layers
    lib = None if lib is None else list(lib)
    edges = [(l, int(i), int(j)) for l, seen in enumerate(layers) for i, j in seen.active.nonzero()]
    kept = sorted(edges, key=lambda e: -float(scores[e[0]][e[1], e[2]]))[:most]
    named = {(e.layer, e.source, e.target): e.function for e in network.spec.named}
    found = []
    for l, i, j in sorted(kept):
        values = layers[l].edges[:, i, j]
        varies = bool(values.max() > values.min())
        table: Sequence[Candidate] = ()
        if varies and (l, i, j) in kept[:compared] and (l, i, j) not in named:
            table = suggest_symbolic(network, l, i, j, data, lib)
        places = (_source(network, data, l, i), _target(network, data, l, j))
        found.append(Curve((l, i, j), *places, float(scores[l][i, j]), named.get((l, i, j)), varies, tuple(table)))
    return found, len(edges)


def _source(network: KANNetwork, data: Dataset, layer: int, node: int) -> str:
    return data.input_names[network.spec.inputs[node]] if layer == 0 else f"node {node} of layer {layer}"


def _target(network: KANNetwork, data: Dataset, layer: int, place: int) -> str:
    """The node that sum `place` is, or of which it is a factor."""
    spec = network.spec
    n_sums, _ = spec.width[layer + 1]
    factor = place - n_sums
    node = place if factor < 0 else n_sums + factor // spec.arity
    name = data.target_names[node] if layer + 1 == spec.depth else f"node {node} of layer {layer + 1}"
    return name if factor < 0 else f"factor {factor % spec.arity + 1} of {name}"
