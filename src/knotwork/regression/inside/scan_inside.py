"""Which function of which argument explains most of what a sum of terms leaves: whole grids of constants at once."""

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from knotwork.regression.inside.functions_inside import (
    BELL,
    CORNER,
    EXP,
    INVERSE,
    INVERSE_ROOT,
    KINDS,
    LOG,
    ROOT,
    SIN,
    SQUARED,
    TANH,
    Array,
    Feature,
    Inputs,
    Inside,
    Kind,
    Powers,
)
from knotwork.regression.inside.settings import INSIDE


@dataclass(frozen=True)
class Argument:
    """A weighted sum of features that functions are tried on, with its values (n,)."""

    features: tuple[Feature, ...]
    weights: tuple[float, ...]
    values: Array
    alone: bool
    """Whether it is a single input, which may oscillate many times."""

    @property
    def spread(self) -> tuple[float, float]:
        """Middle and half of the range."""
        low, high = float(self.values.min()), float(self.values.max())
        return (low + high) / 2, (high - low) / 2


@dataclass(frozen=True)
class Block:
    """Columns (n, k) of one kind and argument, for k pairs (a, b) of f(a·argument + b); of sines the cosines, too."""

    kind: Kind
    argument: Argument
    constants: Array
    columns: Array
    cosines: Array | None = None

    def inside(self, k: int, phase: float = 0.0) -> Inside:
        """The function with the constants of one column; its cost does not depend on them."""
        a, b = map(float, self.constants[k])
        sized = [a * weight for weight in self.argument.weights]
        if not self.kind.sized:  # f(±u + b): the size of the first weight is 1
            b, sized = b / abs(sized[0]), [one / abs(sized[0]) for one in sized]
        return Inside(self.kind, self.argument.features, (*sized, *[b + phase] * self.kind.shifted))


@dataclass(frozen=True)
class Factor:
    """What a new function is multiplied with: weighted values (n,), and its cost in symbols."""

    key: object
    cost: float
    values: Array


@dataclass(frozen=True)
class Proposal:
    """A function to be added, multiplied with a factor, and the bits after that."""

    bits: float
    factor: object
    inside: Inside


