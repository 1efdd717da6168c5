"""Laws of sample(): distribution of the inputs, targets, noise, and error messages."""

import math

import numpy as np
import pytest
import sympy
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from knotwork.data import Rows, sample
from knotwork.errors import DataError, ExpressionError, KnotworkWarning


def test_sizes_names_and_title():
    data = sample("exp(sin(pi*x) + y**2)", x=(-1, 1), y=(-1, 1))
    assert data.rows() == Rows(train=1000, validation=200, test=1000)
    assert (data.input_names, data.target_names) == (("x", "y"), ("f",))
    assert data.title == "exp(sin(pi*x) + y**2)"
    assert sample("x", x=(0, 1), size=50, test_size=0, validation_size=7).rows() == Rows(50, 7, 0)
    assert sample("x", x=(0, 1), size=50, test_size=0.1, validation_size=0.5).rows() == Rows(50, 25, 5)
    assert sample("f*y", f=(0, 1), y=(0, 1), size=9).target_names == ("target",)


@settings(max_examples=30, deadline=None)
@given(st.floats(-5, 5), st.floats(0.1, 5), st.integers(0, 9))
def test_targets_are_the_function_and_inputs_stay_in_their_ranges(low, width, seed):
    data = sample("a*sin(b)", b=(low, low + width), a=(1, 2), size=40, test_size=30, seed=seed)
    assert data.input_names == ("b", "a")
    assert data.ranges == ((low, low + width), (1.0, 2.0))
    for X, y in ((data.X_train, data.y_train), (data.X_val, data.y_val), (data.X_test, data.y_test)):
        torch.testing.assert_close(y[:, 0], X[:, 1] * torch.sin(X[:, 0]))
        for column, (lowest, highest) in zip(X.T, data.ranges, strict=True):
            assert lowest <= column.min() <= column.max() <= highest


def test_inputs_are_uniform():
    column = sample("x", x=(-2, 6), size=20_000).X_train[:, 0]
    counts = torch.histc(column, bins=8, min=-2, max=6)
    assert (counts - 2500).abs().max() < 5 * math.sqrt(2500)


def test_the_same_seed_gives_the_same_data_and_parts_are_independent():
    settings = {"x": (-1, 1), "seed": 3}
    data, again = sample("x**3", **settings), sample("x**3", **settings)
    assert torch.equal(data.X_train, again.X_train)
    assert torch.equal(data.X_test, again.X_test)
    other = sample("x**3", **settings, size=10, noise=0.5)
    assert torch.equal(other.X_test, data.X_test)
    assert torch.equal(other.y_test, data.y_test)
    assert torch.equal(other.X_train, data.X_train[:10])
    assert not torch.equal(sample("x**3", x=(-1, 1), seed=4).X_train, data.X_train)
    assert not set(data.X_train[:, 0].tolist()) & set(data.X_test[:, 0].tolist())


def test_the_global_random_generator_does_not_change():
    before = torch.get_rng_state()
    sample("x", x=(0, 1), noise=0.1)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("noise", [0.01, 0.5])
def test_noise_is_relative_to_rms_and_absent_from_test_rows(noise):
    clean, noisy = (sample("3 + 2*x", x=(-1, 1), size=20_000, noise=level) for level in (0, noise))
    rms = clean.y_train.square().mean().sqrt()
    for part in ("y_train", "y_val"):
        error = getattr(noisy, part) - getattr(clean, part)
        assert (error.std() / (noise * rms)).item() == pytest.approx(1, abs=0.05)
        assert error.mean().abs() < 0.1 * error.std()
    assert torch.equal(noisy.y_test, clean.y_test)
    assert torch.equal(noisy.X_train, clean.X_train)


def test_scaling_also_scales_the_ranges():
    plain, scaled = (sample("x*y", x=(2, 4), y=(0, 100), scale=scale) for scale in (False, "standard"))
    corners = torch.tensor(scaled.ranges, dtype=torch.float64).T
    torch.testing.assert_close(scaled.scaling.undo(corners).T, torch.tensor(plain.ranges, dtype=torch.float64))
    assert torch.equal(scaled.y_test, plain.y_test)


def test_samples_have_the_requested_dtype():
    data = sample("sin(x)", x=(0, 1), dtype=torch.float32)
    assert data.X_train.dtype == data.y_test.dtype == torch.float32


