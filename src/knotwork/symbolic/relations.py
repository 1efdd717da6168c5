"""How inputs act together, measured on a network: which can be separated, and which matter only in combination."""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from knotwork.data import Dataset, as_dataset
from knotwork.errors import SpecError
from knotwork.formulas.measuring import logit_names
from knotwork.keywords import check_keywords
from knotwork.model import KANNetwork, is_whole, on_cpu
from knotwork.notebooks import one_line, table
from knotwork.sizes import deviation, power_of_two, root_mean_square
from knotwork.symbolic.settings import SYMBOLIC

KINDS = ("shift", "scale")


@dataclass(frozen=True)
class Symmetry:
    """The output depends on two inputs only by one combination of them.

    Attributes:
        kind: "shift" for x + c·y, "scale" for x·y^c.
        first: name of x.
        second: name of y.
        factor: c.
        off: how much the output changes when x and y change and the combination does not, as a share of the change when
            x changes alone. 0 means that the symmetry is exact.
    """

    kind: str
    first: str
    second: str
    factor: float
    off: float

    def __str__(self) -> str:
        size = f"{abs(self.factor):.2g}"
        if self.kind == "shift":
            return f"{self.first} {'-' if self.factor < 0 else '+'} {'' if size == '1' else f'{size}*'}{self.second}"
        power = "" if size == "1" else f"^{size}"
        return f"{self.first}{'/' if self.factor < 0 else '*'}{self.second}{power}"


@check_keywords
@dataclass(frozen=True, repr=False)
class Relations:
    """How the inputs of one output act together, as `KAN.relations` returns it; prints as a table.

    For two inputs x and y, let (a, c) be their values in a row and (b, d) those in another row, the other inputs as in
    the first row. The residual of a sum is the root mean square of [f(a,c) + f(b,d) - f(a,d) - f(b,c)] / 2, and that of
    a product the root mean square of [f(a,c)·f(b,d) - f(a,d)·f(b,c)] / 2, divided by the root mean square of f. Both
    are given as shares of the standard deviation of the output.

    Attributes:
        inputs: names of the inputs.
        target: name of the output.
        effects: roots of the total Sobol indices of the inputs, (in,), by the estimator of Jansen (1999).
        sums: residuals of splitting the output into a sum of a part with one input and a part with the other, (in, in);
            0 means that the two inputs can be separated exactly.
        products: the same for a product of two parts, (in, in).
        symmetries: combinations of two inputs on which the output depends, the most exact first.
        tried: all combinations that were measured.
        error: root mean squared error of the network on the validation rows (or training rows), as a share of the
            standard deviation of the output. No relation can be measured more precisely.
        threshold: residuals below it count as zero.

    Example:
        >>> import knotwork as kw
        >>> data = kw.sample("sin(x + 2*y) + z**2", x=(-1, 1), y=(-1, 1), z=(-1, 1), size=300, seed=0)
        >>> found = kw.KAN.from_expression("sin(x + 2*y) + z**2", data=data).relations(data)
        >>> found.terms
        (('x', 'y'), ('z',))
        >>> print(found.symmetries[0])
        x + 2*y
    """

    inputs: tuple[str, ...]
    target: str
    effects: Tensor = field(repr=False)
    sums: Tensor = field(repr=False)
    products: Tensor = field(repr=False)
    symmetries: tuple[Symmetry, ...]
    tried: tuple[Symmetry, ...] = field(repr=False)
    error: float
    threshold: float = SYMBOLIC.relation_threshold

    @property
    def used(self) -> tuple[str, ...]:
        """Names of the inputs that matter: their effect is larger than a tenth of the threshold."""
        return tuple(name for name, used in zip(self.inputs, self._used(), strict=True) if used)

    @property
    def terms(self) -> tuple[tuple[str, ...], ...]:
        """The smallest groups of inputs such that the output is a sum of one function of each group; else one group.

        Where two inputs can be separated both as a sum and as a product, the one with the smaller residual counts. This
        happens where the output varies little about its mean.
        """
        return self._groups(torch.where(self.sums <= self.products, self.sums, torch.inf))

    @property
    def factors(self) -> tuple[tuple[str, ...], ...]:
        """The smallest groups of inputs such that the output is a product of functions of them; else one group."""
        return self._groups(torch.where(self.products < self.sums, self.products, torch.inf))

    def __repr__(self) -> str:
        return f"Relations({one_line('; '.join(self.sentences()), 200)})"

    def _repr_html_(self) -> str:
        head, *rows = self._rows()
        return table(rows, head, "; ".join(self.sentences())) if rows else table([], (), "; ".join(self.sentences()))

    def __str__(self) -> str:
        if not self.used:
            return f"{self.target} moves with no input"
        rows = self._rows()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        own = f"; the network itself is off by {self.error:.2g}" if self.error == self.error else ""
        lines = [f"How far {self.target} is from each (0: exactly; holds below {self.threshold:g}{own})"]
        for row in rows:
            cells = [row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))]
            lines.append("  ".join(cells))
        return "\n".join([*(lines if len(rows) > 1 else []), *self.sentences()])

    def _rows(self) -> list[list[str]]:
        """The head of the table and a row for each two inputs that matter."""
        off = {(s.kind, s.first, s.second): s.off for s in self.tried}
        rows = [["inputs", "sum", "product", "x + c*y", "x*y^c"]]
        for i, j in itertools.combinations(range(len(self.inputs)), 2):
            first, second = self.inputs[i], self.inputs[j]
            if {first, second} <= set(self.used):
                numbers = [float(self.sums[i, j]), float(self.products[i, j])]
                numbers += [off[kind, first, second] for kind in ("shift", "scale")]
                rows.append([f"{first}, {second}", *(f"{number:.3f}" for number in numbers)])
        return rows

    def sentences(self) -> list[str]:
        """The relations that hold, as sentences: sums, products, combinations, and inputs that do not matter."""
        found = []
        for groups, what in ((self.terms, "sum"), (self.factors, "product")):
            if len(groups) > 1:
                found.append(f"{self.target} is a {what} of functions of {'; '.join(', '.join(g) for g in groups)}")
        if self.symmetries:
            found.append(f"{self.target} depends on {'; '.join(map(str, self.symmetries))}, and not on the two apart")
        unused = [name for name in self.inputs if name not in self.used]
        if unused:
            found.append(f"{self.target} hardly moves with {', '.join(unused)}")
        return found or [f"nothing of this holds for {self.target}"]

    def _used(self) -> list[bool]:
        return (self.effects > self.threshold / 10).tolist()

    def _groups(self, off: Tensor) -> tuple[tuple[str, ...], ...]:
        """Groups of the inputs that matter; a chain of inseparable pairs joins two inputs of a group."""
        used = [i for i, one in enumerate(self._used()) if one]
        groups: list[list[int]] = []
        for i in used:
            joined = [g for g in groups if any(float(off[i, j]) > self.threshold for j in g)]
            groups = [g for g in groups if g not in joined] + [sorted([i, *itertools.chain(*joined)])]
        return tuple(tuple(self.inputs[i] for i in group) for group in sorted(groups))


