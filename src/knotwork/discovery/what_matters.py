"""How much each input matters: to the formula, or to the baseline network where that predicts rows better."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from knotwork.data import Dataset
from knotwork.discovery.baseline import smooth_fit
from knotwork.discovery.settings import DISCOVERY
from knotwork.formulas import Formula
from knotwork.kan import KAN
from knotwork.simplify import input_shares
from knotwork.training import FitResult, Reporter

Values = Callable[[Tensor], Tensor]
"""The prediction (n,) for rows (n, in)."""


@dataclass(frozen=True)
class Importance(Mapping[str, float]):
    """Share of each input in what predictions depend on: a mapping from names to shares, which sum to one.

    A share is the mean squared change of predictions when this input alone is drawn anew from other rows, divided by
    the sum of those of all inputs: proportional to the total Sobol' index (Jansen 1999) of inputs that do not depend
    on each other. Where predictions depend on nothing, all shares are zero.

    Attributes:
        shares: the shares by name.
        spread: standard deviation of each share over refits to rows drawn anew with repetition, by name.
        source: what was examined: "the formula", or "the baseline network", where that predicts rows better.
        correlated: inputs that move together, in words, so that the rows can hardly tell their shares apart.

    Example:
        >>> import numpy as np, knotwork as kw
        >>> X = np.random.default_rng(0).uniform(1, 2, (200, 2))
        >>> importance = kw.discover(X, X[:, 0] ** 3 * X[:, 1], names=["a", "b"]).importance
        >>> print(f"{importance['a']:.2f} of {importance.source}")
        0.90 of the formula
    """

    shares: Mapping[str, float]
    spread: Mapping[str, float] = field(default_factory=dict)
    source: str = "the formula"
    correlated: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> float:
        return self.shares[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.shares)

    def __len__(self) -> int:
        return len(self.shares)

    @property
    def told(self) -> dict[str, float]:
        """The spreads that are large enough to tell beside a share in percent, by name."""
        return {name: one for name, one in self.spread.items() if one >= DISCOVERY.spread_shown}

    @property
    def words(self) -> dict[str, str]:
        """The share of every input as a text such as "37.1% ± 0.4%", by name, the largest first."""
        told = self.told
        ranked = sorted(self.shares, key=lambda name: -self.shares[name])
        return {name: f"{self.shares[name]:.1%}" + (f" ± {told[name]:.1%}" if name in told else "") for name in ranked}

    @property
    def measured(self) -> str:
        """How the shares were measured, as sentences."""
        said = f"Mean squared change of the predictions of {self.source} when one input alone is drawn from other rows."
        return f"{said} ± is the standard deviation over refits to rows drawn anew." if self.told else said

    def __str__(self) -> str:
        return ", ".join(f"{name} {words}" for name, words in self.words.items())


def importance_of(
    formula: Formula, baseline: FitResult | None, data: Dataset, relative: bool, reporter: Reporter
) -> Importance:
    """The importance of the inputs to the formula, or to the baseline network if that predicts rows better.

    `relative` says that errors are shares of the targets. The network is not fitted again once the reporter is late.
    """
    generator = torch.Generator().manual_seed(DISCOVERY.seed_of_importance)
    rows = torch.cat([data.X_train, data.X_val])
    rows = rows[torch.randperm(len(rows), generator=generator)[: DISCOVERY.rows_of_importance]]
    network = baseline is not None and better(baseline, formula, data, relative)
    if network:
        assert baseline is not None and isinstance(baseline.model, KAN)
        scores = input_shares(baseline.model, data)
        inputs = [n for n, name in enumerate(data.input_names) if scores[name] > 0]
        drawn = (_of_network(one) for one in _refits(baseline, data, generator, reporter))
        whole = _of_network(baseline)
    else:
        used = {str(one) for one in formula.expression.free_symbols}
        inputs = [n for n, name in enumerate(data.input_names) if name in used]
        drawn = (_of_formula(formula, data, one) for one in _drawn_constants(formula, generator))
        whole = _of_formula(formula, data)
    shares = _shares(whole, rows, inputs, relative, generator)
    several = []
    for one in drawn:
        again = rows[torch.randint(len(rows), (len(rows),), generator=generator)]
        several.append(_shares(one, again, inputs, relative, generator))
    spread = np.std(np.array(several), axis=0) if several else np.full(len(shares), math.nan)
    return Importance(
        dict(zip(data.input_names, map(float, shares), strict=True)),
        dict(zip(data.input_names, map(float, spread), strict=True)),
        "the baseline network" if network else "the formula",
        correlated_inputs(rows, data.input_names, shares.tolist()),
    )


def better(baseline: FitResult, formula: Formula, data: Dataset, relative: bool) -> bool:
    """Whether the network predicts rows that it was not fitted to better than the formula, by more than chance."""
    x, y = torch.cat([data.X_val, data.X_test]), torch.cat([data.y_val, data.y_test])[:, 0]
    if len(x) < DISCOVERY.fewest_rows_compared:
        return False
    unit = y.abs() if relative else torch.ones_like(y)
    of_formula, of_network = (
        ((one(x) - y) / unit).square() for one in (_of_formula(formula, data), _of_network(baseline))
    )
    gain = (of_formula - of_network).nan_to_num(nan=0.0, posinf=1e150, neginf=-1e150)
    return float(gain.mean()) > DISCOVERY.errors_of_gain * float(gain.std()) / math.sqrt(len(gain))


def correlated_inputs(rows: Tensor, names: Sequence[str], shares: Sequence[float]) -> tuple[str, ...]:
    """Pairs of inputs whose ranks are strongly correlated, one of which matters, in words; the strongest first."""
    ranks = rows.argsort(0).argsort(0).double()
    ranks = ranks - ranks.mean(0)
    sizes = ranks.norm(dim=0).clamp_min(1e-300)
    correlation = (ranks / sizes).T @ (ranks / sizes)
    varied = [i for i in range(len(names)) if len(rows[:, i].unique()) > 1]
    pairs = [
        (abs(float(correlation[i, j])), i, j)
        for n, i in enumerate(varied)
        for j in varied[n + 1 :]
        if abs(float(correlation[i, j])) >= DISCOVERY.strong_correlation
        and max(shares[i], shares[j]) >= DISCOVERY.negligible_importance
    ]
    pairs.sort(reverse=True)
    return tuple(
        f"{names[i]} and {names[j]} (rank correlation {float(correlation[i, j]):.2f})"
        for _, i, j in pairs[: DISCOVERY.most_pairs_shown]
    )


def _shares(
    values: Values, rows: Tensor, inputs: Sequence[int], relative: bool, generator: torch.Generator
) -> np.ndarray:
    """The shares of all inputs (in,) on these rows; those that are not among `inputs` have none."""
    before, found = values(rows), np.zeros(rows.shape[1])
    for i in inputs:
        changed = rows.clone()
        changed[:, i] = rows[torch.randperm(len(rows), generator=generator), i]
        after = values(changed)
        change = (after - before) / (torch.maximum(after.abs(), before.abs()) if relative else 1.0)
        known = change.isfinite()
        found[i] = float(change[known].square().mean()) if bool(known.any()) else 0.0
    size = 1.0 if relative else float(before[before.isfinite()].square().mean())
    found = np.where(found > DISCOVERY.smallest_change**2 * size, found, 0.0)
    return found / (found.sum() or 1.0)


def _of_network(fit: FitResult) -> Values:
    def values(rows: Tensor) -> Tensor:
        with torch.no_grad():
            return fit.model(rows)[:, 0].double()

    return values


def _of_formula(formula: Formula, data: Dataset, expression: Any = None) -> Values:
    """The values of the formula, or of an expression of its variables."""
    from knotwork.expressions import to_torch

    function = to_torch(formula.expression if expression is None else expression, list(data.input_names))

    def values(rows: Tensor) -> Tensor:
        own = (rows if data.scaling is None else data.scaling.undo(rows)).double()
        return function(*own.unbind(1)) * torch.ones(len(own), dtype=torch.float64)

    return values


def _drawn_constants(formula: Formula, generator: torch.Generator) -> Iterator[Any]:
    """The expression with constants as fits to other rows would give them: drawn from their normal distribution."""
    uncertainty = formula.uncertainty[0]
    places, factor = list(uncertainty.template.values), uncertainty.factor.double()
    best = torch.tensor([float(value) for value in uncertainty.template.values.values()], dtype=torch.float64)
    deviation = uncertainty.deviation if math.isfinite(uncertainty.deviation) else 0.0
    for _ in range(DISCOVERY.draws_of_importance):
        noise = torch.randn(len(factor), generator=generator, dtype=torch.float64)
        drawn = best + deviation * (noise @ factor) if len(factor) else best
        yield uncertainty.template.expression.subs(dict(zip(places, drawn.tolist(), strict=True)))


def _refits(baseline: FitResult, data: Dataset, generator: torch.Generator, reporter: Reporter) -> Iterator[FitResult]:
    """The baseline network fitted on to training rows drawn anew with repetition."""
    if reporter.late:
        return
    within = reporter.within("measuring what matters")
    for _ in range(DISCOVERY.refits_of_importance):
        if within.late:
            return
        some = torch.randint(len(data.X_train), (len(data.X_train),), generator=generator)
        changed: dict[str, Any] = {"X_train": data.X_train[some], "y_train": data.y_train[some], "row_numbers": None}
        if data.errors is not None:
            first, *others = data.errors.weights
            changed["errors"] = replace(data.errors, weights=(first[some], *others))
        assert isinstance(baseline.model, KAN)
        yield smooth_fit(baseline.model.copy(), replace(data, **changed), within)
