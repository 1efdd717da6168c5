"""One KAN layer: a learnable curve on every edge, from `in` inputs to `out` sums."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from knotwork.errors import SpecError
from knotwork.functions import named_function
from knotwork.kernels import base_values, basis, edge_series, edge_sums
from knotwork.keywords import check_keywords
from knotwork.model.initialise import initialiser
from knotwork.model.settings import MODEL
from knotwork.model.spec import Spec
from knotwork.model.state import difference
from knotwork.model.tensors_in_use import TensorsInUse
from knotwork.splines import (
    adaptive_knots,
    closest,
    evaluate,
    insert_knots,
    insert_knots_of_fading,
    quadrature,
    resample,
    subdivide,
    uniform_knots,
    with_padding_of,
)


@check_keywords
class KANLayer(TensorsInUse):
    """Sums of learnable curves, y_j = Σ_i φ_ij(x_i), in place of a linear map (eq. 2.5): (..., in) → (..., out).

    φ(x) = w_b·b(z) + Σ_m c_m B_m(x) (eq. 2.10-2.12), where z is x mapped
    linearly from its grid to [-1, 1]. So a linear map of both x and its grid changes nothing. An edge can instead be
    named, c·f(a·x + b) + d, or removed, which makes it exactly zero. `extrapolation` says what holds outside the grid.

    `coefficients` has shape (in, grid + k, out), `base_weights` (in, out), `knots` (in, grid + 2k + 1). `mask` is 1
    where an edge is a spline and 0 where it is named or removed. Row n of `affine` has (a, b, c, d) of the n-th named
    edge, row n of `kept` the coefficients and the base weight that this edge had as a spline.

    The first two and `affine` are parameters where they have an effect on the sums, and buffers where they have none:
    `base_weights` for base="zero", `affine` without named edges that are trained, the two of splines once all edges are
    named. So an optimiser must be made again, and DistributedDataParallel too, after edges were named or un-named.

    Args:
        in_features: inputs.
        out_features: outputs.
        grid: number of intervals G of every spline.
        k: order of the splines, 0 to 7.
        base: b(z): "silu", "identity", "sine" or "zero".
        init: initial values: "paper" (section 2.2), with Xavier weights as torch.nn.Linear has, or "power"
            (arXiv 2509.03417), the default of a whole `KAN`.
        grid_range: (low, high) of all grids until `update_grid` or `set_knots` replaces them.
        extrapolation: outside its grid a spline continues as a straight line ("linear"), an edge keeps its value at the
            end ("constant"), a spline falls to zero ("zero"), or an error is raised ("error"). Named edges are not
            changed.
        dtype: torch's default, as for every layer of torch; a whole `KAN` takes float64.
        device: where the tensors are.
        generator: draws the initial values; torch's own generator by default.

    Raises:
        SpecError: for settings that describe no layer.

    Example:
        >>> import torch
        >>> import knotwork as kw
        >>> layer = kw.KANLayer(3, 2)
        >>> layer(torch.zeros(5, 4, 3)).shape
        torch.Size([5, 4, 2])
    """

    knots: Tensor
    mask: Tensor
    coefficients: Tensor
    base_weights: Tensor
    affine: Tensor
    kept: Tensor

    def __init__(
        self,
        in_features: int,
        out_features: int,
        grid: int = 5,
        k: int = 3,
        *,
        base: str = "silu",
        init: str = "paper",
        grid_range: tuple[float, float] = (-1.0, 1.0),
        extrapolation: str = "linear",
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        dtype = dtype or torch.get_default_dtype()
        Spec(  # the one place that checks these settings
            ((in_features, 0), (out_features, 0)), grid, k, 2, base, extrapolation, grid_range, str(dtype).split(".")[1]
        )
        self.in_features, self.out_features = in_features, out_features
        self.grid, self.k, self.base, self.extrapolation = grid, k, base, extrapolation
        low, high = (torch.full((in_features,), float(v), dtype=dtype, device=device) for v in grid_range)
        self.register_buffer("knots", uniform_knots(low, high, grid, k))
        self.register_buffer("mask", torch.ones(in_features, out_features, dtype=dtype, device=device))
        self.coefficients = nn.Parameter(torch.empty(in_features, grid + k, out_features, dtype=dtype, device=device))
        self.base_weights = nn.Parameter(torch.empty(in_features, out_features, dtype=dtype, device=device))
        self.register_buffer("affine", torch.empty(0, 4, dtype=dtype, device=device))
        self.register_buffer("kept", torch.empty(0, grid + k + 1, dtype=dtype, device=device))
        self.named: list[tuple[int, int, str, bool]] = []
        self._whole: tuple[Tensor | None, int, bool] = None, 0, False  # the mask, its version, whether all were ones
        self.reset_parameters(init, generator)
        self._sort()

    def reset_parameters(self, init: str = "paper", generator: torch.Generator | None = None) -> None:
        """New initial values for every spline edge, in place.

        Args:
            init: "paper" or "power".
            generator: draws the values; torch's own generator by default.
        """
        with torch.no_grad():
            coefficients, base_weights = initialiser(init)(self.coefficients, self.base_weights, generator)
            splines = self.mask > 0
            self.coefficients.copy_(torch.where(splines.unsqueeze(1), coefficients, self.coefficients))
            self.base_weights.copy_(torch.where(splines, base_weights, self.base_weights))

    def forward(self, x: Tensor) -> Tensor:
        """The sums (..., out) for x (..., in); SpecError for another number of inputs."""
        if not isinstance(x, Tensor):
            raise SpecError(f"this layer takes a tensor but got {type(x).__name__}: pass torch.as_tensor(...) of it.")
        if x.ndim == 0 or x.shape[-1] != self.in_features:
            raise SpecError(
                f"this layer takes rows of {self.in_features} values but got a tensor of shape {tuple(x.shape)}. "
                f"Pass one of shape (..., {self.in_features})."
            )
        rows = x.reshape(-1, self.in_features)
        if rows.dtype != self.knots.dtype and torch.is_autocast_enabled(rows.device.type):
            rows = rows.to(self.knots.dtype)  # sums of splines need full precision
        y = self.sums(rows)
        return y.reshape(*x.shape[:-1], self.out_features)

    def sums(self, x: Tensor, derivative: int = 0, scale: Tensor | None = None, only: int | None = None) -> Tensor:
        """Σ_i scale_i φ_ij^(derivative)(x_i), (batch, out).

        Args:
            x: inputs (batch, in).
            derivative: order of the derivative; 0 for the values.
            scale: factors (batch, in); None: 1.
            only: number of one input. The sum then has only its term, and x and scale are its columns (batch, 1).
        """
        if self.has_splines():
            (coefficients, base_weights), knots = self._weights(), self.knots
            if only is not None:
                coefficients, base_weights, knots = (a.narrow(0, only, 1) for a in (coefficients, base_weights, knots))
            settings = self.k, self.base, self.extrapolation
            y = edge_sums(x, coefficients, base_weights, knots, *settings, derivative, scale)
        else:
            y = x.new_zeros(len(x), self.out_features)
        for n, (source, target, _, _) in enumerate(self.named):
            if only in (None, source):
                i = source if only is None else 0
                values = self.named_values(n, x[:, i], derivative)
                values = values if scale is None else scale[:, i] * values
                y = y.index_add(-1, torch.tensor([target], device=x.device), values.unsqueeze(-1))
        return y

    def series(self, x: Tensor, derivatives: Sequence[int], scales: Tensor) -> Tensor:
        """`sums` of several derivatives at the same x, (rows, batch, out), one row for each derivative.

        Args:
            x: inputs (batch, in).
            derivatives: order of the derivative of each row.
            scales: factors of all rows but the first, (rows - 1, batch, in). The first row has none.
        """
        if self.named or not self.has_splines():
            rows = zip(derivatives, (None, *scales), strict=True)
            return torch.stack([self.sums(x, derivative, scale) for derivative, scale in rows])
        settings = self.knots, self.k, self.base, self.extrapolation
        return edge_series(x, *self._weights(), *settings, derivatives, scales)

    def _weights(self) -> tuple[Tensor, Tensor]:
        """Coefficients and base weights, zero where an edge was removed."""
        if self.is_whole():
            return self.coefficients, self.base_weights
        return self.coefficients * self.mask.unsqueeze(1), self.base_weights * self.mask

    def edges(self, x: Tensor, known: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """The value of every edge, zero where it was removed: (batch, in) → (batch, in, out).

        `known` are the basis functions (batch, in, basis) and the base functions (batch, in) at x, if they are known.
        """
        if self.has_splines() and known is None and self.grid > MODEL.most_intervals_of_bases:
            values = torch.stack([self._edges_of(i, x) for i in range(self.in_features)], dim=1) * self.mask
        elif self.has_splines():
            splines, base = known or (basis(x, self.knots, self.k, 0, self.extrapolation), self.base_values(x))
            values = torch.einsum("nib,ibo->nio", splines, self.coefficients)
            values = (values + base.unsqueeze(-1) * self.base_weights) * self.mask
        else:
            values = x.new_zeros(*x.shape, self.out_features)
        if not self.named:
            return values
        places = torch.tensor(
            [source * self.out_features + target for source, target, _, _ in self.named], device=x.device
        )
        named = torch.stack([self.named_values(n, x[:, edge[0]]) for n, edge in enumerate(self.named)], dim=-1)
        return values.flatten(1).index_add(-1, places, named).reshape(values.shape)

    def _edges_of(self, i: int, x: Tensor) -> Tensor:
        """The splines from input i, (batch, in) → (batch, out), in memory for the functions that are not zero."""
        one = slice(i, i + 1)
        settings = self.knots[one], self.k, self.base, self.extrapolation
        return edge_sums(x[:, one], self.coefficients[one], self.base_weights[one], *settings)

    def base_values(self, x: Tensor, slope: bool = False) -> Tensor:
        """The base function b(z), or with `slope` its derivative by x: (batch, in) → (batch, in)."""
        return base_values(x, self.knots, self.k, self.base, int(slope), self.extrapolation)

    def named_values(self, n: int, x: Tensor, derivative: int = 0) -> Tensor:
        """c·f(a·x + b) + d of the n-th named edge, or its derivative of some order: (batch,) → (batch,)."""
        _, _, name, trainable = self.named[n]
        a, b, c, d = self.affine[n] if trainable else self.affine[n].detach()
        values = named_function(name).derivative(a * x + b, derivative)
        return c * a**derivative * values if derivative else c * values + d

    # --- the structure of the layer ---

    def is_whole(self) -> bool:
        """Whether every edge is a spline. The answer is cached until the mask changes."""
        mask = self.mask
        if torch.compiler.is_compiling() or mask.is_inference():
            return False
        known, version, whole = self._whole
        if known is not mask or version != mask._version:
            whole = bool((mask == 1).all())
            self._whole = mask, mask._version, whole
        return whole

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_whole": (None, 0, False)}  # the versions of a copy are its own

    def has_splines(self) -> bool:
        """Whether any edge is a spline. If not, no basis functions are computed."""
        return "coefficients" in self._parameters or bool((self.mask > 0).any())

    def active(self) -> Tensor:
        """True for edges that were not removed, (in, out)."""
        active = self.mask > 0
        for source, target, _, _ in self.named:
            active[source, target] = True
        return active

    def named_at(self, source: int, target: int) -> int | None:
        """The number of the named edge from `source` to `target`; None if this edge is a spline or was removed."""
        return next((n for n, edge in enumerate(self.named) if edge[:2] == (source, target)), None)

    @torch.inference_mode(False)
    def name_edge(self, source: int, target: int, function: str, constants: Tensor, trainable: bool = True) -> None:
        """Replace an edge by c·f(a·x + b) + d, in place. Its spline is kept for `unname_edge`.

        Args:
            source: number of the input.
            target: number of the sum.
            function: name of f in the library, or f as an expression in x.
            constants: (a, b, c, d).
            trainable: whether fits change the constants.

        Raises:
            SpecError: there is no such function.
        """
        edge = (source, target, named_function(function).name, trainable)
        row = torch.as_tensor(constants, dtype=self.affine.dtype, device=self.affine.device).reshape(1, 4)
        self.unname_edge(source, target)
        self.named.append(edge)
        self.replace("affine", torch.cat([self.affine.detach(), row]))
        self.kept = torch.cat([self.kept, self._spline(source, target).unsqueeze(0)])
        self.mask[source, target] = 0
        self._sort()

    @torch.inference_mode(False)
    def unname_edge(self, source: int, target: int) -> None:
        """Make a named edge the spline it was before, in place. Other edges do not change."""
        place = self.named_at(source, target)
        if place is None:
            return
        self._bring_back(place)
        del self.named[place]
        others = [i for i in range(len(self.affine)) if i != place]
        self.replace("affine", self.affine.detach()[others])
        self.kept = self.kept[others]
        self.mask[source, target] = 1
        self._sort()

    def remove_edge(self, source: int, target: int) -> None:
        """Make an edge exactly zero, in place."""
        self.unname_edge(source, target)
        self.mask[source, target] = 0
        self._sort()

    def _spline(self, source: int, target: int) -> Tensor:
        """Coefficients and base weight of one edge, (grid + k + 1,)."""
        return torch.cat([self.coefficients[source, :, target], self.base_weights[source, target, None]]).detach()

    @torch.no_grad()
    def _bring_back(self, *places: int) -> None:
        """Write what named edges had as splines into the tensors of the splines."""
        for place in places:
            source, target, _, _ = self.named[place]
            self.coefficients[source, :, target] = self.kept[place, :-1]
            self.base_weights[source, target] = self.kept[place, -1]

    @torch.no_grad()
    def set_knots(self, knots: Tensor) -> None:
        """Change the knots, in place. Each edge becomes the closest one in L² over its new grid.

        Args:
            knots: the new knots, (in, G' + 2k + 1).
        """
        self._bring_back(*range(len(self.named)))
        values_of_one_input = self.out_features * (knots.shape[1] + self.knots.shape[1]) * (self.k + 1)
        found, size = [], max(1, MODEL.refitted_values // values_of_one_input)
        beyond = "linear" if self.extrapolation == "error" else self.extrapolation  # an error would forbid wider grids
        exact = (t.detach().to("cpu", torch.float64) for t in (self.knots, knots, self.coefficients, self.base_weights))
        for old, new, coefficients, base_weights in zip(*(t.split(size) for t in exact), strict=True):
            points, weights = quadrature(old, new, self.k)
            values = evaluate(points, old, coefficients, self.k, 0, beyond)
            base, new_base = (base_values(points, grid, self.k, self.base, 0, beyond) for grid in (old, new))
            values.addcmul_((base - new_base).unsqueeze(-1), base_weights)
            found.append(closest(points, weights, values, new, self.k))
        self._change_grid(knots, torch.cat(found).to(self.coefficients))

    def update_grid(self, x: Tensor, grid_eps: float = 1.0) -> None:
        """Place the grids over samples, in place. The curves of the edges are kept as closely as the new grids allow.

        For training loops of your own: call it once with rows of the data, and again when hidden values have changed.

        Args:
            x: samples (batch, in).
            grid_eps: 1: even knots; 0: knots at the quantiles of the samples; values between blend the two.
        """
        x = x.detach().reshape(-1, self.in_features).to(self.knots.dtype)
        low, high = x.amin(0), x.amax(0)
        flat = high <= low  # a constant column gets half a unit on both sides
        low, high = torch.where(flat, low - 0.5, low), torch.where(flat, high + 0.5, high)
        self.set_knots(adaptive_knots(x, low, high, self.grid, self.k, grid_eps))

    @torch.inference_mode(False)
    def refine(self, grid: int) -> None:
        """Use more grid intervals for every input, in place.

        Args:
            grid: new number of intervals. Where it is a multiple of the present number, the curves are the same to
                rounding, inside and outside of their grids. Otherwise they are the closest ones in L² over the grid.

        Raises:
            SpecError: the type of the layer cannot tell the new knots apart.
        """
        parts, rest = divmod(grid, self.grid)
        knots = resample(self.knots, self.k, grid) if rest else subdivide(self.knots, self.k, parts)
        if self.extrapolation == "zero":  # splines fade on the knots outside of the grid
            knots = with_padding_of(knots, self.knots, self.k)
        if rest:
            return self.set_knots(knots)
        self._bring_back(*range(len(self.named)))
        insert = insert_knots_of_fading if self.extrapolation == "zero" else insert_knots
        values, old, new = (t.detach().to("cpu", torch.float64) for t in (self.coefficients, self.knots, knots))
        self._change_grid(knots, insert(values, old, new, self.k).to(self.coefficients))

    @torch.no_grad()
    def _change_grid(self, knots: Tensor, coefficients: Tensor) -> None:
        """Take new knots and coefficients. Where the shape is the same, optimisers keep their parameter."""
        self.knots, self.grid = knots, knots.shape[-1] - 2 * self.k - 1
        if coefficients.shape == self.coefficients.shape:
            self.coefficients.copy_(coefficients)
        else:
            self.replace("coefficients", coefficients)
        rows = [self._spline(source, target) for source, target, _, _ in self.named]
        self.kept = torch.stack(rows) if rows else self.kept.new_empty(0, coefficients.shape[1] + 1)

    def _sort(self) -> None:
        """Make parameters of the tensors that have an effect on the sums, and buffers of the others."""
        splines = not self.named or bool((self.mask > 0).any())  # all removed: zeros carry gradients to other layers
        named = any(trainable for _, _, _, trainable in self.named)
        self.hold({"coefficients": splines, "base_weights": splines and self.base != "zero", "affine": named})

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *arguments: Any) -> None:
        errors = arguments[-1]
        if found := difference(self, state_dict, prefix):
            errors.append(found)
            return
        super()._load_from_state_dict(state_dict, prefix, *arguments)
        self._sort()

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}, grid={self.grid}, k={self.k}"
