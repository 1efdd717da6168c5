"""Loading the library takes no needless time, and the collector of garbage works afterwards as it did before."""

import gc
import subprocess
import sys

import pytest

from knotwork.undisturbed import loading


def output_of(code, *given):
    return subprocess.run(
        [sys.executable, "-c", code, *given], check=True, capture_output=True, text=True
    ).stdout.split()


COLLECTED = """
class Cycle:
    def __init__(self):
        self.own = self

cycle = Cycle()
alive = weakref.ref(cycle)
del cycle
gc.collect()
print(alive() is None, gc.isenabled(), gc.get_threshold() == thresholds, gc.get_freeze_count())
"""


@pytest.mark.parametrize("before", ["", "gc.disable()"])
@pytest.mark.parametrize("afterwards", ["", "kw.sample('x', x=(0, 1), size=9)", "import knotwork.drawing"])
def test_cycles_made_after_the_import_are_collected(before, afterwards):
    code = f"import gc, weakref\nthresholds = gc.get_threshold()\n{before}\nimport knotwork as kw\n{afterwards}\n"
    assert output_of(code + COLLECTED) == ["True", str(not before), "True", "0"]


UNFINISHED = """
import sys, knotwork

class A:
    pass

a = A()
a.itself, a.file = a, open(sys.argv[1], "w")
a.file.write("x")
"""


def test_a_file_within_a_cycle_is_written_when_the_process_ends(tmp_path):
    output_of(UNFINISHED, tmp_path / "text")
    assert (tmp_path / "text").read_text() == "x"


def _load_nothing():
    with loading():
        assert not gc.isenabled()
        raise ImportError


def test_the_collector_pauses_while_a_library_is_loaded_and_goes_on_after_an_error():
    assert gc.isenabled()
    with pytest.raises(ImportError):
        _load_nothing()
    assert gc.isenabled()


def test_two_at_the_same_time_leave_the_collector_on():
    first, second = loading(), loading()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    second.__exit__(None, None, None)
    assert gc.isenabled()


def _is_old(thing):
    return any(one is thing for one in gc.get_objects(generation=2))


def test_what_was_loaded_is_old_at_once():
    with loading():
        loaded = [[]]
    assert _is_old(loaded)


def test_what_a_program_has_frozen_stays_frozen():
    code = "import gc; own = [[]]; gc.freeze(); import knotwork; print(any(one is own for one in gc.get_objects()))"
    assert output_of(code) == ["False"]  # frozen objects are in no generation
