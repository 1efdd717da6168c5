"""Grids are fitted to the values that enter them, and the curves are kept."""

import dataclasses

import pytest
import torch

from knotwork import KAN, Dataset, KnotworkWarning, LevenbergMarquardt, sample
from knotwork.model import node_ranges
from knotwork.splines import fit_coefficients, grid_range
from knotwork.training import TRAINING
from knotwork.training.grids import adapt_hidden_grids, concentrated, ruined, set_input_grid

ONE_START = LevenbergMarquardt(starts=1)


def uniform(n=150, inputs=2, seed=0):
    return 2 * torch.rand(n, inputs, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) - 1


def table(x, **ranges):
    """A table of training rows only, with a smooth target and, if given, known ranges."""
    y = x.sum(1).sin()
    data = Dataset.from_arrays(x, y, test_size=0, validation_size=0)
    return dataclasses.replace(data, **ranges)


def ends(network, layer=0):
    low, high = grid_range(network.layers[layer].knots, network.spec.k)
    return low.tolist(), high.tolist()


def one_start(optimizer):
    """The optimiser of that name with one start."""
    return ONE_START if optimizer == "lm" else optimizer


@pytest.mark.parametrize("optimizer", ["lm", "lbfgs", "adam"])
def test_the_first_fit_sets_the_input_grid_a_little_beyond_the_training_rows(optimizer):
    x = uniform() * torch.tensor([3.0, 0.01], dtype=torch.float64) + torch.tensor([5.0, 0.0], dtype=torch.float64)
    network = KAN([2, 2, 1], seed=0)
    network.fit(table(x), optimizer=one_start(optimizer), steps=3)
    beyond = TRAINING.grid_beyond_rows / len(x) * (x.amax(0) - x.amin(0))
    assert ends(network) == ((x.amin(0) - beyond).tolist(), (x.amax(0) + beyond).tolist())


def test_the_first_grid_covers_known_ranges_and_all_rows():
    x = uniform()
    network = KAN([2, 2, 1], seed=0)
    network.fit(table(x, ranges=((-2.0, 4.0), (-0.5, 0.5))), steps=3, optimizer=ONE_START)
    low, high = x.amin(0).tolist(), x.amax(0).tolist()
    assert ends(network) == ([-2.0, low[1]], [4.0, high[1]])  # rows outside a known range are also covered
    network = KAN([1, 2, 1], seed=0)
    network.fit(sample(lambda x: x**2, x=(-3, 2), size=100, test_size=0), steps=3, optimizer=ONE_START)
    assert ends(network) == ([-3.0], [2.0])


def test_a_grid_set_by_the_user_or_by_an_earlier_fit_is_kept():
    network = KAN([2, 2, 1], grid_range=(-5, 7), seed=0)
    network.fit(table(uniform()), steps=3, optimizer=ONE_START)
    assert ends(network) == ([-5.0, -5.0], [7.0, 7.0])
    network = KAN([2, 2, 1], seed=0)
    network.fit(table(uniform()), steps=3, optimizer=ONE_START)
    first = ends(network)
    network.fit(table(3 * uniform()), steps=3)
    assert ends(network) == first


@pytest.mark.parametrize("optimizer", ["lm", "lbfgs", "adam"])
def test_update_grid_false_keeps_every_knot(optimizer):
    network = KAN([2, 3, 1], seed=0)
    before = [layer.knots.clone() for layer in network.layers]
    network.fit(table(4 * uniform()), optimizer=optimizer, steps=8, update_grid=False)
    assert all(torch.equal(layer.knots, knots) for layer, knots in zip(network.layers, before, strict=True))


def test_grid_eps_moves_the_knots_towards_the_quantiles():
    x = uniform(300, 1) ** 3  # most samples are near zero
    even, drawn = KAN([1, 1], seed=0), KAN([1, 1], seed=0)
    even.fit(table(x), steps=1)
    drawn.fit(table(x), steps=1, grid_eps=0.0)
    knots = drawn.layers[0].knots[0, 3:-3]
    steps = even.layers[0].knots.diff()
    torch.testing.assert_close(steps, steps[:, :1].expand_as(steps))
    quantiles = torch.quantile(x[:, 0], torch.linspace(0, 1, 6, dtype=x.dtype))
    torch.testing.assert_close(knots[1:-1], quantiles[1:-1], atol=1e-12, rtol=0)
    assert knots[0] < quantiles[0] and knots[-1] > quantiles[-1]  # a first grid reaches beyond the rows


