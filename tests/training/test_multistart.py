"""A race of many starts: the winner is not worse than the values of the network itself, and reproducible."""

import math
from dataclasses import replace

import pytest
import torch

from knotwork import KAN, LevenbergMarquardt, sample
from knotwork.training import TRAINING, Penalty, Reporter, levenberg_marquardt, multistart
from knotwork.training.levenberg_marquardt import objective_value
from knotwork.training.multistart import screen
from knotwork.training.optimizers import lm


def table(size=120):
    """exp(sin πx + y²) at random points."""

    def function(x, y):
        return torch.exp(torch.sin(math.pi * x) + y**2)

    data = sample(function, x=(-1, 1), y=(-1, 1), size=size, test_size=0)
    return data.X_train, data.y_train


def race(network, x, y, starts=5, seed=0, **settings):
    screen(network, x, y, starts=starts, generator=torch.Generator().manual_seed(seed), **settings)
    return network


def state(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.mark.parametrize("penalty", [None, Penalty(1e-2)])
@pytest.mark.parametrize("seed", range(4))
def test_the_winner_is_no_worse_than_the_start_of_the_network_itself(seed, penalty):
    """Compared after the first round; with fixed grids no loss rises later."""
    x, y = table()
    network = KAN([2, 1, 1], seed=seed)
    own = network.copy()
    race(network, x, y, seed=seed, penalty=penalty, update_grid=False)
    levenberg_marquardt(own, x, y, steps=TRAINING.race_rounds[0][0], penalty=penalty, update_grid=False)
    assert objective_value(network, x, y, penalty) <= objective_value(own, x, y, penalty)


@pytest.mark.parametrize("update_grid", [True, False])
@pytest.mark.parametrize("grid", [5, 8])
def test_a_race_that_a_callback_stops_before_any_step_changes_nothing(grid, update_grid):
    x, y = table()
    network = KAN([2, 2, 1], grid=grid, seed=0)
    before = state(network)
    race(network, x, y, update_grid=update_grid, reporter=Reporter([lambda event: True]))
    assert same(network.state_dict(), before)


def test_a_stop_between_two_groups_of_starts_keeps_the_best_of_the_first(monkeypatch):
    monkeypatch.setattr(multistart, "TRAINING", replace(TRAINING, race_consensus=()))
    x, y = table()
    networks = [KAN([2, 2, 1], seed=0) for _ in range(2)]
    group = TRAINING.race_group
    race(networks[0], x, y, starts=group)
    stop = Reporter([lambda event: event.stage.startswith(f"race of {group}, starts {group + 1} to")])
    race(networks[1], x, y, starts=2 * group, reporter=stop)
    assert stop.stopped and same(networks[0].state_dict(), networks[1].state_dict())


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("grid", [5, 8])
def test_a_fit_that_a_callback_stops_before_any_step_leaves_the_values_as_they_were(grid, seed):
    x, y = table()
    network = KAN([2, 2, 1], grid=grid, grid_range=(-1, 1), seed=seed)
    before = {name: value.detach().clone() for name, value in network.named_parameters()}
    result = network.fit((x, y), optimizer=LevenbergMarquardt(starts=8), update_grid=False, callback=lambda event: True)
    assert result.steps == 0 and same(dict(network.named_parameters()), before)


def test_a_race_with_one_start_equals_a_fit(monkeypatch):
    monkeypatch.setattr(multistart, "TRAINING", replace(TRAINING, race_consensus=()))
    x, y = table()
    network, own = KAN([2, 2, 1], seed=0), KAN([2, 2, 1], seed=0)
    race(network, x, y, starts=1, update_grid=False)
    for steps, _ in TRAINING.race_rounds:
        levenberg_marquardt(own, x, y, steps=steps, update_grid=False)
    assert same(network.state_dict(), own.state_dict())


def counted(monkeypatch, x, y, starts):
    """The number of starts that a race evaluated."""
    seen = []
    with monkeypatch.context() as patch:
        start = multistart._start
        patch.setattr(multistart, "_start", lambda *given: seen.append(1) or start(*given))
        race(KAN([2, 1, 1], seed=0), x, y, starts=starts)
    return len(seen)


def test_a_race_ends_when_three_starts_have_reached_the_same_minimum(monkeypatch):
    """exp(sin πx + y²) has one minimum that most starts find; if no result is good enough, all starts are tried."""
    x, y = table(300)
    assert counted(monkeypatch, x, y, 32) == TRAINING.race_group
    monkeypatch.setattr(multistart, "TRAINING", replace(TRAINING, race_consensus=((3, 0.0),)))
    assert counted(monkeypatch, x, y, 20) == 20


def test_a_single_layer_of_splines_needs_no_race():
    x, y = table()
    network = KAN([2, 1], seed=0)
    before = state(network)
    race(network, x, y, starts=8)
    assert same(state(network), before)
    product = KAN([2, (0, 1)], seed=0)
    race(product, x, y, starts=2)
    assert not same(state(product), state(KAN([2, (0, 1)], seed=0)))


def test_the_result_does_not_depend_on_the_number_of_processes():
    x, y = table()
    alone, together = (race(KAN([2, 1, 1], seed=1), x, y, n_jobs=n) for n in (1, 2))
    for name, value in together.state_dict().items():
        torch.testing.assert_close(value, alone.state_dict()[name], rtol=0, atol=0)


def test_several_starts_find_a_minimum_that_one_start_misses():
    """x·y on one product node: with one start one of six networks finds a poor minimum, with several none does."""
    x = table()[0]
    y = x.prod(1, keepdim=True)
    alone, raced = [], []
    for seed in range(6):
        for losses, starts in ((alone, 1), (raced, 8)):
            network = race(KAN([2, (0, 1)], seed=seed), x, y, starts=starts)
            losses.append(objective_value(network, x, y, None))
    assert max(raced) < 1e-6 * float(y.var())
    assert max(alone) > 100 * max(raced)


def rivals_of(monkeypatch, network, **settings):
    """The states of all starts in the first round of a race that is ended then."""
    states = []

    class Enough(Exception):
        """Raised to end the race when all starts were recorded."""

    def watched(rival, x, y, **options):
        states.append(state(rival))
        return 0, "watched"

    def stop(*args):
        raise Enough

    with monkeypatch.context() as patch:
        patch.setattr(multistart, "levenberg_marquardt", watched)
        patch.setattr(multistart, "objective_value", stop)
        with pytest.raises(Enough):
            race(network, *table(), **settings)
    return states


def test_the_values_of_the_network_are_the_first_start_and_all_starts_differ(monkeypatch):
    network = KAN([2, 2, 1], seed=3)
    before = state(network)
    rivals = rivals_of(monkeypatch, network, starts=6)
    assert len(rivals) == 6
    assert same(rivals[0], before)
    for n, rival in enumerate(rivals):
        for other in rivals[:n]:
            for name in ("coefficients", "base_weights"):
                assert not torch.equal(rival[f"layers.0.{name}"], other[f"layers.0.{name}"])
        assert torch.equal(rival["layers.1.knots"], rivals[0]["layers.1.knots"])


def test_starts_are_drawn_from_the_given_generator_only(monkeypatch):
    before = torch.get_rng_state()
    races = [rivals_of(monkeypatch, KAN([2, 2, 1], seed=3), starts=3, seed=seed) for seed in (7, 7, 8)]
    assert all(same(one, other) for one, other in zip(races[0], races[1], strict=True))
    assert same(races[0][0], races[2][0]) and not same(races[0][1], races[2][1])
    assert torch.equal(torch.get_rng_state(), before)


def test_the_race_is_the_same_every_time():
    x, y = table()
    assert same(state(race(KAN([2, 1, 1], seed=1), x, y)), state(race(KAN([2, 1, 1], seed=1), x, y)))


def test_removed_and_named_edges_are_the_same_in_all_starts():
    x, y = table()
    network = KAN([2, 2, 1], seed=0)
    network.layers[0].remove_edge(1, 0)
    network.fix_symbolic(0, 0, 0, "sin", params=(3.0, 0.0, 1.0, 0.0), trainable=False)
    spec = network.spec
    race(network, x, y)
    assert network.spec == spec
    assert network.layers[0].affine.tolist() == [[3.0, 0.0, 1.0, 0.0]]
    assert network.layers[0].active().tolist() == [[True, True], [False, True]]


def test_networks_with_fine_grids_are_raced_on_a_coarse_grid_and_refined_again():
    x, y = table(200)
    network = KAN([2, 2, 1], grid=20, seed=0)
    parameters = [id(parameter) for parameter in network.parameters()]
    race(network, x, y, update_grid=False)
    assert network.spec.grid == 20
    # an optimiser may already have references to them
    assert [id(parameter) for parameter in network.parameters()] == parameters
    coarse = KAN([2, 2, 1], grid=20, seed=0).refine(5)
    race(coarse, x, y, update_grid=False)
    torch.testing.assert_close(network(x), coarse(x), rtol=0, atol=1e-10)  # 20 is a multiple of 5: the same function


def test_the_race_uses_only_the_first_thousand_rows():
    x, y = table(TRAINING.race_rows + 50)
    other = y.clone()
    other[TRAINING.race_rows :] = 1e6
    one = race(KAN([2, 1, 1], seed=0), x, y, starts=2, update_grid=False)
    two = race(KAN([2, 1, 1], seed=0), x, other, starts=2, update_grid=False)
    assert same(one.state_dict(), two.state_dict())


def test_starts_with_a_loss_of_nan_are_never_chosen():
    """If the loss of every start is NaN, the values of the network itself stay."""
    x, y = table()
    network = KAN([2, 1, 1], seed=0)
    network.fix_symbolic(0, 0, 0, "log", params=(1.0, 0.0, 1.0, 0.0))
    before = state(network)
    race(network, x, y, update_grid=False)
    assert same(network.state_dict(), before)


def test_only_the_first_fit_with_second_order_steps_races():
    """The second fit continues from the result of the first."""
    data = sample(lambda x, y: torch.sin(3 * x) * y, x=(-1, 1), y=(-1, 1), size=80, test_size=0)
    network = KAN([2, 2, 1], seed=0)
    first = network.fit(data, steps=3, optimizer=LevenbergMarquardt(starts=4))
    second = network.fit(data, steps=1, optimizer=LevenbergMarquardt(starts=4))
    assert second.history[0].train <= 1.05 * first.train_rmse  # setting the grids again changes it slightly


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [
        ("lm", [64]),
        ("auto", [64]),
        (LevenbergMarquardt(), [64]),
        (LevenbergMarquardt(starts=4), [4]),
        (LevenbergMarquardt(starts=1), []),
        ("adam", []),
    ],
)
def test_a_fit_races_64_starts_by_default(optimizer, expected, monkeypatch):
    races = []
    monkeypatch.setattr(lm, "screen", lambda network, x, y, *, starts, **settings: races.append(starts) or True)
    data = sample(lambda x, y: torch.sin(3 * x) * y, x=(-1, 1), y=(-1, 1), size=60, test_size=0)
    network = KAN([2, 1, 1], seed=0)
    network.fit(data, steps=1, optimizer=optimizer)
    assert races == expected
    network.fit(data, steps=1, optimizer=optimizer)
    assert races == expected, "a fitted network goes on from where it is"
