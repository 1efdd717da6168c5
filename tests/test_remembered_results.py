"""Laws of results that a calculation keeps in a file: what is read is what would be computed, and its time counts."""

import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from knotwork.expressions import algebra, parse
from knotwork.formulas.constants import Sample
from knotwork.journal import clock, part_of, recalled, remembering, results_memory, resumed
from knotwork.journal.fingerprints import Fingerprints

QUESTION = {"the calculation": "a test"}


def slow(result, calls, seconds=0.01):
    """A function that takes time, gives the result, and counts its calls."""

    def compute():
        calls.append(result)
        time.sleep(seconds)
        return result

    return compute


def recall(name, given, compute, complete=None):
    return recalled(name, lambda: given, compute, lambda value: value, lambda value: value, complete)


def functions(known):
    """The functions whose results are in the file."""
    return [one.split()[0] for one in known.book.entries if one.startswith("=")]


@pytest.fixture
def place(tmp_path):
    return tmp_path / "calculation.kw"


def test_a_result_is_read_by_the_next_call_and_its_time_counts(place):
    calls = []
    for _ in range(2):
        with remembering(place, lambda: QUESTION):
            began, real = clock(), time.perf_counter()
            assert recall("f", (1, "a", torch.ones(2)), slow(3.0, calls, 0.2)) == 3.0
            assert 0.2 <= clock() - began < 0.4
            last = time.perf_counter() - real
    assert calls == [3.0]
    assert last < 0.1


def test_without_a_file_nothing_is_kept():
    calls = []
    with remembering(None, lambda: QUESTION):
        for _ in range(2):
            recall("f", (1,), slow(3.0, calls))
    assert len(calls) == 2


def test_other_arguments_and_other_functions_have_results_of_their_own(place):
    calls = []
    with remembering(place, lambda: QUESTION):
        for name, given in (("f", (1.0,)), ("f", (1.0 + 2**-52,)), ("g", (1.0,)), ("f", (1,)), ("f", (1.0,))):
            recall(name, given, slow(name, calls))
    assert calls == ["f", "f", "g", "f"]


def test_a_result_stands_for_those_that_it_was_made_of(place):
    calls = []

    def outer():
        return [recall("inner", n, slow(n, calls)) for n in range(3)]

    with remembering(place, lambda: QUESTION) as known:
        assert known is not None
        assert recall("outer", (), outer) == [0, 1, 2]
        assert functions(known) == ["=outer"]
    with remembering(place, lambda: QUESTION):
        assert recall("outer", (), outer) == [0, 1, 2]
    assert calls == [0, 1, 2]


def test_a_function_that_was_ended_goes_on_from_its_parts(place):
    calls = []

    def outer(end):
        found = [recall("inner", n, slow(n, calls)) for n in range(2)]
        if end:
            raise KeyboardInterrupt
        return [*found, recall("inner", 2, slow(2, calls))]

    with pytest.raises(KeyboardInterrupt), remembering(place, lambda: QUESTION):
        recall("outer", (), lambda: outer(True))
    with remembering(place, lambda: QUESTION) as known:
        assert "2 results" in resumed()
        assert recall("outer", (), lambda: outer(False)) == [0, 1, 2]
        assert known is not None
        assert functions(known) == ["=outer"]
    assert calls == [0, 1, 2]


def test_what_was_cut_off_and_what_took_no_time_is_computed_again(place, monkeypatch):
    monkeypatch.setattr(results_memory, "JOURNAL", replace(results_memory.JOURNAL, seconds_worth_keeping=1e3))
    calls = []
    for _ in range(2):
        with remembering(place, lambda: QUESTION):
            recall("quick", (), slow(1, calls))
            with monkeypatch.context() as patched:
                patched.setattr(results_memory, "JOURNAL", replace(results_memory.JOURNAL, seconds_worth_keeping=0.0))
                recall("cut", (), slow(2, calls), complete=lambda: False)
    assert calls == [1, 2, 1, 2]


def test_a_value_without_a_fingerprint_is_no_error(place):
    calls = []
    with remembering(place, lambda: QUESTION):
        for _ in range(2):
            assert recall("f", (object(),), slow(1, calls)) == 1
    assert len(calls) == 2


def test_the_file_has_a_bound_and_results_that_took_longest_stay(place, monkeypatch):
    monkeypatch.setattr(results_memory, "JOURNAL", replace(results_memory.JOURNAL, most_bytes=100_000))
    calls = []
    with remembering(place, lambda: QUESTION) as known:
        recall("long", (), slow(torch.zeros(1000), calls, 0.3))
        for n in range(40):
            recall("short", n, slow(torch.zeros(1000), calls, 0.002))
        assert known is not None
        assert known.size <= 100_000
        assert functions(known).count("=long") == 1
    assert place.stat().st_size < 150_000


def test_a_long_part_goes_on_from_its_state_and_its_time_counts(place):
    with remembering(place, lambda: QUESTION):
        part = part_of(lambda: "a loop")
        part.keep(lambda: {"step": 3}, at_once=True)
        time.sleep(0.1)
        part.keep(lambda: {"step": 4}, at_once=True)
    with remembering(place, lambda: QUESTION):
        began = clock()
        part = part_of(lambda: "a loop")
        assert part.value == {"step": 4}
        assert clock() - began >= 0.1
        assert not part_of(lambda: "another loop").known


def test_expressions_are_told_apart_by_all_their_digits():
    one, other = (algebra.Float(v) * algebra.Symbol("x") for v in (0.1 + 0.2, 0.3))
    assert str(one) == str(other)
    assert Fingerprints().of(one) != Fingerprints().of(other)
    assert Fingerprints().of(parse("sin(x)", ["x"])) != Fingerprints().of(parse("cos(x)", ["x"]))
    real = algebra.Symbol("x", real=True)
    assert Fingerprints().of(real) != Fingerprints().of(algebra.Symbol("x"))


def test_arrays_are_told_apart_by_type_shape_and_every_number():
    found = [
        Fingerprints().of(one)
        for one in (
            torch.zeros(4),
            torch.zeros(2, 2),
            torch.zeros(4, dtype=torch.float64),
            torch.tensor([0.0, 0.0, 0.0, 1e-30]),
            np.zeros(3),
            torch.Generator().manual_seed(0),
            torch.Generator().manual_seed(1),
        )
    ]
    assert len(set(found)) == len(found)
    assert Fingerprints().of(torch.arange(6.0).view(2, 3).T) == Fingerprints().of(
        torch.arange(6.0).view(2, 3).T.clone()
    )


SCRIPT = """
import torch
from knotwork.expressions import parse
from knotwork.formulas.constants import Sample
from knotwork.journal.fingerprints import Fingerprints
x = torch.linspace(0, 1, 5)
print(Fingerprints().of([parse("2.5*sin(x) + y/3 + pi", ["x", "y"]), Sample({"x": x, "y": x}, x), {"a": (1, None)}]))
"""


def test_fingerprints_are_those_of_another_process():
    found = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT], capture_output=True, text=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    x = torch.linspace(0, 1, 5)
    values = [parse("2.5*sin(x) + y/3 + pi", ["x", "y"]), Sample({"x": x, "y": x}, x), {"a": (1, None)}]
    assert found == {f"{Fingerprints().of(values)}\n"}
