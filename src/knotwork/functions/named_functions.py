"""The library of named functions that an edge can become, c·f(a·x + b) + d (section 2.5.1): one record for each."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from knotwork.errors import SpecError

Curve = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class NamedFunction:
    """One named function f of one real variable.

    Attributes:
        name: its name in `lib=` and on edges.
        expression: f as a text in x, for `knotwork.expressions.parse`.
        value: f in torch.
        slope: f' in torch.
        cost: complexity in bits. A function that costs one bit more must halve the unexplained variance.
        low, high: f is real and smooth for low < x < high (except at the corner of abs).
        pole: a function of x that is zero where f has a pole, and has another sign on either side; None without poles.
        written: whether it is an expression of somebody's own, whose domain is where f and f' are finite.
        power: p where f(s·x) is s^p·f(x) for s > 0, plus a constant for log. The inner factor a is then redundant.
        shift_free: whether f(x + s) is f(x) times or plus a constant. The inner constant b is then redundant.
        periodic: whether f(x + 2π) = f(x).
        default: whether it belongs to the default library.
    """

    name: str
    expression: str
    value: Curve
    slope: Curve
    cost: float
    low: float = -math.inf
    high: float = math.inf
    pole: Curve | None = None
    written: bool = False
    periodic: bool = False
    power: float | None = None
    shift_free: bool = False
    default: bool = True

    def identity(self) -> tuple[str, str]:
        """Its name and its text, which say all about it."""
        return self.name, self.expression

    def derivative(self, u: Tensor, order: int = 1) -> Tensor:
        """The `order`-th derivative of f, elementwise, itself differentiable; f for 0."""
        if order == 0:
            return self.value(u)
        with torch.inference_mode(False), torch.enable_grad():
            at = u if u.requires_grad else u.detach().clone().requires_grad_()
            found = self.slope(at)
            for _ in range(order - 1):
                known = found.requires_grad  # a constant does not
                found = torch.autograd.grad(found.sum(), at, create_graph=True)[0] if known else torch.zeros_like(u)
        return found if u.requires_grad and torch.is_grad_enabled() else found.detach()

    @property
    def everywhere(self) -> bool:
        """Whether the domain is the whole line."""
        return self.low == -math.inf and self.high == math.inf and self.pole is None and not self.written

    @property
    def straight(self) -> bool:
        """Whether both inner constants are redundant."""
        return self.power is not None and self.shift_free

    def in_domain(self, u: Tensor) -> Tensor:
        """True where f is real, finite and smooth, elementwise."""
        inside = (u > self.low) & (u < self.high) if self.low > -math.inf or self.high < math.inf else u == u
        if self.written:
            inside = self.value(u).isfinite() & self.slope(u).isfinite()
        return inside if self.pole is None else inside & (self.pole(u).abs() > 1e-9)


def _itself(u: Tensor) -> Tensor:
    return u


def _power(p: float) -> tuple[Curve, Curve]:
    if p == int(p):
        p = int(p)
    return (lambda u: u**p), (lambda u: p * u ** (p - 1))


class _Bessel(torch.autograd.Function):
    """Bessel function of order 0 or 1. torch computes its values, but no derivatives."""

    generate_vmap_rule = True

    @staticmethod
    def forward(u: Tensor, order: int) -> Tensor:
        return torch.special.bessel_j1(u) if order else torch.special.bessel_j0(u)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, int], output: Tensor) -> None:
        u, ctx.order = inputs
        ctx.save_for_backward(u)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (u,) = ctx.saved_tensors
        if ctx.order == 0:
            return -gradients[0] * _j1(u), None
        ratio = torch.where(u == 0, 0.5, _j1(u) / torch.where(u == 0, 1.0, u))
        return gradients[0] * (_j0(u) - ratio), None


def _j0(u: Tensor) -> Tensor:
    return _Bessel.apply(u, 0)  # type: ignore[return-value]


def _j1(u: Tensor) -> Tensor:
    return _Bessel.apply(u, 1)  # type: ignore[return-value]


def _gaussian(u: Tensor) -> Tensor:
    return torch.exp(-(u**2))


ALL = [
    NamedFunction("x", "x", *_power(1), cost=1, power=1, shift_free=True),
    NamedFunction("x^2", "x**2", *_power(2), cost=2, power=2),
    NamedFunction("x^3", "x**3", *_power(3), cost=3, power=3),
    NamedFunction("x^4", "x**4", *_power(4), cost=3, power=4),
    NamedFunction("x^5", "x**5", *_power(5), cost=4, power=5, default=False),
    NamedFunction("1/x", "1/x", *_power(-1), cost=2, pole=_itself, power=-1),
    NamedFunction("1/x^2", "1/x**2", *_power(-2), cost=3, pole=_itself, power=-2),
    NamedFunction("1/x^3", "1/x**3", *_power(-3), cost=4, pole=_itself, power=-3, default=False),
    NamedFunction("sqrt", "sqrt(x)", *_power(0.5), cost=2, low=0.0, power=0.5),
    NamedFunction("1/sqrt", "1/sqrt(x)", *_power(-0.5), cost=3, low=0.0, power=-0.5),
    NamedFunction("x^1.5", "x**1.5", *_power(1.5), cost=3, low=0.0, power=1.5, default=False),
    NamedFunction("exp", "exp(x)", torch.exp, torch.exp, cost=2, shift_free=True),
    NamedFunction("log", "log(x)", torch.log, torch.reciprocal, cost=2, low=0.0, power=0),
    NamedFunction("abs", "abs(x)", torch.abs, torch.sign, cost=3, power=1),
    NamedFunction("sin", "sin(x)", torch.sin, torch.cos, cost=2, periodic=True),
    NamedFunction("cos", "cos(x)", torch.cos, lambda u: -torch.sin(u), cost=2, periodic=True, default=False),
    NamedFunction(
        "tan", "tan(x)", torch.tan, lambda u: 1 + torch.tan(u) ** 2, cost=3, low=-math.pi / 2, high=math.pi / 2
    ),
    NamedFunction("tanh", "tanh(x)", torch.tanh, lambda u: 1 - torch.tanh(u) ** 2, cost=3),
    NamedFunction(
        "sigmoid",
        "sigmoid(x)",
        torch.sigmoid,
        lambda u: torch.sigmoid(u) * (1 - torch.sigmoid(u)),
        cost=3,
        default=False,  # equal to tanh with other constants
    ),
    NamedFunction("arctan", "atan(x)", torch.atan, lambda u: 1 / (1 + u**2), cost=3),
    NamedFunction("arcsin", "asin(x)", torch.asin, lambda u: (1 - u**2) ** -0.5, cost=3, low=-1.0, high=1.0),
    NamedFunction(
        "arccos", "acos(x)", torch.acos, lambda u: -((1 - u**2) ** -0.5), cost=3, low=-1.0, high=1.0, default=False
    ),
    NamedFunction("arctanh", "atanh(x)", torch.atanh, lambda u: 1 / (1 - u**2), cost=4, low=-1.0, high=1.0),
    NamedFunction("sinh", "sinh(x)", torch.sinh, torch.cosh, cost=3),
    NamedFunction("cosh", "cosh(x)", torch.cosh, torch.sinh, cost=3),
    NamedFunction("gaussian", "exp(-x**2)", _gaussian, lambda u: -2 * u * _gaussian(u), cost=3),
    NamedFunction("J0", "J0(x)", _j0, lambda u: -_j1(u), cost=4, default=False),
    NamedFunction("sgn", "sign(x)", torch.sign, lambda u: torch.zeros_like(u), cost=3, power=0, default=False),
    NamedFunction("0", "0*x", torch.zeros_like, torch.zeros_like, cost=0, default=False),
]

LIBRARY = {f.name: f for f in ALL}
ALIASES = {
    "x**2": "x^2",
    "x**3": "x^3",
    "x**4": "x^4",
    "identity": "x",
    "asin": "arcsin",
    "atan": "arctan",
    "ln": "log",
}


def add(function: NamedFunction) -> None:
    """Add a function to the library, until the process ends; SpecError if its name is taken."""
    if function.name in LIBRARY or function.name in ALIASES:
        raise SpecError(f"the library has a function {function.name!r} already; choose another name.")
    ALL.append(function)
    LIBRARY[function.name] = function