def test_functions_are_called_by_name():
    def product(b, a=2.0):
        return a * b**2

    both = sample(product, a=(0, 1), b=(2, 3))
    torch.testing.assert_close(both.y_train, both.X_train[:, :1] * both.X_train[:, 1:] ** 2)
    assert both.title == "product"
    one = sample(product, b=(2, 3))
    torch.testing.assert_close(one.y_train, 2 * one.X_train**2)
    assert sample(lambda **columns: columns["p"] - columns["q"], p=(0, 1), q=(0, 1)).n_inputs == 2
    torch.testing.assert_close(
        sample(torch.special.bessel_j0, x=(0, 1)).y_train[0], sample("J0(x)", x=(0, 1)).y_train[0]
    )


def test_functions_may_return_several_targets_numpy_arrays_or_a_constant():
    data = sample(lambda x: torch.stack([x, x**2], dim=1), x=(0, 1))
    assert data.target_names == ("f_1", "f_2")
    assert sample(lambda x: np.sin(x.numpy()), x=(0, 1)).y_train.dtype == torch.float64
    with pytest.warns(KnotworkWarning, match="Target 'f' is constant over the training rows"):
        assert sample(lambda x: 2, x=(0, 1)).y_train.unique().tolist() == [2.0]


def test_a_sympy_expression_gives_the_same_data_as_its_text():
    x = sympy.Symbol("x")
    assert torch.equal(sample(sympy.sin(x) ** 2, x=(0, 1)).y_test, sample("sin(x)**2", x=(0, 1)).y_test)


def test_constants_become_variables_when_given_a_range():
    assert sample("E*x", E=(1, 2), x=(0, 1)).input_names == ("E", "x")


@pytest.mark.parametrize(
    ("expression", "settings", "said"),
    [
        ("x*y", {"x": (0, 1)}, r"The expression uses y but no range was given: add y=\(low, high\)"),
        ("x + 0*y", {"x": (0, 1)}, "The expression uses y but no range"),
        ("theta", {"theta": (0, 1), "teta": (0, 1)}, "There is no variable 'teta': did you mean 'theta'.* Drop teta="),
        (lambda x, y: x, {"x": (0, 1)}, "The expression uses y but no range"),
        (lambda x: x, {"x": (0, 1), "z": (0, 1)}, "There is no variable 'z': the variables are 'x'"),
        (lambda **columns: 1.0, {}, r"no variable with a range: add one such as x=\(-1, 1\)"),
        ("2", {}, "no variable with a range"),
        ("x", {"x": (1, 1)}, r"x=\(1, 1\) is not a range: low must be below high"),
        ("x", {"x": (1, 0)}, r"x=\(1, 0\) is not a range"),
        ("x", {"x": (0, math.inf)}, "low must be below high, both finite"),
        ("x", {"x": 3}, r"x=3 is not a range: give two numbers, x=\(low, high\)"),
        ("x", {"x": (0, 1, 2)}, r"x=\(0, 1, 2\) is not a range: give two numbers"),
        ("x", {"x": "ab"}, "x='ab' is not a range"),
        ("x", {"x": (0, 1), "size": 1}, "size=1 is not a number of rows: give an integer of 2 or more"),
        ("x", {"x": (0, 1), "size": 10.0}, "size=10.0 is not a number of rows"),
        ("x", {"x": (0, 1), "test_size": -1}, "test_size=-1 is not possible: give a number of rows"),
        ("x", {"x": (0, 1), "validation_size": True}, "validation_size=True is not"),
        ("x", {"x": (0, 1), "noise": -0.1}, "noise=-0.1 is not a noise level"),
        ("x", {"x": (0, 1), "noise": math.nan}, "noise=nan is not a noise level"),
        ("x", {"x": (0, 1), "dtype": torch.int32}, "cannot hold the data"),
        (
            "log(x)",
            {"x": (-2, -1), "size": 10},
            r"not finite at 10 of 10 points, the first x=-1\.\d+: narrow the ranges",
        ),
        ("sqrt(x*y)", {"x": (-1, 1), "y": (0, 1)}, r"not finite at \d+ of 1000 points, the first x=-0\.\d+, y=0\.\d+"),
        (lambda x: x[:3], {"x": (0, 1)}, r"returned shape \(3, 1\) for 1000 rows, not \(rows,\) or \(rows, out\)"),
        (3, {"x": (0, 1)}, r"expression has type int: give a text such as 'sin\(x\) \+ y', or a function of tensors"),
    ],
)
def test_impossible_arguments_are_refused(expression, settings, said):
    with pytest.raises(DataError, match=said):
        sample(expression, **settings)


def test_a_bad_expression_raises_the_error_of_the_parser():
    with pytest.raises(ExpressionError, match="did you mean 'sin'"):
        sample("sine(x)", x=(0, 1))
