"""Inputs with long tails are held at the ends of their grids: in values, derivatives, smaller networks and files."""

import pytest
import torch

import knotwork as kw
from knotwork.model.state import fault

every_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["f32", "f64"])


def holding(dtype=torch.float64, width=(3, 4, 2)):
    """A network that holds its second input, and rows of which some lie beyond both ends of all grids."""
    model = kw.KAN(list(width), grid=4, seed=1, dtype=dtype)
    model.held[1] = True
    rows = torch.linspace(-4, 4, 90, dtype=dtype).reshape(3, 30).T[:, torch.tensor([2, 0, 1])]
    return model, torch.cat([rows, rows.flip(0) * 0.3])


@every_dtype
def test_a_held_input_counts_as_the_end_of_its_grid(dtype):
    model, x = holding(dtype)
    free = kw.KAN([3, 4, 2], grid=4, seed=1, dtype=dtype)
    at_ends = x.clone()
    at_ends[:, 1] = x[:, 1].clamp(-1, 1)
    torch.testing.assert_close(model(x), free(at_ends), rtol=0, atol=0)
    torch.testing.assert_close(model.jacobian(x), free.jacobian(at_ends), rtol=0, atol=0)
    assert not torch.allclose(model(x), free(x))


@pytest.mark.parametrize("directions", [None, torch.tensor([[0.5, 2.0, -1.0], [0.0, 1.0, 0.0]], dtype=torch.float64)])
def test_derivatives_by_a_held_input_are_those_of_autograd(directions):
    model, x = holding()
    values, first, second = model.derivatives(x, 2, directions)
    torch.testing.assert_close(values, model(x))
    along = torch.eye(3, dtype=torch.float64) if directions is None else directions
    for row in range(0, len(x), 7):
        slope = torch.autograd.functional.jacobian(lambda r: model(r), x[row])
        torch.testing.assert_close(first[row], along @ slope.T)
        for output in range(2):
            curved = torch.autograd.functional.hessian(lambda r, o=output: model(r)[o], x[row])
            torch.testing.assert_close(second[row, :, output], ((along @ curved) * along).sum(1))
    if directions is None:
        beyond = x[:, 1].abs() > 1
        assert bool(beyond.any()) and not bool(first[beyond, 1].any()) and bool(first[~beyond, 1].any())


def test_an_input_whose_edges_all_have_names_is_not_held():
    model, x = holding(width=(3, 1))
    x = x[x[:, 1] > 1]
    moved = x.clone()
    moved[:, 1] += 10.0
    torch.testing.assert_close(model(moved), model(x), rtol=0, atol=0)
    model.fix_symbolic(0, 1, 0, "x", params=(1.0, 0.0, 1.0, 0.0))
    torch.testing.assert_close(model(moved) - model(x), torch.full((len(x), 1), 10.0, dtype=torch.float64))


def test_smaller_networks_copies_and_files_hold_the_same_inputs(tmp_path):
    model, x = holding()
    model.layers[0].remove_edge(0, 0)
    for node in range(1, 4):
        model.layers[0].remove_edge(0, node)
    smaller = model.prune(kw.Dataset.from_arrays(x, model(x).detach()))
    assert smaller.spec.inputs == (1, 2) and smaller.held.tolist() == [True, False]
    kw.save(model, tmp_path / "held.kw")
    found = kw.load(tmp_path / "held.kw")
    for same in (smaller, found, model.copy(), model.refine(8)):
        torch.testing.assert_close(same(x), model(x))
    other = kw.KAN.from_spec(model.spec)
    other.load_state_dict(model.state_dict())
    assert other.held.tolist() == [False, True, False]


def test_values_of_earlier_versions_hold_no_input_and_parts_change_nothing_else():
    model, _ = holding()
    part = {"layers.0.mask": torch.ones(3, 4, dtype=torch.float64)}
    model.load_state_dict(part, strict=False)
    assert model.held.tolist() == [False, True, False]
    earlier = {name: value for name, value in model.state_dict().items() if name != "held"}
    assert fault(model.spec, earlier) == ""
    model.load_state_dict(earlier)
    assert not bool(model.held.any())


@pytest.mark.parametrize("held", [torch.zeros(2, dtype=torch.bool), torch.zeros(3)])
def test_a_file_with_other_held_inputs_is_refused(held):
    model, _ = holding()
    assert (
        fault(model.spec, {**model.state_dict(), "held": held}) == "'held' must be 3 truth values, one for each input"
    )
