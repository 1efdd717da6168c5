"""Names of columns: uniqueness, unknown names, units as in `speed [m/s]`, and default names."""

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from knotwork.data.units import NONE
from knotwork.errors import DataError

_HEADER = re.compile(r"(?P<name>.*\S)\s*\[(?P<square>[^\[\]]*)\]|(?P<before>[^(\[]*\S)\s+\((?P<round>.*)\)")


def check_unique(names: Sequence[str], what: str) -> None:
    """Raises DataError if a name occurs twice."""
    repeated = [name for name in dict.fromkeys(names) if list(names).count(name) > 1]
    if repeated:
        raise DataError(f"{what} are not unique: {listed(repeated)} occurs more than once. Rename or drop one.")


def listed(names: Sequence[str], most: int = 8) -> str:
    """The names for a message: 'a', 'b', ... (20 in all)."""
    shown = ", ".join(f"'{name}'" for name in names[:most])
    return f"{shown}, ... ({len(names)} in all)" if len(names) > most else shown


def unknown_name(name: str, known: Sequence[str], what: str) -> str:
    """The message for an unknown name, with the most similar known name."""
    close = difflib.get_close_matches(str(name), list(known), n=1)
    hint = f"did you mean '{close[0]}'? The {what}s are" if close else f"the {what}s are"
    return f"There is no {what} '{name}': {hint} {listed(known, 20) or 'none'}."


def plain_names(names: Sequence[str]) -> list[str]:
    """The names, with x_3 for one that would look like the number 3 in a formula, and x_0 for an empty first one."""
    found = []
    for place, name in enumerate(names):
        header, text = str(name), _split(str(name).strip())[0].strip()
        if not text or _is_numeric(text):
            header = "x_" + (re.sub(r"\W+", "_", text).strip("_") or str(place))
            while header in found or header in names:
                header += "_"
        found.append(header)
    return found


def _is_numeric(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def split_units(headers: Sequence[str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """Names of columns, and the units in them: `speed [m/s]` and `speed (m/s)` are speed, in m/s.

    The text in brackets is a unit if it has a letter, % or °. The texts - and 1 are the unit of pure numbers, and empty
    brackets mean that no unit is known. Where names would not be unique without their brackets, they keep them.
    """
    parts = [_split(header) for header in headers]
    short = [name for name, _ in parts]
    for place, header in enumerate(headers):
        if short.count(short[place]) > 1:
            parts[place] = header, ""
    return tuple(name for name, _ in parts), {name: unit for name, unit in parts if unit}


def with_unit(name: str, units: Mapping[str, str]) -> str:
    """`speed [m/s]`; the name alone for a pure number and where no unit is known."""
    return f"{name} [{units[name]}]" if units.get(name, NONE) != NONE else name


def check_units(units: Any, names: Sequence[str]) -> None:
    """Raises DataError unless `units` maps names of columns to texts."""
    if not isinstance(units, Mapping):
        raise DataError(f"units={units!r} is not understood: give them by column, such as units={{'speed': 'm/s'}}.")
    for name, unit in units.items():
        if name not in names:
            raise DataError(unknown_name(name, names, "column"))
        if not isinstance(unit, str):
            raise DataError(f"The unit of '{name}' has type {type(unit).__name__}: give text such as 'm/s'.")


def _split(header: str) -> tuple[str, str]:
    found = _HEADER.fullmatch(header.strip())
    if not found:
        return header, ""
    name = found["name"] or found["before"]
    unit = (found["round"] if found["square"] is None else found["square"]).strip()
    if unit in ("", "-", NONE):
        return name, unit and NONE
    return (name, unit) if re.search(r"[^\W\d_]|[%°]", unit) else (header, "")


def default_target(names: Sequence[str], wanted: str = "y") -> str:
    """A name for the target that differs from all inputs."""
    return next(name for name in (wanted, "y", "f", "target", "_".join(("target", *names))) if name not in names)


def resolved_names(
    names: Sequence[str] | None,
    target_names: Sequence[str] | str | None,
    inputs: int,
    targets: int,
    units: Mapping[str, str] | None = None,
) -> tuple[tuple[str, ...], tuple[str, ...], dict[str, str]]:
    """Names of inputs and targets, and the units found in them or given as `units`.

    The default names are x_1, x_2, ... and y.
    """
    target_names = (target_names,) if isinstance(target_names, str) else target_names
    names = _named(names, [f"x_{i + 1}" for i in range(inputs)], "names", "X")
    target_names = _named(target_names, _default_targets(targets, names), "target_names", "y")
    every, found = split_units((*names, *target_names))
    inputs_named, targets_named = every[: len(names)], every[len(names) :]
    check_unique(inputs_named, "The names of inputs and targets")
    both = [name for name in targets_named if name in inputs_named]
    if both:
        raise DataError(
            f"The names of inputs and targets are not unique: {listed(both)} is an input and a target. A Series "
            'that is computed from a column keeps its name: y.rename("target") gives another.'
        )
    check_unique(targets_named, "The names of inputs and targets")
    if units is not None:
        check_units(units, every)
    units = {name: unit for name, unit in {**found, **(units or {})}.items() if unit}
    return inputs_named, targets_named, units


def _default_targets(count: int, names: Sequence[str]) -> list[str]:
    stem = default_target(names)
    return [stem] if count == 1 else [f"{stem}_{i + 1}" for i in range(count)]


def _named(names: Sequence[str] | None, default: Sequence[str], option: str, what: str) -> tuple[str, ...]:
    names = tuple(default) if names is None else tuple(plain_names([str(name) for name in names]))
    if len(names) != len(default):
        raise DataError(f"{option} has {len(names)} names, but {what} has {len(default)} columns: give one name each.")
    return names
