"""The tensors of a network by name, as `state_dict` gives them: their structure, and whether they are sound."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from knotwork.model.spec import Spec

if TYPE_CHECKING:
    from knotwork.model.layer import KANLayer

OF_STRUCTURE = ("knots", "mask", "coefficients", "affine")
WHAT_TO_DO = (
    "Build the network from the structure of the saved one, KAN.from_spec(saved.spec), before load_state_dict; "
    "or keep structure and values in one file, by kw.save and kw.load."
)


def difference(layer: KANLayer, state: Mapping[str, Tensor], prefix: str = "") -> str:
    """Why these values cannot be put into this layer, for its user; empty if they are of the same structure.

    `state` may hold more; the names of the layer's tensors there begin with `prefix`.
    """
    given = {name: state[prefix + name] for name in OF_STRUCTURE if prefix + name in state}
    if len(given) < len(OF_STRUCTURE):
        return ""  # torch names the missing ones
    theirs, ours = _structure(given), _structure({name: getattr(layer, name) for name in OF_STRUCTURE})
    place = prefix.removesuffix(".") or "the layer"
    if theirs != ours:
        return f"{place} has {ours}, but the values are of a layer with {theirs}. {WHAT_TO_DO}"
    for source, target, function, _ in layer.named:
        if given["mask"][source, target] != 0:
            return f"edge ({source}, {target}) of {place} is {function!r} here but a spline there. {WHAT_TO_DO}"
    return ""


def _structure(tensors: Mapping[str, Tensor]) -> str:
    """The structure of a layer in words, from the shapes of its tensors."""
    shapes = [tuple(tensors[name].shape) for name in OF_STRUCTURE]
    if list(map(len, shapes)) != [2, 2, 3, 2]:
        return "tensors of the shapes " + ", ".join(f"{name} {s}" for name, s in zip(OF_STRUCTURE, shapes, strict=True))
    (_, knots), (inputs, outputs), (_, functions, _), (named, _) = shapes
    k = knots - functions - 1
    return f"{inputs} inputs, {outputs} outputs, grid={functions - k}, k={k} and {named} named edges"


def fault(spec: Spec, state: Mapping[str, Tensor], kept: bool = True) -> str:
    """What is wrong with the values of a network of this structure, in words; empty for sound ones.

    Without `kept` they hold no splines of named edges, as in format 1 of files.
    """
    dtype, known = spec.torch_dtype(), {"fitted", "held"}
    if spec.grid_range is not None:
        low, high = torch.tensor(spec.grid_range, dtype=dtype, device="cpu")
        if not (low < high and bool((high - low).isfinite())):
            return f"grid_range={spec.grid_range} is no range of numbers of type {dtype}"
    if "fitted" not in state or state["fitted"].shape != () or state["fitted"].dtype != torch.bool:
        return "'fitted' must be one truth value"
    held = state.get("held")  # earlier versions wrote none
    if held is not None and (held.shape != (spec.nodes(0),) or held.dtype != torch.bool):
        return f"'held' must be {spec.nodes(0)} truth values, one for each input"
    for l in range(spec.depth):  # ends at the first layer that is not there, however deep the structure is
        for name, shape in _shapes(spec, l, kept).items():
            found = state.get(f"layers.{l}.{name}")
            if found is None or found.shape != shape:
                came = "none" if found is None else f"{tuple(found.shape)}"
                return f"layer {l} needs {name} of shape {shape}, the file holds {came}"
            if found.dtype != dtype:
                return f"{name} of layer {l} must be of type {dtype}, but they are {found.dtype}"
            if not bool(found.isfinite().all()):
                return f"{name} of layer {l} hold NaN or infinite values"
            known.add(f"layers.{l}.{name}")
    if extra := sorted(state.keys() - known):
        return f"no layer of this network has {extra[0]!r}"
    return next((found for l in range(spec.depth) for found in _unsound(spec, state, l)), "")


def _shapes(spec: Spec, l: int, kept: bool) -> dict[str, tuple[int, ...]]:
    inputs, outputs, functions = spec.nodes(l), spec.sums(l + 1), spec.grid + spec.k
    named = sum(edge.layer == l for edge in spec.named)
    shapes = {
        "coefficients": (inputs, functions, outputs),
        "base_weights": (inputs, outputs),
        "mask": (inputs, outputs),
        "knots": (inputs, functions + spec.k + 1),
        "affine": (named, 4),
    }
    return {**shapes, "kept": (named, functions + 1)} if kept else shapes


def _unsound(spec: Spec, state: Mapping[str, Tensor], l: int) -> Iterator[str]:
    """What is wrong with the knots and with the mask of one layer, of the right shapes and finite."""
    knots, mask = state[f"layers.{l}.knots"], state[f"layers.{l}.mask"]
    lengths = knots.diff(dim=1)
    in_grid = lengths[:, spec.k : lengths.shape[1] - spec.k]
    if bool((lengths < 0).any()) or bool((in_grid <= 0).any()):
        yield f"knots of layer {l} must increase"
    if not bool((knots[:, -1] - knots[:, 0]).isfinite().all()) or not bool(in_grid.reciprocal().isfinite().all()):
        yield f"knots of layer {l} lie too far apart or too close together to compute with in {spec.dtype}"
    if not bool(((mask == 0) | (mask == 1)).all()):
        yield f"mask of layer {l} may hold only 0 and 1"
    if any(mask[edge.source, edge.target] != 0 for edge in spec.named if edge.layer == l):
        yield f"mask of layer {l} must be 0 where an edge is named"
