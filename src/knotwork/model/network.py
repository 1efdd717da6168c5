"""A KAN: layers of curves, joined by sum nodes and product nodes (eq. 2.7)."""

from collections.abc import Iterator
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from typing_extensions import Self

from knotwork.data import table_of
from knotwork.errors import SpecError
from knotwork.keywords import check_keywords
from knotwork.model.layer import KANLayer
from knotwork.model.spec import NamedEdge, Spec, is_whole, plain
from knotwork.model.state import WHAT_TO_DO
from knotwork.notebooks import one_line, table
from knotwork.splines import grid_range

Network = TypeVar("Network", bound="KANNetwork")


class Layers(nn.ModuleList):
    """The layers of a network, with types."""

    def __getitem__(self, index: int) -> KANLayer:  # type: ignore[override]
        return super().__getitem__(index)  # type: ignore[return-value]

    def __iter__(self) -> Iterator[KANLayer]:  # type: ignore[override]
        return super().__iter__()  # type: ignore[return-value]


@check_keywords
class KANNetwork(nn.Module):
    """The network that a `Spec` describes: (..., in_features) → (..., outputs), in the dtype of the network.

    The sums of a layer are those of its sum nodes first, then the factors of its product nodes, `arity` for each.
    `fitted` says whether the network was trained before. `held` (in,) says which of its inputs are held: the first fit
    places the grid of an input with long tails where most rows are, and takes values beyond it for its end. No sample
    is ever kept on the network.
    """

    fitted: Tensor
    held: Tensor
    layers: Layers

    @torch.inference_mode(False)  # a network that is built in inference mode could not be trained outside of it
    def __init__(
        self,
        spec: Spec,
        init: str = "paper",
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        self.structure = spec
        self.layers = Layers(
            KANLayer(
                spec.nodes(l),
                spec.sums(l + 1),
                spec.grid,
                spec.k,
                base=spec.base,
                init=init,
                grid_range=spec.grid_range or (-1.0, 1.0),
                extrapolation="linear" if l and spec.extrapolation in ("error", "constant") else spec.extrapolation,
                dtype=spec.torch_dtype(),
                device=device,
                generator=generator,
            )
            for l in range(spec.depth)
        )
        self.register_buffer("fitted", torch.tensor(False, device=device))
        self.register_buffer("held", torch.zeros(spec.nodes(0), dtype=torch.bool, device=device))
        for edge in spec.named:
            constants = torch.tensor([1.0, 0.0, 1.0, 0.0], device=device)
            self.layers[edge.layer].name_edge(edge.source, edge.target, edge.function, constants, edge.trainable)

    @classmethod
    def from_spec(
        cls,
        spec: Spec,
        init: str = "paper",
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
    ) -> Self:
        """A network of this structure.

        Args:
            spec: the structure.
            init: initial values, "paper" or "power", as in `KAN`.
            generator: draws the initial values. None: the initial values are the same every time.
            device: where the tensors are; None: torch's default, the CPU.
        """
        network = cls.__new__(cls)
        KANNetwork.__init__(network, spec, init, generator or torch.Generator(), device)
        return network

    @property
    def spec(self) -> Spec:
        """The present structure, with named edges and grid."""
        named = tuple(NamedEdge(l, *edge) for l, layer in enumerate(self.layers) for edge in layer.named)
        fields = {**self.structure.__dict__, "named": named, "grid": self.layers[0].grid}
        fields["dtype"] = str(self.layers[0].coefficients.dtype).split(".")[1]
        return Spec(**fields)

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *arguments: Any) -> None:
        start = f"{prefix}layers."
        given = {name.removeprefix(start).split(".")[0] for name in state_dict if name.startswith(start)}
        known = set(self.layers._modules)
        if given - known:  # torch names the missing ones, unless it is told that a part is enough
            arguments[-1].append(
                f"this KAN has {len(known)} layers of edges, the values have {len(given)}. {WHAT_TO_DO}"
            )
        if f"{prefix}fitted" in state_dict:  # values of earlier versions have no held inputs
            state_dict.setdefault(f"{prefix}held", torch.zeros_like(self.held))
        super()._load_from_state_dict(state_dict, prefix, *arguments)

    def forward(self, x: Tensor) -> Tensor:
        """The outputs (..., outputs) for x (..., in_features), a tensor or other array; SpecError for other columns."""
        values = self.select_inputs(x)
        for l, layer in enumerate(self.layers):
            values = self.combine(l + 1, layer(values))
        return values

    def select_inputs(self, x: Tensor) -> Tensor:
        """The columns of x (any array) in use, in the network's type, on its device; SpecError for another number."""
        spec = self.structure
        if not isinstance(x, Tensor):
            x = table_of(x, "x")[0]
        if x.ndim == 0 or x.shape[-1] != spec.in_features:
            came = "a single number" if x.ndim == 0 else f"{x.shape[-1]} input columns (shape {tuple(x.shape)})"
            raise SpecError(
                f"this KAN takes rows of {spec.in_features} values but got {came}. "
                f"Pass a tensor of shape (..., {spec.in_features}), or build the KAN with another width[0]."
            )
        own = self.layers[0].coefficients
        x = x.to(own.dtype).to(own.device)
        if not torch.compiler.is_compiling() and x.is_inference() and not torch.is_inference_mode_enabled():
            x = x.clone()  # autograd keeps no tensor of inference mode
        x = x if len(spec.inputs) == spec.in_features else x[..., list(spec.inputs)]
        if torch.compiler.is_compiling() or bool(self.held.any()):
            low, high = self.input_limits()
            x = x.clamp(low, high)
        return x

    def input_limits(self) -> tuple[Tensor, Tensor]:
        """The least and the greatest value of each input in use, (in,): the ends of its grid if held, else infinite.

        Inputs without splines are not held, since named edges are formulas that hold everywhere.
        """
        layer = self.layers[0]
        low, high = grid_range(layer.knots, layer.k)
        held = self.held & (layer.mask > 0).any(1)
        return torch.where(held, low, -torch.inf), torch.where(held, high, torch.inf)

    def combine(self, layer: int, sums: Tensor) -> Tensor:
        """The nodes of a layer from its sums, (..., sums) → (..., nodes): product nodes multiply their factors."""
        n_sums, n_products = self.structure.width[layer]
        if not n_products:
            return sums
        factors = sums[..., n_sums:].unflatten(-1, (n_products, self.structure.arity))
        return torch.cat([sums[..., :n_sums], factors.prod(-1)], dim=-1)

    def copy(self) -> Self:
        """An independent network with the same structure, values and frozen parameters."""
        other = type(self).from_spec(self.spec, device=self.fitted.device)
        other.load_state_dict(self.state_dict())
        for its, mine in zip(other.layers, self.layers, strict=True):
            its.freeze_like(mine)
        return other.train(self.training)

    @torch.inference_mode(False)
    def refine(self, grid: int) -> Self:
        """A copy with finer grids that computes the same function (grid extension, eq. 2.16 of Liu et al. 2024).

        Args:
            grid: new number of intervals of each input. Where it is a multiple of the present number, the function is
                the same to rounding, by knot insertion, also for values outside of their grids. Otherwise its curves
                are the closest ones in L² over their grids.

        Raises:
            SpecError: `grid` is no integer of at least 1, or the new knots cannot be told apart in the network's dtype.

        Example:
            >>> import torch, knotwork as kw
            >>> model, x = kw.KAN([2, 5, 1], grid=5, seed=0), torch.rand(10, 2)
            >>> torch.allclose(model.refine(10)(x), model(x))
            True
        """
        if not is_whole(grid) or grid < 1:
            raise SpecError(f"grid={grid!r} is not possible: it must be a whole number of at least 1.")
        grid = int(grid)
        other = self.copy()
        for layer in other.layers:
            layer.refine(grid)
        other.structure = other.spec
        return other

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Freeze or thaw all tensors, in place; also those that have no effect now, once they have one again."""
        for layer in self.layers:
            layer.requires_grad_(requires_grad)
        return self

    def parameters_in_use(self) -> int:
        """Number of parameters that affect the output. Splines of removed and of named edges do not count."""
        total = 0
        for layer in self.layers:
            total += int((layer.mask > 0).sum()) * (layer.coefficients.shape[1] + (layer.base != "zero"))
            total += 4 * len(layer.named)
        return total

    def __str__(self) -> str:
        return f"{self.spec}, {self.parameters_in_use()} parameters in use"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._brief()})"

    def _repr_html_(self) -> str:
        spec = self.spec
        rows = [("shape", plain(spec.width)), ("intervals of a spline", spec.grid), ("order", spec.k)]
        rows += [("base function", spec.base), ("beyond the grid", spec.extrapolation), ("numbers", spec.dtype)]
        named = ", ".join(f"{e.function} at {(e.layer, e.source, e.target)}" for e in spec.named)
        rows += [("named edges", one_line(named, 200))] if named else []
        rows += [("parameters in use", f"{self.parameters_in_use():,}"), ("fitted", "yes" if self.fitted else "no")]
        return table(rows, caption=type(self).__name__)

    def _brief(self) -> str:
        spec, named = self.spec, f", {len(self.spec.named)} named edges" if self.spec.named else ""
        fitted = "fitted" if self.fitted else "not fitted"
        shape = f"{plain(spec.width)}, grid={spec.grid}, k={spec.k}"
        return f"{shape}{named}, {self.parameters_in_use()} parameters in use, {fitted}"


def on_cpu(network: Network) -> Network:
    """The network itself if it is on the CPU, else a copy there, as formulas and figures are made on the CPU."""
    if network.fitted.device.type == "cpu":
        return network
    other = type(network).from_spec(network.spec, device="cpu")
    other.load_state_dict(network.state_dict())
    return other
