"""Files: saved models load exactly, old files load, and every other file is refused without executing it."""

import json
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import knotwork as kw
from knotwork.errors import CheckpointError, KnotworkError
from knotwork.model import read
from knotwork.model.checkpoint import _digest
from tests.model.networks import every_kind, random_network, rows

SAVED = Path(__file__).parents[1] / "saved"


def header(path):
    """The JSON header of a safetensors file, read by hand."""
    raw = Path(path).read_bytes()
    (size,) = struct.unpack("<Q", raw[:8])
    return json.loads(raw[8 : 8 + size])


@pytest.fixture
def saved(tmp_path):
    """A small file with named, removed and product edges in it."""
    path = tmp_path / "m.safetensors"
    kw.save(every_kind()["one of each"], path)
    return path


# --- what is kept ---


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["f32", "f64"])
@pytest.mark.parametrize("as_text", [True, False])
def test_a_fitted_model_is_saved_and_loaded_exactly(dtype, as_text, tmp_path):
    model = kw.KAN([2, 3, 1], seed=0, dtype=dtype, grid_range=(-2.0, 2.0))
    model.fix_symbolic(0, 1, 2, "sin", params=(1.0, 0.0, 0.5, 0.1), trainable=False)
    model.fitted.fill_(True)
    path = tmp_path / "m.safetensors"
    model.save(str(path) if as_text else path)
    again = kw.load(str(path) if as_text else path)
    x = rows(model)
    assert isinstance(again, kw.KAN) and again.spec == model.spec and bool(again.fitted)
    assert again(x).equal(model(x)) and again(x).dtype == dtype
    assert {p.dtype for p in again.parameters()} == {dtype}
    again.unfix_symbolic(0, 1, 2)
    model.unfix_symbolic(0, 1, 2)
    assert again(x).equal(model(x))


@pytest.mark.parametrize("kind", list(every_kind()))
def test_unusual_networks_are_saved_and_loaded_exactly(kind, tmp_path):
    network = every_kind()[kind]
    kw.save(network, tmp_path / "m")
    x = rows(network)
    assert kw.load(tmp_path / "m")(x).equal(network(x))


def test_a_loaded_model_can_be_trained(saved):
    model = kw.load(saved)
    model(rows(model)).square().sum().backward()
    assert all(p.requires_grad and p.is_leaf and p.grad is not None for p in model.parameters())


def test_a_file_contains_only_structure_and_values(saved):
    found = header(saved)
    assert set(found.pop("__metadata__")) == {"knotwork", "spec", "sha256"}
    assert set(found) == set(every_kind()["one of each"].state_dict())


def test_loading_changes_neither_the_random_generator_nor_the_file(saved):
    before, raw = torch.get_rng_state(), saved.read_bytes()
    kw.load(saved)
    assert torch.get_rng_state().equal(before) and saved.read_bytes() == raw


def test_tensors_of_any_layout_are_saved(tmp_path):
    network = random_network(4)
    layer = network.layers[0]
    layer.knots = layer.knots.T.contiguous().T
    layer.coefficients = torch.nn.Parameter(layer.coefficients.detach().transpose(0, 2).contiguous().transpose(0, 2))
    kw.save(network, tmp_path / "m")
    again = kw.load(tmp_path / "m")
    assert all(value.equal(again.state_dict()[name]) for name, value in network.state_dict().items())


# --- files of earlier versions ---


def test_a_file_of_format_1_still_loads():
    """A file written by format 1: 2 of 3 inputs → 1 sum and 1 product → 1 output, with edges of every kind."""
    model = kw.load(SAVED / "kan_format1.safetensors")
    assert model.spec == kw.Spec(
        width=((2, 0), (1, 1), (1, 0)),
        grid=3,
        k=2,
        extrapolation="zero",
        grid_range=(-1.5, 1.5),
        in_features=3,
        inputs=(0, 2),
        named=(kw.model.NamedEdge(0, 1, 0, "sin"), kw.model.NamedEdge(1, 0, 0, "tanh", False)),
    )
    assert bool(model.fitted) and model.parameters_in_use() == 38
    x = torch.tensor([[-1.0, 7.0, 0.5], [0.0, 7.0, 0.0], [0.3, 7.0, -0.9], [1.4, 7.0, 1.2]], dtype=torch.float64)
    # noted when the file was written; the last digits differ between machines
    expected = [1.1974828543732488, 1.644010969899088, 1.7021958301721618, 0.41623962197165354]
    assert (model(x).flatten() - torch.tensor(expected, dtype=torch.float64)).abs().max() < 1e-13


