"""Networks in files: safetensors for the numbers, one line of JSON for the structure. Loading runs no code."""

import hashlib
from pathlib import Path

import torch
from torch import Tensor

from knotwork.errors import CheckpointError, SpecError
from knotwork.files import replacing
from knotwork.model.network import KANNetwork
from knotwork.model.spec import Spec
from knotwork.model.state import fault

FORMAT = "2"
FORMATS = ("1", "2")


def save(network: KANNetwork, path: str | Path) -> None:
    """Write structure and values to `path`, without training data. CheckpointError if the file cannot be written."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    if not hasattr(network, "spec"):
        raise CheckpointError(f"save() writes KANs, but got {type(network).__name__}; use torch.save(...state_dict()).")
    state = {name: value.contiguous() for name, value in network.state_dict().items()}
    if found := fault(network.spec, state):
        raise CheckpointError(
            f"this network cannot be saved: {found}. torch.save(model.state_dict()) writes any values."
        )
    spec = network.spec.to_json()
    try:
        with replacing(path) as new:
            save_file(state, str(new), metadata={"knotwork": FORMAT, "spec": spec, "sha256": _digest(spec, state)})
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{str(path)!r} cannot be written ({error}); give the path of a file.") from error


def read(path: str | Path) -> tuple[Spec, dict[str, Tensor]]:
    """Structure and values from a file that `save` wrote; CheckpointError for anything else."""
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise CheckpointError(f"there is no file {str(path)!r} to load; give the path that was passed to save().")
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{str(path)!r} is not a safetensors file ({error}); save it again.") from error
    if metadata.get("knotwork") not in FORMATS:
        raise CheckpointError(
            f"{str(path)!r} is not a knotwork checkpoint of format {' or '.join(FORMATS)} (it says "
            f"{metadata.get('knotwork')!r}); only files written by knotwork.save() can be loaded."
        )
    text = metadata.get("spec", "")
    if metadata.get("sha256") != _digest(text, state):
        raise CheckpointError(f"{str(path)!r} was changed or damaged after it was saved; save it again.")
    try:
        spec = Spec.from_json(text)
    except SpecError as error:
        raise CheckpointError(f"the structure in {str(path)!r} was changed or damaged: {error}") from error
    old = metadata["knotwork"] == "1"
    if found := fault(spec, state, kept=not old):  # before a network of that size is built
        raise CheckpointError(f"the values in {str(path)!r} do not fit its structure: {found}.")
    return spec, {**state, **_kept_splines(spec, state)} if old else state


def _kept_splines(spec: Spec, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The splines that named edges had, which format 1 has among the others."""
    found = {}
    for l in range(spec.depth):
        coefficients, base_weights = (state[f"layers.{l}.{name}"] for name in ("coefficients", "base_weights"))
        edges = [(edge.source, edge.target) for edge in spec.named if edge.layer == l]
        rows = [torch.cat([coefficients[i, :, j], base_weights[i, j, None]]) for i, j in edges]
        found[f"layers.{l}.kept"] = torch.stack(rows) if rows else coefficients.new_empty(0, spec.grid + spec.k + 1)
    return found


def restore(network: KANNetwork, state: dict[str, Tensor], path: str | Path) -> None:
    """Put values that `read` returned into `network`; CheckpointError if they do not fit its structure."""
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise CheckpointError(f"the values in {str(path)!r} do not fit its structure: {error}") from error


def _digest(spec: str, state: dict[str, Tensor]) -> str:
    """SHA-256 of structure and values. It detects damage, but it is no signature."""
    digest = hashlib.sha256(spec.encode())
    for name, value in sorted(state.items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.cpu().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
