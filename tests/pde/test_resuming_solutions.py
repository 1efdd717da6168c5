"""A solution that is killed and called again ends with the same numbers as one that was never killed."""

import pytest
import torch

import knotwork as kw
from knotwork import pde
from knotwork.errors import CheckpointError
from knotwork.solvers import StopReason
from tests.killing import Killer, assert_same, killed_again_and_again, write_always


def decay(rate=1.0):
    return pde.Problem(lambda u, t: u.d("t") + rate * u, {"t": (0, 1)}, [pde.initial(1.0)])


def heat(value=0.1):
    def sine(x):
        return torch.sin(torch.pi * x)

    walls = [pde.dirichlet(0.0, on={"x": 0}), pde.dirichlet(0.0, on={"x": 1})]
    return pde.Problem(
        lambda u: u.d("t") - value * u.d("x", "x"), {"x": (0, 1), "t": (0, 1)}, [pde.initial(sine), *walls]
    )


def estimated():
    t = torch.linspace(0, 1, 20, dtype=torch.float64)
    return pde.Problem(
        lambda u, t, a: u.d("t") + a * u,
        {"t": (0, 1)},
        [pde.data(t.unsqueeze(1), torch.exp(-2 * t))],
        unknowns={"a": 1.0},
    )


SMALL = {"width": [2, 2, 1], "k": 3, "grid": 4, "steps": 6, "points": 120}
SOLUTIONS = {
    "one grid": (decay, {"width": [1, 1], "grid": 5, "starts": 2, "steps": 8}),
    "coarse to fine": (heat, {**SMALL, "grid": 8, "starts": 3}),
    "adaptive": (heat, {**SMALL, "grid": 8, "starts": 2, "adaptive": True}),
    "time windows": (heat, {**SMALL, "starts": 2, "windows": 2}),
    "products": (heat, {"rank": 2, "k": 3, "grid": 6, "steps": 6}),
    "adaptive products in windows": (heat, {"rank": 2, "k": 3, "grid": 6, "steps": 3, "adaptive": True, "windows": 2}),
    "lbfgs": (heat, {**SMALL, "starts": 1, "optimizer": "lbfgs", "steps": 12}),
    "an unknown coefficient": (estimated, {"width": [1, 1], "grid": 5, "starts": 2, "steps": 8}),
    "adam": (heat, {**SMALL, "starts": 1, "optimizer": "adam", "steps": 60}),
}


@pytest.mark.parametrize(("problem", "settings"), SOLUTIONS.values(), ids=list(SOLUTIONS))
def test_a_killed_solution_ends_with_the_same_numbers(tmp_path, monkeypatch, problem, settings):
    write_always(monkeypatch)
    counted = Killer()
    whole = pde.solve(problem(), callback=counted, **settings)

    def run(callback, path):
        return pde.solve(problem(), callback=callback, checkpoint=path, **settings)

    path = tmp_path / "a.kw"
    result, titles, kills = killed_again_and_again(run, path, 0, 5)
    assert kills and any(", resumed at step " in title for title in titles)
    assert_same(result, whole)
    assert [step.seconds for step in result.history] == sorted(step.seconds for step in result.history)
    assert result.seconds >= result.history[-1].seconds
    again = run(Killer(), path)
    assert_same(again, whole)
    assert again.seconds == result.seconds


def test_a_model_that_is_passed_goes_on(tmp_path, monkeypatch):
    write_always(monkeypatch)
    model = pde.solve(heat(), **SMALL, starts=1).model
    whole = pde.solve(heat(), model, steps=6, points=120)
    result, _, kills = killed_again_and_again(
        lambda callback, path: pde.solve(heat(), model, steps=6, points=120, callback=callback, checkpoint=path),
        tmp_path / "a.kw", 0, 4,
    )  # fmt: skip
    assert kills
    assert_same(result, whole)


@pytest.mark.parametrize("name", ["coarse to fine", "time windows", "adam"])
def test_a_solution_that_the_callback_stopped_goes_on(tmp_path, name):
    problem, settings = SOLUTIONS[name]
    titles, path = [], tmp_path / "a.kw"
    stopped = pde.solve(problem(), callback=lambda event: event.step == 4, checkpoint=path, **settings)
    assert stopped.stop is StopReason.CALLBACK
    result = pde.solve(problem(), callback=lambda event: titles.append(event.stage), checkpoint=path, **settings)
    assert any("resumed at step 4" in title for title in titles)
    assert_same(result, pde.solve(problem(), **settings))


OTHERS = {
    "equation": (decay(1.5), {}, "term 0 is equation"),
    "a coefficient that is little different": (decay(1 + 1e-6), {}, "term 0 is equation"),
    "domain": (pde.Problem(lambda u, t: u.d("t") + u, {"t": (0, 2)}, [pde.initial(1.0)]), {}, "the domain is"),
    "condition": (pde.Problem(lambda u, t: u.d("t") + u, {"t": (0, 1)}, [pde.initial(1.1)]), {}, "term 1 is initial"),
    "steps": (decay(), {"steps": 9}, "steps is 8 there, but 9 here"),
    "seed": (decay(), {"seed": 1}, "values of the network is"),
}


@pytest.mark.parametrize(("problem", "change", "words"), OTHERS.values(), ids=list(OTHERS))
def test_another_solution_is_refused(tmp_path, problem, change, words):
    settings = SOLUTIONS["one grid"][1]
    pde.solve(decay(), checkpoint=tmp_path / "a.kw", **settings)
    with pytest.raises(CheckpointError, match=words):
        pde.solve(problem, checkpoint=tmp_path / "a.kw", **{**settings, **change})


def test_the_file_of_a_fit_is_refused(tmp_path):
    data = kw.sample("x", x=(0, 1), size=20, seed=0)
    kw.KAN([1, 1], seed=0).fit(data, steps=2, checkpoint=tmp_path / "a.kw")
    with pytest.raises(CheckpointError, match="the calculation is fit there"):
        pde.solve(decay(), width=[1, 1], checkpoint=tmp_path / "a.kw")
