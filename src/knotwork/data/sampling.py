"""Data sets drawn from a known function."""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from knotwork.data.dataset import Dataset, Scale, assemble, check_dtype, default_target
from knotwork.data.names import unknown_name
from knotwork.data.randomness import seeded
from knotwork.errors import DataError


def sample(
    expression: Any,
    /,
    size: int = 1000,
    test_size: int = 1000,
    noise: float = 0.0,
    seed: int = 0,
    validation_size: int | None = None,
    scale: Scale = False,
    dtype: torch.dtype = torch.float64,
    title: str = "",
    **ranges: tuple[float, float],
) -> Dataset:
    """A data set with inputs drawn uniformly from `ranges` and targets computed by `expression`.

        sample("exp(sin(pi*x) + y**2)", x=(-1, 1), y=(-1, 1), size=1000, noise=0.01)

    `expression` is a text for `knotwork.expressions.parse`, or a function of one tensor (rows,) a variable, which
    returns (rows,) or (rows, out) and is called with the variables as keywords. The inputs stand in the order of the
    ranges. `size` counts the training rows alone; `validation_size` more are drawn (default a fifth of `size`) and
    `test_size` more. Gaussian noise of standard deviation noise * rms(y) is added to the targets of training and
    validation rows; test rows stay exact. The three parts are drawn independently: the test rows of a seed stay the
    same for every `size` and `noise`.
    Raises DataError for ranges that do not fit the expression, and where it has no finite value.
    """
    check_dtype(dtype)
    validation_size = max(1, size // 5) if validation_size is None else validation_size
    for name, count, least in (("size", size, 2), ("test_size", test_size, 0), ("validation_size", validation_size, 0)):
        if isinstance(count, bool) or not isinstance(count, int) or count < least:
            raise DataError(f"{name}={count!r} is not a number of rows: give an integer of {least} or more.")
    if not (isinstance(noise, (int, float)) and 0 <= noise < math.inf):
        raise DataError(f"noise={noise!r} is not a noise level: give a number of 0 or more (a share of rms(y)).")
    bounds = {name: _interval(name, interval) for name, interval in ranges.items()}
    function = _function(expression, bounds)
    names = tuple(bounds)
    low, high = torch.tensor(list(bounds.values()), dtype=torch.float64).T

    seeds = torch.randint(2**62, (3,), generator=seeded(seed)).tolist()
    generators = [torch.Generator().manual_seed(s) for s in seeds]
    parts, level = [], None
    for rows, generator in zip((size, validation_size, test_size), generators, strict=True):
        X = low + (high - low) * torch.rand(rows, len(names), generator=generator, dtype=torch.float64)
        y = _values(function, X, names)
        level = noise * y.square().mean(dim=0).sqrt() if level is None else level
        if noise and generator is not generators[2]:
            y = y + level * torch.randn(y.shape, generator=generator, dtype=torch.float64)
        parts += [X, y]
    outputs = parts[1].shape[1]
    target = default_target(names, "f")
    targets = (target,) if outputs == 1 else tuple(f"{target}_{i + 1}" for i in range(outputs))
    if not title:
        title = getattr(expression, "__name__", "function") if callable(expression) else str(expression)
    return assemble(parts, names, targets, scale=scale, dtype=dtype, title=title, ranges=list(bounds.values()))


def _interval(name: str, interval: Any) -> tuple[float, float]:
    try:
        low, high = (float(bound) for bound in interval)
    except (TypeError, ValueError):
        raise DataError(f"{name}={interval!r} is not a range: give two numbers, {name}=(low, high).") from None
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise DataError(f"{name}=({low:g}, {high:g}) is not a range: low must be below high, both finite.")
    return low, high


def _function(expression: Any, ranges: Mapping[str, Any]) -> Callable[..., Any]:
    """A function of one tensor a range, in that order, after checking that its variables and the ranges agree."""
    if isinstance(expression, str):
        from knotwork import expressions

        used = expressions.variable_names(expression, ranges)
        _check_ranges(used, ranges, known=used)
        return expressions.to_torch(expressions.parse(expression, used), tuple(ranges))
    if hasattr(expression, "free_symbols"):
        from knotwork import expressions

        used = sorted(symbol.name for symbol in expression.free_symbols)
        _check_ranges(used, ranges, known=used)
        return expressions.to_torch(expression, tuple(ranges))
    if not callable(expression):
        kind = type(expression).__name__
        raise DataError(f"expression has type {kind}: give a text such as 'sin(x) + y', or a function of tensors.")
    return _called_by_name(expression, ranges)


def _called_by_name(function: Callable[..., Any], ranges: Mapping[str, Any]) -> Callable[..., Any]:
    names = tuple(ranges)
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        parameters = ()
    if not parameters or any(p.kind in (p.POSITIONAL_ONLY, p.VAR_POSITIONAL) for p in parameters):
        _check_ranges((), ranges, known=None)
        return function
    required = [p.name for p in parameters if p.default is p.empty and p.kind is not p.VAR_KEYWORD]
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters)
    _check_ranges(required, ranges, known=None if open_ended else [p.name for p in parameters])
    return lambda *columns: function(**dict(zip(names, columns, strict=True)))


def _check_ranges(required: Sequence[str], ranges: Mapping[str, Any], known: Sequence[str] | None) -> None:
    missing = [name for name in required if name not in ranges]
    if missing:
        raise DataError(f"The expression uses {missing[0]} but no range was given: add {missing[0]}=(low, high).")
    extra = [name for name in ranges if known is not None and name not in known]
    if extra:
        raise DataError(unknown_name(extra[0], known or (), "variable") + f" Drop {extra[0]}= or use it.")
    if not ranges:
        raise DataError("The expression has no variable with a range: add one such as x=(-1, 1).")


def _values(function: Callable[..., Any], X: Tensor, names: Sequence[str]) -> Tensor:
    """Targets of shape (rows, out) in float64."""
    y = torch.as_tensor(function(*X.unbind(dim=1))).detach().to("cpu", torch.float64)
    y = y.expand(len(X)) if y.ndim == 0 else y
    y = y[:, None] if y.ndim == 1 else y
    if y.ndim != 2 or len(y) != len(X):
        raise DataError(f"The function returned shape {tuple(y.shape)} for {len(X)} rows, not (rows,) or (rows, out).")
    bad = ~torch.isfinite(y).all(dim=1)
    if bad.any():
        row = int(bad.nonzero()[0])
        point = ", ".join(f"{name}={value:.6g}" for name, value in zip(names, X[row].tolist(), strict=True))
        raise DataError(
            f"The expression is not finite at {int(bad.sum())} of {len(X)} points, the first {point}: "
            "narrow the ranges to where it is defined."
        )
    return y