def test_knots_follow_the_rows_where_tails_are_heavy_unless_the_range_is_known():
    x = uniform(300, 2)
    x[:, 1] = torch.exp(8 * x[:, 1])
    even, known, asked = (KAN([2, 1], seed=0) for _ in range(3))
    even.fit(table(x), steps=1)
    known.fit(table(x, ranges=((-1.0, 1.0), (0.0, 3000.0))), steps=1)
    asked.fit(table(x), steps=1, grid_eps=1.0)
    ratios = [model.layers[0].knots.diff().amax(1) / model.layers[0].knots.diff().amin(1) for model in (even, known)]
    assert float(ratios[0][0]) == pytest.approx(1) and float(ratios[0][1]) > 10
    assert ratios[1].tolist() == pytest.approx([1, 1])
    assert [model.held.tolist() for model in (even, known, asked)] == [[False, True], [False, False], [False, False]]
    torch.testing.assert_close(asked.layers[0].knots[0], even.layers[0].knots[0], rtol=0, atol=0)


@pytest.mark.parametrize("extrapolation", ["zero", "error"])
def test_grids_reach_over_all_rows_where_curves_do_not_go_on(extrapolation):
    x = torch.exp(8 * uniform(300, 1))
    model = KAN([1, 1], seed=0, extrapolation=extrapolation)
    model.fit(table(x), steps=1)
    low, high = ends(model)
    assert low[0] <= x.min() and high[0] >= x.max() and not bool(model.held.any())


@pytest.mark.parametrize("share", ["X_train", "X_val"])
def test_a_huge_value_among_training_or_validation_rows_leaves_the_grid_where_the_others_are(share):
    data = table(uniform(300, 1), X_val=uniform(50, 1), y_val=uniform(50, 1))
    getattr(data, share)[7] = 1e6
    model = KAN([1, 1], seed=0)
    model.fit(data, steps=1)
    low, high = ends(model)
    assert low[0] > -20 and high[0] < 20 and model.held.tolist() == [True]


def test_a_new_first_fit_to_other_rows_holds_other_inputs():
    x = uniform(300, 2)
    network = KAN([2, 1], seed=0)
    for long in (0, 1):
        rows = x.clone()
        rows[:, long] = torch.exp(8 * rows[:, long])
        set_input_grid(network, list(zip(rows.amin(0).tolist(), rows.amax(0).tolist(), strict=True)), rows)
        assert network.held.tolist() == [long == 0, long == 1]


@pytest.mark.parametrize("values", [(0, 1, 2, 3, 50), (0, 1, 2, 5, 9, 14, 3000)])
def test_few_distinct_values_with_a_far_one_are_recognised(values):
    x = torch.tensor(values, dtype=torch.float64).repeat(40)[:, None]
    assert concentrated(x) == [0]


@pytest.mark.parametrize("values", [(0, 1), (0, 1, 1000), (0, 1, 2, 3), (0, 1, 2, 3, 4, 5, 6)])
def test_levels_have_even_knots(values):
    x = torch.tensor(values, dtype=torch.float64).repeat(40)[:, None]
    assert concentrated(x) == []


@pytest.mark.parametrize("optimizer", ["lm", "adam"])
@pytest.mark.parametrize("units", [1e-3, 1e6])
def test_a_fit_does_not_depend_on_the_units_of_inputs(units, optimizer):
    """In millimetres or metres and with any origin, the network is the same on other knots."""
    x = uniform()
    y = torch.exp(torch.sin(3 * x[:, 0]) + x[:, 1] ** 2)
    errors = []
    for inputs in (x, x * units + torch.tensor([0.0, 100 * units], dtype=torch.float64)):
        data = Dataset.from_arrays(inputs, y, test_size=0, validation_size=0)
        errors.append(KAN([2, 2, 1], seed=0).fit(data, optimizer=one_start(optimizer), steps=10).train_rmse)
    assert errors[1] == pytest.approx(errors[0], rel=1e-4)  # rounding errors, amplified by ten steps


@pytest.mark.parametrize("value", [0.0, 0.3, -1e-9, 1e6, -1e12])
def test_a_constant_column_gives_a_finite_fit(value):
    x = uniform()
    x[:, 1] = value
    with pytest.warns(KnotworkWarning, match="constant"):
        data = table(x)
    network = KAN([2, 2, 1], seed=0)
    result = network.fit(data, steps=10, optimizer=ONE_START)
    low, high = ends(network)
    assert low[1] < value < high[1]
    assert result.train_rmse < 0.1 * data.y_train.std()
    assert bool(network(x).isfinite().all())