class Scanner:
    """All functions on the rows (n,) of `inputs`, of the kinds that `allowed` names of the library permit."""

    def __init__(self, inputs: Inputs, allowed: Sequence[str], straight: Sequence[int]) -> None:
        kinds = [kind for kind in KINDS if not kind.needs or any(name in allowed for name in kind.needs)]
        self.kinds = [kind.name for kind in kinds]
        self.inputs, self.bent = inputs, [i for i in range(len(inputs.columns)) if i not in straight]
        self.blocks: list[Block] = []
        for argument in self._arguments(LOG in kinds):
            middle, half = argument.spread
            if not 0 < half < math.inf or not math.isfinite(middle):
                continue
            for kind in kinds:
                if not argument.features[0].logarithm or kind in (EXP, SIN):
                    self.blocks += _block(kind, argument, middle, half)

    def proposals(
        self, residual: Array, q: Array, factors: Sequence[Factor], before: float, several: bool = False
    ) -> list[Proposal]:
        """The best functions beside an orthonormal basis q (n, m) of columns, for a residual (n,) orthogonal to it.

        `before` are the symbols of what is there already; with `several`, only functions of two inputs or more count.
        """
        n, square = len(residual), float(residual @ residual)
        left = _single(np.concatenate([residual[:, None] / math.sqrt(square or 1.0), q], 1), scaled=False).T
        weights = _single(np.stack([factor.values for factor in factors], 1)).T
        sides = (left[:, None, :] * weights).reshape(-1, n)
        squares, found = weights**2, []
        costs = np.array([factor.cost for factor in factors]) + before
        for block in self.blocks:
            gain, phase = _gains(block, sides, squares, len(left))
            best = gain.argmax(1)
            values = np.minimum(gain[np.arange(len(best)), best], 1.0)
            cost = costs + block.inside(0).cost
            bits = 0.5 * n * np.log2(np.maximum(1 - values, INSIDE.rounding)) + math.log2(n) * cost
            for f in np.argsort(bits)[: INSIDE.factors_of_block]:
                if several and len(_used(block.argument, factors[f].key)) < 2:
                    continue
                k = int(best[f])
                inside = block.inside(k, 0.0 if phase is None else float(phase[f, k]))
                found.append(Proposal(float(bits[f]), factors[f].key, inside))
        return distinct(sorted(found, key=lambda one: one.bits))

    def _arguments(self, logarithms: bool) -> Iterator[Argument]:
        """Inputs, products and ratios of two, sums of two with weights."""
        n, bent = len(self.inputs.columns), self.bent
        columns = self.inputs.columns

        def feature(powers: dict[int, float], logarithm: bool = False) -> Feature:
            return Feature(tuple(powers.get(i, 0.0) for i in range(n)), logarithm)

        def one(feature: Feature, alone: bool = False) -> Argument:
            return Argument((feature,), (1.0,), self.inputs.feature(feature), alone)

        singles = [feature({i: 1.0}) for i in bent]
        pairs = list(itertools.combinations(bent, 2))
        products = [feature({i: 1.0, j: 1.0}) for i, j in pairs]
        whole = [feature({i: 2.0}) for i in bent]
        yield from (one(f, alone=True) for f in singles)
        yield from (one(f) for f in whole)
        yield from (one(feature({i: 1.0}, True)) for i in bent if logarithms and bool((columns[i] > 0).all()))
        yield from (one(f) for f in products)
        for i, j in itertools.permutations(bent, 2):
            if bool((columns[j] != 0).all()):
                yield one(feature({i: 1.0, j: -1.0}))
        if len(bent) > INSIDE.most_inputs_of_pairs:
            return
        sums = list(itertools.combinations(singles, 2))
        if len(bent) == 2:
            sums += [*itertools.product(singles, whole), (whole[0], whole[1])]
        weights = INSIDE.weights_of_sums if len(sums) <= INSIDE.most_fine_sums else INSIDE.weights_of_sums[::2]
        for a, b in sums:
            if a.powers == b.powers or _same_input(a, b):
                continue
            u, v = self.inputs.feature(a), self.inputs.feature(b)
            ratio = float(np.ptp(u) / max(np.ptp(v), 1e-300))
            for weight in (*weights, *(-w for w in weights)):
                yield Argument((a, b), (1.0, weight * ratio), u + weight * ratio * v, False)


def _same_input(a: Feature, b: Feature) -> bool:
    return all((p != 0) == (q != 0) for p, q in zip(a.powers, b.powers, strict=True))


def _used(argument: Argument, key: object) -> set[int]:
    """Numbers of the inputs in an argument and a factor."""
    powers: Powers = key if isinstance(key, tuple) else ()
    found = {i for i, p in enumerate(powers) if p}
    return found | {i for feature in argument.features for i, p in enumerate(feature.powers) if p}


def distinct(ranked: Iterable[Proposal]) -> list[Proposal]:
    """The first proposals, few of each kind and few of each argument."""
    found, kinds, arguments = [], Counter[str](), Counter[object]()
    for one in ranked:
        kind, argument = one.inside.kind.name, (one.inside.kind.name, one.inside.features)
        if kinds[kind] < INSIDE.proposals_of_kind and arguments[argument] < INSIDE.proposals_of_argument:
            found.append(one)
            kinds[kind] += 1
            arguments[argument] += 1
        if len(found) == INSIDE.proposals:
            break
    return found


