"""A network whose edges can be named, and which can then be written as a formula."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from typing_extensions import Self

from knotwork.errors import SpecError
from knotwork.formulas import Candidate, Candidates, Formula
from knotwork.keywords import check_keywords
from knotwork.model import DifferentiableNetwork
from knotwork.symbolic.construction import from_expression
from knotwork.symbolic.extraction import symbolic_formula
from knotwork.symbolic.naming import fix_symbolic, suggest_symbolic, unfix_symbolic
from knotwork.symbolic.network_naming import auto_symbolic
from knotwork.symbolic.relations import Relations, relations
from knotwork.symbolic.settings import SYMBOLIC


@check_keywords
class NameableNetwork(DifferentiableNetwork):
    """The methods of a `KAN` that name edges, read formulas and measure relations between inputs."""

    @classmethod
    def from_expression(
        cls,
        expression: Any,
        variables: Sequence[str] | None = None,
        data: object = None,
        grid: int = 5,
        k: int = 3,
    ) -> Self:
        """A network that computes an expression, or several expressions, one for each output.

        Every edge is named and trainable. Functions of functions become layers, and products become product nodes. A
        power x**p that is not in the library becomes exp(p·log(x)).

        Args:
            expression: a text such as "exp(sin(pi*x) + y**2)", as `knotwork.expressions.parse` reads it, a SymPy
                expression, or a sequence of these.
            variables: names of the inputs in their order. None: the inputs of `data`, or without data the variables of
                the expression in alphabetical order.
            data: places the grids over its training rows, for `unfix_symbolic` and for further training.
            grid: number of intervals of the splines that named edges become by `unfix_symbolic`.
            k: order of these splines.

        Raises:
            SpecError: for functions that the library does not have, or variables that do not match.
            ExpressionError: the text is no expression.

        Example:
            >>> import torch, knotwork as kw
            >>> model = kw.KAN.from_expression("exp(sin(pi*x) + y**2)")
            >>> model(torch.tensor([[0.5, 0.0]]))
            tensor([[2.7183]], dtype=torch.float64, grad_fn=...)
        """
        return from_expression(cls, expression, variables, data, grid, k)

    def suggest_symbolic(
        self,
        layer: int,
        source: int,
        target: int,
        data: object = None,
        lib: Iterable[str] | None = None,
        *,
        depth: int = 1,
    ) -> Candidates:
        """The named functions for edge (layer, source, target), ranked by score (section 2.5.1).

        Args:
            layer: number of the layer of edges, from 0.
            source: number of the node that the edge comes from.
            target: number of the sum that it leads to.
            data: the training data. Without them the curve is sampled evenly over the grid of the edge.
            lib: names of functions to try; None: the default library.
            depth: 1 tries single functions, 2 also compositions of two, such as log(sin(x) + 2). The search takes
                about a second. The default is the faster one.

        Returns:
            The `Candidates`, best score first. They print as a table.

        Raises:
            SpecError: there is no such edge or function, or another depth.

        Example:
            >>> import knotwork as kw
            >>> data = kw.sample("exp(sin(3*x))", x=(-1, 1), size=500, seed=0)
            >>> model = kw.KAN([1, 1], grid=20, seed=0)
            >>> result = model.fit(data, progress=False)
            >>> model.suggest_symbolic(0, 0, 0, data, depth=2)[0].function
            'exp(sin(x))'
        """
        return suggest_symbolic(self, layer, source, target, data, lib, depth=depth)

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
        """Make edge (layer, source, target) the function c·f(a·x + b) + d, in place.

        Args:
            layer: number of the layer of edges, from 0.
            source: number of the node that the edge comes from.
            target: number of the sum that it leads to.
            function: name of f in the library, such as "sin", or f as an expression in x, such as "exp(sin(3*x))". The
                numbers in an expression stay as they are.
            data: the training data. Without them the curve is sampled evenly over the grid of the edge.
            params: the constants (a, b, c, d). None: they are fitted to the curve of the edge.
            trainable: whether later fits may change the constants.

        Returns:
            The constants and how well they describe the edge, a `Candidate`.

        Raises:
            SpecError: there is no such edge or function, or no constants keep a·x + b inside the domain of f.

        Example:
            >>> import knotwork as kw
            >>> model = kw.KAN([1, 1], seed=0)
            >>> fit = model.fix_symbolic(0, 0, 0, "sin", params=(3, 0, 2, 1))
            >>> model.spec.named[0].function
            'sin'
        """
        return fix_symbolic(self, layer, source, target, function, data, params=params, trainable=trainable)

    def unfix_symbolic(self, layer: int, source: int, target: int) -> None:
        """Make a named edge a spline again, in place, with the coefficients it had before it was named.

        Args:
            layer: number of the layer of edges, from 0.
            source: number of the node that the edge comes from.
            target: number of the sum that it leads to.

        Raises:
            SpecError: there is no such edge, or it has no name.
        """
        unfix_symbolic(self, layer, source, target)

    def auto_symbolic(
        self,
        data: object = None,
        lib: Iterable[str] | None = None,
        *,
        r2_threshold: float = 0.0,
        loss: str = "mse",
        depth: int = 1,
    ) -> Self:
        """A copy in which every edge has a name. The constants of all edges are refitted together. No edge is removed.

        With labels, constants are bounded in the scale of the rows, and an edge stays a spline where every name would
        cost more than a hundredth of the accuracy.

        Args:
            data: the training data.
            lib: names of functions to try; None: the default library.
            r2_threshold: edges whose best candidate has a smaller r² stay splines. The default names all edges.
            loss: that of the fit: "mse" for numbers, "cross_entropy" for labels.
            depth: 1 names edges by single functions, 2 also by compositions of two, such as log(sin(x) + 2), where
                these take fewer bits. That takes a second or two for each edge. The default is the faster one.

        Raises:
            SpecError: without data, or for an unknown function or loss, or another depth.

        Example:
            >>> import knotwork as kw
            >>> data = kw.sample("x**2", x=(-1, 1), size=200, seed=0)
            >>> model = kw.KAN([1, 1], seed=0)
            >>> result = model.fit(data, progress=False)
            >>> print(model.auto_symbolic(data).symbolic_formula(data))
            f = x**2
        """
        if data is None:
            raise SpecError("auto_symbolic() refits constants to samples, and a model keeps none: pass data=.")
        return auto_symbolic(self, data, lib, r2_threshold=r2_threshold, loss=loss, depth=depth)

    def symbolic_formula(self, data: object = None, *, simplify: bool = True, loss: str = "mse") -> Formula:
        """The formula of a network whose edges are all named, in the units of the columns.

        Args:
            data: the training data, for names of columns, errors of constants and the difference to the network.
            simplify: whether terms are collected and constants close to simple numbers are replaced by these.
            loss: that of the fit. With "cross_entropy" the formula gives the logits of labels.

        Returns:
            A `Formula`.

        Raises:
            SpecError: without data, or where an edge is still a spline.
        """
        return symbolic_formula(self, data, simplify=simplify, loss=loss)

    def relations(
        self, data: object = None, output: int = 0, threshold: float = SYMBOLIC.relation_threshold
    ) -> Relations:
        """How the inputs act together in one output: as sums, as products, by x + c·y or by x·y^c.

        Args:
            data: the training data.
            output: number of the output, from 0.
            threshold: relations with a smaller residual hold, a share of the standard deviation of the output.

        Returns:
            The `Relations`, with the residual of each.

        Raises:
            SpecError: without data, or for an output that does not exist.
        """
        if data is None:
            raise SpecError("relations() evaluates the network at samples, and a model keeps none: pass data=.")
        return relations(self, data, output, threshold)