def test_pruned_inputs_need_no_grid():
    x = uniform(inputs=3)
    network = KAN([3, 2, 1], seed=0)
    with torch.no_grad():
        network.layers[0].coefficients[1], network.layers[0].base_weights[1] = 0, 0
    smaller = network.prune((x, network(x).detach()))
    assert smaller.spec.inputs == (0, 2)
    set_input_grid(smaller, [(-4.0, 4.0), (-6.0, 6.0)], x)
    assert ends(smaller) == ([-4.0, -6.0], [4.0, 6.0])
    smaller.fitted.fill_(False)
    smaller.fit(table(x, ranges=((-2.0, 2.0), (-3.0, 3.0), (-5.0, 5.0))), steps=2, optimizer=ONE_START)
    assert ends(smaller) == ([-2.0, -5.0], [2.0, 5.0])


# --- hidden grids ---


@pytest.mark.parametrize(("optimizer", "tolerance"), [("lm", 0.0), ("lbfgs", 0.2), ("adam", 0.2)])
def test_hidden_grids_cover_the_activations_after_a_fit(optimizer, tolerance):
    """Levenberg-Marquardt checks them after every step, the other optimisers sometimes in the first half.

    A smooth fit keeps its hidden grids, beyond which curves go on as straight lines.
    """
    data = sample(lambda x, y: torch.exp(torch.sin(3 * x) + y**2), x=(-1, 1), y=(-1, 1), size=150, test_size=0)
    network = KAN([2, 3, 2, 1], seed=0)
    network.fit(data, optimizer=one_start(optimizer), steps=10 if optimizer != "adam" else 200, smoothness=None)
    for l, (low, high) in enumerate(node_ranges(network, data.X_train)[1:], start=1):
        grid_low, grid_high = grid_range(network.layers[l].knots, network.spec.k)
        slack = tolerance * (grid_high - grid_low) + 1e-9
        assert bool((low >= grid_low - slack).all() and (high <= grid_high + slack).all())


def far_off(seed=0):
    """A network whose hidden values are outside their grids, or whose grids are much too wide."""
    network = KAN([2, 3, 2, 1], seed=seed, init="paper")
    for layer, size in zip(network.layers[1:], (0.3, 40.0), strict=True):
        layer.set_knots(layer.knots * size + 0.1)
    return network


@pytest.mark.parametrize("seed", range(3))
def test_adapting_covers_the_values_and_a_second_time_changes_nothing(seed):
    x = uniform()
    network = far_off(seed)
    assert adapt_hidden_grids(network, x)
    for l, (low, high) in enumerate(node_ranges(network, x)[1:], start=1):
        grid_low, grid_high = grid_range(network.layers[l].knots, network.spec.k)
        assert bool((grid_low <= low).all() and (high <= grid_high).all())
        assert bool(((high - low) / (grid_high - grid_low) > 0.7).all())
    state = {name: value.clone() for name, value in network.state_dict().items()}
    assert not adapt_hidden_grids(network, x), "a second time nothing has to move"
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())


def test_grids_that_fit_and_input_grids_are_not_changed():
    network = KAN([2, 1], seed=0)
    before = network.layers[0].knots.clone()
    assert not adapt_hidden_grids(network, 100 * uniform())
    assert torch.equal(network.layers[0].knots, before)


def test_only_grids_that_fit_badly_are_changed():
    x = uniform()
    network = KAN([2, 2, 1], seed=0, init="paper")
    adapt_hidden_grids(network, x)
    before = network.layers[1].knots.clone()
    size = torch.tensor([0.9, 5.0])  # one covers most of its grid, the other reaches far outside
    with torch.no_grad():
        network.layers[0].coefficients *= size
        network.layers[0].base_weights *= size
    assert adapt_hidden_grids(network, x)
    assert torch.equal(network.layers[1].knots[0], before[0])
    assert not torch.equal(network.layers[1].knots[1], before[1])


def test_the_new_grid_leaves_a_margin_around_the_values():
    x = uniform()
    network = KAN([2, 1, 1], seed=0, init="paper")
    network.layers[1].set_knots(network.layers[1].knots * 50)
    adapt_hidden_grids(network, x)
    low, high = node_ranges(network, x)[1]
    grid_low, grid_high = grid_range(network.layers[1].knots, network.spec.k)
    for margin in (low - grid_low, grid_high - high):
        assert bool((margin >= TRAINING.grid_margin * (high - low)).all())
        assert bool(
            (
                margin
                <= (TRAINING.grid_reach + TRAINING.grid_margin * (1 + 2 * TRAINING.grid_reach))
                * (high - low)
                * (1 + 1e-12)
            ).all()
        )


