"""Expressions as functions of torch tensors and of NumPy arrays, real-valued everywhere."""

import functools
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import sympy
import torch
from torch import Tensor

from knotwork.errors import ExpressionError
from knotwork.expressions.learned import LearnedCurve

CIRCULAR = [sympy.sin, sympy.cos, sympy.tan, sympy.sinh, sympy.cosh, sympy.tanh]
INVERSE = [sympy.asin, sympy.acos, sympy.atan, sympy.asinh, sympy.acosh, sympy.atanh]


def to_torch(expr: sympy.Expr, variables: Sequence[str | sympy.Symbol]) -> Callable[..., Tensor]:
    """A function of torch tensors that returns the values of the expression.

    The function takes one tensor for each of `variables`, in that order. The tensors broadcast against each other, and
    the result is a new tensor of the broadcast shape, even where the expression is constant. Integers become float64.
    The function can be differentiated to any order and runs on any device.
    """
    names, program = _compiled(expr, variables, TORCH)

    def evaluate(*inputs: Tensor) -> Tensor:
        _check_count(inputs, names)
        tensors = [torch.as_tensor(x, dtype=_real_dtype(x)) for x in inputs]
        shape = torch.broadcast_shapes(*(x.shape for x in tensors))
        result = program(tensors)
        if not isinstance(result, Tensor):
            like = tensors[0] if tensors else torch.empty(0, dtype=torch.float64)
            result = torch.tensor(result, dtype=like.dtype, device=like.device)
        return result.expand(shape).clone()

    return evaluate


def to_numpy(expr: sympy.Expr, variables: Sequence[str | sympy.Symbol]) -> Callable[..., np.ndarray]:
    """The same with NumPy: a function of one array for each variable. The result has their broadcast shape."""
    names, program = _compiled(expr, variables, NUMPY)

    def evaluate(*inputs: Any) -> np.ndarray:
        _check_count(inputs, names)
        arrays = [np.asarray(x) for x in inputs]
        arrays = [x if x.dtype.kind == "f" else x.astype(np.float64) for x in arrays]
        with np.errstate(all="ignore"):
            result = np.asarray(program(arrays))
        return np.array(np.broadcast_to(result, np.broadcast_shapes(*(x.shape for x in arrays))))

    return evaluate


def constant_value(expr: sympy.Expr) -> float:
    """The value of an expression without variables, as a float. NaN or infinite where there is no finite real value."""
    if expr.is_Number or expr.is_NumberSymbol:
        try:
            return float(expr)
        except OverflowError:
            return math.inf
        except TypeError:
            return math.nan
    if expr.is_Atom:
        return math.nan  # the imaginary unit, complex infinity
    operation, arguments = operation_of(expr, NUMPY)
    with np.errstate(all="ignore"):
        return float(operation(*(np.float64(constant_value(argument)) for argument in arguments)))


def _compiled(
    expr: sympy.Expr, variables: Sequence[str | sympy.Symbol], operations: dict[Any, Callable]
) -> tuple[list[str], Callable]:
    """The names of the variables, and a function from the list of their values to the value of the expression.

    Every distinct subexpression is one step, which appends its result to the list. An operand is an index into that
    list (int) or a constant (float).
    """
    names = [str(getattr(variable, "name", variable)) for variable in variables]
    places: dict[sympy.Basic, int | float] = {}
    steps: list[tuple[Callable, list[int | float]]] = []

    def place(node: Any) -> int | float:
        if node not in places:
            places[node] = new_place(node)
        return places[node]

    def new_place(node: Any) -> int | float:
        if node.is_Symbol:
            if node.name not in names:
                known = ", ".join(names) or "none"
                raise ExpressionError(f"The expression uses '{node.name}', but the variables given are: {known}.")
            return names.index(node.name)
        if not node.free_symbols:
            return constant_value(node)
        operation, arguments = operation_of(node, operations)
        operands = [place(argument) for argument in arguments]
        steps.append((operation, operands))
        return len(names) + len(steps) - 1

    last = place(sympy.sympify(expr))

    def program(inputs: list) -> Any:
        values = list(inputs)
        for operation, operands in steps:
            values.append(operation(*(values[o] if isinstance(o, int) else o for o in operands)))
        return values[last] if isinstance(last, int) else last

    return names, program


