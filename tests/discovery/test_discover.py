"""discover() on tables whose formula is known."""

import importlib
import itertools
import re
import warnings

import numpy as np
import pytest
import torch

import knotwork as kw
from knotwork.discovery import Entry
from knotwork.discovery.choice import joined
from knotwork.errors import KnotworkWarning
from knotwork.expressions import complexity, parse, to_numpy
from knotwork.regression.search import Search
from knotwork.solvers import StopReason


@pytest.mark.parametrize(
    ("text", "bounds"),
    [("exp(sin(pi*x) + y**2)", (-1, 1)), ("x*y", (-1, 1)), ("x/y", (0.5, 2)), ("sin(x)*exp(-y)", (-1, 1))],
)
def test_a_formula_without_noise_is_found_exactly(text, bounds):
    data = kw.sample(text, x=bounds, y=bounds, size=500, test_size=100, seed=3)
    found = kw.discover(data, seed=3)
    assert found.formula.expression == parse(text)
    assert found.formula.r2 == pytest.approx(1.0, abs=1e-12)


def test_a_formula_is_found_in_noisy_rows_with_an_unused_column():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (600, 3))
    y = 3 * X[:, 0] ** 2 - X[:, 2]
    found = kw.discover(X, y + 0.02 * rng.normal(size=600), names=["height", "noise", "speed"], seed=0)
    assert found.importance["noise"] < 0.02
    assert sum(found.importance.values()) == pytest.approx(1.0)
    # the network excludes the unused column, but still takes rows of all columns
    assert found.symbolic_model.spec.inputs == (0, 2)
    assert found.spline_model(torch.as_tensor(X)).shape == (600, 1)
    fresh = rng.uniform(-1, 1, (500, len(found.formula.variables)))
    columns = dict(zip(found.formula.variables, fresh.T, strict=True))
    truth = 3 * columns["height"] ** 2 - columns["speed"]
    assert np.abs(found.formula.numpy()(*fresh.T) - truth).std() < 0.01


def test_a_table_with_one_input_is_enough():
    x = np.linspace(0.1, 3, 300)
    found = kw.discover(x[:, None], np.log(x) + 2, names=["x"], seed=0)
    assert found.formula.expression == parse("log(x) + 2")


@pytest.mark.filterwarnings("ignore:no formula that was tried explains")  # five seconds may not suffice
def test_formulas_of_the_front_become_longer_and_more_accurate_and_one_is_chosen():
    data = kw.sample("tanh(3*x) * y + 0.3*y**2", x=(-1, 1), y=(-1, 1), size=300, noise=0.05, seed=0)
    found = kw.discover(data, time_budget=5, seed=0)
    complexity = [entry.formula.complexity for entry in found.front]
    others = [entry for entry in found.front if entry.formula is not found.formula]
    assert complexity == sorted(complexity) and len(others) == len(found.front) - 1
    errors = [entry.error for entry in others]
    beaten = sum(error >= min(errors[:n], default=np.inf) for n, error in enumerate(errors))
    assert not beaten or len(found.front) == 5  # others only for comparison, where the front has few
    assert np.isfinite(found.formula.gap)


def test_a_time_budget_ends_the_search_after_the_first_formula():
    data = kw.sample("x + 0.1*abs(sin(5*x*y))", x=(-1, 1), y=(-1, 1), size=200, seed=0)
    stages = []
    found = kw.discover(data, time_budget=0.0, seed=0, callback=lambda event: stages.append(event.stage))
    assert {stage for stage in stages if stage.startswith("trying")} == {"trying sums and products of curves"}
    assert found.formula.r2 > 0.9  # x alone


def test_the_same_seed_finds_the_same_formula():
    data = kw.sample("x + 0.1*x*y", x=(-1, 1), y=(-1, 1), size=200, noise=0.01, seed=0)
    first, second = (kw.discover(data, time_budget=0.0, seed=1).formula.expressions for _ in range(2))
    assert first == second


def test_bad_tables_raise_an_error_before_any_work():
    with pytest.raises(kw.KnotworkError, match=r"NaN|missing"):
        kw.discover(np.array([[1.0], [np.nan], [2.0]]), np.ones(3), missing="error")


