"""One named function fitted to a curve, and the table of many, ranked."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch import Tensor

from knotwork.errors import SpecError
from knotwork.formulas.settings import FORMULAS
from knotwork.functions import LIBRARY
from knotwork.keywords import check_keywords
from knotwork.notebooks import table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Candidate:
    """One named function fitted to a curve as c·f(a·x + b) + d.

    Attributes:
        function: name of f, or f as an expression in x.
        constants: (a, b, c, d).
        r2: share of the variance that is explained.
        rmse: root mean squared error, in units of the curve.
        cost: complexity of f, in bits.
        cancellation: how many times larger the terms c·f are than the range of the curve. It is large where, for
            example, a sine imitates a parabola by a small piece of a very long arc.
    """

    function: str
    constants: tuple[float, float, float, float]
    r2: float
    rmse: float
    cost: float
    cancellation: float = 1.0

    @property
    def score(self) -> float:
        """The criterion of the ranking, in bits; smaller is better.

        It adds the cost of the function and of its inner constants, log2 of the unexplained share of the variance, and
        log2 of a cancellation above one. A function that costs one bit more must halve the unexplained variance.
        """
        bits = self.cost + (0.0 if self.function == "x" else FORMULAS.inner_constants_bits)
        unexplained = math.log2(max(1 - self.r2, 0.0) + FORMULAS.equal_fit_share)
        return bits + unexplained + math.log2(max(self.cancellation, 1.0))


def shown_function(name: str) -> str:
    """The name of a function, with the decimals of an expression in x rounded to four digits."""
    from knotwork.expressions import parse, round_constants, text

    return name if name in LIBRARY else text(round_constants(parse(name, ["x"]), 4))


@check_keywords
@dataclass(frozen=True, repr=False)
class Candidates(Sequence[Candidate]):
    """The ranked named functions for one edge, a sequence of `Candidate` with the best score first; prints as a table.

    Args:
        rows: the candidates.
        edge: (layer, source, target), if they are those of an edge.
        samples: the inputs and outputs of the edge, each (n,), to which the functions were fitted.
        input_name: the column that enters the edge, if it is one of the first layer.

    Example:
        >>> import knotwork as kw
        >>> data = kw.sample("exp(2*x)", x=(-1, 1), size=200, seed=0)
        >>> model = kw.KAN.from_expression("exp(2*x)", data=data)
        >>> table = model.suggest_symbolic(0, 0, 0, data)
        >>> table[0].function
        'exp'
        >>> figure = table.plot()
    """

    rows: tuple[Candidate, ...]
    edge: tuple[int, int, int] | None = None
    samples: tuple[Tensor, Tensor] | None = field(default=None, repr=False, compare=False)
    input_name: str | None = field(default=None, compare=False)

    def plot(self) -> "Figure":
        """The curve of the edge with the three best candidates drawn over it, as one matplotlib Figure.

        Raises:
            SpecError: for candidates without `samples`.
        """
        from knotwork.drawing import candidates_curve

        if self.samples is None:
            raise SpecError("these candidates do not hold the curve that they were fitted to.")
        layer, source, _ = self.edge or (0, 0, 0)
        name = self.input_name or (f"node {source} of layer {layer}" if layer else f"x_{source + 1}")
        return candidates_curve(*self.samples, self.rows, name, self.edge)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, n: Any) -> Any:
        return self.rows[n]

    def __iter__(self) -> Iterator[Candidate]:
        return iter(self.rows)

    def __repr__(self) -> str:
        where = f"edge {self.edge}: " if self.edge else ""
        best = ", ".join(f"{shown_function(row.function)} r² = {row.r2:.6g}" for row in self.rows[:3])
        more = f", {len(self) - 3} more" if len(self) > 3 else ""
        return f"Candidates({where}{best or 'none'}{more})"

    def _repr_html_(self) -> str:
        head = ("function", "r²", "RMSE", "cost", "a", "b", "c", "d")
        rows = [
            (
                shown_function(row.function),
                f"{row.r2:.8f}",
                f"{row.rmse:.2e}",
                f"{row.cost:g}",
                *(f"{v:.4g}" for v in row.constants),
            )
            for row in self.rows
        ]
        where = f" for edge {self.edge}" if self.edge else ""
        return table(rows, head, f"c·f(a·x + b) + d{where}, best score first")

    def __str__(self) -> str:
        names = [shown_function(row.function) for row in self.rows]
        width = max([9, *map(len, names)]) + 1
        lines = [f"{'function':<{width}}{'r2':>12}{'rmse':>11}{'cost':>6}   c*f(a*x + b) + d"]
        for name, row in zip(names, self.rows, strict=True):
            a, b, c, d = row.constants
            shown = f"a={a:.4g} b={b:.4g} c={c:.4g} d={d:.4g}"
            lines.append(f"{name:<{width}}{row.r2:>12.8f}{row.rmse:>11.2e}{row.cost:>6g}   {shown}")
        return "\n".join(lines)
