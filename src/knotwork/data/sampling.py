"""Data sets drawn from a known function."""

import difflib
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from knotwork.data.assembly import assemble
from knotwork.data.column_names import default_target, unknown_name
from knotwork.data.dataset import Dataset
from knotwork.data.matrix import check_dtype
from knotwork.data.randomness import seeded
from knotwork.data.scaling import Scale
from knotwork.data.splitting import row_count
from knotwork.errors import DataError
from knotwork.keywords import check_keywords


@check_keywords
def sample(
    expression: Any,
    /,
    size: int = 1000,
    *,
    validation_size: float = 0.2,
    test_size: float = 1000,
    noise: float = 0.0,
    seed: int = 0,
    scale: Scale = False,
    dtype: torch.dtype = torch.float64,
    title: str = "",
    **ranges: tuple[float, float],
) -> Dataset:
    """A data set whose inputs are drawn uniformly from ranges and whose targets are computed from them.

    The three parts are drawn independently: the test rows of a seed are the same for every `size` and `noise`.

    Args:
        expression: A text such as "exp(sin(pi*x) + y**2)", a SymPy expression, or a function that is called with one
            tensor (rows,) for each variable, by keyword, and returns (rows,) or (rows, out).
        size: Number of training rows, at least 2.
        validation_size: Number of validation rows, drawn in addition: an int counts rows, a float is a share of `size`.
        test_size: Number of test rows, drawn in addition, in the same form. Their targets have no noise.
        noise: Standard deviation of the Gaussian noise on the targets of training and validation rows, as a share of
            their root mean square.
        seed: Seed of inputs and noise, a whole number from 0.
        scale: "standard", "range" or False, as in `Dataset.from_arrays`.
        dtype: Floating-point type of the stored tensors.
        title: What the data are. Default: the expression.
        **ranges: The interval (low, high) of each variable, in the order of the input columns.

    Raises:
        DataError: The ranges do not fit the expression, or it has no finite value somewhere.

    Example:
        >>> import knotwork as kw
        >>> kw.sample("exp(sin(pi*x) + y**2)", x=(-1, 1), y=(-1, 1), size=500, test_size=200, noise=0.01).rows()
        Rows(train=500, validation=100, test=200)
    """
    check_dtype(dtype)
    if isinstance(size, bool) or not isinstance(size, int) or size < 2:
        raise DataError(f"size={size!r} is not a number of rows: give an integer of 2 or more.")
    n_val, n_test = row_count("validation_size", validation_size, size), row_count("test_size", test_size, size)
    if not (isinstance(noise, (int, float)) and 0 <= noise < math.inf):
        raise DataError(f"noise={noise!r} is not a noise level: give a number of 0 or more (a share of rms(y)).")
    bounds = {name: _interval(name, interval) for name, interval in ranges.items()}
    function = _function(expression, bounds)
    names = tuple(bounds)
    low, high = torch.tensor(list(bounds.values()), dtype=torch.float64).T

    seeds = torch.randint(2**62, (3,), generator=seeded(seed)).tolist()
    generators = [torch.Generator().manual_seed(s) for s in seeds]
    parts, level = [], None
    for rows, generator in zip((size, n_val, n_test), generators, strict=True):
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
        close = difflib.get_close_matches(name, inspect.signature(sample).parameters, n=1)
        meant = f" Or did you mean {close[0]}=?" if close else ""
        raise DataError(f"{name}={interval!r} is not a range: give two numbers, {name}=(low, high).{meant}") from None
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise DataError(f"{name}=({low:g}, {high:g}) is not a range: low must be below high, both finite.")
    return low, high


def _function(expression: Any, ranges: Mapping[str, Any]) -> Callable[..., Any]:
    """A function of one tensor for each range, in that order. Its variables are compared with the ranges."""
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