class Fronts(list):
    """A callback that collects the different fronts it receives."""

    def __call__(self, event):
        if event.front and (not self or event.front != self[-1]):
            self.append(event.front)


def test_the_callback_receives_improving_fronts():
    data = kw.sample("x**2 + 0.3*sin(5*y)", x=(-1, 1), y=(-1, 1), size=200, noise=0.02, seed=0)
    shown = Fronts()
    kw.discover(data, seed=0, callback=shown, time_budget=10)
    assert len(shown) >= 2 and len(shown[0]) == 1  # the mean comes first
    for front in shown:
        complexity, errors = zip(*((one.complexity, one.error) for one in front), strict=True)
        assert list(complexity) == sorted(set(complexity))
        assert list(errors) == sorted(set(errors), reverse=True)
    for before, after in itertools.pairwise(shown):
        assert set(after) - set(before)
        assert min(one.error for one in after) <= min(one.error for one in before)
    noise = data.y_val[:, 0] - data.X_val[:, 0] ** 2 - 0.3 * torch.sin(5 * data.X_val[:, 1])
    assert shown[-1][-1].error == pytest.approx(float(noise.square().mean().sqrt()), rel=0.2)
    assert shown[-1][0] == shown[0][0]  # nothing is shorter than the mean


def test_the_front_drops_formulas_that_are_longer_and_less_accurate():
    front, shown = (), []
    for text, error in [("x", 1.0), ("x*y + x", 0.5), ("x*y", 0.4), ("x*y + y", 0.45), ("x + y", float("nan"))]:
        longer = joined(front, Entry(complexity(parse(text)), error, parse(text), "a sum"))
        if longer is not front:
            shown.append([str(entry.expression) for entry in longer])
        front = longer
    assert shown == [["x"], ["x", "x*y + x"], ["x", "x*y"]]


def test_names_may_come_from_iterators_that_are_read_once():
    """y = 2*x is exact, but lacks the input that is required."""
    X = np.random.default_rng(0).uniform(0.5, 2, (40, 2))
    given = {"required": (name for name in ["z"]), "lib": iter(["x", "sin"]), "forbid": iter(["sin"])}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KnotworkWarning)  # that no formula has it
        found = kw.discover(X, 2 * X[:, 0], names=["x", "z"], time_budget=1, progress=False, **given)
    assert "z" in str(found.formula.expression) or "does not hold z" in found.unmet
    assert found.settings["functions"] == ["x"] and found.settings["forbidden"] == ["sin"]


def test_global_state_does_not_change():
    data = kw.sample("x + 0.1*x*y", x=(-1, 1), y=(-1, 1), size=100, seed=0)
    before = torch.get_rng_state(), torch.get_num_threads()
    kw.discover(data, time_budget=0.0, seed=0)
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == torch.get_num_threads()


def test_a_formula_is_found_among_many_columns():
    many = np.random.default_rng(1).uniform(-1, 1, (300, 10))
    found = kw.discover(many, 10 * many[:, 0] + 3 * many[:, 1] * many[:, 2], time_budget=10, seed=0)
    assert found.formula.r2 > 0.9


def test_columns_may_have_any_name():
    x = np.random.default_rng(0).uniform(1, 3, (200, 3))
    found = kw.discover(x, 1.234 * x[:, 0] * x[:, 1] - x[:, 2], names=["constant 0", "pair 0", "I"], seed=0)
    assert found.formula.r2 == pytest.approx(1)


def test_the_formula_of_an_unexplained_target_is_its_mean():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(120, 3)), rng.normal(size=120)
    with pytest.warns(kw.KnotworkWarning, match="better than a constant does"):
        found = kw.discover(X, y, lib=["x", "x^2", "sin"], seed=0)
    assert found.shape == "a constant"
    assert float(found.formula.expression) == pytest.approx(float(found.data.y_train.mean()))


@pytest.mark.parametrize("unit", [1e90, 1e-40, 1e13])
def test_a_ratio_in_an_unusual_unit_is_found_exactly(unit):
    X = np.random.default_rng(3).uniform(1, 3, (300, 2))
    found = kw.discover(X, unit * X[:, 0] / X[:, 1], names=["a", "b"], seed=0, progress=False)
    assert found.formula.complexity == 5  # unit*a/b
    assert found.formula.rmse < 1e-12 * unit


