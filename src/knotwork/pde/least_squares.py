"""Damped Gauss-Newton on the residuals of an equation and its conditions, all parameters and unknowns together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from knotwork.kan import KAN
from knotwork.model import FreeParameters, KANLayer
from knotwork.pde.hidden_grids import follow_values
from knotwork.pde.terms import Term
from knotwork.solvers import SOLVER
from knotwork.training import INTERRUPTED
from knotwork.training.damping import Damping, bent_step, damped_step

DEAR, DEAREST, LONG = 1.5, 1e3, 10  # times the objective, at once and after a while; steps
RIDGE, HARDLY = 1e-11, 1e-4  # of the diagonal, where the last layer is solved for alone; of its largest, at least


class System:
    """The terms of a problem for one network: its objective Σ_t w_t·mean r_t², and normal equations.

    Parameters are one vector (P + U,): the network's free ones, but for those of splines beyond all points and the
    domain, then the unknown coefficients.
    """

    def __init__(self, network: KAN, terms: Sequence[Term], unknowns: Tensor) -> None:
        self.network, self.terms, self.unknowns = network, list(terms), unknowns.clone()
        self.rows = torch.cat([t.place.x for t in self.terms])  # what hidden grids must hold
        box = torch.cat([self.terms[0].problem.ends(), self.rows])
        self.free = FreeParameters(network, reached(network.layers[0], box))
        self.prepare()

    def prepare(self) -> None:
        """Look at the network again, whose input knots or hidden grids were moved."""
        for term in self.terms:
            term.prepare(self.network)

    def get(self) -> Tensor:
        """The parameters."""
        return torch.cat([self.free.get(), self.unknowns])

    def set(self, parameters: Tensor) -> None:
        """Put parameters into the network."""
        self.free.set(parameters[: self.free.size])
        self.unknowns = parameters[self.free.size :].clone()

    def balance(self) -> None:
        """Weigh every condition so that the parameters move it as much as they move the equation, in the mean square.

        The weight is mean |J_equation|² / mean |J_condition|², or 1 if that is less, times the user's; J are rows of
        the Jacobian. Then a misfit of any term is counted by the change of the parameters that it stands for, whatever
        the units and however many derivatives it holds. On finer grids derivatives move more, and conditions count for
        more.
        """
        moves = []
        for term in self.terms:
            squares = [float(j.square().sum()) for _, j in term.rows(self.network, self.unknowns, self.free)]
            moves.append(sum(squares) / term.count)
        for term, move in zip(self.terms[1:], moves[1:], strict=True):
            term.weight = term.asked_weight * max(moves[0] / max(move, 1e-300), 1.0)

    def even_out(self) -> None:
        """Count the equation less where parameters move it much, and balance the conditions with that.

        In thin layers derivatives are so large that what is left there drowns all else: with every row of the Jacobian
        counted alike, a shock drifted from its place. Dividing by |J| in full helped less.
        """
        self.terms[0].even_out(self.network, self.unknowns, self.free)
        self.balance()

    def weighed(self) -> float:
        """The objective in units in which parameters move the equation by one: comparable between networks."""
        self.balance()
        size = sum(float(j.square().sum()) for _, j in self.terms[0].rows(self.network, self.unknowns, self.free))
        return self.objective() / max(size / self.terms[0].count, 1e-300)

    def residuals(self) -> list[Tensor]:
        """The residuals of every term, (equations, n) each."""
        return [term.values(self.network, self.unknowns) for term in self.terms]

    def objective(self, residuals: list[Tensor] | None = None) -> float:
        """Σ_t w_t·mean r_t², summed over the equations of a term."""
        found = self.residuals() if residuals is None else residuals
        return sum(t.weight * float(r.square().mean(1).sum()) for t, r in zip(self.terms, found, strict=True))

    def normal_equations(self, first: int = 0) -> tuple[Tensor, Tensor]:
        """Σ_t w_t/n_t·JᵀJ (P + U, P + U) and Σ_t w_t/n_t·Jᵀr (P + U,), of the layers from `first` on."""
        size = len(self.get()) - self._before(first)
        matrix, gradient = torch.zeros(size, size, dtype=torch.float64), torch.zeros(size, dtype=torch.float64)
        for term in self.terms:
            share = term.weight / term.count
            for residual, jacobian in term.rows(self.network, self.unknowns, self.free, first):
                matrix.addmm_(jacobian.T, jacobian, alpha=share)
                gradient.addmv_(jacobian.T, residual, alpha=share)
        return matrix, gradient

    def settle(self, first: int = 0) -> None:
        """Put the layers from `first` on and the unknowns where a Gauss-Newton step leads, best if all is linear."""
        matrix, gradient = self.normal_equations(first)
        if not len(matrix):  # frozen
            return
        scale = matrix.diagonal().clamp_min(HARDLY * float(matrix.diagonal().max()) + 1e-300)
        factor, failed = torch.linalg.cholesky_ex(matrix + torch.diag(RIDGE * scale))
        if not int(failed):
            parameters = self.get()
            parameters[self._before(first) :] -= torch.cholesky_solve(gradient.unsqueeze(-1), factor).squeeze(-1)
            self.set(parameters)

    def _before(self, layer: int) -> int:
        """Free parameters of the layers before that one."""
        places = zip(self.free.coefficients[:layer], self.free.base_weights[:layer], strict=True)
        return sum(len(a) + len(b) for a, b in places)

    def pull_back(self, by: list[Tensor]) -> Tensor:
        """Σ_t w_t/n_t·Jᵀ by_t, (P + U,)."""
        parts = [
            t.pull_back(self.network, self.unknowns, self.free, b * (t.weight / t.count))
            for t, b in zip(self.terms, by, strict=True)
        ]
        return torch.stack(parts).sum(0)


def reached(layer: KANLayer, x: Tensor) -> Tensor:
    """Which basis functions of a layer's inputs are not zero all over the box that holds x (n, in): (in, basis)."""
    low, high = x.amin(0).unsqueeze(1), x.amax(0).unsqueeze(1)
    basis, little = layer.coefficients.shape[1], 1e-9 * (high - low)  # knots at the ends are there to rounding
    return (layer.knots[:, :basis] < high - little) & (layer.knots[:, -basis:] > low + little)