def test_a_file_of_format_1_with_a_layer_of_named_edges_still_loads():
    """A file written by format 1: base="zero", one named edge in the first layer, all of the second named."""
    model = kw.load(SAVED / "kan_format1_all_named.safetensors")
    assert [edge.function for edge in model.spec.named] == ["exp", "sin", "x^2"] and model.parameters_in_use() == 27
    x = torch.tensor([[-1.0, 0.5], [0.0, 0.0], [0.3, -0.9], [1.4, 1.2]], dtype=torch.float64)
    expected = [0.49819295289575155, 0.6152438399986766, 0.5036268187210466, 0.6954392351858959]  # as above
    assert (model(x).flatten() - torch.tensor(expected, dtype=torch.float64)).abs().max() < 1e-13
    model.layers[1].unname_edge(0, 0)
    model.layers[1].unname_edge(1, 0)
    expected = [-0.030681374160289945, -0.030070180537912116, -0.05392783455878574, -0.07569657484795068]
    assert (model(x).flatten() - torch.tensor(expected, dtype=torch.float64)).abs().max() < 1e-13


# --- files that are refused ---


def refused(path, message):
    with pytest.raises(CheckpointError) as caught:
        kw.load(path)
    assert message in str(caught.value) and isinstance(caught.value, KnotworkError)
    return str(caught.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path / "none.safetensors", tmp_path):
        assert refused(path, "give the path that was passed to save().").startswith(f"there is no file {str(path)!r}")


@pytest.mark.parametrize("content", [b"", b"{}", b"hello, world", b"\0" * 64, b"\xff" * 64, b"PK\x03\x04" + b"\0" * 99])
def test_a_file_of_another_type_is_refused(content, tmp_path):
    path = tmp_path / "other.bin"
    path.write_bytes(content)
    refused(path, f"{str(path)!r} is not a ")


def test_a_pickle_is_refused_and_never_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return Path.touch, (tmp_path / "sprung",)

    (tmp_path / "plain").write_bytes(pickle.dumps(Trap()))
    torch.save(Trap(), tmp_path / "zip")
    for name in ("plain", "zip"):
        refused(tmp_path / name, "is not a safetensors file")
    assert not (tmp_path / "sprung").exists()


