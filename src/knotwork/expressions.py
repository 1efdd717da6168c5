"""Text to expression to torch and NumPy: our own safe parser, and the only home of SymPy.

Everything here is real-valued: outside the domain of a function the value is NaN, never complex.
"""

import ast
import difflib
import functools
import keyword
import math
import operator
import re
import string
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

import numpy as np
import sympy
import torch
from sympy.printing.latex import greek_letters_set
from sympy.printing.str import StrPrinter
from torch import Tensor

from knotwork.errors import ExpressionError

LONGEST_TEXT = 10_000
DEEPEST_NESTING = 100
LARGEST_EXPONENT = 100
LONGEST_INTEGER = 4_096  # bits: what a power may reach while it is being worked out

CONSTANTS = {"pi": sympy.pi, "e": sympy.E, "E": sympy.E}


def _without_parts(expr: Any) -> Any:
    """The expression without re(...) and im(...), which SymPy brings in for Abs(exp(x)): everything here is real."""
    return expr.replace(sympy.re, lambda x: x).replace(sympy.im, lambda x: sympy.Integer(0))


_ONE_ARGUMENT = [sympy.exp, sympy.log, sympy.sqrt, sympy.sign, sympy.erf]
_CIRCULAR = [sympy.sin, sympy.cos, sympy.tan, sympy.sinh, sympy.cosh, sympy.tanh]
_INVERSE = [sympy.asin, sympy.acos, sympy.atan, sympy.asinh, sympy.acosh, sympy.atanh]
# Name in a text: how to build it, fewest and most arguments.
_FUNCTIONS: dict[str, tuple[Callable[..., Any], int, int]] = {
    **{function.__name__: (function, 1, 1) for function in (*_CIRCULAR, *_INVERSE, *_ONE_ARGUMENT)},
    **{"arc" + function.__name__[1:]: (function, 1, 1) for function in _INVERSE},
    "ln": (sympy.log, 1, 1),
    "abs": (lambda x: _without_parts(sympy.Abs(x)), 1, 1),
    "sigmoid": (lambda x: 1 / (1 + sympy.exp(-x)), 1, 1),
    "silu": (lambda x: x / (1 + sympy.exp(-x)), 1, 1),
    "gaussian": (lambda x: sympy.exp(-(x**2)), 1, 1),
    "J0": (lambda x: sympy.besselj(0, x), 1, 1),
    "J1": (lambda x: sympy.besselj(1, x), 1, 1),
    "max": (sympy.Max, 2, 20),
    "min": (sympy.Min, 2, 20),
}
FUNCTIONS = tuple(_FUNCTIONS)


# ---------------------------------------------------------------------------------------------------------------------
# Text to expression


def parse(text: str, variables: Iterable[str] | None = None) -> sympy.Expr:
    """The expression that a text such as "exp(sin(pi*x) + y^2)" stands for; nothing in it is executed.

    Understood are numbers, + - * / ** (or ^), parentheses, variables, pi and e, and the functions in `FUNCTIONS`.
    With `variables` given, any other name is an error, and a variable called e or pi is that variable; without,
    every name is a variable but those two. Raises ExpressionError for all else, and for constants that have no real
    value or are too large for a float.
    """
    names = None if variables is None else {str(name) for name in variables}
    tree = _tree(text)
    try:
        expr = _Reader(text, names).read(tree)
        finite = all(math.isfinite(float(n)) for n in expr.atoms(sympy.Number)) and not expr.has(sympy.I, sympy.zoo)
    except ExpressionError:
        raise
    except (ArithmeticError, MemoryError, RecursionError, TypeError, ValueError) as error:
        raise ExpressionError(
            f"'{_short(text)}' cannot be worked out ({type(error).__name__}): simplify it."
        ) from error
    if not finite:
        raise ExpressionError(f"'{_short(text)}' holds a constant that is not a finite real number: rewrite that part.")
    return expr


def variable_names(text: str, variables: Iterable[str] = ()) -> tuple[str, ...]:
    """The variables in a text, in order of appearance; pi and e are constants unless listed in `variables`."""
    constants = set(CONSTANTS) - set(variables)
    tree = _tree(text)
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in called]
    found.sort(key=lambda node: (node.lineno, node.col_offset))
    return tuple(dict.fromkeys(node.id for node in found if node.id not in constants))


