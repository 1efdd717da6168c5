"""Initial values of a layer's edges, drawn on the CPU, so that they are the same on every device."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from knotwork.errors import SpecError


def _normal(shape: torch.Size, scale: float, generator: torch.Generator | None, like: Tensor) -> Tensor:
    return scale * torch.randn(shape, generator=generator, dtype=like.dtype, device="cpu").to(like.device)


def paper(coefficients: Tensor, base_weights: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """Splines near zero, c ~ N(0, 0.1²), and base weights by Xavier (section 2.2)."""
    n_in, n_out = base_weights.shape
    bound = (6 / (n_in + n_out)) ** 0.5
    uniform = torch.rand(base_weights.shape, generator=generator, dtype=base_weights.dtype, device="cpu")
    uniform = uniform.to(base_weights.device)
    return _normal(coefficients.shape, 0.1, generator, coefficients), bound * (2 * uniform - 1)


def power(coefficients: Tensor, base_weights: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """Normal with standard deviation (n_in (G + k + 1))^-α (arXiv 2509.03417).

    α is 0.25 for base weights and 1.75 for splines.
    """
    size = base_weights.shape[0] * (coefficients.shape[1] + 1)
    return (
        _normal(coefficients.shape, size**-1.75, generator, coefficients),
        _normal(base_weights.shape, size**-0.25, generator, base_weights),
    )


INITIALISERS: Mapping[str, Callable[[Tensor, Tensor, torch.Generator | None], tuple[Tensor, Tensor]]] = {
    "paper": paper,
    "power": power,
}


def initialiser(name: str) -> Callable[[Tensor, Tensor, torch.Generator | None], tuple[Tensor, Tensor]]:
    """The initialiser called `name`; SpecError if there is none."""
    if name not in INITIALISERS:
        raise SpecError(f"init={name!r} is not known; choose one of {', '.join(map(repr, INITIALISERS))}.")
    return INITIALISERS[name]
