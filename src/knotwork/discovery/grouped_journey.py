"""From a table with groups to one law for all of them."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from knotwork.discovery.forms import law_of_form
from knotwork.discovery.grouped_discovery import GroupedDiscovery, GroupedEntry
from knotwork.discovery.grouped_table import GroupedTable, grouped_table
from knotwork.discovery.known_form import form_of
from knotwork.discovery.table import dimensions_of, relative_errors
from knotwork.discovery.task import check_settings
from knotwork.errors import TrainingError, warn
from knotwork.formulas.dimensions import Dimensions
from knotwork.formulas.grouped_measuring import measured_groups
from knotwork.journal import clock
from knotwork.regression import Constraints, Failures, GroupedCandidate, GroupedSearch, Limits
from knotwork.solvers import StopReason
from knotwork.training import Callback, Reporter, reporting


def discover_groups(
    X: Any,
    y: Any,
    groups: Any,
    names: Sequence[str] | None = None,
    lib: Iterable[str] | None = None,
    time_budget: float | None = None,
    seed: int = 0,
    units: Mapping[str, str] | Literal[False] | None = None,
    forbid: Iterable[str] | None = None,
    linear: Iterable[str] | None = None,
    limited: Sequence[Any] = (),
    form: str | None = None,
    shared: Iterable[str] | None = None,
    loss: str = "auto",
    progress: bool | None = None,
    callback: Callback | None = None,
) -> GroupedDiscovery:
    """One law for all groups; the arguments are those of `discover`, and `limited` those of `Limits.of`."""
    began = clock()
    check_settings(seed, time_budget, loss)
    rows = grouped_table(X, y, groups, names, units, seed)
    limits = Limits.of(rows.data.input_names, *limited)
    constraints = Constraints.of(lib, forbid, linear, rows.data.input_names, limits)
    dimensions = None if units is False else dimensions_of(rows.data, given=bool(units))
    relative = relative_errors(rows.data, loss)
    failures, found, reason = Failures(), [], None
    with reporting(progress, callback) as reporter:
        until = math.inf if time_budget is None else began + time_budget
        grouped = rows.sample(relative=relative)
        search = GroupedSearch(grouped, constraints, seed, until, reporter, failures)
        try:
            given = None if form is None else law_of_form(form, shared, grouped, seed, constraints)
            for law in search.laws() if given is None else [given]:
                found.append(law)
                reporter.front(_front(found, _plain_entry))
        except KeyboardInterrupt:
            reason = StopReason.INTERRUPTED
        reason = reason or _reason(search, reporter, until)
    symbols = () if form is None else [s.name for s in form_of(form, rows.data.input_names)[1]]
    front = _front(found, lambda law: _entry(law, rows, relative, dimensions, symbols))
    chosen = min(front, key=lambda entry: entry.bits)
    assert chosen.formula is not None
    if not chosen.formula.template.free_symbols & set(_symbols(rows)):
        warn(
            f"no law that was tried explains {rows.data.target_names[0]} better than a constant of each group does, by "
            "more than chance."
        )
    settings = {
        "form": form,
        "seed": seed, "functions": constraints.names if lib is not None or forbid is not None else None,
        "forbidden": [one.name for one in constraints.forbidden], "linear": list(constraints.linear),
        "time budget": time_budget, "loss": "relative" if relative else "mse", "groups": rows.name,
    }  # fmt: skip
    labels = tuple(rows.labels[n] for n in rows.training.tolist())
    seconds = clock() - began
    return GroupedDiscovery(
        chosen.formula, front, chosen.shape, rows.data, labels, seconds, reason, settings, dict(failures.reasons)
    )


def refuse_with_groups(loss: str, **given: Any) -> None:
    """Refuse arguments that a search with groups does not know; TrainingError."""
    wrong = [f"{name}=" for name, value in given.items() if value is not None]
    wrong = [f"loss={loss!r}"] * (loss in ("huber", "poisson")) + wrong
    if wrong:
        raise TrainingError(
            f"{' and '.join(wrong)} cannot be given with groups=: all rows count alike there, and a share of the "
            "rows of every group are test rows. Leave it out, or search in each group on its own."
        )


def refuse_shared(shared: Iterable[str] | None) -> None:
    """Refuse constants that groups share where there are no groups; TrainingError."""
    if shared is not None:
        raise TrainingError("shared= names constants of form= that all groups share: pass groups= and form=, too.")


def _symbols(rows: GroupedTable) -> list[Any]:
    from knotwork.expressions import symbol

    return [symbol(name) for name in rows.data.input_names]


def _reason(search: GroupedSearch, reporter: Reporter, until: float) -> StopReason:
    if reporter.stopped:
        return StopReason.CALLBACK
    if search.exact:
        return StopReason.EXACT
    if clock() > until:
        return StopReason.TIME_BUDGET
    return StopReason.RANDOM_RESIDUAL if search.random else StopReason.EXHAUSTED


def _front(found: Sequence[GroupedCandidate], entry: Any) -> tuple[GroupedEntry, ...]:
    """Entries of the laws that no shorter one with as few numbers beats, shortest first; each has fewer bits."""
    from knotwork.expressions import complexity

    ranked = sorted(
        found, key=lambda law: (complexity(law.template.expression), law.template.numbers, law.template.mse)
    )
    kept: list[GroupedCandidate] = []
    for law in ranked:
        beaten = any(
            one.template.numbers <= law.template.numbers and one.template.mse <= law.template.mse for one in kept
        )
        if not beaten or law is found[-1]:
            kept.append(law)
    return tuple(entry(law) for law in kept)


def _plain_entry(law: GroupedCandidate) -> GroupedEntry:
    from knotwork.expressions import complexity

    template = law.template
    size, error = complexity(template.expression), math.sqrt(template.mse)
    return GroupedEntry(size, template.numbers, error, template.of(0).filled(), law.structure, None, law.bits)


def _entry(
    law: GroupedCandidate, rows: GroupedTable, relative: bool, dimensions: Dimensions | None, symbols: Sequence[str]
) -> GroupedEntry:
    names = (rows.data.target_names[0], rows.name)
    samples = rows.sample(relative=relative), rows.sample(test=True)
    formula = measured_groups(law.template, *samples, names, rows.labels, dimensions, symbols)
    error, numbers = math.sqrt(law.template.mse), law.template.numbers
    return GroupedEntry(formula.complexity, numbers, error, formula.expression, law.structure, formula, law.bits)