def _tree(text: str) -> ast.expr:
    """The syntax tree of a text, with ^ read as **."""
    if not isinstance(text, str):
        raise ExpressionError(f"An expression is a text such as 'sin(x) + y**2', got {type(text).__name__}.")
    if len(text) > LONGEST_TEXT:
        raise ExpressionError(f"The expression has {len(text):,} characters; at most {LONGEST_TEXT:,} are read.")
    text = _normal(text)
    if not text:
        raise ExpressionError("The expression is empty: write something such as 'sin(x) + y**2'.")
    try:
        return ast.parse(text, mode="eval").body
    except (RecursionError, MemoryError):
        raise ExpressionError(f"'{_short(text)}' is too deeply nested to be read: split it.") from None
    except (SyntaxError, ValueError) as error:
        raise ExpressionError(f"'{_short(text)}' is not a formula{_syntax_hint(text, error)}") from None


def _normal(text: str) -> str:
    return text.strip().replace("^", "**")


def _syntax_hint(text: str, error: Exception) -> str:
    reserved = [name for name in re.findall(r"[^\W\d]\w*", text) if keyword.iskeyword(name)]
    if reserved:
        return f": '{reserved[0]}' is a word of the Python language and cannot be a variable, try '{reserved[0]}_'."
    if "=" in text:
        return ": write the right-hand side alone, without '='."
    place = f" near character {error.offset}" if isinstance(error, SyntaxError) and error.offset else ""
    return f"{place} ({getattr(error, 'msg', error)}). Write products with *, powers with **, and close every bracket."


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."


