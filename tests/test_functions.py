"""Laws of the library of named functions: slopes, domains, texts, and the flags of redundant constants."""

import math

import numpy as np
import pytest
import torch

from knotwork import expressions
from knotwork.errors import SpecError
from knotwork.functions import LIBRARY, NamedFunction, named_function, select

every_function = pytest.mark.parametrize("f", LIBRARY.values(), ids=list(LIBRARY))


def flagged(flag):
    """The functions with this flag."""
    chosen = [f for f in LIBRARY.values() if getattr(f, flag) not in (None, False)]
    return pytest.mark.parametrize("f", chosen, ids=[f.name for f in chosen])


def inside(f: NamedFunction, n: int = 200, margin: float = 0.01) -> torch.Tensor:
    """Points of the domain, at least `margin` from its ends."""
    low, high = max(f.low, -3.0) + margin, min(f.high, 3.0) - margin
    u = torch.linspace(low, high, n, dtype=torch.float64)
    return u[u.abs() > margin] if f.pole or f.name == "abs" else u


@every_function
def test_slope_is_the_derivative(f):
    """Against autograd, which fits need too, and against finite differences."""
    u = inside(f).requires_grad_()
    y = f.value(u)
    constant = f.name in ("0", "sgn")
    assert y.requires_grad or constant
    by_autograd = torch.autograd.grad(y.sum(), u)[0] if y.requires_grad else torch.zeros_like(u)
    slope = f.slope(u.detach())
    assert slope.shape == u.shape and slope.dtype == torch.float64
    assert torch.allclose(slope, by_autograd, rtol=1e-12, atol=1e-12)
    with torch.no_grad():
        step = 1e-6
        difference = (f.value(u + step) - f.value(u - step)) / (2 * step)
    # rounding 1e-16 / step, and step² times third derivatives of up to 1e11 next to a pole 0.01 away
    assert ((difference - slope).abs() / slope.abs().clamp_min(1)).max() < 1e-5


def test_the_bessel_function_has_every_derivative():
    u = torch.tensor([-4.1, -0.3, 0.0, 1.7], dtype=torch.float64, requires_grad=True)
    value = LIBRARY["J0"].value
    torch.autograd.gradcheck(value, u)
    torch.autograd.gradgradcheck(value, u)
    by_vmap = torch.func.vmap(torch.func.grad(value))(u.detach())
    assert torch.allclose(by_vmap, LIBRARY["J0"].slope(u.detach()))


@every_function
def test_the_text_is_the_function(f):
    """`expression`, read by our parser and evaluated by NumPy, which shares no code with `value`."""
    u = inside(f).numpy()
    by_text = expressions.to_numpy(expressions.parse(f.expression), ["x"])(u)
    # the errors of torch's own Bessel function: 1e-9 up to 5, 4e-7 just beyond
    tolerance = 1e-9 if f.name == "J0" else 1e-12
    np.testing.assert_allclose(f.value(torch.tensor(u)).numpy(), by_text, rtol=tolerance, atol=tolerance / 100)


@every_function
def test_in_domain_is_true_inside_and_false_outside_and_at_the_ends(f):
    u = inside(f, margin=1e-6)
    assert f.in_domain(u).all() and f.value(u).isfinite().all() and f.slope(u).isfinite().all()
    zero = torch.zeros(1, dtype=torch.float64)
    assert bool(f.in_domain(zero)) == (f.low < 0 < f.high and f.pole is None)
    outside = [end for end in (f.low, f.high) if math.isfinite(end)]
    outside += [f.low - 0.1, f.low - 5] if f.low > -math.inf else []
    outside += [f.high + 0.1, f.high + 5] if f.high < math.inf else []
    assert not f.in_domain(torch.tensor([*outside, math.nan], dtype=torch.float64)).any()
    if f.pole:
        assert not f.in_domain(torch.tensor([0.0, -0.0, 1e-12])).any()


@every_function
def test_shape_and_dtype_are_kept(f):
    for dtype in (torch.float32, torch.float64):
        u = inside(f, 6).to(dtype)[:4].reshape(2, 2)
        for result in (f.value(u), f.slope(u)):
            assert result.shape == u.shape and result.dtype == dtype
        assert f.in_domain(u).shape == u.shape and f.value(u[:0]).shape == (0, 2)


@flagged("power")
def test_power_makes_the_inner_factor_redundant(f):
    """f(s·x) - s^p·f(x) is zero, or for log one constant."""
    u = inside(f)
    for s in (0.3, 0.9):
        rest = f.value(s * u) - s**f.power * f.value(u)
        offset = math.log(s) if f.name == "log" else 0.0
        assert ((rest - offset).abs() <= 1e-12 * f.value(u).abs().clamp_min(1)).all()


@flagged("shift_free")
def test_shift_free_makes_the_inner_constant_redundant(f):
    """f(x + s) - f(x) or f(x + s) / f(x) is one number."""
    u = inside(f)
    for s in (-0.4, 1.3):
        shifted, plain = f.value(u + s), f.value(u)
        plus = (shifted - plain - (shifted - plain)[0]).abs().max()
        times = (shifted - plain * (shifted / plain)[0]).abs().max()
        assert min(plus, times) < 1e-13 * shifted.abs().max()


@flagged("periodic")
def test_periodic_by_a_full_turn(f):
    u = inside(f)
    assert (f.value(u + 2 * math.pi) - f.value(u)).abs().max() < 1e-14


def test_flags_are_set_where_the_laws_hold():
    """A function without the flag breaks the law: no redundancy is missed (0 is constant, tan has one branch only)."""
    for f in LIBRARY.values():
        u = inside(f)
        small = u / 2 if f.low <= 0 else u
        ratio, difference = f.value(0.5 * small) / f.value(small), f.value(0.5 * small) - f.value(small)
        some = f.value(small).abs() > 1e-6
        alike = min(float(v[some].std()) for v in (ratio, difference)) < 1e-9 if some.any() else False
        assert alike == (f.power is not None), f.name


def test_functions_are_found_by_name_and_alias():
    assert all(name == f.name for name, f in LIBRARY.items())
    assert named_function("sin") is LIBRARY["sin"]
    for alias, name in {"x**2": "x^2", "ln": "log", "asin": "arcsin", "atan": "arctan", "identity": "x"}.items():
        assert named_function(alias) is LIBRARY[name]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sine", "there is no function 'sine' in the library; did you mean 'sin' or 'sinh' or 'arcsin'?"),
        ("sqroot", "there is no function 'sqroot' in the library; did you mean 'sqrt'"),
        ("gausian", "there is no function 'gausian' in the library; did you mean 'gaussian' or "),
        ("zzzzzz", "there is no function 'zzzzzz' in the library; it has: x, x^2, x^3,"),
    ],
)
def test_an_unknown_name_raises_an_error_with_the_closest_one(name, message):
    with pytest.raises(SpecError) as caught:
        named_function(name)
    assert str(caught.value).startswith(message)


def test_select_gives_the_default_library_the_cheapest_first():
    chosen = select()
    assert {f.name for f in chosen} == {f.name for f in LIBRARY.values() if f.default}
    assert [f.cost for f in chosen] == sorted(f.cost for f in chosen)
    assert chosen[0].name == "x" and "0" not in [f.name for f in chosen]
    assert [f.name for f in select(["exp", "J0", "x**2", "x"])] == ["x", "exp", "x^2", "J0"]
    with pytest.raises(SpecError, match=r"lib=\[\] leaves no function to choose from; pass names such as"):
        select([])
    with pytest.raises(SpecError, match="did you mean 'sin'"):
        select(["x", "sni"])