def relations(
    network: KANNetwork, data: object, output: int = 0, threshold: float = SYMBOLIC.relation_threshold
) -> Relations:
    """How the inputs of a trained network act together in one output, measured on up to 1,000 training rows.

    Values of two inputs are exchanged between rows drawn at random. Where inputs depend on each other, the network is
    therefore also evaluated where there are no data. The relations are those of the network. They are those of the data
    only as far as the network has learned them, so its own error limits what can be measured.

    Args:
        network: a trained network; it is not changed.
        data: the training data.
        output: number of the output, from 0.
        threshold: relations with a smaller residual hold, a share of the standard deviation of the output. The default
            was chosen, not measured.

    Returns:
        The `Relations`.

    Raises:
        SpecError: there is no such output, or the threshold is not positive.
    """
    network, data = on_cpu(network), as_dataset(data).to("cpu")
    outputs = sum(network.spec.width[-1])
    if not is_whole(output) or not 0 <= output < outputs:
        raise SpecError(f"output={output!r} is not there: give a number from 0 to {outputs - 1}.")
    if not threshold > 0:
        raise SpecError(
            f"threshold={threshold!r} is not possible: give a share above 0, such as {SYMBOLIC.relation_threshold}."
        )
    probe = _Probe(network, data, output)
    count = data.n_inputs
    effects = torch.tensor([probe.effect(i) for i in range(count)])
    used = [i for i in range(count) if effects[i] > threshold / 10]
    sums, products = torch.zeros(count, count), torch.zeros(count, count)
    tried = []
    for i, j in itertools.combinations(used, 2):
        sums[i, j], products[i, j] = probe.interaction(i, j)
        names = data.input_names[i], data.input_names[j]
        tried += [Symmetry(kind, *names, *probe.combination(i, j, kind)) for kind in KINDS]
    true = sorted((one for one in tried if one.off < threshold), key=lambda one: one.off)
    targets = data.target_names if outputs == data.n_outputs else logit_names(data, outputs)
    names = data.input_names, targets[output]
    return Relations(
        *names, effects, sums + sums.T, products + products.T, tuple(true), tuple(tried), probe.error(), threshold
    )


