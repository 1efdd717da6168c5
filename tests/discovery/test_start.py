"""A search that goes on from a formula or an earlier discovery: never worse, better where a neighbour is."""

import numpy as np
import pytest

import knotwork as kw
from knotwork.errors import DataError, SpecError, TrainingError

NAMES = ["x", "y", "z"]


def table(law, noise=0.0, seed=0, count=300):
    rng = np.random.default_rng(seed)
    rows = rng.uniform(0.5, 3, (count, 3))
    y = law(*rows.T)
    return rows, y + noise * y.std() * rng.normal(size=count)


def strange(x, y, z):
    """A law that no search finds in no time."""
    return 2.3 * np.sin(1.7 * x * y) / (1 + 0.4 * z**2) + np.exp(-0.6 * x) * np.log(y + 0.3 * z)


STRANGE = "2*sin(1.68*x*y)/(1 + 0.35*z**2) + exp(-0.5*x)*log(y + 0.35*z)"


@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_a_known_formula_is_refitted_and_kept_whatever_the_time(noise):
    rows, y = table(strange, noise)
    found = kw.discover(rows, y, names=NAMES, start=STRANGE, time_budget=0, progress=False)
    fresh = table(strange, seed=7)
    error = np.sqrt(np.mean((found.formula.predict(fresh[0]) - fresh[1]) ** 2)) / np.std(fresh[1])
    assert error < (1e-7 if not noise else noise / 2)


LAWS = {  # the law, and a formula that differs from it in one part
    "a term less": (lambda x, y, z: 2.5 * np.sin(x * y) + 0.7 * z, "2*sin(x*y)"),
    "a term too many": (lambda x, y, z: 2.5 * np.sin(x * y), "2*sin(x*y) + 0.4*z + 1.1*x"),
    "another function": (lambda x, y, z: 1.5 * np.exp(-x * y) + z, "1.5*tanh(-x*y) + z"),
    "an input for a constant": (lambda x, y, z: 2.5 * z**1.5 * np.sin(x * y), "2.5*sin(x*y)"),
}


@pytest.mark.parametrize("name", LAWS)
def test_neighbours_of_a_formula_are_tried(name):
    law, start = LAWS[name]
    rows, y = table(law)
    found = kw.discover(rows, y, names=NAMES, start=start, progress=False)
    fresh = table(law, seed=7)
    np.testing.assert_allclose(found.formula.predict(fresh[0]), fresh[1], rtol=1e-6, atol=1e-6)
    assert found.shape.startswith(("a formula near another", "the formula to start from"))


def test_an_earlier_discovery_brings_its_formula_and_its_front():
    rows, y = table(lambda x, y, z: 2 * x / y + 0.3 * z**2, noise=0.02)
    first = kw.discover(rows, y, names=NAMES, progress=False)
    again = kw.discover(rows, y, names=NAMES, start=first, time_budget=0, progress=False)
    assert again.formula.rmse <= first.formula.rmse * 1.001
    bits = [next(one.bits for one in found.front if one.formula is found.formula) for found in (first, again)]
    assert bits[1] <= bits[0] + 1e-6 * abs(bits[0])
    assert len(again.front) >= len(first.front)
    assert [one.shape for one in again.front if not one.expression.free_symbols] == ["a constant"]
    alone = kw.discover(rows, y, names=NAMES, start=first.formula, time_budget=0, progress=False)
    assert alone.formula.rmse <= first.formula.rmse * 1.001


def test_columns_of_large_numbers_keep_their_formula():
    rows, y = table(strange)
    rows = rows * [1, 1, 1e12]
    start = STRANGE.replace("z", "(z/1e12)")
    found = kw.discover(rows, y, names=NAMES, start=start, time_budget=0, progress=False)
    np.testing.assert_allclose(found.formula.predict(rows), y, rtol=1e-6, atol=1e-6)


def test_few_rows_keep_a_formula_to_start_from():
    rows, y = table(lambda x, y, z: 2.3 * np.sin(1.7 * x) / (1 + 0.4 * z**2), noise=0.01, count=40)
    found = kw.discover(rows, y, names=NAMES, start="2*sin(1.68*x)/(1 + 0.35*z**2)", time_budget=0, progress=False)
    assert found.formula.r2_rows == "left-out" and found.formula.r2 > 0.999


@pytest.mark.parametrize(
    ("start", "error", "message"),
    [
        ("2*lenght", DataError, "start='2\\*lenght'"),
        (3.0, SpecError, "pass a text, a Formula of one target, or a Discovery"),
    ],
)
def test_what_is_no_formula_of_the_columns_is_refused_in_words(start, error, message):
    rows, y = table(strange)
    with pytest.raises(error, match=message):
        kw.discover(rows, y, names=NAMES, start=start, progress=False)


def test_a_formula_of_other_columns_is_refused_in_words():
    rows, y = table(lambda x, y, z: x * y)
    other = kw.discover(rows, y, names=["u", "v", "w"], progress=False)
    with pytest.raises(DataError, match="holds a name that is no column"):
        kw.discover(rows, y, names=NAMES, start=other.formula, progress=False)


def test_a_form_and_groups_refuse_a_start():
    rows, y = table(lambda x, y, z: x * y)
    with pytest.raises(TrainingError, match="start="):
        kw.discover(rows, y, names=NAMES, start="x", form="a*x", progress=False)
    with pytest.raises(TrainingError, match="start="):
        kw.discover(rows, y, names=NAMES, start="x", groups=["a", "b"] * 150, progress=False)


def test_neighbours_leave_out_what_no_maximum_can_hold():
    rng = np.random.default_rng(0)
    x = rng.uniform(3, 6, (200, 2))
    found = kw.discover(
        x, np.maximum(x[:, 1], np.sqrt(x[:, 0] - 1)), names=["x", "y"], start="max(y, sqrt(x - 1))", time_budget=2,
        progress=False,
    )  # fmt: skip
    assert found.formula.r2 > 0.999


def test_blunders_and_limits_hold_for_a_formula_to_start_from():
    rows, y = table(lambda x, y, z: 2.3 * np.sin(1.7 * x) + 0.4 * y**2, noise=0.02)
    given = {"names": NAMES, "start": "2*sin(1.7*x) + 0.5*y**2", "time_budget": 2, "progress": False}
    wrong = y.copy()
    wrong[::40] = 1e6
    found = kw.discover(rows, wrong, **given)
    assert [one.row for one in found.outliers] == list(range(0, 300, 40))
    bounded = kw.discover(rows, y, constant_range=(-2, 2), **given)
    assert "2*sin" in str(bounded.formula) and not bounded.unmet
    with pytest.warns(kw.KnotworkWarning, match="not what was asked for"):
        assert "sin" not in str(kw.discover(rows, y, forbid=["sin"], **given).formula)