@pytest.mark.parametrize("unit", [1e200, 1e-200])
def test_very_large_and_very_small_targets_are_explained(unit):
    rng = np.random.default_rng(0)
    X = rng.uniform(1, 2, (200, 2))
    noise = 0.01 * rng.normal(size=200)
    shown, found = Fronts(), []
    for scale in (1.0, unit):
        data = kw.Dataset.from_arrays(X, scale * (1.25 * X[:, 0] * X[:, 1] + noise), names=["a", "b"], seed=0)
        found.append(kw.discover(data, seed=0, callback=shown))
    plain, other = found
    assert set(other.formula.expression.free_symbols) == set(plain.formula.expression.free_symbols) != set()
    assert other.formula.r2 == pytest.approx(plain.formula.r2, abs=1e-3) and other.formula.r2 > 0.99
    assert other.formula.rmse / unit == pytest.approx(plain.formula.rmse, rel=0.1)
    (constant,) = other.formula.constants
    assert constant.error / unit == pytest.approx(
        0.01 / np.sqrt(128) / np.mean((X[:, 0] * X[:, 1]) ** 2) ** 0.5, rel=0.3
    )
    rows = other.data.X_test
    truth = 1.25 * (rows[:, 0] * rows[:, 1])
    for network in (other.symbolic_model, other.spline_model):
        np.testing.assert_allclose(network(rows)[:, 0].detach().numpy() / unit, truth.numpy(), rtol=0.01)
    mean, lower, upper = other.formula.predict({"a": 1.5, "b": 1.5}, interval=0.95)
    assert lower < mean < upper and (upper - lower) / unit == pytest.approx(4 * 0.01, rel=0.2)
    assert shown[-1][-1].error / unit == pytest.approx(0.01, rel=0.3)
    assert [entry.error / unit < 1 for entry in other.front] == [True] * len(other.front)


def test_a_weak_input_that_matters_is_not_excluded():
    x = np.random.default_rng(0).uniform(-1, 1, (500, 2))
    found = kw.discover(x, x[:, 0] + 0.005 * x[:, 1], names=["a", "b"], seed=0)
    assert found.formula.round(6).expression == parse("a + 0.005*b")


def test_absolute_values_give_a_formula():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (300, 1))
    found = kw.discover(x, np.abs(x[:, 0] - 0.3), names=["x"], seed=0)
    assert found.formula.r2 > 0.999


def test_an_interrupt_keeps_the_formulas_found(monkeypatch):
    data = kw.sample("exp(x) + y", x=(-1, 1), y=(-1, 1), size=100, seed=0, noise=0.01)

    def stop(self, reading):
        raise KeyboardInterrupt

    monkeypatch.setattr(Search, "judge", stop)
    found = kw.discover(data, seed=0)
    assert found.shape != "a constant" and found.formula.r2 > 0.99
    assert found.stop == StopReason.INTERRUPTED


class CtrlC:
    """A callback that raises KeyboardInterrupt in a stage of these titles, after some of its steps."""

    def __init__(self, within, stage):
        self.within, self.stage = within, stage

    def __call__(self, event):
        inside = event.within.startswith(self.within) and event.stage.startswith(self.stage)
        if inside and (event.steps is None or event.step == 2):
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("part", "title", "noise"),
    [
        ("looking for inputs that matter", "fit (lm)", 0),
        ("fitting the baseline network", "fit (lm), G=5", 0),
        ("fitting the baseline network", "fit (lm), G=10", 0.01),
        ("trying a sum", "fit (lm), G=5", 0),
        ("trying a sum", "fit (lm), G=10", 0),
        ("trying a sum", "naming its edges", 0),
        ("trying a product", "race of 8", 0.01),
    ],
)
def test_an_interrupt_at_any_stage_ends_with_the_best_so_far(part, title, noise, monkeypatch):
    """The front holds a constant at first, a straight line after the search, then the formulas of networks."""
    monkeypatch.setattr(Search, "formulas", lambda self: iter(()))  # as if the search found no formula
    data = kw.sample(lambda x, y, z: torch.exp(x) + y, x=(-1, 1), y=(-1, 1), z=(-1, 1), size=100, seed=0, noise=noise)
    found = kw.discover(data, seed=0, callback=CtrlC(part, title))
    assert found.stop == StopReason.INTERRUPTED
    assert found.formula is not None and np.isfinite(found.formula.gap)
    assert (found.baseline is not None) == (part in ("trying a sum", "trying a product"))
    assert set(found.importance) == {"x", "y", "z"}
    searched, named = part != "looking for inputs that matter", part == "trying a product"
    assert found.shape == (
        "a sum of functions of one input" if named else "a straight line" if searched else "a constant"
    )
    assert len(found.front) == 1 + searched + named