class _Reader:
    """Turns the syntax tree of one text into an expression, node by node, refusing what is not on the list."""

    def __init__(self, text: str, names: set[str] | None) -> None:
        self.text = _normal(text)
        self.names = names

    def read(self, node: ast.expr, depth: int = 0) -> sympy.Expr:
        if depth > DEEPEST_NESTING:
            raise ExpressionError(f"'{_short(self.text)}' is nested over {DEEPEST_NESTING} levels deep: split it.")
        match node:
            case ast.Constant(value=bool() | str() | bytes() | complex() | None):
                raise self.refusal(node, "only real numbers can stand in a formula")
            case ast.Constant(value=int() | float() as value):
                expr = number(value)
            case ast.Name(id=name):
                expr = self.named(name)
            case ast.UnaryOp(op=ast.UAdd() | ast.USub() as sign, operand=operand):
                inner = self.read(operand, depth + 1)
                expr = -inner if isinstance(sign, ast.USub) else inner
            case ast.BinOp(op=ast.Add() | ast.Sub()):
                expr = sympy.Add(*self.chain(node, ast.Add, ast.Sub, operator.neg, depth))
            case ast.BinOp(op=ast.Mult() | ast.Div()):
                expr = sympy.Mul(*self.chain(node, ast.Mult, ast.Div, self.reciprocal, depth))
            case ast.BinOp(op=ast.Pow()):
                expr = self.power(self.read(node.left, depth + 1), self.read(node.right, depth + 1))
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
                expr = self.call(name, [self.read(argument, depth + 1) for argument in arguments])
            case _:
                raise self.refusal(node, "only numbers, variables, + - * / **, and functions such as sin(x) can")
        return self.checked(node, expr)

    def chain(self, node: ast.expr, plain: type, inverse: type, invert: Callable, depth: int) -> list[sympy.Expr]:
        """The operands of a run of operators of one rank, such as a + b - c, however long."""
        operands = []
        while isinstance(node, ast.BinOp) and isinstance(node.op, (plain, inverse)):
            right = self.read(node.right, depth + 1)
            operands.append(invert(right) if isinstance(node.op, inverse) else right)
            node = node.left
        return [self.read(node, depth + 1), *reversed(operands)]

    def reciprocal(self, expr: sympy.Expr) -> sympy.Expr:
        if expr.is_zero:
            raise ExpressionError(f"'{_short(self.text)}' divides by zero.")
        return 1 / expr

    def power(self, base: sympy.Expr, exponent: sympy.Expr) -> sympy.Expr:
        """base ** exponent, unless working it out would take for ever, as in 9**9**9."""
        if not exponent.free_symbols:
            size = abs(constant_value(exponent))
            rationals = [n for n in base.atoms(sympy.Rational) if abs(n) != 1]
            bits = max((max(int(n.p).bit_length(), int(n.q).bit_length()) for n in rationals), default=0)
            if size > LARGEST_EXPONENT or size * bits > LONGEST_INTEGER:
                raise ExpressionError(
                    f"'{_short(self.text)}' holds a power too large to work out: keep exponents within "
                    f"{LARGEST_EXPONENT} and constants within a float."
                )
            if base.is_zero and constant_value(exponent) < 0:
                return self.reciprocal(base)
        return base**exponent

    def named(self, name: str) -> sympy.Expr:
        if self.names is not None and name in self.names:
            return symbol(name)
        if name in CONSTANTS:
            return CONSTANTS[name]
        if self.names is None and name not in _FUNCTIONS:
            return symbol(name)
        if name in _FUNCTIONS:
            raise ExpressionError(f"'{name}' is a function: write {name}(x) in '{_short(self.text)}'.")
        known = ", ".join(sorted(self.names or ())) or "none"
        hint = _did_you_mean(name, [*(self.names or ()), *CONSTANTS])
        raise ExpressionError(f"Unknown variable '{name}' in '{_short(self.text)}'{hint} The variables are: {known}.")

    def call(self, name: str, arguments: list[sympy.Expr]) -> sympy.Expr:
        if name not in _FUNCTIONS:
            hint = _did_you_mean(name, FUNCTIONS)
            if name in (self.names or ()) or name in CONSTANTS:
                hint = f": it is not a function, write products with *, as in {name}*(...)."
            raise ExpressionError(f"Unknown function '{name}' in '{_short(self.text)}'{hint}")
        build, fewest, most = _FUNCTIONS[name]
        if not fewest <= len(arguments) <= most:
            wanted = f"{fewest} argument" if most == 1 else f"{fewest} to {most} arguments"
            raise ExpressionError(f"{name}() takes {wanted}, got {len(arguments)} in '{_short(self.text)}'.")
        return build(*arguments)

    def checked(self, node: ast.expr, expr: sympy.Expr) -> sympy.Expr:
        """The expression itself, unless it is a constant without a finite real value."""
        if not expr.free_symbols and not math.isfinite(constant_value(expr)):
            raise ExpressionError(f"{self.piece(node)} is not a finite real number: rewrite that part.")
        return expr

    def refusal(self, node: ast.expr, reason: str) -> ExpressionError:
        return ExpressionError(f"{self.piece(node)} cannot stand in a formula: {reason}.")

    def piece(self, node: ast.expr) -> str:
        """The part of the text that a node was read from, in quotes."""
        return f"'{_short(ast.get_source_segment(self.text, node) or type(node).__name__)}'"


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f": did you mean '{close[0]}'?" if close else "."


# ---------------------------------------------------------------------------------------------------------------------
# Expression to torch and NumPy


def to_torch(expr: sympy.Expr, variables: Sequence[str | sympy.Symbol]) -> Callable[..., Tensor]:
    """A function of one tensor a variable, in that order, which returns the values of the expression.

    The inputs broadcast against each other, and the result is a new tensor of the broadcast shape even where the
    expression is constant. Integers become float64. Differentiable, to any order, on any device.
    """
    names, program = _compiled(expr, variables, _TORCH)

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
    """The same for NumPy: a function of one array a variable; the result has their broadcast shape."""
    names, program = _compiled(expr, variables, _NUMPY)

    def evaluate(*inputs: Any) -> np.ndarray:
        _check_count(inputs, names)
        arrays = [np.asarray(x) for x in inputs]
        arrays = [x if x.dtype.kind == "f" else x.astype(np.float64) for x in arrays]
        with np.errstate(all="ignore"):
            result = np.asarray(program(arrays))
        return np.array(np.broadcast_to(result, np.broadcast_shapes(*(x.shape for x in arrays))))

    return evaluate


