"""A candidate whose calculation fails is dropped and counted, and the search goes on."""

import pytest
import torch

import knotwork as kw
from knotwork.discovery import formula_search
from knotwork.formulas.constants import Sample
from knotwork.functions import select
from knotwork.regression import fewer_variables, fitted_structures
from knotwork.regression import search as search_module
from knotwork.regression.curve_names import names_of_curve
from knotwork.regression.failures import Failures
from knotwork.regression.search import Search
from knotwork.regression.symmetry import combined_pairs
from knotwork.training import Reporter


def broken(error):
    def fail(*_, **__):
        raise error

    return fail


@pytest.mark.parametrize(
    ("part", "law", "error"),
    [
        ("fit_structure", "x*y/(1 + x**2*y)", RuntimeError("no convergence")),
        ("StructureFormulas.quick", "2*x + sin(3*y)", OverflowError()),
        ("fit_ridges", "(1 + x)*(x + y**2)", ValueError("NaN")),
        ("formulas_of_ridges", "sqrt(x)*y/(exp(x*y) - 1)", TypeError("complex")),
    ],
)
def test_a_part_that_fails_is_counted_and_the_rest_goes_on(monkeypatch, part, law, error):
    monkeypatch.setattr(f"{fitted_structures.__name__}.{part}", broken(error))
    monkeypatch.setattr(Search, "terms", lambda *_: None)  # sums of products of powers would find the law,
    monkeypatch.setattr(search_module, "curves_of_one_product", lambda search: iter(()))  # and so would this
    data = kw.sample(law, x=(1, 3), y=(1, 3), size=200, seed=0)
    x, y = torch.cat([data.X_train, data.X_val]), torch.cat([data.y_train, data.y_val])[:, 0]
    search = Search(Sample({"x": x[:, 0], "y": x[:, 1]}, y), len(data.X_train), select(None))
    found = list(search.formulas())
    assert found or "ormulas" in part  # without names nothing is left, but the search ends in order
    reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    assert set(search.failures.reasons) == {reason}


def test_what_was_dropped_is_shown(monkeypatch):
    monkeypatch.setattr(formula_search, "entry_from", broken(ValueError("cannot convert NaN\nmore")))
    data = kw.sample("x/y", x=(1, 2), y=(1, 2), size=200, seed=0)
    found = kw.discover(data, time_budget=0, progress=False)
    assert found.failures == {"ValueError: cannot convert NaN": sum(found.failures.values())}
    assert "× ValueError: cannot convert NaN" in str(found) and "× ValueError" in found._repr_html_()


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (MemoryError("full"), MemoryError),
        (KeyboardInterrupt(), KeyboardInterrupt),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), MemoryError),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), MemoryError),
    ],
)
def test_memory_that_ran_out_and_ctrl_c_are_no_failures_of_a_candidate(error, raised):
    failures = Failures()
    with pytest.raises(raised):
        failures.attempt(broken(error))
    with pytest.raises(raised):
        list(failures.surviving(broken(error)))
    assert not failures.reasons


def test_memory_that_torch_does_not_get_ends_the_search():
    with pytest.raises(MemoryError):
        Failures().attempt(lambda: torch.empty(2**60, dtype=torch.uint8))


def test_a_target_that_no_input_changes_has_no_symmetries():
    columns = [torch.full((50,), value, dtype=torch.float64) for value in (2.0, 3.0)]
    assert combined_pairs(columns, torch.rand(50, dtype=torch.float64) + 1, 0.12) == []


@pytest.mark.parametrize("part", ["power_factors", "combined_pairs", "looks_random", "Search"])
def test_a_stage_that_fails_is_counted_and_others_follow(monkeypatch, part):
    data = kw.sample("exp(-(x - y)**2)/(1 + z**2*x)", x=(1, 3), y=(1, 3), z=(1, 2), size=300, noise=0.01, seed=0)
    rows, y = torch.cat([data.X_train, data.X_val]), torch.cat([data.y_train, data.y_val])[:, 0]
    search = Search(Sample(dict(zip("xyz", rows.unbind(1), strict=True)), y), len(data.X_train), select(None))
    if part == "Search":  # that of the smaller table
        monkeypatch.setattr(fewer_variables, "smaller", lambda rows, tolerance: ([(0, 1, -1)], {}))
    module = search_module if hasattr(search_module, part) else fewer_variables
    monkeypatch.setattr(module, part, broken(ZeroDivisionError("float division by zero")))
    stages = []
    monkeypatch.setattr(search.reporter, "stage", lambda title: stages.append(title))
    list(search.formulas())
    assert set(search.failures.reasons) == {"ZeroDivisionError: float division by zero"}
    assert len(stages) >= 3


def test_candidates_before_a_failure_are_kept():
    failures = Failures()
    assert list(failures.surviving(lambda: (1 // n for n in (1, 1, 0, 1)))) == [1, 1]
    assert failures.attempt(lambda: 3) == 3
    assert sum(failures.reasons.values()) == 1


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_a_curve_that_leaves_the_range_of_floats_has_no_name(value):
    t = torch.linspace(1, 2, 50, dtype=torch.float64)
    assert names_of_curve(t, torch.full_like(t, value), select(None)) == []
    y = t.clone()
    y[7] = value
    assert names_of_curve(t, y, select(None)) == []


def test_a_mistake_of_our_own_code_is_seen_though_it_counts_as_a_failure_of_a_candidate(mistakes):
    failures = Failures()
    assert failures.attempt(lambda: list(Reporter().timely(5))) is None  # no sequence
    assert failures.attempt(lambda: int("a word")) is None  # no mistake of our code
    assert list(failures.surviving(lambda: iter([1, 2]))) == [1, 2]
    assert len(failures.reasons) == 2 and len(mistakes) == 1 and "timely" in mistakes.pop()
