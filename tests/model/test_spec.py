"""The structure of a network: error messages, text form, and JSON."""

import contextlib
import dataclasses
import itertools
import json

import numpy as np
import pytest
import torch

from knotwork.errors import KnotworkError, SpecError
from knotwork.model import NamedEdge, Spec, is_whole, parse_width
from tests.model.networks import every_kind, random_network

WIDTH = ((2, 0), (3, 1), (1, 0))
EDGE = NamedEdge(0, 1, 4, "sin")


def test_counts_of_nodes_and_sums():
    spec = Spec(WIDTH, arity=3)
    assert spec.depth == 2
    assert [spec.nodes(l) for l in range(3)] == [2, 4, 1]
    assert [spec.sums(l) for l in (1, 2)] == [6, 1]
    assert (spec.in_features, spec.inputs) == (2, (0, 1))
    assert str(spec) == "KAN width=[2, (3, 1), 1] grid=5 k=3"


def test_a_spec_is_immutable_and_compared_by_value():
    assert Spec(WIDTH) == Spec(WIDTH) and hash(Spec(WIDTH)) == hash(Spec(WIDTH)) and Spec(WIDTH) != Spec(WIDTH, grid=6)
    with pytest.raises(dataclasses.FrozenInstanceError):
        Spec(WIDTH).grid = 7


def specs():
    yield from (random_network(seed).spec for seed in range(20))
    yield from (network.spec for network in every_kind().values())
    yield Spec(WIDTH, grid_range=(-2.5, 1e-3), dtype="float32", extrapolation="error", base="zero")


def test_json_returns_the_same_structure():
    for spec in specs():
        text = spec.to_json()
        assert "\n" not in text and json.loads(text)
        again = Spec.from_json(text)
        assert again == spec and hash(again) == hash(spec) and again.to_json() == text


@pytest.mark.parametrize(
    ("width", "parsed"),
    [
        ([2, 5, 1], ((2, 0), (5, 0), (1, 0))),
        ([2, (3, 1), 1], ((2, 0), (3, 1), (1, 0))),
        ((2, [0, 1]), ((2, 0), (0, 1))),
        (np.array([2, 5, 1]), ((2, 0), (5, 0), (1, 0))),
        (np.array([[2, 0], [3, 1]]), ((2, 0), (3, 1))),
        ([2, np.array([3, 1]), np.int64(1)], ((2, 0), (3, 1), (1, 0))),
        (torch.tensor([2, 1]), ((2, 0), (1, 0))),
    ],
)
def test_a_width_is_parsed(width, parsed):
    assert parse_width(width) == parsed


def test_parsing_does_not_change_the_width_of_the_caller():
    inner = [3, 1]
    width = [2, inner, 1]
    assert parse_width(width) == ((2, 0), (3, 1), (1, 0))
    assert width == [2, [3, 1], 1] and width[1] is inner


@pytest.mark.parametrize(
    "width",
    [5, None, "25", [2, "5", 1], [2, 2.5, 1], [2, True], [2, np.True_], [2, (3, 1, 1)], [2, (3, None)], np.ones(2)],
)
def test_an_invalid_width_is_shown_in_the_error(width):
    with pytest.raises(SpecError) as caught:
        parse_width(width)
    assert str(caught.value) == (
        f"width={width!r} is not understood: give whole numbers, or (sums, products) pairs, from inputs to outputs, "
        "such as [2, 5, 1] or [2, (3, 1), 1]."
    )