def constant_value(expr: sympy.Expr) -> float:
    """The float that an expression without variables stands for; NaN or infinite where there is no such number."""
    if expr.is_Number or expr.is_NumberSymbol:
        try:
            return float(expr)
        except OverflowError:
            return math.inf
        except TypeError:
            return math.nan
    if expr.is_Atom:
        return math.nan  # the imaginary unit, complex infinity
    operation, arguments = _operation(expr, _NUMPY)
    with np.errstate(all="ignore"):
        return float(operation(*(np.float64(constant_value(argument)) for argument in arguments)))


def _compiled(
    expr: sympy.Expr, variables: Sequence[str | sympy.Symbol], operations: dict[Any, Callable]
) -> tuple[list[str], Callable]:
    """The names of the variables, and a function from the list of their values to the value of the expression.

    Every distinct subexpression is one step, which appends its result to the list; an operand is a place in that list
    (int) or a constant (float).
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
        operation, arguments = _operation(node, operations)
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


def _operation(node: Any, operations: dict) -> tuple[Callable, Sequence[Any]]:
    """How to evaluate a node of an expression, and the nodes it needs."""
    if node.func is sympy.besselj and node.args[0] in (0, 1):
        return operations[f"J{node.args[0]}"], node.args[1:]
    if node.func not in operations:
        raise ExpressionError(
            f"'{_short(str(node))}' cannot be evaluated: {node.func.__name__} is not among the functions."
        )
    return operations[node.func], node.args


def _check_count(inputs: tuple, names: list[str]) -> None:
    if len(inputs) != len(names):
        raise ExpressionError(f"This function takes {len(names)} inputs ({', '.join(names)}), got {len(inputs)}.")


def _real_dtype(x: Any) -> torch.dtype:
    return x.dtype if isinstance(x, Tensor) and x.dtype.is_floating_point else torch.float64


class _J0(torch.autograd.Function):
    """Bessel function of order 0; torch has the values but no derivatives."""

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
    """An n-ary form of torch.maximum or minimum whose arguments may also be floats."""

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
_SAME_NAME = [*_CIRCULAR, *_INVERSE, sympy.exp, sympy.log]

_TORCH: dict[Any, Callable] = {
    **_SHARED,
    **{function: getattr(torch, function.__name__) for function in _SAME_NAME},
    sympy.Abs: torch.abs,
    sympy.sign: lambda x: torch.where(x.isnan(), x, torch.sign(x)),
    sympy.erf: torch.erf,
    sympy.Max: _torch_fold(torch.maximum),
    sympy.Min: _torch_fold(torch.minimum),
    "J0": _J0.apply,
    "J1": _J1.apply,
}
_NUMPY: dict[Any, Callable] = {
    **_SHARED,
    **{function: getattr(np, function.__name__) for function in _SAME_NAME},
    sympy.Abs: np.abs,
    sympy.sign: np.sign,
    sympy.erf: _scipy_special("erf"),
    sympy.Max: lambda *arguments: functools.reduce(np.maximum, arguments),
    sympy.Min: lambda *arguments: functools.reduce(np.minimum, arguments),
    "J0": _scipy_special("j0"),
    "J1": _scipy_special("j1"),
}


# ---------------------------------------------------------------------------------------------------------------------
# Small tools for expressions


def number(value: Any) -> sympy.Expr:
    """The SymPy number for a Python, NumPy or torch scalar: Integer for integers, Float for the rest.

    Raises ExpressionError for NaN and infinity.
    """
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, int):
        return sympy.Integer(value)
    if not isinstance(value, float) or not math.isfinite(value):
        raise ExpressionError(f"{value!r} is not a finite real number.")
    return sympy.Float(value)


def symbol(name: str) -> sympy.Symbol:
    """The variable of that name, which may be any text: a column called "Z/2 + Z/2" is one variable."""
    return sympy.Symbol(str(name))


def text(expr: sympy.Expr) -> str:
    """The expression as a text for `parse`, which reads the same values back; decimals are given to the last digit."""
    return _Printer().doprint(expr)


class _Printer(StrPrinter):
    """SymPy's printer with our names of functions, and floats as Python writes them."""

    def _print_Float(self, expr: sympy.Float) -> str:
        return repr(float(expr))

    def _print_Exp1(self, expr: sympy.Expr) -> str:
        return "exp(1)"  # "e" might be a variable

    def _print_Function(self, expr: Any) -> str:
        name = expr.func.__name__.lower()
        arguments = expr.args
        if isinstance(expr, sympy.besselj):
            name, arguments = f"J{expr.order}", expr.args[1:]
        return f"{name}({self.stringify(arguments, ', ')})"

    _print_Abs = _print_LatticeOp = _print_Function


