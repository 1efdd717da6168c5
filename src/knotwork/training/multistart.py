"""Several starting points, of which the best continues. From most of them a minimal network ends in a poor minimum."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from knotwork.journal import Journal
from knotwork.model import KANNetwork
from knotwork.training.callbacks import Reporter
from knotwork.training.fit_result import state_of
from knotwork.training.grids import adapt_hidden_grids, going_on, ruined
from knotwork.training.levenberg_marquardt import NORMAL, levenberg_marquardt, objective_value
from knotwork.training.likelihood import Goal, rounded
from knotwork.training.penalties import Penalty
from knotwork.training.settings import TRAINING


def screen(
    network: KANNetwork,
    x: Tensor,
    y: Tensor,
    *,
    starts: int,
    generator: torch.Generator,
    penalty: Penalty | None = None,
    update_grid: bool = True,
    likelihood: Goal = NORMAL,
    n_jobs: int = 1,
    reporter: Reporter | None = None,
    journal: Journal | None = None,
    follows_noise: Callable[[KANNetwork, bool], bool] | None = None,
) -> bool:
    """Put the best of `starts` starting points into `network`, after a few Levenberg-Marquardt steps from each.

    A single layer has one optimum, so its own start is not changed. Groups of eight starts compete, one group after the
    other, on the first 1,000 rows. In each round the better half of a group continues. The network's own values are in
    the first group. The search ends once enough starts have reached the same minimum (consensus stopping,
    `race_consensus`). On grids finer than 5 intervals the starts compete at G = 5 and the best one is refined. `n_jobs`
    processes share the work (-1: one for each core) and do not change the result. Ctrl-C or a callback ends the search,
    and the best start at that moment is taken. Where no start has made a step, `network` is not changed. Each start
    after each round is a part of the `journal`.

    `follows_noise(start, alone)` is asked of the network's own start after its first steps, where no other one has made
    any, and of the best start after each round. If it does, more steps would make it worse on other rows: the search
    ends, and the result is False; else it is True.
    """
    if network.spec.depth == 1 and not network.spec.width[1][1] and not network.spec.named:
        return True
    reporter, journal = reporter or Reporter(), journal or Journal()
    race_x, race_y = x[: TRAINING.race_rows], rounded(likelihood, y[: TRAINING.race_rows])
    coarse = network.refine(TRAINING.race_grid) if network.spec.grid > TRAINING.race_grid else network
    spread = likelihood.spread(race_y)
    few = penalty and starts <= TRAINING.starts_with_penalty
    rounds = TRAINING.race_rounds_with_penalty if few else TRAINING.race_rounds
    settings = {"penalty": penalty, "update_grid": update_grid, "likelihood": likelihood}
    ahead: list[tuple[float, KANNetwork]] = []  # the present group, then the winners of earlier groups

    def ranked(rivals: Sequence[KANNetwork]) -> list[tuple[float, KANNetwork]]:
        losses = []
        for rival in rivals:
            with going_on(rival):
                losses.append(objective_value(rival, race_x, race_y, penalty, likelihood))
        losses = [loss if loss == loss else float("inf") for loss in losses]
        return sorted(zip(losses, rivals, strict=True), key=lambda one: one[0])

    def agreed() -> bool:
        best = min(loss for loss, _ in ahead)
        same_place = sum(loss <= TRAINING.race_same_place * best for loss, _ in ahead)
        return any(same_place >= enough and best < share * spread for enough, share in TRAINING.race_consensus)

    def advanced(rivals: Sequence[KANNetwork], before: int, steps: int) -> list[KANNetwork]:
        return _advanced(rivals, before, race_x, race_y, steps, settings, n_jobs, reporter, journal)

    try:
        for first in range(0, starts, TRAINING.race_group):
            size, winners = min(TRAINING.race_group, starts - first), ahead
            group = [_start(coarse, None if first + n == 0 else generator) for n in range(size)]
            for number, (steps, kept) in enumerate(rounds):
                which = "" if starts <= TRAINING.race_group else f", starts {first + 1} to {first + size} of {starts}"
                if reporter.stop or reporter.stage(f"race of {len(group)}{which or ' starts'}", len(group)):
                    return True
                ahead = [*((float("inf"), rival) for rival in group), *winners]
                own = advanced(group[:1], 0, steps) if follows_noise and first == number == 0 else []
                if follows_noise and own and not reporter.stopped and follows_noise(own[0], True):
                    return False
                group = [*own, *advanced(group[len(own) :], len(own), steps)]
                ahead = [*ranked(group), *winners]
                if reporter.stopped:
                    return True
                if follows_noise and follows_noise(ahead[0][1], False):
                    return False
                if agreed():
                    return True
                ahead = [*ahead[: min(kept, size)], *winners]
                group = [rival for _, rival in ahead[: min(kept, size)]]
        return True
    finally:
        if ahead:  # evaluated again: Ctrl-C may have interrupted a step
            winner = ranked([rival for _, rival in ahead])[0][1]
            _take(network, winner, x, update_grid, lambda: objective_value(network, x, y, penalty, likelihood), spread)


def _take(
    network: KANNetwork, winner: KANNetwork, x: Tensor, update_grid: bool, loss: Callable[[], float], constant: float
) -> None:
    """Put the winner into the network, on the network's own grid, in place.

    Hidden grids follow x unless that ruins the `loss` of the network; `constant` is that of the best constant.
    """
    if winner.spec.grid != network.spec.grid:
        winner = winner.refine(network.spec.grid)
        for l, (layer, own) in enumerate(zip(winner.layers, network.layers, strict=True)):
            if (l == 0 or not update_grid) and not torch.equal(layer.knots, own.knots):
                layer.set_knots(own.knots)
    network.load_state_dict(winner.state_dict())
    before, state = loss(), state_of(network)
    if update_grid and adapt_hidden_grids(network, x) and ruined(before, loss(), constant):
        network.load_state_dict(state)


def _start(network: KANNetwork, generator: torch.Generator | None) -> KANNetwork:
    """A copy with new initial values for parameters that are not frozen; without a generator, with its own."""
    rival = network.copy()
    if generator is not None:
        for layer in rival.layers:
            layer.reset_parameters("power", generator)
        with torch.no_grad():
            for new, own in zip(rival.parameters(), network.parameters(), strict=True):
                if not own.requires_grad:
                    new.copy_(own)
    return rival


def _advanced(
    rivals: Sequence[KANNetwork],
    before: int,
    x: Tensor,
    y: Tensor,
    steps: int,
    settings: dict,
    n_jobs: int,
    reporter: Reporter,
    journal: Journal,
) -> list[KANNetwork]:
    """The rivals after some more steps; `before` of their group have made these already."""
    parts = [journal.part() for _ in rivals]
    after = list(rivals)
    waiting = []
    for n, part in enumerate(parts):
        if part.done:
            after[n].load_state_dict(part.value)
        else:
            waiting.append(n)
    if n_jobs != 1 and not reporter.stopped:
        from joblib import Parallel, delayed

        together = Parallel(n_jobs=n_jobs)(delayed(_after)(after[n], x, y, steps, settings) for n in waiting)
        for n, rival in zip(waiting, together, strict=True):
            after[n] = rival  # type: ignore[call-overload]
            parts[n].finish(rival.state_dict())  # type: ignore[union-attr]
        return after
    for n in waiting:
        if reporter.stopped:
            break
        _after(after[n], x, y, steps, settings)
        parts[n].finish(after[n].state_dict())
        reporter(before + n + 1)
    return after


def _after(rival: KANNetwork, x: Tensor, y: Tensor, steps: int, settings: dict) -> KANNetwork:
    with going_on(rival):
        levenberg_marquardt(rival, x, y, steps=steps, **settings)
    return rival