class _Probe:
    """Evaluates a network on rows between which values were exchanged."""

    def __init__(self, network: KANNetwork, data: Dataset, output: int) -> None:
        self.network, self.data, self.scaling, self.output = network, data, data.scaling, output
        x = data.X_train
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
        x = x[order[: SYMBOLIC.exchanged_rows]]
        self.dtype = x.dtype
        self.here = (x if self.scaling is None else self.scaling.undo(x)).double()
        self.there = self.here.roll(1, 0)  # the rows that values are taken from
        self.unit = 1.0
        self.unit = power_of_two(self.ask(self.here))  # products of outputs stay numbers
        self.values = self.ask(self.here)
        self.spread = float(deviation(self.values)) or 1.0

    @torch.no_grad()
    def ask(self, raw: Tensor) -> Tensor:
        """The output (n,), in units of `unit`, at rows in original units."""
        x = raw if self.scaling is None else self.scaling.apply(raw)
        return self.network(x.to(self.dtype))[:, self.output].double() / self.unit

    def error(self) -> float:
        """The network's root mean squared error over the standard deviation; NaN for logits of several classes."""
        data = self.data
        if sum(self.network.spec.width[-1]) != data.n_outputs:
            return math.nan
        x, y = (data.X_val, data.y_val) if len(data.X_val) else (data.X_train, data.y_train)
        with torch.no_grad():
            outputs = self.network(x)[:, self.output]
            return _size((outputs - y[:, self.output]) / self.unit) / self.spread

    def moved(self, columns: Mapping[int, Tensor]) -> Tensor:
        """The output where some columns are replaced."""
        rows = self.here.clone()
        for i, column in columns.items():
            rows[:, i] = column
        return self.ask(rows)

    def effect(self, i: int) -> float:
        """Root of the total Sobol index of one input: the change of the output when only this input changes."""
        return _size(self.moved({i: self.there[:, i]}) - self.values) / math.sqrt(2) / self.spread

    def interaction(self, i: int, j: int) -> tuple[float, float]:
        """The residuals of a sum, and of a product, of a part with input i and a part with input j."""
        x, y = self.there[:, i], self.there[:, j]
        one, other, both = self.moved({i: x}), self.moved({j: y}), self.moved({i: x, j: y})
        # an error of size e in each of the four values gives one of 2e in the difference
        summed = _size(self.values + both - one - other) / 2 / self.spread
        multiplied = _size(self.values * both - one * other) / 2 / self.spread
        return summed, multiplied / max(_size(self.values), 1e-300)

    def combination(self, i: int, j: int, kind: str) -> tuple[float, float]:
        """The factor c of the best combination x_i + c·x_j (or x_i·x_j^c), and its residual.

        The residual is the change of the output at a constant combination, as a share of its change when x_i changes
        alone. Powers are those of absolute values, and every row keeps its signs.
        """
        from scipy.optimize import minimize_scalar

        columns = self.here[:, [i, j]]
        signs = columns.sign().T if kind == "scale" else None
        if signs is not None:
            columns = columns.abs().clamp_min(1e-9 * columns.abs().amax(0)).log()
        (x, y), there = columns.unbind(1), columns[:, 0].roll(1, 0)
        unit = float(deviation(x) / deviation(y))
        low, high = y.min(), y.max()

        def off(sign: int, log: float) -> float:
            compensated = y + (x - there) / (sign * unit * math.exp(log))
            inside = (compensated >= low) & (compensated <= high)
            if int(inside.sum()) < SYMBOLIC.fewest_inside * len(x):
                return SYMBOLIC.not_measurable
            new = (there, compensated.clamp(low, high))
            if signs is not None:
                new = (signs[0] * new[0].exp(), signs[1] * new[1].exp())
            along, alone = self.moved({i: new[0], j: new[1]}), self.moved({i: new[0]})
            return _size((along - self.values)[inside]) / max(_size((alone - self.values)[inside]), 1e-300)

        step = SYMBOLIC.factor_step  # between logarithms of c, with inputs in units of their standard deviations
        steps = [step * n for n in range(-SYMBOLIC.factor_steps, SYMBOLIC.factor_steps + 1)]
        least, sign, log = min((off(sign, log), sign, log) for sign in (1, -1) for log in steps)
        if least >= SYMBOLIC.not_measurable:
            return 0.0, math.inf  # for example where an input has two values only
        found = minimize_scalar(
            lambda log: off(sign, log),
            bounds=(log - step, log + step),
            method="bounded",
        )
        if found.fun < least:
            least, log = float(found.fun), float(found.x)
        return sign * unit * math.exp(log), least


def _size(values: Tensor) -> float:
    return float(root_mean_square(values))
