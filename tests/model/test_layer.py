"""Laws of one layer: edges, naming, removing and refining them, and its use in place of Linear."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from knotwork.errors import SpecError
from knotwork.functions import LIBRARY
from knotwork.kernels.reference import BASES
from knotwork.model import KANLayer
from knotwork.splines import adaptive_knots, fit_coefficients, grid_range, subdivide, uniform_knots
from tests.model import twins

DTYPES = [pytest.param(torch.float32, id="f32"), pytest.param(torch.float64, id="f64")]
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
every_base = pytest.mark.parametrize("base", BASES)
every_order = pytest.mark.parametrize("k", range(8))
both_ways_out = pytest.mark.parametrize("extrapolation", ["linear", "constant", "zero"])


def layer(n_in=3, n_out=4, grid=5, k=3, *, seed=0, dtype=torch.float64, uneven=True, **settings):
    """A layer with curves of size 1 on uneven knots, as quantiles give them."""
    generator = torch.Generator().manual_seed(seed)
    made = KANLayer(n_in, n_out, grid, k, dtype=dtype, generator=generator, **settings)
    with torch.no_grad():
        made.coefficients.copy_(torch.randn(made.coefficients.shape, generator=generator, dtype=dtype))
    if uneven:
        low = -1 - 0.2 * torch.arange(n_in, dtype=dtype)
        high = 1 + 0.5 * torch.arange(n_in, dtype=dtype)
        samples = low + (high - low) * torch.rand(40, n_in, generator=generator, dtype=dtype)
        made.knots = adaptive_knots(samples, low, high, grid, k, 0.3)
    return made


def rows(made, n=50, seed=1, stretch=1.0):
    """Random rows in the grids; with `stretch` above 1 also outside."""
    low, high = grid_range(made.knots, made.k)
    share = torch.rand(n, made.in_features, generator=torch.Generator().manual_seed(seed), dtype=low.dtype)
    return (low + high) / 2 + stretch * (high - low) * (share - 0.5)


def busy(**settings):
    """A layer with spline, named and removed edges."""
    made = layer(**settings)
    made.name_edge(0, 1, "sin", torch.tensor([1.1, 0.2, -0.7, 0.3]))
    made.name_edge(2, 0, "x^2", torch.tensor([0.4, 0.1, 0.5, -0.2]), trainable=False)
    made.name_edge(1, 1, "tanh", torch.tensor([2.0, 0.0, 1.0, 0.0]))
    made.remove_edge(1, 3)
    made.remove_edge(0, 0)
    return made


# --- values ---


@every_order
@both_ways_out
def test_a_layer_equals_its_definition_by_scipy(k, extrapolation):
    """Every edge from its definition by SciPy, in and far outside the grid."""
    made = busy(k=k, extrapolation=extrapolation)
    x = rows(made, stretch=3.0)
    expected = twins.edges(made, x.numpy())
    scale = np.abs(expected).max()
    assert np.abs(twins.numbers(made.edges(x)) - expected).max() < 1e-12 * scale
    assert np.abs(twins.numbers(made(x)) - expected.sum(1)).max() < 1e-12 * scale


@every_base
@every_dtype
def test_every_base_function_equals_its_definition(base, dtype):
    made = busy(base=base, dtype=dtype, grid_range=(-2.0, 3.0), uneven=False)
    x = rows(made, stretch=1.5)
    expected = twins.edges(made, twins.numbers(x))
    tolerance = 100 * torch.finfo(dtype).eps * np.abs(expected).max()  # a few roundings in sums of about ten terms
    assert made(x).dtype == dtype and made.edges(x).dtype == dtype
    assert np.abs(twins.numbers(made.edges(x)) - expected).max() < tolerance
    assert np.abs(twins.numbers(made(x)) - expected.sum(1)).max() < tolerance


@every_base
def test_the_slope_of_the_base_is_its_derivative(base):
    made = layer(base=base)
    x = rows(made, stretch=2.0).requires_grad_()
    value = made.base_values(x)
    (by_autograd,) = torch.autograd.grad(value.sum(), x) if value.requires_grad else (torch.zeros_like(x),)
    assert torch.allclose(made.base_values(x.detach(), slope=True), by_autograd, atol=1e-13)


@every_dtype
@pytest.mark.parametrize("shape", [(), (1,), (7,), (2, 3), (0,), (4, 0, 2), (2, 1, 3, 2)])
def test_rows_may_have_any_leading_shape(shape, dtype):
    made = busy(dtype=dtype)
    x = torch.linspace(-1, 1, 3 * int(np.prod(shape)), dtype=dtype).reshape(*shape, 3)
    y = made(x)
    assert y.shape == (*shape, 4) and y.dtype == dtype
    one_by_one = [made(row) for row in x.reshape(-1, 3)]
    if one_by_one:  # the order of summation may depend on the batch size
        assert torch.allclose(y.reshape(-1, 4), torch.stack(one_by_one), atol=100 * torch.finfo(dtype).eps)


def test_edges_sum_to_the_output():
    for made in (layer(), busy()):
        x = rows(made, stretch=2.0)
        assert torch.allclose(made.edges(x).sum(1), made(x), atol=1e-13)
        assert made.edges(x[:0]).shape == (0, 3, 4)


@pytest.mark.parametrize("change", ["remove", "name"])
def test_layers_without_splines_equal_their_definition(change):
    made = layer(2, 2)
    for i in range(2):
        for j in range(2):
            if change == "name":
                made.name_edge(i, j, "cos", torch.tensor([1.0, 0.5, 2.0, j]))
            else:
                made.remove_edge(i, j)
    x = rows(made)
    assert made.has_splines() is (change == "remove")
    assert np.allclose(twins.numbers(made(x)), twins.edges(made, x.numpy()).sum(1), atol=1e-14)
    assert np.allclose(twins.numbers(made.edges(x)), twins.edges(made, x.numpy()), atol=1e-14)
    assert made(x[:0]).shape == (0, 2)
    assert bool(made.active().any()) is (change == "name")


# --- named and removed edges ---


def test_a_removed_edge_is_exactly_zero_and_the_others_do_not_change():
    made = layer()
    x = rows(made, stretch=2.0)
    before = made.edges(x)
    with torch.no_grad():
        made.coefficients[1, :, 2] = 1e200
    made.remove_edge(1, 2)
    after = made.edges(x)
    assert after[:, 1, 2].eq(0).all()
    before[:, 1, 2] = 0
    assert after.equal(before)
    assert torch.allclose(made(x), before.sum(1), atol=1e-13)
    active = torch.ones(3, 4, dtype=torch.bool)
    active[1, 2] = False
    assert made.active().equal(active)


@pytest.mark.parametrize("f", LIBRARY.values(), ids=list(LIBRARY))
def test_a_named_edge_computes_its_formula(f):
    made = layer(2, 2)
    x = 0.1 + 0.4 * torch.rand(20, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    others = made.edges(x)
    made.name_edge(1, 0, f.name, torch.tensor([0.7, 0.2, -1.5, 0.4], dtype=torch.float64))
    after = made.edges(x)
    assert torch.allclose(after[:, 1, 0], -1.5 * f.value(0.7 * x[:, 1] + 0.2) + 0.4, atol=1e-15)
    others[:, 1, 0] = after[:, 1, 0]
    assert after.equal(others) and torch.allclose(made(x), after.sum(1), atol=1e-13)
    assert made.active().all() and made.mask[1, 0] == 0


def test_constants_are_stored_in_the_precision_of_the_layer():
    made = layer()
    made.name_edge(0, 0, "sin", [0.1, 0.2, 0.3, 0.4])
    made.name_edge(0, 1, "sin", torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64))
    assert made.affine.tolist() == [[0.1, 0.2, 0.3, 0.4]] * 2


def test_unnaming_restores_the_spline_exactly():
    made = layer()
    x = rows(made, stretch=2.0)
    before, state = made(x), copy.deepcopy(made.state_dict())
    made.name_edge(0, 1, "sin", torch.ones(4))
    made.name_edge(2, 3, "exp", torch.ones(4), trainable=False)
    assert not made(x).equal(before)
    made.unname_edge(2, 3)
    made.unname_edge(0, 1)
    assert made(x).equal(before) and made.named == [] and made.affine.shape == (0, 4)
    assert all(value.equal(state[name]) for name, value in made.state_dict().items())


def test_unnaming_after_refining_gives_the_refined_spline():
    made, plain = layer(), layer()
    made.name_edge(0, 1, "sin", torch.ones(4))
    for one in (made, plain):
        one.refine(15)
        one.set_knots(uniform_knots(*grid_range(one.knots, one.k), 9, one.k))
    made.unname_edge(0, 1)
    assert made(rows(made)).equal(plain(rows(made)))


def test_naming_again_replaces_the_function_and_unnaming_keeps_the_other_names():
    made = busy()
    x = rows(made)
    before = made.edges(x)
    assert made.named_at(2, 0) == 1 and made.named_at(0, 0) is None
    made.name_edge(0, 1, "cos", torch.tensor([1.0, 0.0, 2.0, 0.0]))
    assert [edge[:3] for edge in made.named] == [(2, 0, "x^2"), (1, 1, "tanh"), (0, 1, "cos")]
    after = made.edges(x)
    assert torch.allclose(after[:, 0, 1], 2 * torch.cos(x[:, 0]))
    made.unname_edge(1, 1)  # the middle one
    assert [edge[2] for edge in made.named] == ["x^2", "cos"] and len(made.affine) == 2
    again = made.edges(x)
    assert again[:, 2, 0].equal(before[:, 2, 0]) and again[:, 0, 1].equal(after[:, 0, 1])
    made.unname_edge(0, 2)  # this edge is a spline already: nothing changes
    made.remove_edge(2, 0)
    assert made.edges(x)[:, 2, 0].eq(0).all() and len(made.affine) == len(made.named) == 1
    assert made.edges(x)[:, 0, 1].equal(after[:, 0, 1])


@pytest.mark.parametrize(("function", "constants"), [("sni", [1, 0, 1, 0]), ("sin", [1, 0, 1])])
def test_an_edge_does_not_change_if_naming_it_fails(function, constants):
    made = busy()
    x = rows(made)
    before, named = made(x), list(made.named)
    with pytest.raises((SpecError, RuntimeError)):
        made.name_edge(0, 1, function, torch.tensor(constants))
    assert made(x).equal(before) and made.named == named


# --- other knots ---


@every_order
@pytest.mark.parametrize("parts", [1, 2, 3, 4])
def test_refining_by_a_multiple_keeps_every_edge(k, parts):
    """On the grid and, with linear continuation, outside too: value and slope at the ends are the same."""
    made = busy(k=k)
    x = rows(made, stretch=3.0)
    before = made.edges(x)
    made.refine(5 * parts)
    assert made.grid == 5 * parts and made.coefficients.shape == (3, 5 * parts + k, 4)
    # relative to each edge's largest value, which is large far outside the grid if the slope at the end is steep
    assert ((made.edges(x) - before).abs() <= 1e-12 * before.abs().amax(0).clamp_min(1)).all()


def test_refining_in_float32_keeps_the_curves():
    made = layer(dtype=torch.float32)
    x = rows(made)
    before = made(x)
    made.refine(20)
    assert made.knots.dtype == made.coefficients.dtype == torch.float32
    assert (made(x) - before).abs().max() < 1e-5  # eps 1.2e-7 times some 20 roundings of size 3


def test_refining_by_other_factors_approximates_the_curves_better_on_finer_grids():
    """A missing knot in an interval of length h gives an error of about h³, so a grid 10 times finer is far better."""
    errors = []
    for grid in (7, 73, 737):
        made = layer(2, 2, uneven=False)
        with torch.no_grad():  # smooth curves: sin 2x on 5 intervals
            points = torch.linspace(-1, 1, 50, dtype=torch.float64)[:, None].expand(-1, 2)
            values = torch.sin(2 * points).unsqueeze(-1).expand(-1, -1, 2)
            made.coefficients.copy_(fit_coefficients(points, values, made.knots, 3))
        x = rows(made)
        before = made(x)
        made.refine(grid)
        assert made.grid == grid
        errors.append((made(x) - before).abs().max().item())
    assert errors[0] < 2e-3 and errors[1] < errors[0] / 50 and errors[2] < errors[1] / 50


@every_base
def test_setting_knots_gives_the_best_approximation_of_every_edge(base):
    """The L² error of base and spline together, by midpoints of 2,000 pieces, only grows with any change."""
    made = layer(base=base)
    old = copy.deepcopy(made)
    low, high = grid_range(made.knots, made.k)
    knots = uniform_knots(low - 0.5, high + 0.1, 8, 3)
    made.set_knots(knots)
    assert made.grid == 8 and made.knots.equal(knots)
    low, high = grid_range(knots, 3)
    x = low + (high - low) * ((torch.arange(2000, dtype=torch.float64) + 0.5) / 2000)[:, None]

    def error():
        return (made.edges(x) - old.edges(x)).square().mean(0)

    with torch.no_grad():
        least, best = error(), made.coefficients.clone()
        generator = torch.Generator().manual_seed(0)
        for size in (1e-2, 1.0):
            change = size * torch.randn(best.shape, generator=generator, dtype=best.dtype)
            for sign in (-1, 1):
                made.coefficients.copy_(best + sign * change)
                assert (error() > least).all()
    assert made.base_weights.equal(old.base_weights)


def test_setting_nested_knots_keeps_every_edge():
    made = busy(base="silu")
    x = rows(made)
    before = made.edges(x)
    made.set_knots(subdivide(made.knots, 3, 2))
    # least squares: rounding errors times a condition number of 1e2
    assert torch.allclose(made.edges(x), before, atol=1e-11)


def test_parameters_stay_the_same_objects_if_their_shape_does_not_change():
    made = layer()
    parameter = made.coefficients
    made.set_knots(made.knots + 0.1)
    assert made.coefficients is parameter
    made.refine(5)
    assert made.coefficients is parameter
    made.refine(10)
    assert made.coefficients is not parameter and isinstance(made.coefficients, nn.Parameter)


def test_knots_can_be_widened_with_extrapolation_error():
    made = layer(extrapolation="error")
    low, high = grid_range(made.knots, 3)
    with pytest.raises(SpecError, match="outside its grid"):
        made((high + 0.1)[None])
    made.set_knots(uniform_knots(low - 1, high + 1, 5, 3))
    assert made((high + 0.1)[None]).isfinite().all()


@every_base
@both_ways_out
def test_moving_a_grid_and_its_inputs_together_changes_nothing(base, extrapolation):
    """x → s·x + t with knots s·t_m + t for s > 0: spline and base both measure x in the grid."""
    made = layer(base=base, extrapolation=extrapolation)
    x = rows(made, stretch=2.0)
    before = made.edges(x)
    scale = torch.tensor([0.01, 3.0, 250.0], dtype=torch.float64)
    shift = torch.tensor([5.0, -2.0, 40.0], dtype=torch.float64)
    made.knots = scale[:, None] * made.knots + shift[:, None]
    # rounding errors of the moved inputs: the first grid is 500 times its length away from zero
    assert (made.edges(scale * x + shift) - before).abs().max() < 1e-11


# --- gradients and life among other modules ---


def test_gradients_are_those_of_finite_differences():
    made = busy(n_in=3, n_out=4, grid=2, k=3)
    x = rows(made, n=3, stretch=1.4).requires_grad_()
    names = ["coefficients", "base_weights", "affine"]
    values = [getattr(made, name).detach().clone().requires_grad_() for name in names]
    trainable = torch.tensor([edge[3] for edge in made.named])

    def call(x, coefficients, base_weights, affine):
        constants = torch.where(trainable[:, None], affine, made.affine.detach())
        parameters = dict(zip(names, (coefficients, base_weights, constants), strict=True))
        return torch.func.functional_call(made, parameters, x)

    torch.autograd.gradcheck(call, (x, *values))
    torch.autograd.gradcheck(made.edges, x)


def test_only_used_and_trainable_parameters_receive_gradients():
    made = busy()
    made(rows(made)).square().sum().backward()
    mask = made.mask > 0
    assert (made.coefficients.grad.abs().sum(1)[mask] > 0).all() and made.coefficients.grad.abs().sum(1)[~mask].eq(
        0
    ).all()
    assert (made.base_weights.grad[mask] != 0).all() and made.base_weights.grad[~mask].eq(0).all()
    assert made.affine.grad[1].eq(0).all() and (made.affine.grad[[0, 2]] != 0).all()


def test_a_layer_can_replace_linear_in_a_sequential():
    generator = torch.Generator().manual_seed(0)
    net = nn.Sequential(KANLayer(2, 8, generator=generator), nn.LayerNorm(8), KANLayer(8, 1, generator=generator))
    x = torch.rand(64, 2, generator=generator)
    y = x.prod(-1, keepdim=True)
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-2)
    losses = []
    for _ in range(20):
        optimiser.zero_grad()
        loss = nn.functional.mse_loss(net(x), y)
        loss.backward()
        assert all(p.grad is not None for p in net.parameters() if p.numel())
        optimiser.step()
        losses.append(loss.item())
    assert losses[1] < losses[0] and losses[-1] < losses[0] / 2
    assert net(x.reshape(4, 16, 2)).shape == (4, 16, 1)
    again = nn.Sequential(KANLayer(2, 8), nn.LayerNorm(8), KANLayer(8, 1))
    again.load_state_dict(net.state_dict())
    assert again(x).equal(net(x))


def test_the_dtype_is_the_default_of_torch_unless_given():
    assert {v.dtype for v in KANLayer(2, 3).state_dict().values()} == {torch.float32}
    assert {v.dtype for v in KANLayer(2, 3, dtype=torch.float64).state_dict().values()} == {torch.float64}
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        assert KANLayer(2, 3)(torch.zeros(1, 2)).dtype == torch.float64
    finally:
        torch.set_default_dtype(before)
    made = layer(dtype=torch.float64)
    x = rows(made)
    before = made(x)
    assert (made.float()(x.float()) - before).abs().max() < 1e-5


def test_resetting_gives_new_values_of_the_same_kind():
    made = KANLayer(2, 3)
    before = copy.deepcopy(made.state_dict())
    made.reset_parameters("power", torch.Generator().manual_seed(3))
    after = made.state_dict()
    assert not after["coefficients"].equal(before["coefficients"])
    assert not after["base_weights"].equal(before["base_weights"])
    assert after["knots"].equal(before["knots"]) and after["mask"].equal(before["mask"])


def test_repr_shows_the_settings():
    assert repr(KANLayer(2, 3, grid=7, k=2)) == "KANLayer(2, 3, grid=7, k=2)"


@pytest.mark.parametrize("shape", [(6, 2), (0, 2), (3, 3, 4), ()])
def test_rows_of_another_length_are_refused(shape):
    with pytest.raises(SpecError) as caught:
        KANLayer(3, 2)(torch.zeros(shape))
    assert str(caught.value) == (
        f"this layer takes rows of 3 values but got a tensor of shape {shape}. Pass one of shape (..., 3)."
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_out": 0}, "width=[3, 0] does not describe a network"),
        ({"grid": 0}, "grid=0 is not possible: it must be a whole number from 1"),
        ({"k": 8}, "k=8 is not possible: it must be a whole number from 0 to 7."),
        ({"base": "relu"}, "base='relu' is not known; choose one of 'silu', 'identity', 'sine', 'zero'."),
        ({"init": "zeros"}, "init='zeros' is not known; choose one of 'paper', 'power'."),
        (
            {"extrapolation": "cubic"},
            "extrapolation='cubic' is not known; choose one of 'linear', 'constant', 'zero', 'error'.",
        ),
        ({"grid_range": (1.0, 1.0)}, "grid_range=(1.0, 1.0) must be (low, high), finite numbers with low < high."),
        ({"dtype": torch.float16}, "dtype='float16' is not known; choose one of 'float32', 'float64'."),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    settings = {"n_in": 3, "n_out": 2} | settings
    with pytest.raises(SpecError) as caught:
        KANLayer(settings.pop("n_in"), settings.pop("n_out"), **settings)
    assert message in str(caught.value)


def test_update_grid_sets_the_grid_to_the_samples_and_keeps_the_curves():
    layer = KANLayer(2, 3, grid=8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x = torch.rand(200, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 0.5 + 0.2
    before = layer(x).detach()
    layer.update_grid(x)
    assert torch.equal(layer.knots[:, 3], x.amin(0))
    assert torch.equal(layer.knots[:, -4], x.amax(0))
    # cubic splines on 8 finer intervals hold the old piece of curve and silu to a few 1e-5
    assert float((layer(x) - before).detach().abs().max()) < 1e-3


def test_an_argument_that_is_not_a_tensor_is_refused():
    with pytest.raises(SpecError, match=r"this layer takes a tensor but got list: pass torch.as_tensor"):
        KANLayer(3, 2)([[0.0, 0.0, 0.0]])


def test_setting_knots_does_not_depend_on_the_size_of_batches_of_inputs(monkeypatch):
    from knotwork.model import layer as module
    from knotwork.model.settings import ModelSettings

    generator = torch.Generator().manual_seed(0)
    found = []
    for at_once in (1, 2**20):
        monkeypatch.setattr(module, "MODEL", ModelSettings(refitted_values=at_once))
        moved = KANLayer(5, 3, dtype=torch.float64, generator=generator.manual_seed(0))
        moved.set_knots(moved.knots * torch.linspace(0.5, 2, 5)[:, None])
        found.append(moved.coefficients.detach())
    torch.testing.assert_close(*found, rtol=1e-12, atol=1e-13)
