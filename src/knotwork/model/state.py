"""The tensors of a layer by name, as `state_dict` gives them: which structure they belong to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor

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