def operation_of(node: Any, operations: dict) -> tuple[Callable, Sequence[Any]]:
    """The function that evaluates a node of an expression, and the nodes of its operands."""
    if node.func is sympy.besselj and node.args[0] in (0, 1):
        return operations[f"J{node.args[0]}"], node.args[1:]
    if isinstance(node, LearnedCurve):
        return (node.func.torch_values if operations is TORCH else node.func.numpy_values), node.args
    if node.func not in operations:
        raise ExpressionError(
            f"'{shortened(str(node))}' cannot be evaluated: {node.func.__name__} is not among the functions."
        )
    return operations[node.func], node.args


def _check_count(inputs: tuple, names: list[str]) -> None:
    if len(inputs) != len(names):
        raise ExpressionError(f"This function takes {len(names)} inputs ({', '.join(names)}), got {len(inputs)}.")


def _real_dtype(x: Any) -> torch.dtype:
    return x.dtype if isinstance(x, Tensor) and x.dtype.is_floating_point else torch.float64


class _J0(torch.autograd.Function):
    """Bessel function of order 0. torch computes its values, but no derivatives."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return torch.special.bessel_j0(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        return -gradients[0] * _J1.apply(x)


class _J1(_J0):
    """Bessel function of order 1, whose derivative is J0(x) - J1(x)/x."""

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return torch.special.bessel_j1(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        safe = torch.where(x == 0, torch.ones_like(x), x)
        ratio = torch.where(x == 0, torch.full_like(x, 0.5), _J1.apply(safe) / safe)
        return gradients[0] * (_J0.apply(x) - ratio)


def _torch_fold(function: Callable) -> Callable:
    """torch.maximum or torch.minimum for any number of arguments, which may also be floats."""

    def fold(*arguments: Any) -> Tensor:
        like = next(x for x in arguments if isinstance(x, Tensor))
        return functools.reduce(function, (torch.as_tensor(x, dtype=like.dtype, device=like.device) for x in arguments))

    return fold


def _scipy_special(name: str) -> Callable:
    """A function of scipy.special, imported at its first call."""

    def call(x: Any) -> Any:
        import scipy.special

        return getattr(scipy.special, name)(x)

    return call


_SHARED = {
    sympy.Add: lambda *terms: functools.reduce(operator.add, terms),
    sympy.Mul: lambda *factors: functools.reduce(operator.mul, factors),
    sympy.Pow: operator.pow,
}
_SAME_NAME = [*CIRCULAR, sympy.exp, sympy.log]

TORCH: dict[Any, Callable] = {
    **_SHARED,
    **{function: getattr(torch, function.__name__) for function in [*_SAME_NAME, *INVERSE]},
    sympy.Abs: torch.abs,
    sympy.sign: lambda x: torch.where(x.isnan(), x, torch.sign(x)),
    sympy.erf: torch.erf,
    sympy.Max: _torch_fold(torch.maximum),
    sympy.Min: _torch_fold(torch.minimum),
    "J0": _J0.apply,
    "J1": _J1.apply,
}
NUMPY: dict[Any, Callable] = {
    **_SHARED,
    **{function: getattr(np, function.__name__) for function in _SAME_NAME},
    **{function: getattr(np, "arc" + function.__name__[1:]) for function in INVERSE},  # NumPy 1 has no asin
    sympy.Abs: np.abs,
    sympy.sign: np.sign,
    sympy.erf: _scipy_special("erf"),
    sympy.Max: lambda *arguments: functools.reduce(np.maximum, arguments),
    sympy.Min: lambda *arguments: functools.reduce(np.minimum, arguments),
    "J0": _scipy_special("j0"),
    "J1": _scipy_special("j1"),
}


def shortened(text: str) -> str:
    """At most 60 characters of a text, for messages."""
    return text if len(text) <= 60 else text[:57] + "..."