def least_squares(
    system: System,
    *,
    steps: int,
    tolerance: float = 1e-3,
    patience: int = 8,
    target: float = 0.0,
    update_grid: bool = True,
    each_step: Callable[[int, float], str | None] | None = None,
) -> tuple[int, str]:
    """Minimise the objective of a system in place; steps taken and why it ended.

    Marquardt's scaling, Nielsen's damping and bent steps, as in `knotwork.training.levenberg_marquardt`, and after
    every step the last layer at its best. Hidden grids follow the values at the points between steps. Ctrl-C ends it
    at the best so far.
    """
    network = system.network
    if update_grid:
        follow_values(network, system.rows)
    residuals = system.residuals()
    loss = lowest = system.objective(residuals)
    if loss != loss:
        return 0, "the residual is NaN at the first values, so no step can be judged"
    damping, slow, taken, equations = Damping(), 0, 0, None
    best, waited, reason = _state(system), 0, ""
    try:
        while taken < steps:
            if loss <= target:
                reason = "only rounding errors are left"
                break
            start, reason = system.get(), None
            if equations is None:
                equations = system.normal_equations()
            step, predicted, factor = damped_step(*equations, damping.value)
            new, trial = float("nan"), residuals
            if step is not None:
                step = _bent(system, start, step, factor, residuals)
                system.set(start + step)
                new, trial = _settled(system)
            if new < loss:
                damping.taken(loss - new, predicted)
                taken, equations = taken + 1, None
                loss, residuals = new, trial
                slow = 0 if loss < (1 - tolerance) * lowest else slow + 1
                if update_grid:
                    loss, residuals, waited = _followed(system, loss, residuals, waited)
                if loss < lowest:
                    lowest, best = loss, _state(system)
                reason = each_step(taken, loss) if each_step is not None else None
                if not reason and slow >= patience:
                    reason = f"converged: {patience} steps in a row brought no objective lower by {tolerance:g} of it"
            else:
                system.set(start)
                if damping.rejected():
                    reason = "converged: no step lowers the objective any more"
            if reason:
                break
        else:
            reason = f"the limit of {steps} steps was reached"
    except KeyboardInterrupt:
        loss, reason = float("inf"), INTERRUPTED
    if loss > lowest:
        system.network.load_state_dict(best[0])
        system.unknowns = best[1]
    return taken, reason


def _state(system: System) -> tuple[dict[str, Tensor], Tensor]:
    """What a system is at, hidden grids included."""
    return {name: v.clone() for name, v in system.network.state_dict().items()}, system.unknowns.clone()


def _followed(system: System, value: float, residuals: list[Tensor], waited: int) -> tuple[float, list[Tensor], int]:
    """The objective and the residuals once hidden grids have followed their values, and how long they have waited.

    Where that makes the objective more than DEAR times as large (DEAREST, after LONG steps) the grids stay, as values
    that leave them a little do little harm.
    """
    before = _state(system)[0]
    if not follow_values(system.network, system.rows):
        return value, residuals, 0
    others = system.residuals()
    other = system.objective(others)
    if other <= (DEAR if waited < LONG else DEAREST) * value:
        return other, others, 0
    system.network.load_state_dict(before)
    return value, residuals, waited + 1


def _settled(system: System) -> tuple[float, list[Tensor]]:
    """The objective and the residuals after a step, with the last layer at its best if that helps.

    A step may then go further in the layers before, whose curves bend what the last layer makes of them (variable
    projection; Golub and Pereyra 1973, in Kaufman's form with a joint step first).
    """
    residuals = system.residuals()
    value = system.objective(residuals)
    last = system.network.layers[-1]
    if len(system.network.layers) == 1 or not last.has_splines() or value != value:
        return value, residuals
    parameters = system.get()
    system.settle(len(system.network.layers) - 1)
    others = system.residuals()
    other = system.objective(others)
    if other < value:
        return other, others
    system.set(parameters)
    return value, residuals


def _bent(system: System, start: Tensor, step: Tensor, factor: Tensor, residuals: list[Tensor]) -> Tensor:
    """The step bent by the second derivatives of the residuals along it."""
    second = [-2 * r for r in residuals]
    for share in (SOLVER.acceleration_probe, -SOLVER.acceleration_probe):
        system.set(start + share * step)
        second = [s + r for s, r in zip(second, system.residuals(), strict=True)]
    system.set(start)
    pulled = system.pull_back([s / SOLVER.acceleration_probe**2 for s in second])
    return bent_step(step, pulled, factor)
