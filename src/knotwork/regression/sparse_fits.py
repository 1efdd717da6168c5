"""The sparsest combinations of columns that come close to a target: a beam search over least squares fits."""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from knotwork.regression.term_settings import TERMS

Support = tuple[int, ...]


def sparse_fits(
    design: Tensor, target: Tensor, costs: Tensor, widths: Sequence[int], first: int | None = None, start: Support = ()
) -> Iterator[list[Support]]:
    """For 1, 2, ... columns of a design (n, columns) those combinations that explain the target (n,) best.

    Each step adds every column to each of the combinations kept (widths[k] of k + 1 columns), then exchanges one
    column of the best ones at a time. Combinations are ranked by the logarithm of their residual, with the price of
    their columns' `costs` in bits. Where `first` is given, at least half of the columns are among the first ones: the
    others contain the target, so that they explain it without a reason. The columns of `start` are there from the
    beginning, and stay.
    """
    search = _Search.of(design, target, costs, design.shape[1] if first is None else first)
    beam = [start]
    for width in widths:
        beam = search.extended(beam, width)
        best = [s for s in beam[: widths[-1]] if len(s) > 1]
        without = [s[:i] + s[i + 1 :] for s in best for i in range(len(s)) if s[i] not in start]
        if without:
            beam = search.ranked([*beam, *search.extended(list(dict.fromkeys(without)), width)])[:width]
        if not beam:
            return
        yield beam


def screened(design: Tensor, target: Tensor, costs: Tensor, first: int, most: int) -> Tensor:
    """Numbers (m,) of the columns, `most` or a few more, in the best combinations of one and of two columns.

    The second of two is added to the best single ones. The arguments are those of `sparse_fits`.
    """
    search = _Search.of(design, target, costs, first)
    singles = search.extended([()], most)
    pairs = search.extended(singles[: TERMS.singles_of_screening], most)
    found = {column for support in (*singles[: most // 2], *pairs) for column in support}
    return torch.tensor(sorted(found), dtype=torch.long)  # none if no column is usable


def eliminated(design: Tensor, target: Tensor, most: int) -> Iterator[Support]:
    """Combinations of `most` columns of a design (n, columns) and fewer, by backward elimination.

    Of all, the one that explains least is left out: columns that come close to the target (n,) together only are not
    found one at a time.
    """
    size = design.norm(dim=0)
    usable = ((size > 0) & size.isfinite()).nonzero()[:, 0]
    unit = design[:, usable] / size[usable]
    products = unit.T @ unit
    products.diagonal().add_(TERMS.ridge_of_elimination)
    inverse, left = torch.linalg.inv(products), usable.tolist()
    with_target = inverse @ (unit.T @ target)
    while left:
        if len(left) <= most:
            yield tuple(left)
        least = int((with_target.square() / inverse.diagonal()).argmin())
        with_target = with_target - inverse[:, least] * (with_target[least] / inverse[least, least])
        inverse = inverse - inverse[:, least, None] * inverse[least] / inverse[least, least]
        rest = [n for n in range(len(left)) if n != least]
        with_target, inverse, left = with_target[rest], inverse[rest][:, rest], [left[n] for n in rest]


class _Search:
    """Columns of length 1, a target of length 1, and what was found about combinations.

    Only products of columns enter, so that a combination costs no pass over the rows; squares of residuals are known to
    rounding errors of the target's square.
    """

    def __init__(self, unit: Tensor, target: Tensor, costs: Tensor, first: int) -> None:
        self.unit, self.costs, self.rows, self.first = unit, costs, len(target), first
        self.with_target = unit.T @ target
        self.number: dict[int, int] = {}  # of each column in `products`
        self.products = unit.new_zeros(0, unit.shape[1])  # of columns that were in a combination with every column
        self.scores: dict[Support, float] = {}

    @classmethod
    def of(cls, design: Tensor, target: Tensor, costs: Tensor, first: int) -> "_Search":
        """For columns of any length, of which those without a finite one are never chosen."""
        size = design.norm(dim=0)
        usable = (size > 0) & size.isfinite()
        unit = torch.where(usable, design / size.clamp_min(1e-300), 0.0)
        return cls(unit, target / target.norm().clamp_min(1e-300), costs.masked_fill(~usable, torch.inf), first)

    def extended(self, supports: list[Support], width: int) -> list[Support]:
        """The best combinations of one of the supports and one more column."""
        if not supports:
            return []
        b, gain, left, rest = self._explained(supports)
        new = left > TERMS.least_new_direction
        rest = rest[:, None] - torch.where(new, gain / left.clamp_min(1e-300), 0.0)
        bits = 0.5 * self.rows * rest.clamp_min(TERMS.rounding_of_squares).log2()
        bits += math.log2(self.rows + 1) * (self.costs + b.sum(1, keepdim=True))
        bits[~new] = torch.inf
        spare = torch.tensor([sum(1 if column < self.first else -1 for column in s) for s in supports])
        bits[spare <= 0, self.first :] = torch.inf
        count = min(width * (len(supports[0]) + 1), bits.numel())
        values, places = bits.flatten().topk(count, largest=False)
        found: dict[Support, float] = {}
        for value, place in zip(values.tolist(), places.tolist(), strict=True):
            if value == torch.inf:
                break
            number, column = divmod(place, bits.shape[1])
            found.setdefault(tuple(sorted((*supports[number], column))), value)
        self.scores.update(found)
        return list(found)[:width]

    def ranked(self, supports: list[Support]) -> list[Support]:
        """Supports of known scores without repetitions, the best first."""
        return sorted(dict.fromkeys(supports), key=lambda support: self.scores[support])

    def _explained(self, supports: list[Support]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """For each support the costs of its columns (supports, k), its residual square (supports,), and for every
        column, (supports, columns), the squared product of what both leave, and the square of what is left of it."""
        s = torch.tensor(supports, dtype=torch.long).view(len(supports), -1)
        if not s.shape[1]:
            return self.costs[s], self.with_target.square()[None], torch.ones_like(self.costs)[None], torch.ones(1)
        wanted = [column for column in s.unique().tolist() if column not in self.number]
        self.number.update({column: len(self.number) + n for n, column in enumerate(wanted)})
        self.products = torch.cat([self.products, self.unit[:, wanted].T @ self.unit])
        place = torch.tensor([[self.number[column] for column in one] for one in s.tolist()])
        with_all = self.products[place]  # (supports, k, columns)
        among = with_all.gather(2, s[:, None, :].expand(-1, s.shape[1], -1))
        among = among + 1e-15 * torch.eye(s.shape[1], dtype=among.dtype)  # rounding errors of the products
        solved = torch.linalg.solve(among, torch.cat([self.with_target[s][:, :, None], with_all], 2))
        coefficients, projected = solved[:, :, 0], solved[:, :, 1:]
        left = 1 - (with_all * projected).sum(1)
        with_rest = self.with_target - (coefficients[:, :, None] * with_all).sum(1)
        rest = 1 - (coefficients * self.with_target[s]).sum(1)
        return self.costs[s], with_rest.square(), left, rest
