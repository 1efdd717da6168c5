"""The loss of any module as a least-squares problem, for the damped Gauss-Newton steps that KANs are fitted by."""

import torch
from torch import Tensor, nn

from knotwork.errors import warn
from knotwork.model import MODEL, ModuleParameters
from knotwork.solvers import SOLVER, NormalEquations, Step, VectorProblem, accelerated_step, second_differences
from knotwork.training.likelihood import Goal, curved


class ModuleProblem(VectorProblem):
    """The loss of a module on all rows x (n, in) and y (n, out), which it computes row by row, at its parameters.

    The parameters are written into the module, which must be in evaluation mode. The loss is that of the `likelihood`,
    and its second derivatives are those of the Gauss-Newton approximation.
    """

    def __init__(self, module: nn.Module, x: Tensor, y: Tensor, likelihood: Goal) -> None:
        self.x, self.y, self.likelihood = x, y, likelihood
        self.parameters = ModuleParameters(module, x[: MODEL.probed_rows])
        super().__init__(self.parameters.get())
        if self.parameters.why_slow:
            warn(
                f"torch.func cannot differentiate this {type(module).__name__} on many rows together, so it is done "
                f"row by row, which takes longer: {self.parameters.why_slow}. (An autograd.Function needs "
                "setup_context and generate_vmap_rule = True.)"
            )

    @torch.no_grad()
    def evaluate(self, at: Tensor) -> tuple[float, Tensor]:
        self.parameters.set(at)
        outputs = self.parameters.outputs(self.x)
        return self.likelihood.scale(self.y) * float(self.likelihood.values(outputs, self.y).sum()), outputs

    def kept(self) -> None:
        """Nothing: the keeper keeps the parameters."""

    def resume(self, kept: None) -> None:
        self.at = self.parameters.get()
        self.begin()

    def linearise(self) -> NormalEquations:
        def residuals(outputs: Tensor, rows: slice) -> tuple[Tensor, Tensor | None]:
            return self.likelihood.residuals(outputs, self.y[rows])

        matrix, gradient = self.parameters.normal_equations(self.x, residuals)
        half = self.likelihood.scale(self.y) / 2
        return NormalEquations(matrix.mul_(half), gradient.mul_(half))

    @torch.no_grad()
    def accelerated(self, step: Step) -> Tensor:
        def moved(share: float) -> list[Tensor]:
            self.parameters.set(self.at + share * step.vector)
            return [self.parameters.outputs(self.x)]

        second = second_differences([self.seen], moved)[0]
        second *= self.likelihood.scale(self.y) / 2 / SOLVER.acceleration_probe**2
        second = curved(self.likelihood, self.seen, self.y, second)
        self.parameters.set(self.at)
        return accelerated_step(step, self.parameters.vjp(self.x, second))

    def reject(self) -> None:
        super().reject()
        self.parameters.set(self.at)