@pytest.mark.filterwarnings("ignore:no formula that was tried explains")
def test_why_a_search_ended_is_reported():
    exact = kw.sample("x*y", x=(-1, 1), y=(-1, 1), size=100, seed=0)
    assert kw.discover(exact, seed=0).stop == StopReason.EXACT
    noisy = kw.sample("x + y", x=(-1, 1), y=(-1, 1), size=100, noise=0.1, seed=0)
    assert kw.discover(noisy, seed=0, time_budget=0).stop == StopReason.TIME_BUDGET
    line = kw.sample("exp(x)", x=(-1, 1), size=60, noise=0.1, seed=0)
    assert kw.discover(line, seed=0, lib=["x", "exp"]).stop == StopReason.RANDOM_RESIDUAL
    wave = kw.sample("exp(sin(9*x))", x=(-1, 1), size=60, seed=0)
    assert kw.discover(wave, seed=0, lib=["x"]).stop == StopReason.EXHAUSTED


def test_a_search_that_ended_before_its_time_was_used_up_says_why(monkeypatch):
    """Also where the entries were built after that time."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0.5, 2, (300, 2))
    monkeypatch.setattr(importlib.import_module("knotwork.discovery.formula_search"), "late", lambda until: True)
    found = kw.discover(x, x[:, 0] / x[:, 1] + 0.05 * rng.normal(size=300), progress=False)
    assert found.stop == StopReason.RANDOM_RESIDUAL


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        *(
            ({"seed": seed}, f"seed={seed!r} is not possible: give a whole number")
            for seed in (None, "0", 1.5, -1, True)
        ),
        *(
            ({"time_budget": budget}, f"time_budget={budget!r} is not possible: give seconds, 0 or more, or None")
            for budget in ("10", -1, float("nan"), [5])
        ),
        ({"names": ["a"]}, "names= was given without y=: pass X and y, or a Dataset"),
        ({"progress": "yes"}, "progress='yes' is not understood"),
        ({"lib": ["sinn"]}, "sinn"),
    ],
)
def test_impossible_settings_are_refused_before_any_work(settings, message):
    stages = []
    with pytest.raises(kw.KnotworkError, match=re.escape(message)):
        kw.discover(kw.sample("x", x=(0, 1), size=20), callback=stages.append, **settings)
    assert stages == []


def test_a_stream_is_searched_by_its_rows_in_memory():
    x = torch.linspace(-1, 1, 60, dtype=torch.float64)[:, None]
    found = kw.discover(kw.stream_batches([(x, 2 * x)], validation=[(x, 2 * x)], names=["x"]), seed=0)
    assert found.formula.round(6).expression == parse("2*x")


@pytest.mark.parametrize("seed", range(3))
def test_a_formula_is_found_in_noise_larger_than_the_signal(seed):
    generator = torch.Generator().manual_seed(seed)
    rows = torch.rand(1000, 3, generator=generator).double() * 2 - 1
    y = rows[:, 0] ** 2 + 0.5 * torch.randn(1000, generator=generator).double()  # the signal has 0.3
    found = kw.discover(kw.Dataset.from_arrays(rows, y, names=["x", "y", "z"], test_size=0.2), seed=seed)
    assert {str(s) for s in found.formula.expression.free_symbols} == {"x"}
    truth = rows[:, 0].numpy() ** 2
    assert np.sqrt(np.mean((found.formula.numpy()(*rows.numpy().T) - truth) ** 2)) < 0.1


@pytest.mark.parametrize("seed", range(3))
def test_a_straight_line_in_noise_is_not_taken_for_a_constant(seed):
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(150, 3, generator=generator).double()
    y = rows[:, 0] - rows[:, 1] + 1.2 * torch.randn(150, generator=generator).double()
    found = kw.discover(rows, y, names=["x", "y", "z"], seed=seed, time_budget=3)
    assert {"x", "y"} <= {str(s) for s in found.formula.expression.free_symbols}


@pytest.mark.parametrize("title", ["looking for inputs that matter", "trying sums of products", "trying sums and"])
def test_a_callback_that_returns_true_ends_with_the_best_so_far(title):
    data = kw.sample("tanh(2*x) + y", x=(-1, 1), y=(-1, 1), size=100, seed=0)
    found = kw.discover(data, seed=0, callback=lambda event: event.stage.startswith(title))
    assert found.stop == StopReason.CALLBACK and found.stop_reason == "stopped by the callback"
    assert found.shape == "a constant" if title.startswith("looking") else found.shape != "a constant"


STOPPED = "stopped by the callback"


class StopAt:
    """A callback that returns True at the n-th stage whose title begins so, and counts the events until then."""

    def __init__(self, title, number=1):
        self.title, self.number, self.received = title, number, 0

    def __call__(self, event):
        assert self.number, "an event after the callback has asked to stop"
        self.received += 1
        self.number -= event.stage.startswith(self.title) and not event.step
        return self.number == 0


@pytest.mark.parametrize(
    ("title", "number", "size", "slope"),
    [
        ("looking for inputs that matter", 1, 1, 0.0),
        ("fitting the baseline network", 1, 2, 0.0),
        ("looking for inputs that matter", 2, 2, 0.0),
        ("looking for inputs that matter", 2, 2, 1.0),  # every input matters
        ("trying a sum of functions", 1, 2, 0.0),
        ("naming its edges", 1, 2, 0.0),
    ],
)
def test_no_step_follows_a_callback_that_stops_as_a_stage_begins(monkeypatch, displayed, title, number, size, slope):
    """The front holds a constant at first, a straight line after the search among structures."""
    monkeypatch.setattr(Search, "formulas", lambda self: iter(()))  # as if the search found no formula
    data = kw.sample(lambda x, y, z: torch.exp(x) + y + slope * z, x=(-1, 1), y=(-1, 1), z=(-1, 1), size=100, seed=0)
    callback = StopAt(title, number)
    found = kw.discover(data, seed=0, callback=callback)
    after = displayed[callback.received :]
    assert not callback.number and [event.stage for event in after] == [found.stop_reason] == [STOPPED]
    assert found.stop is StopReason.CALLBACK and len(found.front) == size


@pytest.mark.parametrize(("exponent", "title"), [(0.5, "units: all but one constant"), (1.5, "units: no product")])
def test_no_step_follows_a_callback_that_stops_at_the_units(displayed, exponent, title):
    """T = 2π·√(L/g) is fitted in groups, T = 2π·(L/g)^1.5 in columns; neither is begun."""
    length, g = np.random.default_rng(0).uniform(1, 2, (2, 160))
    units = {"length": "m", "g": "m/s^2", "y": "s" if exponent == 0.5 else "kg"}
    data = kw.Dataset.from_arrays(np.c_[length, g], 2 * np.pi * (length / g) ** exponent, names=["length", "g"])
    callback = StopAt(title)
    found = kw.discover(data, units=units, seed=0, callback=callback)
    assert [event.stage for event in displayed[callback.received :]] == [STOPPED]
    assert found.stop is StopReason.CALLBACK and len(found.front) == 1


def test_no_edge_is_named_after_a_callback_that_stops_at_the_closest_shape(monkeypatch, displayed):
    """Nor does another shape follow: the callback stops at the first of three that are not close."""
    formula_search, networks = (
        importlib.import_module(f"knotwork.discovery.{n}") for n in ("formula_search", "networks")
    )
    monkeypatch.setattr(Search, "formulas", lambda self: iter(()))
    monkeypatch.setattr(formula_search, "straight_line", lambda *asked: [])
    whole = networks.shapes
    monkeypatch.setattr(networks, "shapes", lambda inputs: 3 * whole(inputs)[:1])
    fitted = networks.fit_shape
    monkeypatch.setattr(networks, "fit_shape", lambda *asked: fitted(*asked)._replace(error=np.inf))
    callback = StopAt("naming the closest shape")
    data = kw.sample(lambda x: torch.exp(x), x=(-1, 1), size=100, seed=0)
    found = kw.discover(data, seed=0, callback=callback)
    assert not callback.number and [event.stage for event in displayed[callback.received :]] == [STOPPED]
    assert found.stop is StopReason.CALLBACK and len(found.front) == 1


def test_a_callback_that_stops_at_the_front_of_an_exact_network_is_the_reason(monkeypatch, displayed):
    formula_search = importlib.import_module("knotwork.discovery.formula_search")
    monkeypatch.setattr(Search, "formulas", lambda self: iter(()))
    monkeypatch.setattr(formula_search, "straight_line", lambda *asked: [])
    data = kw.sample(lambda x: torch.exp(x), x=(-1, 1), size=100, seed=0)
    settings = {"seed": 0, "lib": ["x", "exp"]}
    assert kw.discover(data, **settings).stop is StopReason.EXACT
    found = kw.discover(data, **settings, callback=lambda event: len(event.front) > 1)
    assert found.stop is StopReason.CALLBACK and displayed[-1].stage == STOPPED
    assert found.formula.r2 > 1 - 1e-9


def test_a_straight_line_is_shown_before_the_search_begins():
    data = kw.sample(lambda x, y: 3 * x + torch.exp(y), x=(-1, 1), y=(-1, 1), size=200, seed=0)
    events = []
    kw.discover(data, seed=0, progress=False, callback=lambda event: events.append(event) or len(event.front) > 1)
    assert not any(event.stage.startswith("looking for inputs") for event in events)
    line = events[-1].front[-1].expression
    assert {str(s) for s in line.free_symbols} == {"x", "y"} and line.is_polynomial()
    assert len(kw.discover(data, progress=False, callback=lambda event: True).front) == 1  # at the constant already


def test_ctrl_c_while_entries_are_made_keeps_the_finished_entries(monkeypatch):
    parts = importlib.import_module("knotwork.discovery.formula_search")
    every, made, calls = parts.best_candidates, parts.entry_from, []

    def interrupted_at_the_second(candidate, data):
        calls.append(candidate)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return made(candidate, data)

    monkeypatch.setattr(parts, "best_candidates", lambda found: 2 * every(found))
    monkeypatch.setattr(parts, "entry_from", interrupted_at_the_second)
    x = np.random.default_rng(0).uniform(1, 2, (200, 2))
    found = kw.discover(x, x[:, 0] * x[:, 1], seed=0, progress=False)
    assert len(calls) == 2 and found.stop.by_caller
    assert len(found.formula.expression.free_symbols) == 2


@pytest.mark.parametrize(
    ("text", "span", "noise", "right"),
    [
        ("sin(2*x) + 0.1*x", (0, 10), 0.0, "x/10 + sin(2*x)"),
        ("sin(40*x) + 2*x", (0, 10), 0.01, "2*x + sin(40*x)"),
        ("log(2 + sin(3*x))", (0, 6), 0.01, "log(sin(3*x) + 2)"),
        ("(2*x + 1)/(x**2 + 3)", (-4, 4), 0.0, "(2*x + 1)/(x**2 + 3)"),
    ],
)
def test_formulas_of_one_input_are_sums_ratios_and_compositions(text, span, noise, right):
    rng = np.random.default_rng(0)
    x = rng.uniform(*span, 400)
    y = to_numpy(parse(text), ["x"])(x)
    found = kw.discover(x[:, None], y + noise * y.std() * rng.normal(size=400), names=["x"], seed=0)
    difference = to_numpy(found.formula.expression, ["x"])(x) - y
    assert np.sqrt(np.mean(difference**2)) < 4 * noise * y.std() * np.sqrt(4 / 400) + 1e-9
    assert complexity(found.formula.expression) <= complexity(parse(right)) + 2


def test_thirty_rows_that_level_off_are_a_saturating_curve():
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 12, 30)
    y = 5 * x / (1.2 + x) + 0.1 * rng.normal(size=30)
    found = kw.discover(x[:, None], y, names=["x"], seed=0)
    values = to_numpy(found.formula.expression, ["x"])(np.array([0.5, 6.0, 12.0]))
    assert values[2] - values[1] < 0.25 * (values[1] - values[0])
