"""Fields, which residuals are written with: u, its derivatives u.d("x"), all tensors of shape (n,)."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from knotwork.errors import SpecError
from knotwork.keywords import check_keywords
from knotwork.pde.problems.directional import Directions, Multi, polarisation


class AnyJets(Protocol):
    """What a field takes its derivatives from."""

    coordinates: tuple[str, ...]

    def partial(self, multi: Multi) -> Tensor:
        """A partial derivative (n,)."""
        ...


class Jets:
    """The jets of one field at n points, (jet, n), in coordinates that are divided by `scale` (coordinates,)."""

    def __init__(self, values: Tensor, directions: Directions, coordinates: Sequence[str], scale: Tensor) -> None:
        self.values, self.directions, self.coordinates, self.scale = values, directions, tuple(coordinates), scale

    def partial(self, multi: Multi) -> Tensor:
        """A partial derivative (n,); SpecError if these directions do not give it."""
        if not any(multi):
            return self.values[0]
        parts, known = [], dict(zip(self.directions.vectors, self.directions.orders, strict=True))
        for factor, direction, order in polarisation(multi):
            if order > known.get(direction, 0):
                raise SpecError(
                    "the residual uses another derivative than in its first evaluation: let it use the same ones "
                    "whatever the values are (torch.where in place of if)."
                )
            parts.append(factor * self.values[self.directions.position(direction, order)])
        step = 1.0
        for s, times in zip(self.scale.tolist(), multi, strict=True):
            step *= s**times
        return torch.stack(parts).sum(0) / step


class DerivativeRecorder:
    """Replaces `Jets` in a residual's first evaluation: it records in `multis` which derivatives are used."""

    def __init__(self, like: Tensor, coordinates: Sequence[str], multis: set[Multi]) -> None:
        self.like, self.coordinates, self.multis = like, tuple(coordinates), multis

    def partial(self, multi: Multi) -> Tensor:
        """Numbers (n,) with a gradient, 1/2 each."""
        self.multis.add(multi)
        return torch.full_like(self.like, 0.5).requires_grad_()


@check_keywords
class Field:
    """An unknown function at n points, as residuals see it.

    `u.value` are its values (n,) and `u.d("x", "x")` its derivatives; arithmetic and torch's functions take `u` for
    its values.
    """

    def __init__(self, name: str, jets: AnyJets) -> None:
        self.name, self.jets = name, jets

    @property
    def value(self) -> Tensor:
        """The values (n,)."""
        return self.jets.partial((0,) * len(self.jets.coordinates))

    def d(self, *coordinates: str) -> Tensor:
        """The partial derivative (n,) by the named coordinates: u.d("x", "x") is ∂²u/∂x², u.d("x", "t") is ∂²u/∂x∂t.

        It is exact: that of the splines, by Taylor series through the layers.

        Args:
            coordinates: names of coordinates, one for each differentiation.

        Raises:
            SpecError: for no name, or one that is no coordinate of the problem.
        """
        known = self.jets.coordinates
        if not coordinates:
            raise SpecError(f'{self.name}.d() names no coordinate: write {self.name}.d("{known[0]}").')
        for name in coordinates:
            if name not in known:
                raise SpecError(
                    f"{self.name}.d({name!r}): there is no coordinate {name!r} in this problem, whose domain has "
                    f"{', '.join(known)}.{_hint(str(name), known)}"
                )
        return self.jets.partial(tuple(coordinates.count(name) for name in known))

    @classmethod
    def __torch_function__(cls, function: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        return function(*map(_plain, args), **{k: _plain(v) for k, v in (kwargs or {}).items()})

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.value, name)

    def __neg__(self) -> Tensor:
        return -self.value

    def __abs__(self) -> Tensor:
        return self.value.abs()

    def __add__(self, other: object) -> Tensor:
        return self.value + _plain(other)

    def __sub__(self, other: object) -> Tensor:
        return self.value - _plain(other)

    def __rsub__(self, other: object) -> Tensor:
        return _plain(other) - self.value

    def __mul__(self, other: object) -> Tensor:
        return self.value * _plain(other)

    def __truediv__(self, other: object) -> Tensor:
        return self.value / _plain(other)

    def __rtruediv__(self, other: object) -> Tensor:
        return _plain(other) / self.value

    def __pow__(self, other: object) -> Tensor:
        return self.value ** _plain(other)

    def __rpow__(self, other: object) -> Tensor:
        return torch.as_tensor(_plain(other)) ** self.value

    def __lt__(self, other: object) -> Tensor:
        return self.value < _plain(other)

    def __le__(self, other: object) -> Tensor:
        return self.value <= _plain(other)

    def __gt__(self, other: object) -> Tensor:
        return self.value > _plain(other)

    def __ge__(self, other: object) -> Tensor:
        return self.value >= _plain(other)

    __radd__, __rmul__ = __add__, __mul__


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(map(_plain, value))
    return value.value if isinstance(value, Field) else value


def call_by_name(function: Callable, what: str, given: Mapping[str, object]) -> Any:
    """The value of a user's function, whose arguments get the fields, coordinates and unknowns of their names.

    A function of *args gets all of them in order. SpecError for an argument that is none of them.
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some built-in functions have none
        return function(*given.values())
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return function(*given.values())
    positional, named = [], {}
    for p in parameters:
        if p.kind is p.VAR_KEYWORD or (p.name not in given and p.default is not p.empty):
            continue
        if p.name not in given:
            raise SpecError(
                f"{what} takes {p.name!r}, which this problem does not have: name its arguments among "
                f"{', '.join(given)}.{_hint(p.name, given)}"
            )
        if p.kind is p.POSITIONAL_ONLY:
            positional.append(given[p.name])
        else:
            named[p.name] = given[p.name]
    return function(*positional, **named)


def values_of(function: object, what: str, coordinates: Mapping[str, Tensor]) -> Tensor:
    """A number, or a function of the coordinates, at n points: (n,); SpecError for a result of another shape."""
    some = next(iter(coordinates.values()))
    found = call_by_name(function, what, coordinates) if callable(function) else function
    try:
        found = torch.as_tensor(found, dtype=some.dtype)
        return found.expand(len(some)) if found.ndim == 0 else found.reshape(some.shape)
    except (TypeError, ValueError, RuntimeError):
        came = f"shape {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
        raise SpecError(
            f"{what} gave {came} for {len(some)} points: it must be a number, or a function of "
            f"{', '.join(coordinates)} that gives one value a point, shape ({len(some)},)."
        ) from None


def _hint(name: str, known: Any) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.4)
    return f" Did you mean {close[0]}?" if close else ""
