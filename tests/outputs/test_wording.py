"""Numbers and shares in the words of a report."""

import math

import numpy as np
import pytest

from knotwork.outputs.wording import count, explained, number, percent, right, short


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.0, 4, "0"),
        (-2.0, 4, "−2"),
        (3.14159265, 4, "3.142"),
        (0.000123456, 3, "0.000123"),
        (14163.2, 5, "14163"),
        (80638.0, 2, "81000"),
        (9.9999, 2, "10"),
        (1234567.0, 4, "1235000"),
        (1.5e-9, 4, "1.5·10⁻⁹"),
        (-2.5e30, 2, "−2.5·10³⁰"),
        (9.99996e-6, 4, "1·10⁻⁵"),
        (math.nan, 4, "undefined"),
        (math.inf, 4, "undefined"),
    ],
)
def test_numbers_are_rounded_for_reading(value, digits, text):
    assert number(value, digits) == text


def test_a_rounded_number_is_close_to_the_original():
    for value in np.random.default_rng(0).normal(size=500) * 10.0 ** np.random.default_rng(1).integers(-30, 30, 500):
        mantissa, _, exponent = number(value, 5).replace("−", "-").partition("·10")
        power = int(exponent.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")) or 0)
        assert float(mantissa) * 10.0**power == pytest.approx(value, rel=5.1e-5)


@pytest.mark.parametrize(
    ("r2", "text"),
    [
        (1.0, "1"),
        (1 - 1e-16, "1"),
        (1 - 1.5e-9, "1 − 1.5·10⁻⁹"),
        (0.99996, "0.999960"),
        (0.9312, "0.931"),
        (0.5, "0.5"),
        (1e-17, "0"),
        (-4.46e-5, "−4.46·10⁻⁵"),
        (-31.2, "−31.2"),
        (math.nan, "undefined"),
    ],
)
def test_r2_is_1_only_where_the_residual_is_zero(r2, text):
    assert explained(r2) == text


def test_shares_counts_and_names_in_words():
    assert [percent(s) for s in (0.0, 0.0001, 0.004, 0.63, 1.0, 14.3)] == [
        "0 %",
        "< 0.1 %",
        "0.4 %",
        "63 %",
        "100 %",
        "1,430 %",
    ]
    assert [count(n, "row") for n in (0, 1, 1234)] == ["0 rows", "1 row", "1,234 rows"]
    assert short("a" * 60) == "a" * 60
    assert short("a" * 61) == "a" * 59 + "…"


def test_shares_of_right_answers_are_never_rounded_up():
    assert [right(s) for s in (0.0, 0.95, 0.9739, 0.99999, 1.0, 29 / 30)] == [
        "0 %",
        "95 %",
        "97.3 %",
        "99.9 %",
        "100 %",
        "96.6 %",
    ]
