"""Many cheap starts, the best one continued: minimal shapes have bad basins, and they show early."""

import torch
from torch import Tensor

from knotwork.model import KANNetwork
from knotwork.training.grids import adapt_hidden_grids
from knotwork.training.levenberg_marquardt import levenberg_marquardt, objective_value
from knotwork.training.penalties import Penalty
from knotwork.training.progress import Line

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
    line: Line | None = None,
) -> None:
    """Leave in `network` the best of `starts` starting points after a few Levenberg-Marquardt steps each.

    Its own values race first, all on the first 1,000 rows. On grids finer than 5 intervals the race is run at G = 5
    and the winner refined. Ctrl-C ends the race, and the one that leads wins.
    """
    line = line or Line()
    race_x, race_y = x[:SCREEN_ROWS], y[:SCREEN_ROWS]
    coarse = network.refined(SCREEN_GRID) if network.spec.grid > SCREEN_GRID else network
    rivals = [coarse.copy()]
    for _ in range(starts - 1):
        rival = coarse.copy()
        for layer in rival.layers:
            layer.reset_parameters("power", generator)
        rivals.append(rival)

    def best(kept: int) -> list[KANNetwork]:
        losses = [objective_value(rival, race_x, race_y, penalty) for rival in rivals]
        order = sorted(range(len(rivals)), key=lambda i: losses[i] if losses[i] == losses[i] else float("inf"))
        return [rivals[i] for i in order[:kept]]

    try:
        for steps, kept in ROUNDS:
            line.stage(f"race of {len(rivals)} starts", len(rivals))
            for place, rival in enumerate(rivals, start=1):
                levenberg_marquardt(rival, race_x, race_y, steps=steps, penalty=penalty, update_grid=update_grid)
                line(place)
            rivals = best(kept)
    finally:
        winner = best(1)[0]
        winner = winner.refined(network.spec.grid) if coarse is not network else winner
        network.load_state_dict(winner.state_dict())
        if update_grid:
            adapt_hidden_grids(network, x)
