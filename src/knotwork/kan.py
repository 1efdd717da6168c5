"""The KAN as its users know it: a network with the paper's verbs (its Table 7), one line each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from typing_extensions import Self

from knotwork.data import as_dataset
from knotwork.errors import SpecError
from knotwork.formulas import Candidate, Candidates, Formula
from knotwork.model import (
    KANNetwork,
    Spec,
    Trace,
    derivatives,
    jacobian,
    loss_and_grad,
    parse_width,
    read,
    restore,
    trace,
)
from knotwork.model import save as save_network
from knotwork.simplify import Scores, attribute, prune
from knotwork.symbolic import (
    Relations,
    auto_symbolic,
    fix_symbolic,
    from_expression,
    relations,
    suggest_symbolic,
    symbolic_formula,
    unfix_symbolic,
)
from knotwork.training import Callback, FitOptions, FitResult, OptimizerLike, fit_with, reporting
from knotwork.training.objective import Loss
from knotwork.training.options import ARGUMENTS, refuse

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class KAN(KANNetwork):
    """A Kolmogorov-Arnold network: learnable curves on edges, sums and products on nodes (Liu et al. 2024).

    Calling it maps (..., width[0]) to (..., width[-1]). No data is ever kept on a model.

    Args:
        width: nodes of each layer, inputs first, such as [2, 5, 1]; (sums, products) where a layer holds product nodes,
            each of which multiplies `arity` sums: [2, (0, 1), 1].
        grid: number of intervals G of every spline.
        k: order of the splines, 0 to 7; cubic by default, as in the paper.
        seed: makes the initial values reproducible; torch's own generator is not touched.
        arity: factors of a product node.
        base: b(x) of eq. 2.10: "silu", "identity", "sine" or "zero".
        init: initial values: "power" (arXiv 2509.03417) or "paper" (section 2.2). A KAN is fitted as a whole, often
            from small shapes, and "power" reached lower errors there; the default of a single `KANLayer` is "paper".
        grid_range: fixes the input grids; without it the first fit places them over the data.
        extrapolation: outside its grid a spline continues as a straight line ("linear"), falls to zero ("zero") or
            raises an error ("error").
        dtype: float64 by default, since second-order steps need it to reach the accuracy splines allow; a single
            `KANLayer` takes torch's default, as the layers around it do.

    Raises:
        SpecError: for settings that describe no network.

    Example:
        >>> import torch
        >>> import knotwork as kw
        >>> model = kw.KAN(width=[2, 5, 1], grid=5, k=3, seed=0)
        >>> model(torch.zeros(10, 2, dtype=torch.float64)).shape
        torch.Size([10, 1])
    """

    def __init__(
        self,
        width: Sequence[int | Sequence[int]],
        grid: int = 5,
        k: int = 3,
        *,
        seed: int | None = None,
        arity: int = 2,
        base: str = "silu",
        init: str = "power",
        grid_range: tuple[float, float] | None = None,
        extrapolation: str = "linear",
        dtype: torch.dtype = torch.float64,
    ) -> None:
        dtype_name = str(dtype).removeprefix("torch.")
        spec = Spec(parse_width(width), grid, k, arity, base, extrapolation, grid_range, dtype_name)
        super().__init__(spec, init, None if seed is None else torch.Generator().manual_seed(seed))

    @classmethod
    def from_expression(
        cls,
        expression: Any,
        variables: Sequence[str] | None = None,
        data: object = None,
        grid: int = 5,
        k: int = 3,
    ) -> Self:
        """A network that computes an expression such as "exp(sin(pi*x) + y**2)", or several, one an output.

        `expression` is text for `knotwork.expressions.parse`, a SymPy expression, or a sequence of these. Inputs are
        `variables`, or those of `data`, or the variables of the expression in alphabetical order. Every edge is named
        and trainable; functions of functions become layers, products product nodes, x**p for unusual p
        exp(p·log(x)). With `data` the grids lie over its training rows, for `unfix_symbolic` and further training.
        Raises SpecError for functions the library does not have, ExpressionError for a text that is none.
        """
        return from_expression(cls, expression, variables, data, grid, k)

    def fit(
        self,
        data: object,
        *,
        optimizer: OptimizerLike = "auto",
        steps: int | None = None,
        loss: str | Loss = "mse",
        lamb: float = 0.0,
        lamb_l1: float = 1.0,
        lamb_entropy: float = 1.0,
        update_grid: bool = True,
        grid_eps: float = 1.0,
        patience: int | None = None,
        sample_weight: object = None,
        seed: int = 0,
        progress: bool | None = None,
        callback: Callback | None = None,
        **unknown: object,
    ) -> FitResult:
        """Train in place, and return how it went; every argument is that of `knotwork.fit`."""
        refuse(unknown, "fit", ARGUMENTS)
        options = FitOptions(
            optimizer, steps, loss, lamb, lamb_l1, lamb_entropy, update_grid, grid_eps, patience, sample_weight, seed
        )
        with reporting(progress, callback) as reporter:
            return fit_with(self, data, options, reporter)

    def trace(self, data: object) -> Trace:
        """Every edge and node on the training rows of `data`, or on the rows of a tensor."""
        return trace(self, data if isinstance(data, Tensor) else as_dataset(data).X_train)

    def attribute(self, data: object, method: str = "propagated") -> Scores:
        """How much every edge, node and input matters on the training rows (eq. 2.21 with method="paper")."""
        return attribute(self, as_dataset(data).X_train, method)

    def prune(
        self,
        data: object = None,
        node_threshold: float = 1e-2,
        edge_threshold: float = 3e-2,
        *,
        budget: float | None = None,
        method: str = "propagated",
        loss: Any = "mse",
    ) -> Self:
        """A smaller copy without what does not matter, by thresholds or within an accuracy budget such as 0.05."""
        return prune(self, data, node_threshold, edge_threshold, budget=budget, method=method, loss=loss)

    def plot(self, data: object = None, beta: float = 3.0, **options: Any) -> Figure:
        """The network drawn with its curves, transparency tanh(beta * score), as one matplotlib Figure."""
        from knotwork.outputs import diagram

        if data is None:
            raise SpecError("plot() draws curves where the samples are, and a model keeps none: pass data=.")
        data = as_dataset(data)
        names = {"input_names": data.input_names, "output_names": data.target_names}
        return diagram(self, data.X_train, beta=beta, **{**names, **options})

    def plot_edge(
        self, layer: int, source: int, target: int, data: object = None, candidates: Sequence[Candidate] = ()
    ) -> Figure:
        """The curve of edge (layer, source, target) on the training rows, with the first three candidates, if any.

        Raises SpecError without `data`, and for an edge that is not there or was removed.
        """
        from knotwork.outputs import edge_curve

        if data is None:
            raise SpecError("plot_edge() draws a curve where the samples are, and a model keeps none: pass data=.")
        data = as_dataset(data)
        names = data.input_names
        return edge_curve(self, data.X_train, layer, source, target, candidates, input_names=names)

    def report(self, path: str | Path, data: object = None, **options: Any) -> Path:
        """Write one HTML page about the network on `data`; the options are those of `knotwork.outputs.report`."""
        from knotwork.outputs import report

        if data is None:
            raise SpecError("report() judges the network on samples, and a model keeps none: pass data=.")
        return report(path, self, data, **options)

    def suggest_symbolic(
        self, layer: int, source: int, target: int, data: object = None, lib: Iterable[str] | None = None
    ) -> Candidates:
        """The ranked table of named functions for edge (layer, source, target)."""
        return suggest_symbolic(self, layer, source, target, data, lib)

    def fix_symbolic(
        self,
        layer: int,
        source: int,
        target: int,
        function: str,
        data: object = None,
        *,
        params: Sequence[float] | None = None,
        trainable: bool = True,
    ) -> Candidate:
        """Make edge (layer, source, target) c·f(a·x + b) + d, in place; the fit of its constants."""
        return fix_symbolic(self, layer, source, target, function, data, params=params, trainable=trainable)

    def unfix_symbolic(self, layer: int, source: int, target: int) -> None:
        """Make a named edge the spline again that it was, in place."""
        unfix_symbolic(self, layer, source, target)

    def auto_symbolic(
        self,
        data: object = None,
        lib: Iterable[str] | None = None,
        *,
        r2_threshold: float = 0.0,
        loss: str = "mse",
    ) -> Self:
        """A copy with every edge named and all constants refitted together with this `loss`; no edge is removed."""
        if data is None:
            raise SpecError("auto_symbolic() refits constants to samples, and a model keeps none: pass data=.")
        return auto_symbolic(self, data, lib, r2_threshold=r2_threshold, loss=loss)

    def symbolic_formula(self, data: object = None, *, simplify: bool = True, loss: str = "mse") -> Formula:
        """The formula of a network whose edges are all named, and its gap to the network; of labels, their logits."""
        return symbolic_formula(self, data, simplify=simplify, loss=loss)

    def relations(self, data: object = None, output: int = 0, **options: Any) -> Relations:
        """How the inputs act together in one output: sums, products, x + c·y and x·y^c, each with how far off it is."""
        if data is None:
            raise SpecError("relations() asks the network at samples, and a model keeps none: pass data=.")
        return relations(self, data, output, **options)

    def jacobian(self, x: Tensor) -> Tensor:
        """Derivatives of the outputs by the trainable parameters in use: (batch, in_features) → (batch, outputs, P).

        Their order is that of `knotwork.model.FreeParameters`.
        """
        return jacobian(self, x)[1]

    def derivatives(self, x: Tensor, order: int = 2, directions: Tensor | None = None) -> tuple[Tensor, ...]:
        """Outputs (batch, out) and their first to `order`-th derivatives by each input, (batch, in, out) each.

        u, u_x, u_xx = model.derivatives(x): u_xx[:, i, o] is ∂²u_o/∂x_i². One forward sweep in place of nested
        `torch.autograd.grad`; the results can be differentiated by the parameters, to train on differential equations.
        `directions` (D, in_features) asks for derivatives along other lines than the axes. Raises SpecError.
        """
        return derivatives(self, x, order, directions)

    def loss_and_grad(self, x: Tensor, y: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Mean squared error and its gradients by all parameters, in the order and shapes of `parameters()`.

        x (batch, in_features) and y (batch, outputs), or (batch,) for one output. A network of splines is one compiled
        call, several times faster than `loss.backward()` on small networks; with named edges it is autograd. Gradients
        are zero where an edge was removed or frozen. Nothing is written to `.grad`. Raises SpecError for wrong shapes.
        """
        return loss_and_grad(self, x, y)

    def save(self, path: str | Path) -> None:
        """Write structure and values to one safetensors file."""
        save_network(self, path)


def save(model: KANNetwork, path: str | Path) -> None:
    """Write a model to one safetensors file that holds structure and values, and no data."""
    save_network(model, path)


def load(path: str | Path) -> KAN:
    """The model that `save` wrote, equal in every output; CheckpointError for any other file. Runs no code from it."""
    spec, state = read(path)
    model = KAN.from_spec(spec)
    restore(model, state, path)
    return model
