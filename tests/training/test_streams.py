"""Training on streams equals training on rows in memory; methods that need all rows refuse a stream."""

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

import knotwork
from knotwork import KAN, MLP, Adam, Stream, fit_multilevel, sample, stream_batches, stream_parquet
from knotwork.data.settings import DataSettings
from knotwork.errors import TrainingError
from knotwork.training.optimizers.gradient import evaluation_interval
from knotwork.training.standardization import Standardization, in_own_units


def bumps(size=300, **options):
    def function(x, y):
        return torch.exp(torch.sin(math.pi * x) + y**2)

    return sample(function, x=(-1, 1), y=(-1, 1), size=size, test_size=50, **options)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A Parquet file of 3,000 rows of bumps."""
    data = bumps(3000)
    frame = pd.DataFrame(data.X_train.numpy(), columns=["x", "y"]).assign(f=data.y_train.numpy())
    path = tmp_path_factory.mktemp("tables") / "bumps.parquet"
    frame.to_parquet(path, row_group_size=700)
    return path


def state(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def timeless(result):
    return [dataclasses.replace(record, seconds=0) for record in result.history]


# --- the same as in memory ---


def test_training_on_a_stream_equals_a_training_loop_in_torch(table):
    """Adam on the batches of two epochs, written in torch for standard targets, reaches the same state as the fit."""
    source = stream_parquet(table, "f", buffer=500)
    network = KAN([2, 3, 1], seed=0, grid_range=(-1, 1))
    twin, steps, ends = network.copy(), 54, []
    stepper = torch.optim.Adam(twin.parameters(), lr=1e-2)
    units = Standardization.of(source.sample.y_train)
    batches = source.batches(100, torch.Generator().manual_seed(7))
    for _ in range(steps):
        x, y = next(batches)
        stepper.zero_grad()
        (twin(x) - units(y)).square().mean().backward()
        stepper.step()
    result = knotwork.fit(
        network,
        source,
        optimizer=Adam(batch_size=100),
        steps=steps,
        seed=7,
        update_grid=False,
        callback=lambda event: ends.append(state(network)) and None,
    )
    assert result.optimizer == "adam" and result.steps == steps
    with in_own_units(twin, units, torch.float64):
        assert all(torch.equal(value, ends[-1][name]) for name, value in twin.named_parameters())


@pytest.mark.parametrize("model", [lambda: KAN([2, 3, 1], seed=0), lambda: MLP([2, 8, 1], seed=0)])
def test_an_epoch_from_a_stream_equals_an_epoch_in_memory(model):
    """With the same batches in the same order and the same evaluation rows, the fits agree bit for bit."""
    data = bumps()
    order = torch.randperm(300, generator=torch.Generator().manual_seed(5)).split(64)
    streamed = Stream(data, lambda size, seed: ((data.X_train[rows], data.y_train[rows]) for rows in order))
    settings = {"optimizer": Adam(batch_size=64), "steps": len(order), "seed": 5}
    results = [knotwork.fit(model(), source, **settings) for source in (data, streamed)]
    assert same(*(state(result.model) for result in results))
    assert timeless(results[0]) == timeless(results[1])
    assert results[0].test_rmse == results[1].test_rmse


def test_a_loader_is_fitted_like_a_list_of_its_batches():
    data = bumps()
    loader = DataLoader(TensorDataset(data.X_train.float(), data.y_train[:, 0].float()), batch_size=32)
    results = [KAN([2, 3, 1], seed=0).fit(form, steps=30) for form in (loader, stream_batches(list(loader)))]
    assert same(*(state(result.model) for result in results))
    assert results[0].why == "the rows come in batches"


def test_the_same_seed_gives_the_same_result_bit_for_bit(table):
    results = [
        KAN([2, 3, 1], seed=0).fit(stream_parquet(table, "f"), steps=40, optimizer=Adam(batch_size=64), seed=seed)
        for seed in (3, 3, 4)
    ]
    assert same(*(state(result.model) for result in results[:2]))
    assert timeless(results[0]) == timeless(results[1]) != []
    assert not same(*(state(result.model) for result in results[1:]))


# --- what a fit makes of it ---


def test_a_streamed_table_is_fitted(table):
    source = stream_parquet(table, "f", validation_size=0.2)
    network = KAN([2, 5, 1], seed=0)
    result = network.fit(source, steps=400, optimizer=Adam(lr=0.02, batch_size=256))
    scale = float(source.sample.y_val.std())
    assert result.val_rmse < 0.1 * scale
    with torch.no_grad():
        error = float((network(source.sample.X_val) - source.sample.y_val).square().mean().sqrt())
    assert result.val_rmse == pytest.approx(error, rel=1e-12)


def test_grids_cover_all_rows_and_not_only_those_in_memory(table, monkeypatch):
    monkeypatch.setattr("knotwork.data.parquet_stream.DATA", DataSettings(rows_held=20))
    source = stream_parquet(table, "f")
    network = KAN([2, 3, 1], seed=0)
    network.fit(source, steps=1)
    every = pd.read_parquet(table)
    held = {tuple(row) for row in source.sample.X_val.tolist()}
    trained = np.array([row for row in every[["x", "y"]].to_numpy().tolist() if tuple(row) not in held])
    knots = network.layers[0].knots[:, 3:-3]
    np.testing.assert_allclose(knots.amin(1), trained.min(0), atol=1e-9)
    np.testing.assert_allclose(knots.amax(1), trained.max(0), atol=1e-9)
    assert len(trained) == source.rows == 2980


def test_streams_can_be_fitted_with_patience_and_in_float32(table):
    network = KAN([2, 2, 1], seed=0, dtype=torch.float32)
    result = network.fit(stream_parquet(table, "f"), steps=300, optimizer=Adam(lr=0.5, batch_size=128), patience=2)
    assert result.stop_reason == "2 steps brought no better validation loss"
    assert result.val_rmse <= min(record.validation for record in result.history) * (1 + 1e-5)  # or that of the start
    assert all(p.dtype == torch.float32 for p in network.parameters())


def test_a_stream_is_fitted_from_coarse_to_fine_grids(table):
    result = fit_multilevel(KAN([2, 2, 1], grid=3, seed=0), stream_parquet(table, "f"), [3, 6], steps=5)
    assert [record.grid for record in result.history] == [3] * 5 + [6] * 5


def test_methods_use_the_rows_of_a_stream_in_memory(table):
    source = stream_parquet(table, "f")
    network = KAN([2, 3, 1], seed=0)
    network.fit(source, steps=20)
    assert network.attribute(source).inputs.tolist() == network.attribute(source.sample).inputs.tolist()
    assert network.prune(source).spec == network.prune(source.sample).spec


# --- looking ---


@pytest.mark.parametrize(
    ("watched", "batch", "steps", "every"),
    [
        (144, 32, 20, 1),
        (5000, 5000, 2000, 1),
        (20_000, 1024, 2000, 19),
        (20_000, 1024, 100, 5),
        (1_250_000, 1024, 2000, 100),
        (20_000, 10, 2000, 20),
        (10, 10, 1, 1),
    ],
)
def test_evaluations_cost_no_more_than_the_steps(watched, batch, steps, every):
    assert evaluation_interval(watched, batch, steps) == every
    assert every == steps // 20 or watched / every < 2 * max(batch, 1000)


def test_the_history_of_many_rows_has_a_record_for_each_evaluation_and_the_last_step():
    data = bumps(4000)
    result = KAN([2, 1], seed=0).fit(data, optimizer=Adam(batch_size=100), steps=85)
    assert [record.step for record in result.history] == [*range(4, 85, 4), 85]
    assert result.steps == 85
    stopped = KAN([2, 1], seed=0).fit(
        data, optimizer=Adam(batch_size=100), steps=85, callback=lambda event: event.step > 0
    )
    assert stopped.steps == 4 and stopped.stopped_by_caller


# --- what cannot be ---


@pytest.mark.parametrize("optimizer", ["lm", "lbfgs", "LBFGS"])
def test_methods_that_need_all_rows_refuse_a_stream(table, optimizer):
    with pytest.raises(TrainingError) as caught:
        KAN([2, 1]).fit(stream_parquet(table, "f"), optimizer=optimizer)
    assert str(caught.value) == (
        f"optimizer={optimizer.lower()!r} needs all rows at once, but these come in batches; use 'adam', or fit the "
        "sample in memory, data.sample."
    )


def test_options_that_a_loader_does_not_allow_are_refused():
    loader = DataLoader(TensorDataset(torch.rand(20, 2), torch.rand(20)), batch_size=5)
    with pytest.raises(TrainingError, match="batch_size=7 is not possible: these batches have the size their loader g"):
        KAN([2, 1]).fit(loader, optimizer=Adam(batch_size=7))
    with pytest.raises(TrainingError, match="patience= needs validation rows, but this data has none"):
        KAN([2, 1]).fit(loader, patience=7)
    with pytest.raises(TrainingError, match="got 2 input columns but this KAN expects 3"):
        KAN([3, 1]).fit(loader)