def test_changing_grids_keeps_a_cubic_function_exactly():
    """A cubic is a spline on any grid, so it is kept up to rounding errors."""
    x = uniform()
    network = KAN([2, 1, 1], seed=0, base="zero", init="paper")
    inner = network.layers[1]
    t = torch.linspace(-1, 1, 50, dtype=torch.float64)
    with torch.no_grad():
        inner.coefficients.copy_(fit_coefficients(t[:, None], (t**3 - t)[:, None, None], inner.knots, 3))
        network.layers[0].coefficients *= 5 / node_ranges(network, x)[1][1].abs().max()
    narrow = network.copy()
    narrow.layers[0].coefficients.data *= 0.1
    before = narrow(x)
    assert adapt_hidden_grids(narrow, x)
    torch.testing.assert_close(narrow(x), before, rtol=0, atol=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_changing_grids_keeps_the_function_to_a_few_percent(seed):
    """Five intervals replace five narrower ones; the error is a few percent of the outputs' standard deviation."""
    x = uniform(300)
    network = KAN([2, 3, 1], seed=seed, init="paper")
    before = network(x).detach()
    assert adapt_hidden_grids(network, x)
    change = (network(x).detach() - before).square().mean().sqrt()
    assert change < 0.05 * before.std()


@pytest.mark.parametrize("value", [0.0, 0.9, -40.0])
def test_the_grid_of_a_constant_node_contains_the_constant_and_changes_at_most_once(value):
    network = KAN([2, 2, 1], seed=0, init="paper", base="zero")
    network.layers[0].remove_edge(1, 1)
    with torch.no_grad():
        network.layers[0].coefficients[0, :, 1] = value
    x = uniform()
    adapt_hidden_grids(network, x)
    low, high = ends(network, 1)
    assert low[1] < value < high[1]
    assert not adapt_hidden_grids(network, x)


def test_activations_that_are_not_finite_change_no_grid():
    network = KAN([1, 1, 1], seed=0)
    network.fix_symbolic(0, 0, 0, "log", params=(1.0, 0.0, 1.0, 0.0))
    before = network.layers[1].knots.clone()
    assert not adapt_hidden_grids(network, uniform(inputs=1))
    assert torch.equal(network.layers[1].knots, before)


# --- first grids from arrays ---


def test_a_first_grid_reaches_beyond_the_outermost_rows_by_two_mean_distances():
    x = torch.rand(100, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    data = Dataset.from_arrays(x, x[:, :1], test_size=0, validation_size=20)
    network = KAN([2, 1], seed=0)
    network.fit(data, steps=1, progress=False)
    seen, n = torch.cat([data.X_train, data.X_val]), len(data.X_train)
    beyond = 2 / n * (seen.amax(0) - seen.amin(0))
    low, high = grid_range(network.layers[0].knots, 3)
    assert torch.allclose(low, seen.amin(0) - beyond) and torch.allclose(high, seen.amax(0) + beyond)


def test_a_first_grid_covers_a_known_range_and_no_more():
    data = sample("x + y", x=(-1, 1), y=(0, 3), size=50, seed=0)
    network = KAN([2, 1], seed=0)
    network.fit(data, steps=1, progress=False)
    low, high = grid_range(network.layers[0].knots, 3)
    assert low.tolist() == [-1, 0] and high.tolist() == [1, 3]


@pytest.mark.parametrize("seed", range(3))
def test_rows_beyond_the_training_rows_are_predicted_as_well_as_others(seed):
    """Rows of the same range from arrays: the error on new rows is that of the splines, also near the ends."""
    generator = torch.Generator().manual_seed(seed)
    x, new = (2 * torch.rand(n, 1, generator=generator, dtype=torch.float64) - 1 for n in (800, 4000))
    wave = lambda v: torch.sin(9 * v)  # noqa: E731
    network = KAN([1, 1], grid=30, seed=seed)
    network.fit(Dataset.from_arrays(x, wave(x), test_size=0, validation_size=0.1), progress=False)
    error = (network(new) - wave(new)).detach().abs()[:, 0]
    outside = (new[:, 0] < x.min()) | (new[:, 0] > x.max())
    assert bool(outside.any())
    assert float(error[outside].max()) < 20 * float(error[~outside].square().mean().sqrt())


@pytest.mark.parametrize(
    ("before", "after", "spoilt"),
    [(0.5, 0.6, False), (0.5, 100.0, True), (0.5, float("nan"), True), (0.5, float("inf"), True),
     (float("nan"), 100.0, False)],
)  # fmt: skip
def test_a_move_of_grids_spoils_a_fit_whose_loss_rises_far_or_is_no_number_any_more(before, after, spoilt):
    assert ruined(before, after, constant=1.0) is spoilt