def _gains(block: Block, sides: Array, squares: Array, lefts: int) -> tuple[Array, Array | None]:
    """Squares (factors, k) that each column explains, and for sines their phases."""
    f = len(squares)
    own, *rest = (sides @ block.columns).reshape(lefts, f, -1)
    whole = squares @ block.columns**2
    left = whole - sum((part**2 for part in rest), np.zeros_like(own))
    with np.errstate(all="ignore"):
        if block.cosines is None:
            gain = np.where(left > INSIDE.least_left * whole, own**2 / left, 0.0)
            return np.nan_to_num(gain, nan=0.0, posinf=0.0, neginf=0.0), None
        other, *others = (sides @ block.cosines).reshape(lefts, f, -1)
        whole_other = squares @ block.cosines**2
        left_other = whole_other - sum((part**2 for part in others), np.zeros_like(own))
        cross = squares @ (block.columns * block.cosines)
        cross = cross - sum((p * q for p, q in zip(rest, others, strict=True)), np.zeros_like(own))
        det = left * left_other - cross**2
        sine, cosine = (left_other * own - cross * other) / det, (left * other - cross * own) / det
        good = det > INSIDE.least_left * whole * whole_other
        gain = np.where(good, sine * own + cosine * other, 0.0)
        return np.nan_to_num(gain, nan=0.0, posinf=0.0, neginf=0.0), np.arctan2(cosine, sine)


def _single(columns: Array, scaled: bool = True) -> Array:
    """Columns (n, k) in single precision, divided by their largest value if `scaled`.

    Tiny values are zero: their products would be below the usual range of floats, where processors are slow.
    """
    found = columns / np.maximum(np.abs(columns).max(0), 1e-300) if scaled else columns
    return np.where(np.abs(found) < INSIDE.tiny, 0.0, found).astype(np.float32)


def _block(kind: Kind, argument: Argument, middle: float, half: float) -> list[Block]:
    """The grid of a kind for an argument, if there is one."""
    a, b = (np.asarray(part, float) for part in _grid(kind, argument, middle, half))
    if not len(a):
        return []
    with np.errstate(all="ignore"):
        u = np.outer(argument.values, a) + b
        if kind is EXP:
            u -= u.max(0)
        columns = kind.value(u)
        cosines = _single(np.cos(u), scaled=False) if kind is SIN else None
    good = np.isfinite(columns).all(0)
    columns = _single(columns[:, good], scaled=kind is not SIN)
    if not good.any():
        return []
    return [Block(kind, argument, np.stack([a, b], 1)[good], columns, cosines)]


def _grid(kind: Kind, argument: Argument, middle: float, half: float) -> tuple[Array, Array]:
    """Values of a and b of f(a·argument + b)."""
    none, s = np.zeros(0), INSIDE
    if kind is EXP:
        rates = np.geomspace(s.slowest_rate, s.fastest_rate, s.rates) / half
        return np.concatenate([rates, -rates]), np.zeros(2 * len(rates))
    if kind is SIN:
        periods = s.most_periods if argument.alone else s.most_periods_of_pairs
        rates = np.arange(1, periods * s.oversampling * 2 + 1) * math.pi / 2 / s.oversampling / half
        return rates, np.zeros(len(rates))
    if kind in (TANH, BELL):
        rates, places = np.meshgrid(np.geomspace(s.widest, s.steepest, s.widths), np.linspace(-1.2, 1.2, s.places))
        a = rates.ravel() / half
        return a, -a * (middle + half * places.ravel())
    if kind in (LOG, INVERSE, ROOT, INVERSE_ROOT):
        beyond = half * (1 + np.geomspace(s.nearest_pole, s.farthest_pole, s.poles))
        a = np.repeat([1.0, -1.0], len(beyond))
        return a, np.concatenate([beyond - middle, beyond + middle])
    if kind is CORNER:
        return np.ones(s.corners), -(middle + half * np.linspace(-0.9, 0.9, s.corners))
    if kind is SQUARED and len(argument.features) > 1:  # those of single inputs are sums of powers
        return np.ones(s.squares), -(middle + half * np.linspace(-1.5, 1.5, s.squares))
    return none, none