def latex(expr: sympy.Expr) -> str:
    """LaTeX for the expression; variables of several letters are set upright, word for word."""
    names = {s: _latex_name(s.name) for s in expr.free_symbols if isinstance(s, sympy.Symbol)}
    return sympy.latex(expr, symbol_names={s: name for s, name in names.items() if name is not None})


def _latex_name(name: str) -> str | None:
    """How to set a column name; None where SymPy's own reading is good: x, x_1, x12, theta, theta_1."""
    letters = re.fullmatch(r"([^\W\d_]+)_?\d*", name)
    if letters and (len(letters[1]) == 1 or letters[1].lower() in greek_letters_set):
        return None
    escapes = {"\\": r"\textbackslash{}", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}"}
    escaped = "".join(escapes.get(c, "\\" + c if c in "&%$#_{}" else c) for c in name)
    return rf"\text{{{escaped}}}" if set(name) - set(string.ascii_letters + string.digits) else rf"\mathrm{{{name}}}"


def complexity(expr: sympy.Expr) -> int:
    """How many nodes the expression has as one would write it: each operator, function, constant and variable is one.

    x - y, x / y and x**2 are 3, sin(x) and -x are 2, 2*sin(x) + 1 is 6, 1/x is 3, sqrt(x) is 2;
    -3, 1/2 and pi are 1; a maximum of three counts as two maxima of two.
    """
    if expr.is_Atom:
        return 1
    if isinstance(expr, sympy.Add):
        negative = [_is_negative(term) for term in expr.args]
        terms = [
            -term if minus and not term.is_Number else term for term, minus in zip(expr.args, negative, strict=True)
        ]
        return len(terms) - 1 + all(negative) + sum(map(complexity, terms))
    if isinstance(expr, sympy.Mul):
        coefficient, rest = expr.as_coeff_Mul()
        if coefficient == -1:
            return 1 + complexity(rest)
        above = [f for f in expr.args if not _is_reciprocal(f)]
        below = [1 / f for f in expr.args if _is_reciprocal(f)]
        return len(expr.args) - 1 + (0 if above else 2) + sum(map(complexity, [*above, *below]))
    if isinstance(expr, sympy.Pow):
        if _is_reciprocal(expr):
            return 2 + complexity(1 / expr)
        if expr.exp == sympy.S.Half:
            return 1 + complexity(expr.base)
        return 1 + complexity(expr.base) + complexity(expr.exp)
    arguments: Any = expr.args[1:] if isinstance(expr, sympy.besselj) else expr.args
    calls = len(arguments) - 1 if isinstance(expr, (sympy.Max, sympy.Min)) else 1
    return calls + sum(map(complexity, arguments))


def _is_negative(term: sympy.Expr) -> bool:
    return bool(term.as_coeff_Mul()[0] < 0)


def _is_reciprocal(factor: sympy.Expr) -> bool:
    return isinstance(factor, sympy.Pow) and bool(factor.exp.is_Number) and bool(factor.exp < 0)


def float_constants(expr: sympy.Expr) -> list[sympy.Float]:
    """The different decimal constants of the expression, in the order in which a walk through it meets them."""
    return list(dict.fromkeys(n for n in sympy.preorder_traversal(expr) if isinstance(n, sympy.Float)))


def round_constants(expr: sympy.Expr, digits: int) -> sympy.Expr:
    """The expression with its decimal constants rounded to so many significant digits.

    What rounds to a whole number of at most that many digits becomes that integer: 2.0004 at 3 digits is 2.
    """
    if digits < 1:
        raise ExpressionError(f"Constants are rounded to 1 or more significant digits, got digits={digits}.")

    def rounded(value: float) -> sympy.Expr:
        value = float(f"{value:.{digits - 1}e}")
        return sympy.Integer(int(value)) if value == int(value) and abs(value) < 10**digits else sympy.Float(value)

    exact = {constant: rounded(float(constant)) for constant in float_constants(expr)}
    return cast(sympy.Expr, expr.xreplace(exact))
