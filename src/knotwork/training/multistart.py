"""Many cheap starts, the best one continued: minimal shapes have bad basins, and they show early."""

import torch
from torch import Tensor

from knotwork.model import KANNetwork
from knotwork.training.grids import adapt_hidden_grids
from knotwork.training.levenberg_marquardt import levenberg_marquardt, objective_value
from knotwork.training.penalties import Penalty

SCREEN_GRID = 5
SCREEN_ROWS = 1000
ROUNDS = ((8, 4), (20, 1))  # (steps each, starts kept): a race in two rounds


def screen(
    network: KANNetwork,
    x: Tensor,
    y: Tensor,
    *,
    starts: int,
    generator: torch.Generator,
    penalty: Penalty | None = None,
    update_grid: bool = True,
) -> None:
    """Leave in `network` the best of `starts` starting points after a few Levenberg-Marquardt steps each.

    Its own values race first, all on the first 1,000 rows. On grids finer than 5 intervals the
    race is run at G = 5 and the winner refined.
    """
    race_x, race_y = x[:SCREEN_ROWS], y[:SCREEN_ROWS]
    coarse = network.refined(SCREEN_GRID) if network.spec.grid > SCREEN_GRID else network
    rivals = [coarse.copy()]
    for _ in range(starts - 1):
        rival = coarse.copy()
        for layer in rival.layers:
            layer.reset_parameters("power", generator)
        rivals.append(rival)
    for steps, kept in ROUNDS:
        for rival in rivals:
            levenberg_marquardt(rival, race_x, race_y, steps=steps, penalty=penalty, update_grid=update_grid)
        losses = [objective_value(rival, race_x, race_y, penalty) for rival in rivals]
        order = sorted(range(len(rivals)), key=lambda i: losses[i] if losses[i] == losses[i] else float("inf"))
        rivals = [rivals[i] for i in order[:kept]]
    winner = rivals[0].refined(network.spec.grid) if coarse is not network else rivals[0]
    network.load_state_dict(winner.state_dict())
    if update_grid:
        adapt_hidden_grids(network, x)
