"""Log-odds of labels as sums of few terms: combinations grow term by term, ranked by their likelihood."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from knotwork.formulas.constants import Sample
from knotwork.functions import NamedFunction
from knotwork.journal import recalled
from knotwork.regression.boundaries.settings import BOUNDARIES
from knotwork.regression.curve_names import IDENTITY
from knotwork.regression.sparse_fits import Support
from knotwork.regression.term_fits import Frame, TermFit
from knotwork.regression.term_table import TermTable


@dataclass(frozen=True)
class _Logistic:
    """A logistic regression: its coefficients (k,) of a constant and the terms, its bits, what labels leave (n,)."""

    coefficients: Tensor
    bits: float
    left: Tensor
    weights: Tensor


def sums_of_terms(sample: Sample, functions: Sequence[NamedFunction], straight: Sequence[int] = ()) -> list[TermFit]:
    """The sums of terms whose signs tell the labels of the sample best, the one of fewest bits first."""
    some = sample.first(BOUNDARIES.rows_of_terms)
    table = TermTable(list(some.columns.values()), functions, BOUNDARIES.terms, straight)
    search = _LabelTerms(table, some)
    chosen = recalled(
        "sums_of_terms",
        lambda: (some, list(functions), straight),
        lambda: _chosen(search),
        lambda found: found,
        lambda kept: kept,
    )
    return [search.fit(support) for support in chosen]


def _chosen(search: "_LabelTerms") -> list[Support]:
    found: dict[Support, float] = {}
    beam, least, worse = [()], search.bits(()), 0
    for width in BOUNDARIES.widths:
        beam = search.extended(beam, width)
        best = [support for support in beam[: BOUNDARIES.widths[-1]] if len(support) > 1]
        without = list(dict.fromkeys(s[:i] + s[i + 1 :] for s in best for i in range(len(s))))
        beam = search.ranked([*beam, *search.extended(without, width)])[:width]
        found.update({support: search.bits(support) for support in beam})
        worse = worse + 1 if not beam or search.bits(beam[0]) >= least else 0
        if not beam or worse == 2:  # of two squares, neither may pay for itself alone
            break
        least = min(least, search.bits(beam[0]))
    ranked = sorted(found, key=lambda support: found[support])
    sizes = {len(support): support for support in reversed(ranked)}
    return [support for n, support in enumerate(ranked) if n < BOUNDARIES.sums_named or sizes[len(support)] == support]


class _LabelTerms:
    """The terms of a table with size 1, and the logistic regressions on them so far."""

    def __init__(self, table: TermTable, sample: Sample) -> None:
        self.table, self.y, n = table, sample.y, len(sample)
        self.counts = torch.ones(n, dtype=torch.float64) if sample.weights is None else sample.weights
        size = table.values.square().mean(0).sqrt()
        varied = table.values.std(0, correction=0) > BOUNDARIES.least_new_direction * size
        self.usable = varied & size.isfinite()
        self.size = torch.where(self.usable, size, 1.0)
        self.unit = torch.where(self.usable, table.values / self.size, 0.0)
        self.price = math.log2(n + 1) * (table.costs + 2)  # the term, a coefficient and a sign
        self.known: dict[Support, _Logistic] = {}

    def bits(self, support: Support) -> float:
        """Bits of the labels and of the sum of these terms and a constant."""
        return self.regression(support).bits

    def ranked(self, supports: list[Support]) -> list[Support]:
        """Without repetitions, the fewest bits first."""
        return sorted(dict.fromkeys(supports), key=self.bits)

    def extended(self, supports: list[Support], width: int) -> list[Support]:
        """The best sums of one of these and one more term, the fewest bits first.

        The gain of every term is that of the score test, from one Newton step; the best are then fitted.
        """
        scored: dict[Support, float] = {}
        for support in supports:
            now, place = self.regression(support), list(support)
            design = torch.cat([torch.ones(len(self.y), 1, dtype=torch.float64), self.unit[:, place]], 1)
            weighed = design * now.weights[:, None]
            matrix = weighed.T @ design
            matrix.diagonal().add_(BOUNDARIES.ridge)
            with_all = weighed.T @ self.unit
            of_all = now.weights @ self.unit.square()
            information = of_all - (with_all * torch.linalg.solve(matrix, with_all)).sum(0)
            score = now.left @ self.unit
            new = self.usable & (information > BOUNDARIES.least_new_direction * of_all)
            gain = torch.where(new, score.square() / information.clamp_min(1e-300), 0.0) / (2 * math.log(2))
            gain = gain.clamp_max(max(now.bits, 0.0))  # a quadratic model may promise more than there is
            bits = (now.bits - gain + self.price).masked_fill(~new, torch.inf)
            bits[place] = torch.inf
            count = min(BOUNDARIES.candidates_of_each * width, int(bits.isfinite().sum()))
            values, columns = bits.topk(count, largest=False)
            for value, column in zip(values.tolist(), columns.tolist(), strict=True):
                scored.setdefault(tuple(sorted((*support, column))), value)
        best = sorted(scored, key=lambda support: scored[support])[: BOUNDARIES.candidates_of_each * width]
        return self.ranked(best)[:width]

    def regression(self, support: Support) -> _Logistic:
        """The logistic regression on these terms and a constant, by Newton steps."""
        if support in self.known:
            return self.known[support]
        design = torch.cat([torch.ones(len(self.y), 1, dtype=torch.float64), self.unit[:, list(support)]], 1)
        at, best = torch.zeros(design.shape[1], dtype=torch.float64), math.inf
        step, share = torch.zeros_like(at), 1.0
        for _ in range(BOUNDARIES.newton_steps):
            new = at + share * step
            log_odds = design @ new
            loss = self.loss(log_odds) + BOUNDARIES.ridge / 2 * float(new.square().sum())
            if not loss <= best:
                share /= 2
                continue
            at, best, share = new, loss, 1.0
            p = torch.sigmoid(log_odds)
            matrix = (design * (self.counts * p * (1 - p))[:, None]).T @ design
            matrix.diagonal().add_(BOUNDARIES.ridge + 1e-9 * float(matrix.diagonal().max()))
            step = torch.linalg.solve(matrix, design.T @ (self.counts * (self.y - p)) - BOUNDARIES.ridge * at)
        log_odds = design @ at
        p = torch.sigmoid(log_odds)
        bits = self.loss(log_odds) / math.log(2) + float(self.price[list(support)].sum())
        found = _Logistic(at, bits, self.counts * (self.y - p), self.counts * p * (1 - p))
        self.known[support] = found
        return found

    def loss(self, log_odds: Tensor) -> float:
        """The negative logarithm of the likelihood of the labels."""
        own = torch.where(self.y > 0.5, log_odds, -log_odds)
        return -float((self.counts * torch.nn.functional.logsigmoid(own)).sum())

    def fit(self, support: Support) -> TermFit:
        """The sum, in the form in which formulas are made of terms. The product of no inputs is the constant."""
        found, powers = self.regression(support), (0.0,) * len(self.table.columns)
        nothing = next(term for term in self.table.terms if term.part is None and not any(term.powers))
        above = [
            (float(c) / float(self.size[n]), self.table.terms[n])
            for c, n in zip(found.coefficients[1:], support, strict=True)
        ]
        above.append((float(found.coefficients[0]), nothing))
        frame = Frame(IDENTITY, powers, nothing)
        return TermFit(frame, above, [], 0.0, 0.0, found.bits, self.table, found.left)