def test_only_integers_count_as_whole_numbers():
    for value in (3, np.int64(3), np.array(3)):
        assert is_whole(value)
    for value in (True, np.True_, 3.0, "3", None, [3], np.array([3]), np.array([3, 4])):
        assert not is_whole(value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"width": ()}, "width=[] does not describe a network: give at least an input and an output layer, each with"),
        ({"width": ((2, 0),)}, "width=[2] does not describe a network"),
        ({"width": ((2, 0), (0, 0), (1, 0))}, "width=[2, 0, 1] does not describe a network"),
        ({"width": ((2, 0), (-1, 3))}, "width=[2, (-1, 3)] does not describe a network"),
        ({"width": ((2, 1), (1, 0))}, "the input layer of width=[(2, 1), 1] cannot hold product nodes; give it one"),
        ({"grid": 0}, "grid=0 is not possible: it must be a whole number from 1 to 1000000."),
        ({"grid": 5.0}, "grid=5.0 is not possible"),
        ({"grid": True}, "grid=True is not possible"),
        ({"k": -1}, "k=-1 is not possible: it must be a whole number from 0 to 7."),
        ({"arity": 1}, "arity=1 is not possible: it must be a whole number from 2 to 64."),
        ({"base": "relu"}, "base='relu' is not known; choose one of 'silu', 'identity', 'sine', 'zero'."),
        (
            {"extrapolation": "cubic"},
            "extrapolation='cubic' is not known; choose one of 'linear', 'constant', 'zero', 'error'.",
        ),
        ({"dtype": "int64"}, "dtype='int64' is not known; choose one of 'float32', 'float64'."),
        ({"grid_range": (1, 0)}, "grid_range=(1, 0) must be (low, high), finite numbers with low < high."),
        ({"grid_range": (0, float("nan"))}, "grid_range=(0, nan) must be (low, high)"),
        ({"grid_range": (0, float("inf"))}, "grid_range=(0, inf) must be (low, high)"),
        ({"grid_range": (0,)}, "grid_range=(0,) must be (low, high)"),
        ({"grid_range": 5}, "grid_range=5 must be (low, high)"),
        (
            {"in_features": 3},
            "inputs=() do not match width=[2, (3, 1), 1] and in_features=3: name 2 different columns, counted from 0.",
        ),
        ({"in_features": 3, "inputs": (1, 3)}, "inputs=(1, 3) do not match"),
        ({"in_features": 3, "inputs": (1, 1)}, "inputs=(1, 1) do not match"),
        ({"named": (NamedEdge(2, 0, 0, "sin"),)}, "there is no layer 2: this KAN (width=[2, (3, 1), 1]) has layers 0"),
        (
            {"named": (NamedEdge(0, 1, 5, "sin"),)},
            "there is no edge (0, 1, 5): layer 0 of this KAN leads from 2 nodes to 5 sums, counted from 0.",
        ),
        ({"named": (NamedEdge(0, 0, 0, "sni"),)}, "there is no function 'sni' in the library; did you mean 'sin'"),
    ],
)
def test_an_impossible_structure_is_refused(settings, message):
    with pytest.raises(SpecError) as caught:
        Spec(**{"width": WIDTH, **settings})
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("edge", [(-1, 0, 0), (2, 0, 0), (0, 2, 0), (0, 0, 5), (0, -1, 0), (1, 0, 1)])
def test_edges_that_do_not_exist_are_refused(edge):
    with pytest.raises(SpecError, match=r"^there is no (layer|edge)"):
        Spec(WIDTH).check_edge(*edge)


def test_exactly_the_edges_of_the_network_are_accepted():
    spec, accepted = Spec(WIDTH), []
    for edge in itertools.product(range(-1, 3), range(-1, 7), range(-1, 7)):
        with contextlib.suppress(SpecError):
            spec.check_edge(*edge)
            accepted.append(edge)
    # 2 inputs to 3 sums and a product of 2 factors, then 4 nodes to the output
    assert accepted == [*itertools.product([0], range(2), range(5)), *itertools.product([1], range(4), [0])]


def changed(**fields):
    return json.dumps({**json.loads(Spec(WIDTH, named=(EDGE,)).to_json()), **fields})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        "{",
        '"text"',
        "[" * 100_000,
        changed(more=1),
        changed(width=[[2, 0]]),
        changed(width=[[2, 0], [1.5, 0]]),
        changed(width=[["2", 0], [1, 0]]),
        changed(width=[[10**12, 0], [1, 0]], in_features=0, inputs=[]),
        changed(in_features="2"),
        changed(in_features=0),
        changed(inputs=[0]),
        changed(inputs=[0, 2]),
        changed(inputs=None),
        changed(grid_range=["a", "b"]),
        changed(grid_range=[0, 10**400]),
        changed(grid_range=7),
        changed(base=["silu"]),
        changed(dtype="__class__"),
        changed(named=[{"layer": 0}]),
        changed(named=[{**dataclasses.asdict(EDGE), "function": "eval"}]),
        changed(named=[{**dataclasses.asdict(EDGE), "function": ["sin"]}]),
        changed(named=[{**dataclasses.asdict(EDGE), "source": 0.5}]),
        changed(named=[{**dataclasses.asdict(EDGE), "source": 2}]),
        changed(named=[{**dataclasses.asdict(EDGE), "layer": -1}]),
        changed(named=5),
    ],
    ids=lambda text: text[:10] if len(text) < 20 else text[-40:],
)
def test_invalid_json_is_refused(text):
    with pytest.raises(SpecError, match="this is not the structure of a KAN: ") as caught:
        Spec.from_json(text)
    assert isinstance(caught.value, KnotworkError) and len(str(caught.value)) < 1000
