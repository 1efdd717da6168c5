"""Candidates for one edge: the true function ranks first, with its constants up to symmetry, inside its domain."""

import math

import pytest
import torch

from knotwork.formulas import candidates
from knotwork.functions import LIBRARY, select

# constants (a, b, c, d) that keep a·x + b inside each function's domain for x in [-1, 1]
INSIDE = {
    "1/x": (1.3, 2.0, 0.7, -1.0),
    "1/x^2": (1.3, 2.0, 0.7, -1.0),
    "sqrt": (0.8, 1.1, -2.0, 0.3),
    "1/sqrt": (0.8, 1.1, -2.0, 0.3),
    "log": (0.8, 1.1, -2.0, 0.3),
    "tan": (1.1, 0.2, 0.5, 2.0),
    "arcsin": (0.7, 0.2, 1.5, 0.0),
    "arctanh": (0.7, 0.2, 1.5, 0.0),
}
X = torch.linspace(-1, 1, 301, dtype=torch.float64)


@pytest.mark.parametrize("function", select(), ids=lambda f: f.name)
def test_a_function_of_the_library_is_fitted_to_rounding(function):
    a, b, c, d = INSIDE.get(function.name, (1.7, 0.4, -0.8, 0.5))
    y = c * function.value(a * X + b) + d
    (fit,) = candidates(X, y, [function])
    # abs has a kink between samples, where Gauss-Newton is less accurate; the others are smooth
    assert fit.rmse < (1e-3 if function.name == "abs" else 1e-9)


@pytest.mark.parametrize(
    ("name", "y"),
    [
        ("x", 2 * X + 1),
        ("x^2", (X - 0.3) ** 2),
        ("x^3", (X + 0.2) ** 3),
        ("exp", torch.exp(1.5 * X)),
        ("log", torch.log(X + 1.2)),
        ("sqrt", torch.sqrt(X + 1.01)),
        ("1/x", 1 / (X + 1.5)),
        ("tanh", torch.tanh(3 * X - 0.5)),
        ("gaussian", torch.exp(-((2 * X) ** 2))),
    ],
)
def test_the_true_function_ranks_first_with_weak_noise(name, y):
    noise = 1e-5 * torch.randn(len(X), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert candidates(X, y + noise * y.std(), select())[0].function == name


def test_a_sine_is_found_with_its_constants_up_to_symmetry():
    best = candidates(X, 0.7 * torch.sin(math.pi * X + 0.4) - 1.2, select())[0]
    a, b, c, d = best.constants
    assert best.function == "sin"
    assert abs(a) == pytest.approx(math.pi, abs=1e-9)
    assert abs(c) == pytest.approx(0.7, abs=1e-9)
    assert d == pytest.approx(-1.2, abs=1e-9)
    # sin(a x + b) with the signs of a and c taken out: the phase is 0.4 up to whole turns
    phase = b * math.copysign(1, a) + (0 if a * c > 0 else math.pi)
    assert math.remainder(phase - 0.4, 2 * math.pi) == pytest.approx(0, abs=1e-8)


def test_fitted_functions_are_evaluated_only_inside_their_domain():
    x = torch.rand(200, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 4 - 2
    y = torch.where(x > 0, x, 0.1 * x)  # no function fits well; log and 1/x fit best near the ends of their domains
    fits = candidates(x, y, list(LIBRARY.values()))
    assert {fit.function for fit in fits} == set(LIBRARY)
    for fit in fits:
        a, b, c, d = fit.constants
        u = a * x + b
        assert bool(LIBRARY[fit.function].in_domain(u).all()), fit
        assert bool((c * LIBRARY[fit.function].value(u) + d).isfinite().all()), fit


def test_a_constant_edge_and_a_constant_input_give_finite_fits():
    for x, y in ((X, torch.ones_like(X)), (torch.zeros_like(X), torch.ones_like(X)), (torch.zeros_like(X), X)):
        table = candidates(x, y, select())
        assert all(math.isfinite(v) for row in table for v in (*row.constants, row.rmse, row.score))


def test_a_parabola_ranks_above_a_function_whose_constants_cancel():
    table = candidates(X, X**2 + 1e-6 * X**4, select())
    places = [row.function for row in table]
    assert places[0] == "x^2"
    assert next(row for row in table if row.function == "sin").cancellation > 50


def test_the_table_prints_one_line_for_each_function_with_its_constants():
    table = candidates(X, X**2, select(["x", "x^2"]))
    assert len(str(table).splitlines()) == 3
    assert str(table).splitlines()[1].startswith("x^2")
