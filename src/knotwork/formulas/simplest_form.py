"""Shorter expressions that have the same values on the training rows."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from knotwork.data import Dataset
from knotwork.errors import ExpressionError
from knotwork.formulas.goals import targets_of
from knotwork.formulas.settings import FORMULAS
from knotwork.formulas.values import evaluate, original_units
from knotwork.sizes import root_mean_square
from knotwork.training.levenberg_marquardt import NORMAL
from knotwork.training.likelihood import Goal


def simplest(
    expression: Any, data: Dataset, relative: bool = False, allowed: Callable[[Any], bool] = lambda _: True
) -> Any:
    """The shortest among forms of the expression: constants collected, terms combined, identities applied.

    Decimals that are whole or simple numbers become these, and others are moved where they are easier to read. The
    result must have the same values on the training and validation rows, to 1e-9 of their size; of each single value
    if `relative`. A form that is not `allowed` is not taken.
    """
    from knotwork.expressions import algebra, complexity, equal_forms, readable, simplify, simplify_constants

    equal = same_values(expression, data, relative)
    x = original_units(data, torch.cat([data.X_train, data.X_val]))
    samples = {name: column.double().numpy() for name, column in zip(data.input_names, x.T, strict=True)}
    negligible = 0.0 if relative else 1e-10  # of the largest value, beside which small ones may be anything

    def same(candidate: Any) -> bool:
        return equal(candidate) and allowed(candidate)

    best: Any = expression
    ways: tuple[Callable[[Any], Any], ...] = (
        lambda e: simplify(e, samples, negligible),
        lambda e: simplify_constants(e, same, 1e-11),  # factors that have combined to 1
        lambda e: algebra.powdenest(e, force=True),  # valid for positive variables; `same` checks the values
        algebra.factor_terms,
    )
    for way in ways:
        try:
            candidate: Any = way(best)
            if complexity(candidate) < complexity(best) and same(candidate):
                best = candidate
        except (ExpressionError, algebra.PolynomialError, NotImplementedError):
            continue

    def length(
        form: Any,
    ) -> tuple[int, int, int]:  # of equally long forms, one with fewer functions or powers is simpler
        powers = sum(part.is_Pow for part in algebra.preorder_traversal(form))
        return complexity(form), len(form.atoms(algebra.Function)), powers

    for _ in range(FORMULAS.rounds_of_forms):
        forms = sorted(equal_forms(best, samples, FORMULAS.longest_form), key=length)
        shorter = next((form for form in forms if length(form) < length(best) and same(form)), None)
        if shorter is None:
            break
        collected = simplify(shorter, samples, negligible)
        best = collected if same(collected) else shorter
    whole = simplify_constants(best, same, 1e-11)
    return readable(whole if complexity(whole) <= complexity(best) else best, same)


def same_values(expression: Any, data: Dataset, relative: bool = False, rounding: float = 0.0) -> Callable[[Any], bool]:
    """A test whether a form has the values of the expression on the training and validation rows.

    They may differ by 1e-9 of the root mean square of these values, or by `rounding` of it if that is more; by the same
    share of each single value if `relative`.
    """
    x = torch.cat([data.X_train, data.X_val])
    before = evaluate((expression,), data, x)
    size = before.abs() if relative else root_mean_square(before)
    allowed = max(FORMULAS.exact_error, rounding)

    def same(candidate: Any) -> bool:
        apart = (evaluate((candidate,), data, x) - before).abs()
        if relative:
            return bool((apart <= allowed * size).all())
        return float(root_mean_square(apart)) <= allowed * float(size)

    return same


def simplified_output(expressions: Sequence[Any], data: Dataset, output: int, goal: Goal) -> Any:
    from knotwork.expressions import readable, simplify, simplify_constants

    expression, x, y = expressions[output], data.X_train[: FORMULAS.judged_rows], data.y_train[: FORMULAS.judged_rows]
    columns = original_units(data, x)
    samples = {name: columns[:, n].double().numpy() for n, name in enumerate(data.input_names)}
    shorter = simplify(expression, samples)
    if goal is NORMAL:
        y = y[:, output : output + 1]
    others, y = evaluate(expressions, data, x), targets_of(y, goal)

    def error(candidate: Any) -> float:
        values = evaluate((candidate,), data, x)
        if goal is NORMAL:
            return float(root_mean_square(values - y))
        values = torch.cat([others[:, :output], values, others[:, output + 1 :]], dim=1)
        return goal.scale(y) * float(goal.values(values, y).sum())

    before = error(expression)
    rounding = 1e-9 * float(root_mean_square(y))
    if not error(shorter) <= FORMULAS.error_growth * before + rounding:
        shorter = expression
    allowed = FORMULAS.error_growth * error(shorter) + rounding
    replaced = simplify_constants(shorter, lambda candidate: error(candidate) <= allowed)
    # after the replacement of a power or a factor, more terms may combine
    again = simplify(replaced, samples)
    return readable(again if error(again) <= allowed else replaced, lambda candidate: error(candidate) <= allowed)
