"""Benchmark cases: KAN and MLP have about equally many parameters, counts are right, names select cases."""

from itertools import pairwise

import pytest
import torch

from knotwork.bench import implementations
from knotwork.bench.cases import GRIDS, MEMORY, TIMES, Case, samples, select
from knotwork.bench.implementations import build, mlp, ours
from knotwork.bench.tasks import prepare
from knotwork.errors import KnotworkError
from knotwork.model import MLP

CASES = {case.name: case for case in [*TIMES, *MEMORY]}


@pytest.mark.parametrize("name", CASES)
def test_parameters_match_those_of_the_networks_and_of_each_other(name):
    case = CASES[name]
    ours = sum(p.numel() for p in build(case).parameters())
    theirs = sum(p.numel() for p in MLP(case.mlp_width).parameters())
    assert (ours, theirs) == (case.parameters, case.mlp_parameters)
    assert abs(theirs / ours - 1) < 0.015
    assert (case.mlp_width[0], case.mlp_width[-1]) == (case.width[0], case.width[-1])
    assert len(case.mlp_width) == max(len(case.width), 3)


def test_known_widths_of_the_mlp():
    widths = [CASES[name].mlp_width for name in ("small-G5", "medium-G20-step", "digits-B64-step", "laplacian")]
    assert widths == [(2, 34, 1), (64, 424, 424, 10), (784, 575, 10), (2, 105, 1)]


@pytest.mark.parametrize("task", ["forward", "step", "gradient"])
@pytest.mark.parametrize("width", [(3, 4), (3, 4, 5), (2, 3, 4, 5)])
def test_multiplications_equal_a_count_by_loops(width, task):
    case = Case("any", width, 6, 7, torch.float32, task, k=2)

    def count(width, terms, terms_by_input):
        total = 0
        for layer, (n_in, n_out) in enumerate(pairwise(width)):
            for _row in range(7):
                for _edge in range(n_in * n_out):
                    total += terms  # outputs
                    if task != "forward":
                        total += terms  # gradient by the parameters
                        total += terms_by_input if layer else 0
        return total

    assert case.multiplications == count(width, 2 + 2, 2 + 3)
    assert case.mlp_multiplications == count(case.mlp_width, 1, 1)


def test_multiplications_of_a_laplacian_are_not_counted():
    assert CASES["laplacian"].multiplications is None


def test_samples_fill_the_grid_and_are_the_same_every_time():
    case = CASES["medium-G5-step"]
    x, y = samples(case)
    assert x.shape == (1024, 64) and y.shape == (1024, 10) and x.dtype == y.dtype == torch.float32
    assert -1 <= x.min() < -0.99 and 0.99 < x.max() <= 1
    assert samples(case)[0].equal(x)


def test_a_name_selects_its_case_and_all_cases_that_begin_with_it():
    def names(*wanted):
        return [case.name for case in select(TIMES, wanted)]

    assert names("small-G5") == ["small-G5"]
    assert names("small") == ["small-G5", "small-G50", "small-G200"]
    assert names("medium-G5", "laplacian") == ["medium-G5-forward", "medium-G5-step", "laplacian"]
    assert select(TIMES, None) == TIMES


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("small-G6", "There is no case 'small-G6'; did you mean 'small-G5'?"),
        ("s", "There is no case 's'; the cases are small-G5, small-G50, "),
    ],
)
def test_an_unknown_case_raises_an_error_with_suggestions(name, message):
    with pytest.raises(KnotworkError) as caught:
        select(TIMES, [name])
    assert str(caught.value).startswith(message)


def test_names_are_unique_and_grids_are_compared_for_every_network():
    for table in (TIMES, GRIDS, MEMORY):
        assert len({case.name for case in table}) == len(table)
    assert {(c.width, c.rows, c.task) for c in GRIDS} == {(c.width, c.rows, c.task) for c in TIMES}


@pytest.mark.parametrize("task", ["gradient", "laplacian"])
def test_tasks_with_gradients_return_a_loss_and_its_gradients(task):
    case = Case("any", (3, 2), 4, 20, torch.float64, task)
    for candidate in [*ours(case), mlp(case)]:
        loss, gradients = candidate.prepare(case, *samples(case))()
        assert loss.item() > 0, candidate.name
        assert any(gradient is not None and gradient.any() for gradient in gradients), candidate.name


@pytest.mark.parametrize("task", ["forward", "step", "refit"])
def test_a_forward_pass_returns_outputs_and_a_step_changes_every_parameter(task, monkeypatch):
    case = Case("any", (3, 2), 4, 20, torch.float64, task)
    modules = []

    def recorded(module, *arguments):
        modules.append(module)
        return prepare(module, *arguments)

    monkeypatch.setattr(implementations, "prepare", recorded)
    for candidate in [*ours(case), mlp(case)]:
        call = candidate.prepare(case, *samples(case))
        parameters = {name: p for name, p in modules.pop().named_parameters() if p.numel()}
        before = {name: p.detach().clone() for name, p in parameters.items()}
        outputs = call()
        changed = {name for name, p in parameters.items() if not p.equal(before[name])}
        assert changed == (set() if task == "forward" else set(parameters)), candidate.name
        if task == "forward":
            assert outputs.shape == (20, 2) and outputs.any()
