"""The residuals of an equation and its conditions as one objective, a function of all parameters and unknowns."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from knotwork.kan import KAN
from knotwork.model import FreeParameters, KANLayer
from knotwork.pde.settings import PDE
from knotwork.pde.solving.terms import Term

State = tuple[dict[str, Tensor], Tensor]


class System:
    """The terms of a problem for one network: its objective Σ_t w_t·mean r_t², and normal equations.

    Parameters are one vector (P + U,): the network's free ones, but for those of splines beyond all points and the
    domain, then the unknown coefficients.
    """

    def __init__(self, network: KAN, terms: Sequence[Term], unknowns: Tensor) -> None:
        self.network, self.terms, self.unknowns = network, list(terms), unknowns.clone()
        self.rows = torch.cat([t.points.x for t in self.terms])  # what hidden grids must cover
        box = torch.cat([self.terms[0].problem.ends(), self.rows])
        self.free = FreeParameters(network, reached(network.layers[0], box))
        self.prepare()

    def prepare(self) -> None:
        """Evaluate the network again after its input knots or hidden grids were moved."""
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
        """Weight every condition so that the parameters change it as much as the equation, in the mean square.

        The weight is mean |J_equation|² / mean |J_condition|², or 1 if that is less, times the user's; J are rows of
        the Jacobian. Then the residual of any term counts by the change of the parameters that it stands for, whatever
        the units and the number of derivatives. On finer grids derivatives change more, and conditions count more.
        """
        moves = []
        for term in self.terms:
            squares = [float(j.square().sum()) for _, j in term.rows(self.network, self.unknowns, self.free)]
            moves.append(sum(squares) / term.count)
        for term, move in zip(self.terms[1:], moves[1:], strict=True):
            term.weight = term.user_weight * max(moves[0] / max(move, 1e-300), 1.0)

    def equilibrate_rows(self) -> None:
        """Divide the equation's residuals at each point by the square root of their row norm, then balance conditions.

        In thin layers derivatives are so large that residuals there dominate the loss: with every row of the Jacobian
        counted alike, a shock moved away from its place. Division by the whole norm helped less.
        """
        self.terms[0].equilibrate_rows(self.network, self.unknowns, self.free)
        self.balance()

    def comparable_objective(self) -> float:
        """The objective relative to how much the parameters change the equation: comparable between networks."""
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

    def solve_layers(self, first: int = 0) -> None:
        """Set the layers from `first` on and the unknowns by one Gauss-Newton step, in place; optimal if all is linear.

        Nothing changes where the normal equations cannot be solved.
        """
        matrix, gradient = self.normal_equations(first)
        if not len(matrix):  # frozen
            return
        diagonal = matrix.diagonal()
        scale = diagonal.clamp_min(PDE.projection_floor * float(diagonal.max()) + 1e-300)
        factor, failed = torch.linalg.cholesky_ex(matrix + torch.diag(PDE.projection_ridge * scale))
        if not int(failed):
            parameters = self.get()
            parameters[self._before(first) :] -= torch.cholesky_solve(gradient.unsqueeze(-1), factor).squeeze(-1)
            self.set(parameters)

    def state(self) -> State:
        """A copy of the network's state, hidden grids included, and of the unknowns."""
        return {name: v.clone() for name, v in self.network.state_dict().items()}, self.unknowns.clone()

    def restore(self, state: State) -> None:
        """Go back to a state, exactly."""
        self.network.load_state_dict(state[0])
        self.unknowns = state[1]

    def _before(self, layer: int) -> int:
        """Free parameters of the layers before that one."""
        places = zip(self.free.coefficients[:layer], self.free.base_weights[:layer], strict=True)
        return sum(len(a) + len(b) for a, b in places)

    def vjp(self, by: list[Tensor]) -> Tensor:
        """The vector-Jacobian product Σ_t w_t/n_t·Jᵀ by_t, (P + U,)."""
        parts = [
            t.vjp(self.network, self.unknowns, self.free, b * (t.weight / t.count))
            for t, b in zip(self.terms, by, strict=True)
        ]
        return torch.stack(parts).sum(0)


def reached(layer: KANLayer, x: Tensor) -> Tensor:
    """Which basis functions of a layer's inputs are not zero all over the box that holds x (n, in): (in, basis)."""
    low, high = x.amin(0).unsqueeze(1), x.amax(0).unsqueeze(1)
    basis, little = layer.coefficients.shape[1], 1e-9 * (high - low)  # knots at the ends are there to rounding
    return (layer.knots[:, :basis] < high - little) & (layer.knots[:, -basis:] > low + little)