def test_every_truncation_is_refused(saved):
    raw = saved.read_bytes()
    for size in {0, 1, 7, 8, 9, 100, len(raw) // 4, len(raw) // 2, len(raw) - 8, len(raw) - 1}:
        saved.write_bytes(raw[:size])
        refused(saved, "is not a safetensors file")
    saved.write_bytes(raw + b"\0")
    refused(saved, "is not a safetensors file")


def test_every_changed_byte_is_refused(saved):
    """In the header, in the structure and in every tensor."""
    raw = saved.read_bytes()
    for place in np.random.default_rng(0).choice(len(raw), 400, replace=False).tolist():
        saved.write_bytes(raw[:place] + bytes([raw[place] ^ 0xFF]) + raw[place + 1 :])
        refused(saved, repr(str(saved)))


def test_safetensors_files_of_other_programs_are_refused(tmp_path):
    path = tmp_path / "m"
    save_file({"weight": torch.zeros(3)}, path)
    refused(
        path, "is not a knotwork checkpoint of format 1 or 2 (it says None); only files written by knotwork.save() can"
    )
    state = kw.KAN([2, 1], seed=0).state_dict()
    save_file(state, path, metadata={"knotwork": "3", "spec": kw.KAN([2, 1]).spec.to_json()})
    refused(path, "is not a knotwork checkpoint of format 1 or 2 (it says '3')")
    save_file(state, path, metadata={"knotwork": "1"})
    refused(path, "was changed or damaged after it was saved; save it again.")


@pytest.mark.parametrize("what", ["value", "name", "dtype", "shape", "left out", "structure"])
def test_an_edited_file_is_refused(what, saved):
    """Edited with the library of the format: read the tensors, change one, write them again."""
    metadata, state = header(saved)["__metadata__"], load_file(saved)
    name = "layers.0.base_weights"
    if what == "value":
        state[name][0, 0] += 1e-9
    elif what == "name":
        state["layers.0.other"] = state.pop(name)
    elif what == "dtype":
        state[name] = state[name].float()
    elif what == "shape":
        state[name] = state[name].T.contiguous()
    elif what == "left out":
        del state[name]
    else:
        metadata["spec"] = metadata["spec"].replace('"tanh"', '"sinh"')
    save_file(state, saved, metadata=metadata)
    refused(saved, "was changed or damaged after it was saved; save it again.")


def forge(path, spec, state, form="2"):
    """A file with a valid digest for any structure and values, as an attacker would make it."""
    save_file(state, path, metadata={"knotwork": form, "spec": spec, "sha256": _digest(spec, state)})


def test_a_forged_file_without_changes_loads(tmp_path):
    network = random_network(4)
    forge(tmp_path / "m", network.spec.to_json(), network.state_dict())
    assert kw.load(tmp_path / "m")(rows(network)).equal(network(rows(network)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": "__import__('os')"}, "the structure in"),
        ({"width": [[2, 0]]}, "the structure in"),
        ({"dtype": "float16"}, "dtype='float16' is not known"),
        (
            {"named": [{"layer": 0, "source": 0, "target": 0, "function": "exec", "trainable": True}]},
            "no function 'exec'",
        ),
        (
            {"named": [{"layer": 0, "source": 9, "target": 0, "function": "sin", "trainable": True}]},
            "no edge (0, 9, 0)",
        ),
        ({"named": [{"layer": 0, "source": 0, "target": 0, "function": "sin", "trainable": True}]}, "do not fit its"),
        (
            {"width": [[2, 0], [10**9, 0]]},
            "layer 0 needs coefficients of shape (2, 8, 1000000000), the file holds (2, 8, 1)",
        ),
        ({"grid": 10**6}, "layer 0 needs coefficients of shape (2, 1000003, 1), the file holds (2, 8, 1)"),
        ({"width": [[2, 0], [1, 0], [1, 0]]}, "layer 1 needs coefficients of shape (1, 8, 1), the file holds none"),
        ({"width": [[10**9, 0], [1, 0]]}, "the structure in"),
    ],
)
def test_a_forged_structure_is_refused_before_anything_is_built(changes, message, tmp_path):
    network = kw.KAN([2, 1], seed=0)
    forge(tmp_path / "m", json.dumps({**json.loads(network.spec.to_json()), **changes}), network.state_dict())
    refused(tmp_path / "m", message)


def test_forged_text_and_values_are_refused(tmp_path):
    network = kw.KAN([2, 1], seed=0)
    for text in ("", "{", "[" * 100_000, "null"):
        forge(tmp_path / "m", text, network.state_dict())
        refused(tmp_path / "m", "was changed or damaged: this is not the structure of a KAN")
    state = network.state_dict()
    for wrong in (
        {**state, "more": torch.zeros(1)},
        {**state, "layers.0.mask": torch.zeros(3, 3)},
        {name: value for name, value in state.items() if name != "fitted"},
    ):
        forge(tmp_path / "m", network.spec.to_json(), wrong)
        refused(tmp_path / "m", f"the values in {str(tmp_path / 'm')!r} do not fit its structure: ")


def damaged(state):
    """Values that no network has, by what is wrong with them."""
    every = {name: value.clone() for name, value in state.items()}
    floats = [name for name, value in every.items() if value.is_floating_point() and value.numel()]

    def put(name, place, number):
        changed = every[name].clone()
        changed.view(-1)[place] = number
        return {**every, name: changed}

    for name in floats:
        for number in (float("nan"), float("inf"), -float("inf")):
            yield (
                f"{name.split('.')[2]} of layer {name.split('.')[1]} hold NaN or infinite values",
                put(name, -1, number),
            )
        for other in (
            torch.complex64,
            torch.float32,
            torch.float16,
            torch.bfloat16,
            torch.int64,
            torch.bool,
        ):
            yield f"must be of type torch.float64, but they are {other}", {**every, name: every[name].to(other)}
        yield f"of shape {tuple(every[name].shape)}", {**every, name: every[name].flatten()}
        yield f"of shape {tuple(every[name].shape)}", {**every, name: every[name][:-1]}
        yield "the file holds none", {other: value for other, value in every.items() if other != name}
    for number in (-1.0, 0.5, 2.0, 1e-300):
        yield "mask of layer 1 may hold only 0 and 1", put("layers.1.mask", 1, number)
    yield "mask of layer 0 must be 0 where an edge is named", put("layers.0.mask", 1, 1.0)
    knots = every["layers.0.knots"]
    for changed in (knots.flip(1), 0 * knots, knots[:, [0, 1, 3, 2, *range(4, knots.shape[1])]]):
        yield "knots of layer 0 must increase", {**every, "layers.0.knots": changed}
    for scale in (1.7e308 / knots.abs().max(), 1e-309):  # both signs, so that their difference is infinite
        yield "too far apart or too close together to compute with", {**every, "layers.0.knots": scale * knots}
    for name in ("more", "layers.0.weights", "layers.7.mask", "layers.-1.knots"):
        yield f"no layer of this network has {name!r}", {**every, name: torch.zeros(1)}
    for value in (torch.zeros(()), torch.tensor([True]), torch.tensor(1)):
        yield "'fitted' must be one truth value", {**every, "fitted": value}


@pytest.mark.parametrize("form", ["1", "2"])
def test_values_that_no_network_has_are_refused_under_a_right_digest(form, tmp_path):
    network = random_network(4)
    state = network.state_dict()
    if form == "1":
        state = {name: value for name, value in state.items() if not name.endswith("kept")}
    forge(tmp_path / "m", network.spec.to_json(), state, form)
    assert kw.load(tmp_path / "m")(rows(network)).equal(network(rows(network)))
    tried = 0
    for message, values in damaged(state):
        forge(tmp_path / "m", network.spec.to_json(), {name: v.contiguous() for name, v in values.items()}, form)
        assert refused(tmp_path / "m", message).startswith(f"the values in {str(tmp_path / 'm')!r} do not fit its ")
        tried += 1
    assert tried > 100


@pytest.mark.parametrize(
    ("edge", "message"),
    [
        ({"function": 3}, "is no named edge"),
        ({"trainable": "yes"}, "is no named edge"),
        ({"more": 1}, "unexpected keyword"),
        ({"layer": 0.0}, "cannot be interpreted as an integer"),
        ({"function": "not known here"}, "no function 'not known here'"),
    ],
)
def test_named_edges_of_other_types_are_refused(edge, message, tmp_path):
    network = kw.KAN([1, 1], seed=0)
    network.fix_symbolic(0, 0, 0, "sin", params=(1.0, 0.0, 1.0, 0.0))
    fields = json.loads(network.spec.to_json())
    fields["named"] = [{**fields["named"][0], **edge}]
    forge(tmp_path / "m", json.dumps(fields), network.state_dict())
    refused(tmp_path / "m", message)
    fields["named"] = 2 * json.loads(network.spec.to_json())["named"]
    forge(tmp_path / "m", json.dumps(fields), network.state_dict())
    refused(tmp_path / "m", "edge (0, 0, 0) has two names: give it one.")


def test_a_grid_range_that_the_dtype_cannot_hold_is_refused(tmp_path):
    network = kw.KAN([1, 1], seed=0, dtype=torch.float32)
    fields = {**json.loads(network.spec.to_json()), "grid_range": [0.0, 1e-300]}
    forge(tmp_path / "m", json.dumps(fields), network.state_dict())
    refused(tmp_path / "m", "grid_range=(0.0, 1e-300) is no range of numbers of type torch.float32.")


def test_a_network_that_load_would_refuse_is_not_saved(tmp_path):
    network = kw.KAN([2, 1], seed=0)
    with torch.no_grad():
        network.layers[0].coefficients[0, 0, 0] = float("nan")
    kw.save(kw.KAN([2, 1], seed=1), tmp_path / "m")
    before = (tmp_path / "m").read_bytes()
    with pytest.raises(CheckpointError) as caught:
        kw.save(network, tmp_path / "m")
    assert str(caught.value) == (
        "this network cannot be saved: coefficients of layer 0 hold NaN or infinite values. "
        "torch.save(model.state_dict()) writes any values."
    )
    assert (tmp_path / "m").read_bytes() == before


def test_knots_may_repeat_at_the_ends(tmp_path):
    network = kw.KAN([1, 1], seed=0)
    layer = network.layers[0]
    layer.set_knots(torch.cat([-torch.ones(1, 3), torch.linspace(-1, 1, 6)[None], torch.ones(1, 3)], 1).double())
    kw.save(network, tmp_path / "m")
    assert kw.load(tmp_path / "m")(rows(network)).equal(network(rows(network)))


def test_read_gives_structure_and_values_without_a_network(saved):
    spec, state = read(saved)
    network = every_kind()["one of each"]
    assert spec == network.spec
    assert all(value.equal(state[name]) for name, value in network.state_dict().items())
