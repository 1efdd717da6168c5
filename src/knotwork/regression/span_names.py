"""Names for sums of products of two inputs, whose curves a fit finds only up to linear combinations of them.

x·exp(-y) + y is also (x + 3)·exp(-y) + (y - 3·exp(-y)): not the curves of x and of y are known but the spaces that they
span. So functions are searched for that lie in these spaces; the sum is then a linear combination of their products.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from knotwork.formulas.constants import Constants, Template
from knotwork.functions import NamedFunction
from knotwork.regression.span_settings import SPANS
from knotwork.regression.structures import StructureProblem, least_squares


@dataclass(frozen=True)
class Family:
    """Functions of one input x with a constant k: their values (n, K), from x (n, 1) and k (K,), and expression.

    `constants` (K,) are tried, and the best is improved; of a family without a constant there is one, NaN. `cost`
    counts symbols, `function` is the name in the library, None for powers.
    """

    values: Callable[[Tensor, Tensor], Tensor]
    written: Callable[[Any, Any], Any]
    constants: Tensor
    cost: int
    function: str | None = None


@dataclass(frozen=True)
class Member:
    """A function in a space of curves: a family with its constant, and its values (n,) divided by `size`."""

    family: Family
    constant: float
    values: Tensor
    size: float

    def expression(self, symbol: Any, constant: Constants) -> Any:
        """The function of a symbol."""
        return self.family.written(symbol, None if math.isnan(self.constant) else constant(self.constant))


def span_template(
    problem: StructureProblem, curves: Tensor, symbols: Sequence[Any], functions: Sequence[NamedFunction], error: float
) -> Template | None:
    """A sum of products of two inputs, with constants, whose factors lie in the spaces of the fitted curves.

    Args:
        problem: of the structure.
        curves: values (rows, curves) of its curves in the training rows.
        symbols: of the two inputs.
        functions: those that are allowed.
        error: of the fit.

    Returns:
        The expression; None for other structures, behind noise, and where the spaces are not those of known functions.
    """
    from knotwork.expressions import algebra

    structure = problem.structure
    if len(symbols) != 2 or len(structure.terms) < 2 or structure.linear or error > SPANS.largest_error:
        return None
    members = []
    for side in (0, 1):
        x = problem.rows.axes[side].values[: problem.rows.train]
        members.append(members_of(x, space_of(problem, curves, side), functions))
    products = [(a, b) for a in members[0] for b in members[1]]
    if not products:
        return None
    weight, target = problem.weight, problem.target
    design = torch.stack([a.values * b.values for a, b in products], 1) * weight[:, None]
    found = least_squares(design, target * weight)
    shares = (found * design).norm(dim=0) / (target * weight).norm()
    constant, terms = Constants(), []
    for (a, b), c, share in zip(products, found.tolist(), shares.tolist(), strict=True):
        if share > SPANS.least_share:
            scale = constant(c * problem.size / (a.size * b.size))
            terms.append(scale * a.expression(symbols[0], constant) * b.expression(symbols[1], constant))
    return constant.template(structure.outer.expression(algebra.Add(*terms))) if terms else None


def space_of(problem: StructureProblem, curves: Tensor, side: int) -> Tensor:
    """Orthonormal columns (rows, r) that span the factors which the terms of a structure have from one input."""
    factors = curves.new_ones(len(curves), len(problem.structure.terms))
    for n, (k, i) in enumerate(problem.places):
        if i == side:
            factors[:, k if k >= 0 else slice(None)] *= curves[:, n] if k >= 0 else curves[:, n, None]
    vectors, sizes, _ = torch.linalg.svd(factors / factors.norm(dim=0), full_matrices=False)
    return vectors[:, sizes > SPANS.tolerance * sizes[0]]


def members_of(x: Tensor, space: Tensor, functions: Sequence[NamedFunction]) -> list[Member]:
    """As many functions in a space (rows, r) as it has dimensions, simple ones first; none if there are not so many."""
    known = space[:, :0]
    found: list[Member] = []
    allowed = {None, *(function.name for function in functions)}
    families = [family for family in families_of(x) if family.function in allowed]
    while len(found) < space.shape[1]:
        scores = []
        for n, family in enumerate(families):
            distance, constant = nearest(family, x, space, known)
            if distance < SPANS.tolerance:
                closeness = math.log2(max(distance / SPANS.tolerance, SPANS.closest))
                scores.append((family.cost + closeness, n, constant))
        if not scores:
            return []
        _, n, constant = min(scores)
        values = families[n].values(x[:, None], x.new_tensor([constant]))[:, 0]
        size = float(values.norm())
        found.append(Member(families[n], constant, values / size, size))
        rest = values - known @ (known.T @ values)
        known = torch.cat([known, (rest / rest.norm())[:, None]], 1)
    return found


def nearest(family: Family, x: Tensor, space: Tensor, known: Tensor) -> tuple[float, float]:
    """The least distance from a space, relative to what is not `known` (rows, m) of a function, and its constant."""

    def distances(constants: Tensor) -> Tensor:
        values = family.values(x[:, None], constants)
        new = (values - known @ (known.T @ values)).norm(dim=0)
        apart = (values - space @ (space.T @ values)).norm(dim=0) / new
        independent = new > SPANS.least_new * values.norm(dim=0)
        return torch.where(independent & apart.isfinite(), apart, math.inf)

    constants = family.constants
    for _ in range(1 if len(constants) == 1 else SPANS.rounds):
        apart = distances(constants)
        best = int(apart.argmin())
        least, constant = float(apart[best]), float(constants[best])
        low, high = (float(constants[min(max(n, 0), len(constants) - 1)]) for n in (best - 1, best + 1))
        constants = torch.linspace(low, high, SPANS.points, dtype=x.dtype)
    return least, constant


def families_of(x: Tensor) -> list[Family]:
    """The functions that are searched for, for inputs x (n,)."""
    from knotwork.expressions import algebra

    none, low, high = x.new_tensor([math.nan]), float(x.min()), float(x.max())
    half = (high - low) / 2 or 1.0
    rates = torch.logspace(-1.3, 1.1, 50, dtype=x.dtype) / half
    rates = torch.cat([-rates.flip(0), rates])
    frequencies = torch.linspace(0.3, 30, 150, dtype=x.dtype) / half
    beyond = 2 * half * torch.logspace(-2.0, 1.3, 40, dtype=x.dtype) - low
    powers = [(0, 0), (1, 1), (2, 3), (3, 3)]
    if low > 0 or high < 0:
        powers += [(-1, 3), (-2, 4)]
    halves = [(algebra.Rational(n, 2), 4) for n in (1, 3, -1)] if low > 0 else []
    families = [
        Family(lambda x, k, p=float(p): x**p + 0 * k.nan_to_num(), lambda s, c, p=p: s**p, none, cost)
        for p, cost in (*powers, *halves)
    ]  # k only gives its shape
    if low > 0:
        families.append(Family(lambda x, k: x.log() + 0 * k.nan_to_num(), lambda s, c: algebra.log(s), none, 2, "log"))
        exponents = torch.linspace(-4, 4, 81, dtype=x.dtype)
        families.append(Family(lambda x, k: x**k, lambda s, c: s**c, exponents, 5))
    return [
        *families,
        Family(lambda x, k: (k * x).exp(), lambda s, c: algebra.exp(c * s), rates, 5, "exp"),
        Family(lambda x, k: x * (k * x).exp(), lambda s, c: s * algebra.exp(c * s), rates, 7, "exp"),
        Family(lambda x, k: (k * x.square()).exp(), lambda s, c: algebra.exp(c * s**2), rates / half, 7, "exp"),
        Family(lambda x, k: (k * x).sin(), lambda s, c: algebra.sin(c * s), frequencies, 5, "sin"),
        Family(lambda x, k: (k * x).cos(), lambda s, c: algebra.cos(c * s), frequencies, 5, "sin"),
        Family(lambda x, k: (k * x).tanh(), lambda s, c: algebra.tanh(c * s), rates, 5, "tanh"),
        Family(lambda x, k: (x + k).log(), lambda s, c: algebra.log(s + c), beyond, 5, "log"),
        Family(lambda x, k: 1 / (x + k), lambda s, c: 1 / (s + c), beyond, 5),
        Family(lambda x, k: (x + k).sqrt(), lambda s, c: (s + c) ** algebra.Rational(1, 2), beyond, 5, "sqrt"),
    ]
