"""Which term explains most of a curve's residuals: whole grids of terms at once, frequencies by a periodogram."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np

from knotwork.formulas.curves.curve_forms import Rows
from knotwork.formulas.curves.curve_terms import SMOOTH, Array, Kind, Points
from knotwork.formulas.curves.oscillations import SINES, WARPED
from knotwork.formulas.curves.settings import CURVES


@dataclass(frozen=True)
class Proposal:
    """A term with inner constants θ, and the sum of squares that it would explain."""

    kind: Kind
    theta: Array
    gain: float


@dataclass(frozen=True)
class _Grid:
    """The columns of one kind for all θ of its grid: each (n, m)."""

    kind: Kind
    thetas: Array
    columns: tuple[Array, ...]

    @staticmethod
    def of(kind: Kind, at: Points, thetas: Array | None = None) -> "_Grid | None":
        thetas = kind.grid(at) if thetas is None else thetas
        if not len(thetas):
            return None
        with np.errstate(all="ignore"):
            theta = thetas.T[:, None, :]  # (q, 1, m)
            column = Points(at.t[:, None], at.middle, at.half, at.size)
            columns = [np.broadcast_to(c, (len(at.t), len(thetas))) for c in kind.columns(column, theta)]
        good = np.logical_and.reduce(
            [np.isfinite(c).all(0) & (np.abs(c).max(0) < CURVES.largest_column) for c in columns]
        )
        return _Grid(kind, thetas[good], tuple(c[:, good] for c in columns)) if good.any() else None


class Scanner:
    """Tries all terms on residuals over the same points, which are in the order of t.

    Smooth terms are tried on at most `CURVES.scanned_rows` rows, oscillations on all rows.
    """

    def __init__(self, rows: Rows, allowed: Sequence[str] | None) -> None:
        def usable(kind: Kind) -> bool:
            return allowed is None or not kind.needs or any(name in allowed for name in kind.needs)

        n = len(rows.y)
        self.chosen = np.linspace(0, n - 1, min(n, CURVES.scanned_rows)).round().astype(int)
        at = rows.at.at(rows.at.t[self.chosen])
        self.rows, self.share = rows, n / len(self.chosen)
        grids = (_Grid.of(kind, at) for kind in (*SMOOTH, *WARPED) if usable(kind))
        self.grids = [grid for grid in grids if grid is not None]
        self.at = at
        self.exponentials = [kind for kind in SMOOTH if kind.name in ("exp", "t^p·exp") and usable(kind)]
        self.sines = [kind for kind in SINES if usable(kind)]
        self.periodogram = Periodogram(rows.at)

    def proposals(self, v: Array, w: Array, fixed: Array, peaks: int = 0) -> list[Proposal]:
        """The best term of each kind for values v (n,) with weights w, beside fixed columns (n, q).

        Of oscillations, the highest `peaks` are given; for 0, one pure sine.
        """
        some = self.chosen
        found = self._smooth(*_projected(v[some], w[some], fixed[some]), self.tails(v[some], w[some]))
        residual, root, q = _projected(v, w, fixed)
        for kind in self.sines if peaks else self.sines[:1]:
            found += self._sines(kind, residual, root, q, max(peaks, 1))
        return found

    def tails(self, v: Array, w: Array) -> list[_Grid]:
        """Exponentials with the rates of the ends of the curve, which a grid is too coarse for over many decades."""
        ends = CURVES.rows_of_tail
        found: dict[str, list[Array]] = {}
        for end in (slice(None, ends), slice(-ends, None)):
            size, z = np.abs(v[end]), self.at.z[end]
            if not (len(v) > 2 * ends and size.min() * CURVES.fall_of_tail < size.max() and w[end].min() > 0):
                continue
            columns = [np.ones(ends), z, *([np.log(self.at.s[end])] if self.at.positive else [])]
            for kind in self.exponentials if (v[end] > 0).all() or (v[end] < 0).all() else ():
                width = 2 if kind.name == "exp" else 3
                if width <= len(columns):
                    slopes = np.linalg.lstsq(np.stack(columns[:width], 1), np.log(size), rcond=None)[0][1:]
                    found.setdefault(kind.name, []).append(slopes[::-1])
        grids = (
            _Grid.of(kind, self.at, np.array(found[kind.name])) for kind in self.exponentials if kind.name in found
        )
        return [grid for grid in grids if grid is not None]

    def _smooth(self, residual: Array, root: Array, q: Array, more: Sequence[_Grid]) -> list[Proposal]:
        found, weight = [], root**2
        left = np.concatenate([(root * residual)[None], root * q.T])
        with np.errstate(all="ignore"):
            for grid in [*self.grids, *more]:
                parts = [left @ column for column in grid.columns]
                squares = [
                    weight @ (one * other) - (parts[i][1:] * parts[j][1:]).sum(0)
                    for i, one in enumerate(grid.columns)
                    for j, other in enumerate(grid.columns)
                    if i <= j
                ]
                if len(parts) == 1:
                    whole = weight @ grid.columns[0] ** 2
                    gain = np.where(squares[0] > 1e-9 * whole, parts[0][0] ** 2 / squares[0], 0.0)
                else:
                    gain = _gain_of_pairs(parts[0][0], parts[1][0], *squares)
                gain = np.nan_to_num(gain, nan=0.0, posinf=0.0, neginf=0.0)
                best = int(gain.argmax())
                found.append(Proposal(grid.kind, grid.thetas[best], float(gain[best]) * self.share))
        return found

    def _sines(self, kind: Kind, residual: Array, root: Array, q: Array, peaks: int) -> list[Proposal]:
        assert kind.envelope is not None
        found: list[Proposal] = []
        for theta in kind.grid(self.rows.at) if kind.name == "exp·sin" else np.zeros((1, 0)):
            envelope = kind.envelope(self.rows.at, theta)
            gain = self.periodogram.gains(residual, root, q, envelope)
            gain = np.where((gain >= np.roll(gain, 1)) & (gain >= np.roll(gain, -1)), gain, 0.0)
            for k in np.argsort(-gain)[:peaks]:
                frequency = self.periodogram.step * k
                found.append(Proposal(kind, np.append(theta, frequency), float(gain[k])))
        return sorted(found, key=lambda one: -one.gain)[:peaks]


def _projected(v: Array, w: Array, fixed: Array) -> tuple[Array, Array, Array]:
    """Weighted values without what fixed columns (n, q) explain, roots of the weights, and a basis of these columns."""
    root = np.sqrt(w)
    q, _ = np.linalg.qr(root[:, None] * fixed)
    return root * v - q @ (q.T @ (root * v)), root, q


def _gain_of_pairs(first: Array, second: Array, aa: Array, ab: Array, bb: Array) -> Array:
    """Explained squares of two columns with these products with the residual, and these products with each other."""
    det = aa * bb - ab * ab
    gain = (bb * first**2 - 2 * ab * first * second + aa * second**2) / det
    return np.where(det > 1e-6 * aa * bb, gain, 0.0)


class Periodogram:
    """Lomb-Scargle periodograms over points that are not equally spaced, with fixed columns projected out.

    Sums of exponentials are fast Fourier transforms of rows spread over an even grid, which is exact enough to find
    peaks. Frequencies are multiples of `step` in units of 1/z, up to half a period per row.
    """

    def __init__(self, at: Points) -> None:
        n = len(at.t)
        periods = min(CURVES.most_periods, n / 2)
        self.count = max(int(periods * CURVES.oversampling), 4)
        self.step = math.pi / CURVES.oversampling
        self.bins = 2 ** math.ceil(math.log2(8 * self.count))
        place = np.maximum(at.z + 1, 0.0) / 2 / CURVES.oversampling * self.bins
        self.left = np.floor(place).astype(int)
        self.right_share = place - self.left
        self.turn = np.exp(-1j * self.step * np.arange(2 * self.count))  # z starts at -1

    def sums(self, weights: Array) -> Array:
        """Σ wᵢ·exp(i·w·zᵢ) at the first 2·count frequencies w."""
        binned = np.bincount(self.left, weights * (1 - self.right_share), self.bins + 1)
        binned += np.bincount(self.left + 1, weights * self.right_share, self.bins + 1)
        return np.conj(np.fft.rfft(binned[: self.bins])[: 2 * self.count]) * self.turn

    def gains(self, residual: Array, root: Array, q: Array, envelope: Array) -> Array:
        """Sums of squares (count,) that an oscillation with this envelope explains, by its frequency."""
        n, weighted = self.count, root * envelope
        target = self.sums(weighted * residual)[:n]
        whole = self.sums(weighted**2)
        double = whole[: 2 * n : 2]
        cc, ss = (whole[0].real + double.real) / 2, (whole[0].real - double.real) / 2
        cs = double.imag / 2
        for column in q.T:
            part = self.sums(weighted * column)[:n]
            cc, ss, cs = cc - part.real**2, ss - part.imag**2, cs - part.real * part.imag
        with np.errstate(all="ignore"):
            gain = np.nan_to_num(_gain_of_pairs(target.real, target.imag, cc, cs, ss))
            left = cc * ss - cs**2 > CURVES.least_left * whole[0].real ** 2  # otherwise the fixed columns are the same
        return np.where(left, gain, 0.0)


class Pairs:
    """Pairs of smooth terms, each of one column, that explain values best together."""

    def __init__(self, scanner: Scanner) -> None:
        self.scanner = scanner
        self.grids = [grid for grid in scanner.grids if len(grid.columns) == 1]

    @cached_property
    def places(self) -> list[tuple[int, int]]:
        """(grid, number in the grid) of every column; of wide grids every second or third."""
        found = []
        for g, grid in enumerate(self.grids):
            every = max(1, len(grid.thetas) // CURVES.pair_columns)
            found += [(g, k) for k in range(0, len(grid.thetas), every)]
        return found

    def best(self, v: Array, w: Array, fixed: Array, count: int) -> list[tuple[Proposal, Proposal]]:
        """The best pair of every two kinds; of those with equally many inner constants the `count` best."""
        rows = self.scanner.chosen
        target, root, q = _projected(v[rows], w[rows], fixed[rows])
        columns = np.stack([self.grids[g].columns[0][:, k] for g, k in self.places], 1) * root[:, None]
        whole = np.linalg.norm(columns, axis=0)
        columns = columns - q @ (q.T @ columns)
        norms = np.linalg.norm(columns, axis=0)
        columns = np.where(norms > 1e-5 * whole, columns / np.maximum(norms, 1e-300), 0.0)
        with np.errstate(all="ignore"):
            own, together = columns.T @ target, columns.T @ columns
            gain = (own[:, None] ** 2 + own**2 - 2 * own[:, None] * own * together) / (1 - together**2)
        gain = np.where(np.abs(together) < 1 - 1e-7, np.nan_to_num(gain), 0.0)
        ends = np.cumsum([0, *np.bincount([g for g, _ in self.places], minlength=len(self.grids))])
        found = []
        for g in range(len(self.grids)):
            for h in range(g, len(self.grids)):
                block = gain[ends[g] : ends[g + 1], ends[h] : ends[h + 1]]
                i, j = np.unravel_index(int(block.argmax()), block.shape)
                found.append((float(block[i, j]), g, self.places[ends[g] + i][1], h, self.places[ends[h] + j][1]))
        pairs = [
            (
                Proposal(self.grids[g].kind, self.grids[g].thetas[i], gain),
                Proposal(self.grids[h].kind, self.grids[h].thetas[j], gain),
            )
            for gain, g, i, h, j in sorted(found, key=lambda row: -row[0])
        ]
        return best_of_each(pairs, lambda pair: len(pair[0].theta) + len(pair[1].theta), count)


T = TypeVar("T")


def best_of_each(ranked: Iterable[T], size: Callable[[T], int], count: int) -> list[T]:
    """The first `count` of each size among ranked things: large ones fit better, and would leave no place to others."""
    taken: Counter[int] = Counter()
    found = []
    for one in ranked:
        taken[size(one)] += 1
        if taken[size(one)] <= count:
            found.append(one)
    return found
