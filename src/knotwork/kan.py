"""The class `KAN`: a network with its methods, each of which calls another room."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from typing_extensions import Self

from knotwork.data import input_rows
from knotwork.errors import SpecError
from knotwork.formulas import Candidate
from knotwork.keywords import check_keywords, explained_keywords
from knotwork.model import (
    KANNetwork,
    Spec,
    Trace,
    parse_width,
    predict,
    read,
    restore,
    trace,
)
from knotwork.model import save as save_network
from knotwork.simplify import Scores, attribute, prune
from knotwork.symbolic import NameableNetwork
from knotwork.training import Callback, FitOptions, FitResult, OptimizerLike, fit_in_place
from knotwork.training.objective import Loss
from knotwork.training.options import elsewhere

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@explained_keywords(elsewhere)
class KAN(NameableNetwork):
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
        extrapolation: outside its grid a spline continues as a straight line ("linear"), an edge keeps its value at the
            end ("constant"), a spline falls to zero ("zero"), or an error is raised ("error"). Named edges are not
            changed. With "constant" and "error" hidden layers go on as straight lines: "constant" holds the inputs.
            Inputs that a fit finds to have long tails or distant clusters are held, too, without a warning.
        dtype: float64 by default, since second-order steps need it to reach the accuracy splines allow; a single
            `KANLayer` takes torch's default, as the layers around it do.
        device: where the network is and is fitted, such as "cuda"; None: torch's default, the CPU. Initial values are
            drawn on the CPU, so they are the same everywhere.

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
        device: torch.device | str | None = None,
    ) -> None:
        if device is not None and torch.device(device).type == "mps" and dtype == torch.float64:
            raise SpecError("Apple's GPUs (mps) do not have float64, the default of a KAN: pass dtype=torch.float32.")
        dtype_name = str(dtype).removeprefix("torch.")
        spec = Spec(parse_width(width), grid, k, arity, base, extrapolation, grid_range, dtype_name)
        super().__init__(spec, init, None if seed is None else torch.Generator().manual_seed(seed), device)

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
        grid_eps: float | None = None,
        patience: int | None = None,
        sample_weight: object = None,
        smoothness: float | str | None = "auto",
        seed: int = 0,
        progress: bool | None = None,
        callback: Callback | None = None,
        checkpoint: str | PathLike[str] | None = None,
    ) -> FitResult:
        """Train the network in place, and return how the fit went. Every argument is that of `knotwork.fit`.

        The network is never worse than before, except after smooth fits (`smoothness`): their errors on the training
        rows may be larger, since they do not follow noise.

        Raises:
            DataError: for data that do not fit the network.
            TrainingError: for arguments that are not possible or contradict each other.
            ArgumentError: for an argument that does not exist.
            CheckpointError: for a checkpoint that cannot be written, is damaged, or belongs to another calculation.
        """
        options = FitOptions(
            optimizer,
            steps,
            loss,
            lamb,
            lamb_l1,
            lamb_entropy,
            update_grid,
            grid_eps,
            patience,
            sample_weight,
            seed,
            smoothness=smoothness,
        )
        return fit_in_place(self, data, options, progress, callback, checkpoint)

    def predict(self, X: Any) -> np.ndarray:
        """The outputs for rows of any kind, as a NumPy array: (n,) for one output, (n, outputs) for several.

        They are those of `model(x)`, without derivatives, and have the same form as those of `Formula.predict` and of
        the estimators. Where rows lie far outside the grids, which cover the rows of the fit, or many lie outside, a
        KnotworkWarning counts them. There is none for inputs that are held (`model.held`: those with long tails or
        distant clusters), however far a row lies from those of the fit: it counts as one at the end of the grid.

        Args:
            X: rows (n, in_features) with the columns of the fit in their order: an array, tensor, data frame, dict of
                columns or list of rows.

        Raises:
            DataError: X has other columns, or values that are no finite numbers.

        Example:
            >>> import knotwork as kw
            >>> model = kw.KAN.from_expression("x + 2*y")
            >>> model.predict([[1, 2], [3, 4]])
            array([ 5., 11.])
        """
        return predict(self, X)

    def trace(self, data: object) -> Trace:
        """The values of every edge and node.

        Args:
            data: inputs alone (batch, in_features), or data, of which the training rows are taken.

        Returns:
            A `Trace`.
        """
        return trace(self, data if isinstance(data, Tensor) else self._rows(data)[0])

    def attribute(self, data: object, method: str = "propagated") -> Scores:
        """Importance of every edge, node and input on the training rows.

        Args:
            data: the training data, or inputs alone (batch, in_features).
            method: "propagated" (arXiv 2408.10205) or "paper" (eq. 2.17 and 2.21), as in `knotwork.attribute`.

        Returns:
            The `Scores`.
        """
        return attribute(self, self._rows(data)[0], method)

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
        """A smaller copy without unimportant nodes, edges and inputs, by thresholds or within an accuracy budget.

        Args:
            data: the training data.
            node_threshold: hidden nodes with a smaller score are removed.
            edge_threshold: edges with a smaller score are removed.
            budget: allowed relative rise of the validation error, such as 0.05; replaces the thresholds.
            method: how importance is measured, as in `attribute`.
            loss: that of `fit`. A network that was fitted to labels needs "cross_entropy".

        Raises:
            TrainingError: without data, or for a negative budget.
        """
        return prune(self, data, node_threshold, edge_threshold, budget=budget, method=method, loss=loss)

    def plot(
        self,
        data: object = None,
        beta: float = 3.0,
        *,
        title: str | None = None,
        scale: float = 1.0,
        show_values: bool = False,
        untangle: bool = True,
        scores: Scores | None = None,
        method: str = "propagated",
        input_names: Sequence[str] | None = None,
        output_names: Sequence[str] | None = None,
    ) -> Figure:
        """The network drawn with the curves of its edges, as one matplotlib Figure.

        Args:
            data: the training data, or inputs alone (batch, in_features); curves are drawn over their range.
            beta: contrast between strong and weak edges. The opacity of an edge is tanh(beta·score).
            title: text above the diagram.
            scale: size of the figure; 1 suits a page.
            show_values: whether the score of each edge is written beside it.
            untangle: whether hidden nodes are ordered so that few lines cross, and turned so that named curves look as
                their names say; False: in the order of their numbers.
            scores: those to draw; None: `method` computes them.
            method: how importance is measured, as in `attribute`.
            input_names: names of the inputs; None: those of the data.
            output_names: names of the outputs; None: those of the data.

        Raises:
            SpecError: without data.

        Example:
            >>> import knotwork as kw
            >>> data = kw.sample("sin(pi*x) + y**2", x=(-1, 1), y=(-1, 1), size=100, seed=0)
            >>> figure = kw.KAN([2, 2, 1], seed=0).plot(data, title="before the fit")
        """
        from knotwork.outputs import diagram

        if data is None:
            raise SpecError("plot() draws curves where the samples are, and a model keeps none: pass data=.")
        rows, names = self._rows(data)
        return diagram(
            self,
            rows,
            beta=beta,
            input_names=names.get("input_names") if input_names is None else input_names,
            output_names=names.get("output_names") if output_names is None else output_names,
            scores=scores,
            method=method,
            scale=scale,
            show_values=show_values,
            untangle=untangle,
            title=title,
        )

    def plot_edge(
        self, layer: int, source: int, target: int, data: object = None, candidates: Sequence[Candidate] = ()
    ) -> Figure:
        """The curve of edge (layer, source, target) on the training rows, as one matplotlib Figure.

        Args:
            layer: number of the layer of edges, from 0.
            source: number of the node that the edge comes from.
            target: number of the sum that it leads to.
            data: the training data, or inputs alone (batch, in_features).
            candidates: named functions, of which the first three are drawn over the curve; `suggest_symbolic` gives
                them.

        Raises:
            SpecError: without data, and for an edge that does not exist or was removed.
        """
        from knotwork.outputs import edge_curve

        if data is None:
            raise SpecError("plot_edge() draws a curve where the samples are, and a model keeps none: pass data=.")
        rows, names = self._rows(data)
        return edge_curve(self, rows, layer, source, target, candidates, input_names=names.get("input_names"))

    def report(self, path: str | Path, data: object = None, **options: Any) -> Path:
        """Write one HTML page about the network, and return its path.

        Args:
            path: the file to write, such as "report.html". An existing file is replaced.
            data: the data on which accuracy is computed.
            **options: those of `knotwork.outputs.report`.

        Raises:
            SpecError: without data.
            DataError: the file cannot be written.
        """
        from knotwork.outputs import report

        if data is None:
            raise SpecError("report() judges the network on samples, and a model keeps none: pass data=.")
        return report(path, self, data, **options)

    def _rows(self, data: object) -> tuple[Tensor, dict[str, Any]]:
        """The rows of inputs in the data, or the inputs themselves; and the names of inputs and outputs, if known."""
        rows, dataset = input_rows(data, self.structure.in_features, "this KAN")
        names = dataset and {"input_names": dataset.input_names, "output_names": dataset.target_names}
        return rows, names or {}

    def save(self, path: str | Path) -> None:
        """Write structure and values to one safetensors file, which `knotwork.load` reads.

        Args:
            path: the file to write, such as "model.safetensors". An existing file is replaced.

        Raises:
            CheckpointError: the file cannot be written.
        """
        save_network(self, path)


@check_keywords
def save(model: KANNetwork, path: str | Path) -> None:
    """Write a model to one safetensors file that holds structure and values, and no data.

    Args:
        model: the KAN to write.
        path: the file to write, such as "model.safetensors". An existing file is replaced.

    Raises:
        CheckpointError: the file cannot be written, or `model` is no KAN.

    Example:
        >>> import pathlib, tempfile, knotwork as kw
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     kw.save(kw.KAN([2, 5, 1], seed=0), f"{folder}/model.safetensors")
        ...     print(*(file.name for file in pathlib.Path(folder).iterdir()))
        model.safetensors
    """
    save_network(model, path)


@check_keywords
def load(path: str | Path) -> KAN:
    """The model that `save` wrote, with the same outputs to the bit. No code from the file is run.

    Args:
        path: a file that `save` wrote.

    Raises:
        CheckpointError: for any other file, and for a file that was changed.

    Example:
        >>> import tempfile, torch, knotwork as kw
        >>> model, x = kw.KAN([2, 5, 1], seed=0), torch.zeros(10, 2)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     kw.save(model, f"{folder}/model.safetensors")
        ...     torch.equal(kw.load(f"{folder}/model.safetensors")(x), model(x))
        True
    """
    spec, state = read(path)
    model = KAN.from_spec(spec)
    restore(model, state, path)
    return model
