"""DistributedDataParallel over two processes trains what one process trains, without find_unused_parameters."""

import pytest
import torch
from torch import multiprocessing

from tests.model import distributed


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """The states after training in two processes."""
    folder = tmp_path_factory.mktemp("distributed")
    multiprocessing.spawn(distributed.half, (str(folder),), nprocs=2)
    return torch.load(folder / "states")


@pytest.mark.parametrize("kind", list(distributed.networks()))
def test_two_processes_train_what_one_trains(kind, together):
    network = distributed.networks()[kind]
    before = {name: value.clone() for name, value in network.state_dict().items()}
    alone = distributed.trained(network, network, slice(None))
    assert alone.keys() == together[kind].keys()
    for name, value in alone.items():
        if value.is_floating_point() and value.numel():
            assert (value - together[kind][name]).abs().max() < 1e-10, name
    assert any(not value.equal(before[name]) for name, value in alone.items())
