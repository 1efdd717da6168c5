"""A front to choose from: it has five formulas or more, one of which can be chosen, and any two can be compared."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
import torch

import knotwork as kw
from knotwork.discovery import Comparison, Place
from knotwork.discovery.choice import exact
from knotwork.discovery.comparison import _Criterion, compare
from knotwork.errors import DataError, SpecError
from knotwork.expressions import parse
from knotwork.formulas import measured
from knotwork.formulas.constants import Sample, fitted
from knotwork.formulas.simple_exponents import without_unit_factors
from knotwork.formulas.uncertainty import template_of


def rows(count=300, seed=0):
    return np.random.default_rng(seed).uniform(0.5, 2, (count, 2))


TABLES = {
    "ratio": (rows(), lambda x: x[:, 0] / x[:, 1]),
    "noisy": (rows(), lambda x: 2 * np.exp(-x[:, 0]) + 0.05 * np.random.default_rng(1).normal(size=len(x))),
    "few": (rows(40), lambda x: x[:, 0] ** 2 * x[:, 1] * np.exp(0.02 * np.random.default_rng(2).normal(size=len(x)))),
    "signs": (2 * rows() - 2.5, lambda x: x[:, 0] * np.abs(x[:, 1]) + 1),
}


@pytest.fixture(scope="module", params=TABLES)
def found(request):
    x, law = TABLES[request.param]
    return kw.discover(x, law(x), names=["x", "y"], progress=False, time_budget=60)


def test_a_front_has_five_formulas_from_a_constant_and_a_line_upwards(found):
    """Nothing plain lies between x + 1, a line and x*|y| + 1: |y| alone explains nothing."""
    front = found.front
    least = 4 if front[-1].expression == parse("x*abs(y) + 1") else 5
    assert len(front) >= least and [one.complexity for one in front] == sorted(one.complexity for one in front)
    assert not front[0].expression.free_symbols
    lines = [one for one in front if one.expression.is_polynomial() and one.expression.free_symbols]
    lines = [one for one in lines if all(one.expression.diff(s).is_number for s in one.expression.free_symbols)]
    assert lines
    assert all(math.isfinite(one.bits) and math.isfinite(one.error) for one in front)
    assert len({one.expression for one in front}) == len(front)
    chosen = [one for one in front if one.formula is found.formula]
    assert len(chosen) == 1 and chosen[0].bits == min(one.bits for one in front)


def test_the_text_of_a_front_has_numbers_bits_errors_and_constants_with_errors(found):
    lines = str(found).splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("front"))
    assert found.error_rows in lines[start]
    heads = [line for line in lines[start + 1 :] if re.match(r"[→ ] +\d+ +\d+ +(\+?\d+|–) ", line)]
    assert [int(line[2:4]) for line in heads] == list(range(len(found.front)))
    assert [line.startswith("→") for line in heads] == [one.formula is found.formula for one in found.front]
    with_constants = [one for one in found.front if one.formula.constants]
    assert sum(line.strip().startswith("with ") for line in lines) == len(with_constants)


def test_each_formula_of_a_front_can_be_chosen(found, tmp_path):
    x = np.random.default_rng(5).uniform(0.6, 1.9, (7, 2))
    for n, entry in enumerate(found.front):
        other = found.choose(n)
        assert other.formula is entry.formula and other.shape == entry.shape and other.by_hand
        assert np.allclose(other.predict(x), entry.formula.predict(x))
        network = other.symbolic_model(torch.as_tensor(x))[:, 0].detach().numpy()
        assert np.allclose(network, other.predict(x), rtol=1e-6, atol=1e-6)
        assert [one.formula is other.formula for one in other.front].index(True) == n
    assert not found.by_hand
    found.choose(1).save(tmp_path / "chosen.json")
    again = kw.Discovery.load(tmp_path / "chosen.json")
    assert again.by_hand and again.error_rows == found.error_rows
    assert again.formula.expressions == found.front[1].formula.expressions
    for n in range(len(found.front)):
        assert np.allclose(again.choose(n).predict(x), found.choose(n).predict(x))
        before, after = (one.choose(n).symbolic_model(torch.as_tensor(x)) for one in (found, again))
        assert torch.equal(before, after)


@pytest.mark.parametrize("wrong", [-1, 99, 1.5, "2", True, None])
def test_numbers_that_are_not_on_the_front_are_refused(found, wrong):
    for call in (lambda: found.choose(wrong), lambda: found.compare(0, wrong)):
        with pytest.raises(SpecError, match=f"from 0 to {len(found.front) - 1}"):
            call()


def test_a_loaded_front_without_networks_asks_for_data(found):
    bare = replace(found, data=None, front=tuple(replace(one, symbolic_model=None) for one in found.front))
    with pytest.raises(DataError, match="pass data="):
        bare.choose(0)
    assert np.isfinite(bare.choose(0, data=found.data).predict([[1.0, 1.0]])).all()
    with pytest.raises(DataError, match="pass data="):
        bare.compare(0, 1)


def test_the_chosen_formula_is_compared_with_each_other_one(found):
    answer = [one.formula is found.formula for one in found.front].index(True)
    for n in range(len(found.front)):
        one = found.compare(n, answer)
        assert isinstance(one, Comparison) and one.better in (None, answer) and 0 <= one.p <= 1
        assert str(n) in str(one) and (n == answer) == (one.within is None)
    assert found.compare(0, answer).better == answer
    assert found.compare(answer, 0).rmse == found.compare(0, answer).rmse[::-1]


def test_an_exact_formula_has_no_noise():
    x = rows()
    found = kw.discover(x, x[:, 0] / x[:, 1], names=["x", "y"], progress=False)
    answer = [one.formula is found.formula for one in found.front].index(True)
    one = found.compare(0, answer)
    assert one.noise == 0 and one.within.repeats == 0 and "measurement" not in str(one.within)
    assert not any(exact(other, found.data) for other in found.front if other.formula is not found.formula)


# --- comparisons of given formulas ---


def formula_of(text, data):
    """The expression with its decimals fitted to the data."""
    columns = dict(zip(data.input_names, data.X_train.double().unbind(1), strict=True))
    expression = fitted(template_of(parse(text, data.input_names)), Sample(columns, data.y_train[:, 0])).filled()
    from knotwork.formulas.values import evaluate

    return measured((expression,), lambda x: evaluate((expression,), data, x), data)


def table(law, count, noise, seed, test=0.0, ends=(0.0, 2.0)):
    rng = np.random.default_rng(seed)
    x = rng.uniform(*ends, (count, 1))
    y = law(x[:, 0]) + noise * rng.normal(size=count)
    return kw.Dataset.from_arrays(x, y, names=["x"], seed=seed, test_size=test, validation_size=0)


@pytest.fixture
def without_places(monkeypatch):
    """Comparisons alone: the search for places takes most of the time."""
    monkeypatch.setattr(_Criterion, "best", lambda *_: None)


@pytest.mark.parametrize(("count", "test"), [(30, 0.0), (150, 0.4)])
def test_formulas_that_predict_equally_well_are_rarely_told_apart(count, test, without_places):
    """The law lies in the middle of two lines of known constants: a false alarm in 5 % of tables, ± 3 deviations."""
    alarms, tables = 0, 200
    for seed in range(tables):
        data = table(lambda x: x, count, 0.3, seed, test)
        pair = tuple(measured((parse(t, ["x"]),), lambda x: x, data) for t in ("x + 1/10", "x - 1/10"))
        alarms += compare((0, 1), pair, data, False).better is not None
    assert alarms <= tables * 0.05 + 3 * math.sqrt(tables * 0.05 * 0.95)


def test_a_useless_constant_more_is_not_called_better(without_places):
    """The simple law is true; the rows left out one at a time do not prefer a parabola that was fitted to them."""
    wrong = 0
    for seed in range(100):
        data = table(lambda x: 1.5 * x + 0.2, 30, 0.2, seed)
        pair = formula_of("1.4*x + 0.3", data), formula_of("1.4*x + 0.3 + 0.1*x**2", data)
        wrong += compare((0, 1), pair, data, False).better == 1
    assert wrong <= 100 * 0.05 + 3 * math.sqrt(100 * 0.05 * 0.95)


def test_laws_that_differ_by_more_than_the_noise_are_told_apart(without_places):
    right = 0
    for seed in range(50):
        data = table(np.exp, 60, 0.1, seed)
        pair = formula_of("3.1*x + 0.3", data), formula_of("1.1*exp(0.9*x)", data)
        right += compare((3, 7), pair, data, False).better == 7
    assert right >= 48


def test_the_proposed_measurements_decide_in_95_percent_of_cases():
    """Their mean lies nearer to the right one of the two values; they are as few as do so."""
    rng = np.random.default_rng(0)
    for count in (30, 60):
        data = table(lambda x: np.sqrt(x + 0.1), count, 0.2, 3)
        pair = formula_of("0.7*x + 0.5", data), formula_of("1.1*sqrt(x + 0.1)", data)
        place = compare((0, 1), pair, data, False).within
        means = place.values[1] + place.noise * rng.normal(size=(4000, place.repeats)).mean(1)
        right = np.abs(means - place.values[1]) < np.abs(means - place.values[0])
        assert right.mean() > 0.94
        if place.repeats > 1:
            fewer = place.values[1] + place.noise * rng.normal(size=(4000, place.repeats - 1)).mean(1)
            assert (np.abs(fewer - place.values[1]) < np.abs(fewer - place.values[0])).mean() < 0.96


def test_places_lie_in_the_box_and_have_the_largest_difference():
    data = table(np.exp, 60, 0.1, 0, ends=(1.0, 2.0))
    pair = formula_of("3.1*x + 0.3", data), formula_of("1.1*exp(0.9*x)", data)
    one = compare((0, 1), pair, data, False)
    x = data.X_train[:, 0].numpy()
    width = x.max() - x.min()
    assert x.min() <= one.within.inputs["x"] <= x.max()
    assert x.min() - 0.2 * width <= one.beyond.inputs["x"] <= x.max() + 0.2 * width
    assert one.beyond.difference >= one.within.difference
    for place in (one.within, one.beyond):
        at = {"x": [place.inputs["x"]]}
        assert np.allclose([f.predict(at)[0] for f in pair], place.values)
    grid = np.linspace(x.min(), x.max(), 1000)
    noise, known = (
        one.noise,
        [f.uncertainty[0].deviations({"x": torch.as_tensor(grid)}, "confidence").numpy() for f in pair],
    )
    told = np.abs(pair[0].predict({"x": grid}) - pair[1].predict({"x": grid})) / np.sqrt(
        noise**2 + known[0] ** 2 + known[1] ** 2
    )
    at = np.array([one.within.inputs["x"]])
    here = [f.uncertainty[0].deviations({"x": torch.as_tensor(at)}, "confidence").numpy()[0] for f in pair]
    value = abs(one.within.values[0] - one.within.values[1]) / math.sqrt(noise**2 + here[0] ** 2 + here[1] ** 2)
    assert value >= 0.98 * told.max()


def test_columns_of_few_values_get_no_values_in_between():
    rng = np.random.default_rng(0)
    x = np.c_[rng.integers(0, 2, 80), rng.uniform(1, 3, 80)].astype(float)
    data = kw.Dataset.from_arrays(x, x[:, 0] + x[:, 1], names=["sex", "size"], test_size=0, validation_size=0, seed=0)
    pair = tuple(measured((parse(t, ["sex", "size"]),), lambda x: x, data) for t in ("sex + size", "2*sex + size/2"))
    one = compare((0, 1), pair, data, False)
    assert one.within.inputs["sex"] in (0, 1) and one.beyond.inputs["sex"] in (0, 1)
    assert one.beyond.inputs["size"] > 0


def test_the_words_of_a_place():
    place = Place({"speed": 12.3456}, (1.0, 2.0), 0.25, 1)
    assert str(place) == "at speed = 12.35: 1 and 2, 4 times the noise; one measurement there tells them apart"
    assert "1,234 measurements there tell them apart" in str(replace(place, repeats=1234))
    assert str(replace(place, values=(1.000001, 1.000002), noise=0.0)) == "at speed = 12.35: 1.000001 and 1.000002"


@pytest.mark.parametrize("factor", [1.0, -1.0, 1.3])
def test_a_factor_of_one_within_its_error_is_left_out(factor):
    rng = np.random.default_rng(0)
    x = torch.as_tensor(rng.uniform(1, 3, 12))
    sample = Sample({"x": x}, factor * x**1.5 + 0.01 * torch.as_tensor(rng.normal(size=12)))
    template = fitted(template_of(parse("0.9*x**1.4", ["x"])), sample)
    ways = list(without_unit_factors(template, sample))
    assert [len(way.values) for way in ways] == ([] if abs(factor) != 1 else [1])
    for way in ways:
        assert float(way.filled().subs("x", 1)) == factor


def test_a_factor_of_one_inside_a_function_stays():
    x = torch.linspace(0, 3, 40, dtype=torch.float64)
    noise = 0.02 * torch.as_tensor(np.random.default_rng(0).normal(size=40))
    sample = Sample({"x": x}, 0.4 * torch.exp(torch.exp(-x)) + noise)
    template = fitted(template_of(parse("0.4*exp(1.05*exp(-1.1*x))", ["x"])), sample)
    assert list(without_unit_factors(template, sample)) == []


def test_choosing_among_laws_of_groups_boundaries_and_targets():
    x = np.tile(np.linspace(1, 2, 20), 2)
    day = np.repeat(["Mon", "Tue"], 20)
    groups = kw.discover(x[:, None], x**2 + np.where(day == "Mon", 0.3, 0.7), groups=day, progress=False)
    for n, entry in enumerate(groups.front):
        assert groups.choose(n).formula is entry.formula and groups.choose(n).shape == entry.shape
    X = np.random.default_rng(0).uniform(-1, 1, (300, 2))
    labels = np.where(X[:, 0] * X[:, 1] > 0, "same", "other")
    classes = kw.discover(X, labels, names=["x", "y"], progress=False)
    for n, entry in enumerate(classes.boundary.front):
        other = classes.choose(n)
        assert other.boundary.formula is entry.formula and 0 <= other.accuracy <= 1
    answer = [one.formula is classes.formula for one in classes.boundary.front].index(True)
    assert classes.choose(answer).accuracy == classes.accuracy and classes.choose(0).accuracy < classes.accuracy
    assert math.isnan(replace(classes, data=None).choose(0).accuracy)
    assert "not known" in str(replace(classes, data=None).choose(0))
    with pytest.raises(DataError, match="no boundary"):
        classes.choose(0, "neither")
    a, b = rows().T
    several = kw.discover(rows(), np.c_[a + a * b, b - a * b], names=["x", "z"], progress=False)
    other = several.choose(0, "y_2")
    assert other["y_2"].formula is several["y_2"].front[0].formula and other["y_1"] is several["y_1"]
    assert not any("y_2" in one.targets for one in other.shared)
    for wrong in (lambda: groups.choose(50), lambda: classes.choose(50), lambda: several.choose(50, "y_1")):
        with pytest.raises(SpecError, match="on the front"):
            wrong()
