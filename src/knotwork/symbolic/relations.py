"""How inputs act together, measured on a network: which can be split apart, and which matter only in combination."""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from knotwork.data import Dataset, as_dataset
from knotwork.errors import SpecError
from knotwork.formulas.measuring import logit_names
from knotwork.model import KANNetwork, is_whole
from knotwork.symbolic.settings import SYMBOLIC

KINDS = ("shift", "scale")
THRESHOLD = 0.05  # share of the spread of the output below which a relation holds; chosen, not measured


@dataclass(frozen=True)
class Symmetry:
    """The output depends on two inputs by x + c·y alone (`kind` "shift"), or by x·y^c alone ("scale").

    `factor` is c; `off` says how much the output moves where that stays and x moves, as a share of what moving x alone
    does: 0 is exactly.
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


@dataclass(frozen=True)
class Relations:
    """How the inputs of one output act together; prints as a table.

    `sums` and `products` (in, in) say for two inputs how far the output is from a sum, or a product, of a part with the
    one and a part with the other: what splitting would leave, as a share of the spread of the output. 0 says that they
    can be split exactly. With a, b values of the one and c, d of the other, these are the root mean squares of
    f(a,c) + f(b,d) - f(a,d) - f(b,c) over 2, and of f(a,c)·f(b,d) - f(a,d)·f(b,c) over 2 and the size of f, the other
    inputs as they are in a row. `effects` (in,) are the roots of total Sobol indices. `symmetries` are pairs that
    matter by a combination only, the clearest first, among all that were `tried`. `error` is the network's own, on the
    validation rows (or training rows) and as a share of the spread: no relation can be seen more closely.
    """

    inputs: tuple[str, ...]
    target: str
    effects: Tensor = field(repr=False)
    sums: Tensor = field(repr=False)
    products: Tensor = field(repr=False)
    symmetries: tuple[Symmetry, ...]
    tried: tuple[Symmetry, ...] = field(repr=False)
    error: float
    threshold: float = THRESHOLD

    @property
    def used(self) -> tuple[str, ...]:
        """Inputs that move the output by more than a tenth of what counts as a relation."""
        return tuple(name for name, used in zip(self.inputs, self._used(), strict=True) if used)

    @property
    def terms(self) -> tuple[tuple[str, ...], ...]:
        """The finest groups of inputs of which the output is a sum; all in one where it is none.

        Where two inputs can be split both ways, as where an output hardly moves about its mean, the nearer one counts.
        """
        return self._groups(torch.where(self.sums <= self.products, self.sums, torch.inf))

    @property
    def factors(self) -> tuple[tuple[str, ...], ...]:
        """The finest groups of inputs of which the output is a product; all in one where it is none."""
        return self._groups(torch.where(self.products < self.sums, self.products, torch.inf))

    def __str__(self) -> str:
        if not self.used:
            return f"{self.target} moves with no input"
        off = {(s.kind, s.first, s.second): s.off for s in self.tried}
        rows = [["inputs", "sum", "product", "x + c*y", "x*y^c"]]
        for i, j in itertools.combinations(range(len(self.inputs)), 2):
            first, second = self.inputs[i], self.inputs[j]
            if {first, second} <= set(self.used):
                numbers = [float(self.sums[i, j]), float(self.products[i, j])]
                numbers += [off[kind, first, second] for kind in ("shift", "scale")]
                rows.append([f"{first}, {second}", *(f"{number:.3f}" for number in numbers)])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        own = f"; the network itself is off by {self.error:.2g}" if self.error == self.error else ""
        lines = [f"How far {self.target} is from each (0: exactly; holds below {self.threshold:g}{own})"]
        for row in rows:
            cells = [row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))]
            lines.append("  ".join(cells))
        return "\n".join([*(lines if len(rows) > 1 else []), *self.sentences()])

    def sentences(self) -> list[str]:
        """What holds, in words: sums, products, combinations, and inputs that are not used."""
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
        """Inputs that are used, together where a chain of pairs cannot be split."""
        used = [i for i, one in enumerate(self._used()) if one]
        groups: list[list[int]] = []
        for i in used:
            joined = [g for g in groups if any(float(off[i, j]) > self.threshold for j in g)]
            groups = [g for g in groups if g not in joined] + [sorted([i, *itertools.chain(*joined)])]
        return tuple(tuple(self.inputs[i] for i in group) for group in sorted(groups))


def relations(network: KANNetwork, data: object, output: int = 0, threshold: float = THRESHOLD) -> Relations:
    """How the inputs of a trained network act together in one output, on up to 1,000 training rows.

    Values of two inputs are exchanged between rows drawn at random, so where inputs depend on each other the network is
    asked beside its data too. What is found is true of the network, and of the data as far as the network has learned
    them: its own error is the least that can be measured. Relations that are off by less than `threshold` hold.
    Raises SpecError for an output that is not there.
    """
    data = as_dataset(data)
    outputs = sum(network.spec.width[-1])
    if not is_whole(output) or not 0 <= output < outputs:
        raise SpecError(f"output={output!r} is not there: give a number from 0 to {outputs - 1}.")
    if not threshold > 0:
        raise SpecError(f"threshold={threshold!r} is not possible: give a share above 0, such as {THRESHOLD}.")
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
    """A network asked on rows between which values are exchanged."""

    def __init__(self, network: KANNetwork, data: Dataset, output: int) -> None:
        self.network, self.data, self.scaling, self.output = network, data, data.scaling, output
        x = data.X_train
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
        x = x[order[: SYMBOLIC.exchanged_rows]]
        self.dtype = x.dtype
        self.here = (x if self.scaling is None else self.scaling.undo(x)).double()
        self.there = self.here.roll(1, 0)  # the row that values come from
        self.values = self.ask(self.here)
        self.spread = float(self.values.std(correction=0)) or 1.0

    @torch.no_grad()
    def ask(self, raw: Tensor) -> Tensor:
        """The output (n,) at rows in their own units."""
        x = raw if self.scaling is None else self.scaling.apply(raw)
        return self.network(x.to(self.dtype))[:, self.output].double()

    def error(self) -> float:
        """The network's own root mean squared error, as a share of the spread; NaN of logits of several classes."""
        data = self.data
        if sum(self.network.spec.width[-1]) != data.n_outputs:
            return math.nan
        x, y = (data.X_val, data.y_val) if len(data.X_val) else (data.X_train, data.y_train)
        with torch.no_grad():
            return _size(self.network(x)[:, self.output] - y[:, self.output]) / self.spread

    def moved(self, columns: Mapping[int, Tensor]) -> Tensor:
        """The output with other values in some columns."""
        rows = self.here.clone()
        for i, column in columns.items():
            rows[:, i] = column
        return self.ask(rows)

    def effect(self, i: int) -> float:
        """How far the output moves with one input, as a share of its spread: the root of its total Sobol index."""
        return _size(self.moved({i: self.there[:, i]}) - self.values) / math.sqrt(2) / self.spread

    def interaction(self, i: int, j: int) -> tuple[float, float]:
        """How far the output is from a sum, and from a product, of a part with i and a part with j."""
        x, y = self.there[:, i], self.there[:, j]
        one, other, both = self.moved({i: x}), self.moved({j: y}), self.moved({i: x, j: y})
        # an error of the size e in each of the four values is one of 2e in the difference
        summed = _size(self.values + both - one - other) / 2 / self.spread
        multiplied = _size(self.values * both - one * other) / 2 / self.spread
        return summed, multiplied / max(_size(self.values), 1e-300)

    def combination(self, i: int, j: int, kind: str) -> tuple[float, float]:
        """The c with which x_i + c·x_j, or x_i·x_j^c, says most, and how much moving along it moves the output.

        As a share of what moving x_i alone does. Powers are of absolute values, and every row keeps its signs.
        """
        from scipy.optimize import minimize_scalar

        columns = self.here[:, [i, j]]
        signs = columns.sign().T if kind == "scale" else None
        if signs is not None:
            columns = columns.abs().clamp_min(1e-9 * columns.abs().amax(0)).log()
        (x, y), there = columns.unbind(1), columns[:, 0].roll(1, 0)
        unit = float(x.std(correction=0) / y.std(correction=0))
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

        step = SYMBOLIC.factor_step  # between logarithms of c, inputs measured by their deviations
        steps = [step * n for n in range(-SYMBOLIC.factor_steps, SYMBOLIC.factor_steps + 1)]
        least, sign, log = min((off(sign, log), sign, log) for sign in (1, -1) for log in steps)
        if least >= SYMBOLIC.not_measurable:
            return 0.0, math.inf  # two values only, say
        found = minimize_scalar(
            lambda log: off(sign, log),
            bounds=(log - step, log + step),
            method="bounded",
        )
        if found.fun < least:
            least, log = float(found.fun), float(found.x)
        return sign * unit * math.exp(log), least


def _size(values: Tensor) -> float:
    return float(values.square().mean().sqrt())
