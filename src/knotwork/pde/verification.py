"""Whether a solution is one: its residuals at points that were not used, each relative to the terms that it sums."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, pi, prod
from typing import NamedTuple

import torch
from torch import Tensor

from knotwork.kan import KAN
from knotwork.pde.error_growth import ErrorGrowth
from knotwork.pde.problems.directional import Multi
from knotwork.pde.problems.evaluation_context import EvaluationContext
from knotwork.pde.problems.points import PointSet, condition_points, domain_points
from knotwork.pde.problems.problem import Problem
from knotwork.pde.settings import PDE
from knotwork.pde.solution import Check, Solution, other_points
from knotwork.pde.solving.linear_parts import LinearParts, linear_parts
from knotwork.pde.solving.terms import Term
from knotwork.pde.strategies.time_windows import window_problem
from knotwork.solvers import StopReason

Key = tuple[str, Multi]  # a field, and the order of its derivative by each coordinate


class Window(NamedTuple):
    """One time window: its problem, its network, and points of the domain that were not used."""

    problem: Problem
    model: KAN
    x: Tensor


@dataclass(frozen=True)
class Judged:
    """One residual of one time window: "equation" or the kind of its condition, and what it is called."""

    window: int
    kind: str
    what: str
    linear: LinearParts


def verified(solution: Solution) -> Solution:
    """The solution with its checks. If one fails, it has not converged."""
    checks = checks_of(solution)
    failed = [check for check in checks if not check.met]
    if not failed or not solution.stop.converged:
        return replace(solution, checks=checks)
    sentence = f"{_sentence(failed, solution.problem)} (the steps ended: {solution.stop_reason})"
    return replace(solution, checks=checks, stop=StopReason.UNSOLVED, stop_reason=sentence)


@torch.no_grad()
def checks_of(solution: Solution) -> tuple[Check, ...]:
    """A check of every equation and condition but measured data, and of each field whose error can be estimated.

    Where there are several time windows it is that of the worst.
    """
    unknowns = torch.tensor([e.value for e in solution.unknowns.values()], dtype=torch.float64)
    windows = list(_windows(solution))
    judged = [
        Judged(number, kind, what if len(found) == 1 else f"{what}, residual {e}", linear)
        for number, (problem, model, x) in enumerate(windows)
        for kind, what, term in _terms(problem, x)
        for found in [linear_parts(term, model, unknowns)]
        for e, linear in enumerate(found, 1)
    ]
    sizes, means = sizes_of(solution.problem, windows, judged, unknowns)
    worst: dict[str, Check] = {}
    for one in judged:
        check = Check(one.what, relative_residual(one.linear, sizes, means), PDE.largest_relative_residual)
        if one.what not in worst or not check.relative <= worst[one.what].relative:
            worst[one.what] = check
    zero = _zero(solution.problem)
    grown = [
        Check(f"the field {name}", error / sizes[name, zero], PDE.largest_error)
        for name, error in _grown_errors(windows, judged).items()
    ]
    return (*worst.values(), *grown)


def relative_residual(linear: LinearParts, sizes: Mapping[Key, float], means: Mapping[str, float]) -> float:
    """The root mean square of a residual, relative to what it would be if its terms did not cancel.

    Its terms are |slope by a field or derivative|·(its size), and the rest. Fields are measured from their means, so
    that a large constant, as in a temperature in kelvins, makes no term large.
    """
    rest, terms = linear.rest(), torch.zeros_like(linear.residual)
    for part in linear.parts:
        terms = terms + part.slopes.abs() * sizes[part.field, part.multi]
        rest = rest if any(part.multi) else rest + part.slopes * means[part.field]
    return _rms(linear.residual) / max(_rms(terms + rest.abs()), PDE.smallest_size)


def sizes_of(
    problem: Problem, windows: Sequence[Window], judged: Sequence[Judged], unknowns: Tensor
) -> tuple[dict[Key, float], dict[str, float]]:
    """The size of every field and derivative in the residuals over all windows, and the means of the fields.

    That of a field is its standard deviation, that of a derivative its root mean square, or that of the slowest wave
    across the domain if this is larger. A field that is constant or zero has a size too: a share of its mean, and of
    what would balance the other terms of an equation. Where nothing but zero is prescribed it is that of the random
    networks a solution starts from.
    """
    zero = _zero(problem)
    keys = sorted(
        {(p.field, p.multi) for one in judged for p in one.linear.parts} | {(f, zero) for f in problem.fields}
    )
    values = torch.cat([_derivatives(window, keys, unknowns) for window in windows], dim=1)
    found = dict(zip(keys, values, strict=True))
    means = {name: float(found[name, zero].mean()) for name in problem.fields}
    rates = [pi / (high - low) for low, high in problem.domain.values()]
    wave = {multi: prod(rate**order for rate, order in zip(rates, multi, strict=True)) for _, multi in keys}
    own = {
        name: max(float(found[name, zero].std(correction=0)), PDE.constant_share * _rms(found[name, zero]))
        for name in problem.fields
    }
    sizes = {(f, m): max(_rms(found[f, m]) if any(m) else 0.0, own[f] * wave[m]) for f, m in keys}
    homogeneous = all(_is_homogeneous(one.linear) for one in judged)
    least = dict.fromkeys(problem.fields, PDE.start_size if homogeneous else inf)
    for equation in (one.linear for one in judged if one.kind == "equation" and not homogeneous):
        terms = sum((p.slopes.abs() * sizes[p.field, p.multi] for p in equation.parts), equation.rest().abs())
        for p in equation.parts:
            balance = _rms(terms) / max(_rms(p.slopes) * wave[p.multi], PDE.smallest_size)
            least[p.field] = min(least[p.field], PDE.balance_share * balance)
    return {(f, m): max(size, (least[f] if least[f] < inf else 0.0) * wave[m]) for (f, m), size in sizes.items()}, means


def _windows(solution: Solution) -> Iterator[Window]:
    former = None
    for model, ends in zip(solution.models, solution.windows, strict=True):
        problem = window_problem(solution.problem, ends, former)
        x = other_points(problem)
        yield Window(problem, model, x if len(x) else domain_points(problem, 0, 0).x)
        former = model


def _terms(problem: Problem, x: Tensor) -> Iterator[tuple[str, str, Term]]:
    """The kind, the name and the term of the equation and of every condition but measured data."""
    yield "equation", "the equation", Term(problem, "equation", problem.equation, PointSet(x))
    for number, condition in enumerate(problem.conditions, 1):
        if condition.kind != "data":  # which may be noisy
            seed = PDE.test_seed - 100 * number
            for points in condition_points(problem, condition, PDE.test_face_points, seed):
                name = f"condition {number}, {condition.kind}()"
                yield condition.kind, name, Term(problem, condition.kind, condition.residual, points)


def _derivatives(window: Window, keys: Sequence[Key], unknowns: Tensor) -> Tensor:
    """The values of fields and derivatives at the points of a window, (keys, n)."""
    problem = window.problem
    named = [
        [c for c, order in zip(problem.coordinates, multi, strict=True) for _ in range(order)] for _, multi in keys
    ]

    def residual(context: EvaluationContext) -> tuple[Tensor, ...]:
        fields = [context.field(name) for name, _ in keys]
        return tuple(f.d(*names) if names else f.value for f, names in zip(fields, named, strict=True))

    term = Term(problem, "the sizes of fields", residual, PointSet(window.x))
    term.prepare(window.model)
    return term.values(window.model, unknowns)


def _is_homogeneous(linear: LinearParts) -> bool:
    """Whether zero fields make a residual zero: its rest is that of rounding."""
    terms = sum((part.slopes * part.values).abs() for part in linear.parts)
    return _rms(linear.rest()) <= PDE.homogeneous_share * _rms(torch.as_tensor(terms))


def _grown_errors(windows: Sequence[Window], judged: Sequence[Judged]) -> dict[str, float]:
    """The estimated error of each field of an initial value problem in one coordinate; of another problem none."""
    problem = windows[0].problem
    if len(problem.domain) > 1 or problem.unknowns or any(c.kind == "data" for c in problem.conditions):
        return {}
    growth = None
    for number, window in enumerate(windows):
        here = [one for one in judged if one.window == number]
        ends = next(iter(window.problem.domain.values()))
        starts = [one.linear for one in here if one.kind != "equation"]
        if any(one.kind == "periodic" for one in here) or any(bool((c.x != ends[0]).any()) for c in starts):
            return {}
        equations = [one.linear for one in here if one.kind == "equation"]
        growth = growth or ErrorGrowth(problem.fields, equations)
        if not growth.possible(starts):
            return {}
        growth.start(starts, continues=number > 0)
        growth.carry(equations, ends)
    return growth.errors() if growth else {}


def _sentence(failed: Sequence[Check], problem: Problem) -> str:
    """What is not met, by how much, and what to try."""
    worst = max(failed, key=lambda check: check.relative / check.most if check.relative >= 0 else inf)
    finer = "a finer grid=, more starts= or a larger network"
    if problem.time is not None and not problem.unknowns:
        finer = f"shorter time windows (windows=), {finer}"
    if worst.what.startswith("condition"):
        return (
            f"not solved: {worst}; see whether another condition contradicts it, try a larger weight= of it, or {finer}"
        )
    return f"not solved: {worst}; try {finer}"


def _zero(problem: Problem) -> Multi:
    return (0,) * len(problem.domain)


def _rms(values: Tensor) -> float:
    return float(values.square().mean().sqrt())
