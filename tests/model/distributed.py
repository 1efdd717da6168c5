"""Networks of every kind trained by gradient steps: on all rows in this process, and on a half in each of two."""

import os

import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from knotwork.model import KANNetwork, NamedEdge, Spec

STEPS = 50


def networks():
    """Networks of which some tensors have no effect on the output."""
    kinds = {
        "splines": Spec(((2, 0), (3, 0), (1, 0))),
        "base zero": Spec(((2, 0), (3, 0), (1, 0)), base="zero"),
        "named edges": Spec(
            ((2, 0), (2, 0), (1, 0)), named=(NamedEdge(0, 0, 1, "sin"), NamedEdge(1, 0, 0, "tanh", False))
        ),
        "fixed edges alone": Spec(((2, 0), (2, 0), (1, 0)), named=(NamedEdge(0, 1, 0, "tanh", False),)),
        "product nodes": Spec(((2, 0), (1, 2), (1, 0)), base="sine", extrapolation="zero"),
        "all of a layer named": Spec(
            ((2, 0), (2, 0), (1, 0)), named=(NamedEdge(1, 0, 0, "sin"), NamedEdge(1, 1, 0, "x^2"))
        ),
        "all of a layer fixed": Spec(
            ((2, 0), (1, 1), (1, 0)), named=(NamedEdge(1, 0, 0, "sin", False), NamedEdge(1, 1, 0, "tanh", False))
        ),
    }
    found = {name: KANNetwork(spec, generator=torch.Generator().manual_seed(0)) for name, spec in kinds.items()}
    removed = KANNetwork(kinds["splines"], generator=torch.Generator().manual_seed(0))
    removed.layers[1].name_edge(0, 0, "sin", torch.ones(4))
    removed.layers[1].remove_edge(1, 0)
    removed.layers[1].remove_edge(2, 0)
    again = KANNetwork(kinds["all of a layer named"], generator=torch.Generator().manual_seed(0))
    again.layers[1].unname_edge(0, 0)
    return {**found, "one named edge left": removed, "an edge named and un-named": again}


def data():
    x = 2 * torch.rand(64, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64) - 1
    return x, torch.sin(3 * x[:, :1]) + x[:, 1:] ** 2


def trained(network, module, rows):
    """The state after some steps of AdamW on these rows."""
    x, y = (part[rows] for part in data())
    stepper = torch.optim.AdamW(network.parameters(), lr=1e-2)
    for _ in range(STEPS):
        stepper.zero_grad()
        (module(x) - y).square().mean().backward()
        stepper.step()
    return network.state_dict()


def half(rank, folder):
    """One of two processes; the first writes the states of all networks."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    try:
        found = {
            name: trained(network, DistributedDataParallel(network), slice(rank, None, 2))
            for name, network in networks().items()
        }
        if rank == 0:
            torch.save(found, f"{folder}/states")
    finally:
        distributed.destroy_process_group()
    # DistributedDataParallel keeps the destroyed group alive, and its threads can abort the end of the interpreter
    # ("terminate called without an active exception"): this process ends without that.
    os._exit(0)
