"""Levenberg-Marquardt, the default for KANs of moderate size, with several starting points before the first fit."""

from dataclasses import dataclass
from numbers import Real
from typing import ClassVar

import torch
from torch import nn

from knotwork.data import Dataset, Stream, as_dataset
from knotwork.errors import TrainingError
from knotwork.keywords import check_keywords
from knotwork.model import MODEL, FreeParameters, KANNetwork, evaluating, is_whole, why_not_by_rows, why_too_many
from knotwork.solvers import Ended, Options, gauss_newton
from knotwork.training.levenberg_marquardt import levenberg_marquardt
from knotwork.training.module_problem import ModuleProblem
from knotwork.training.multistart import screen
from knotwork.training.objective import Objective, mean_squared_error
from knotwork.training.optimizers.optimizer import Optimizer, Task, check_count, is_number, refuse_stream
from knotwork.training.settings import TRAINING
from knotwork.training.smooth_fit import SmoothFit, straighten
from knotwork.training.smoothness_choice import FollowsNoise, SmoothnessChoice
from knotwork.training.standardization import device_of


@check_keywords
@dataclass(frozen=True)
class LevenbergMarquardt(Optimizer):
    """Damped Gauss-Newton steps on all rows: the optimiser that reaches the accuracy of splines.

    It fits a KAN, or any other small module, to the squared error or to labels. The steps are those of Madsen, Nielsen,
    Tingleff 2004 (section 3.2) with the geodesic acceleration of Transtrum and Sethna 2012. They are computed in
    float64, whatever the type of the model.

    A module that is no KAN is differentiated by `torch.func`, or row by row where this fails, which takes longer. Each
    row of its outputs must depend on its own row of the inputs only. It is fitted in evaluation mode: without dropout,
    and with the stored statistics of a batch norm.

    Args:
        starts: number of starting points before the first fit of a KAN of more than one layer, its own among them. Few
            steps are made from each, and the best one continues. The search ends early once several reach the same
            minimum. None: 64, enough for minimal shapes, where most starts end in poor local minima; with a penalty 4,
            since a network that is to become sparse has more nodes than it needs. Other modules have no other starts.
        tolerance: the fit has converged when ten steps in a row do not lower the loss by this share of it. None: 1e-5;
            with a penalty 1e-4, since edges that it makes small are found long before its last digits.
        n_jobs: processes that share the starting points; None: one, -1: one for each core. The result is the same.

    Raises:
        TrainingError: for values that are not possible.

    Example:
        >>> import knotwork as kw
        >>> kw.LevenbergMarquardt(starts=8)
        LevenbergMarquardt(starts=8, tolerance=None, n_jobs=None)
    """

    starts: int | None = None
    tolerance: float | None = None
    n_jobs: int | None = None

    most_steps: ClassVar[int] = 100
    precision: ClassVar[torch.dtype | None] = torch.float64  # normal equations square the condition of the problem

    def __post_init__(self) -> None:
        check_count(starts=self.starts)
        if self.n_jobs is not None and (not is_whole(self.n_jobs) or self.n_jobs == 0):
            raise TrainingError(
                f"n_jobs={self.n_jobs!r} is not possible: give a number of processes, or -1 for one a core."
            )
        if self.tolerance is not None and not (is_number(self.tolerance) and self.tolerance >= 0):
            raise TrainingError(
                f"tolerance={self.tolerance!r} is not possible: it must be 0 or positive, a share of the loss."
            )

    @property
    def name(self) -> str:
        return "lm"

    def check(self, model: nn.Module, data: Dataset | Stream, objective: Objective) -> None:
        refuse_stream("lm", data)
        if device_of(model).type == "mps":
            raise TrainingError(
                "optimizer='lm' computes in float64, which Apple's GPUs (mps) do not have; use 'lbfgs' or 'adam', or "
                "fit on the CPU: model.cpu()."
            )
        if objective.likelihood is None:
            raise TrainingError(
                "optimizer='lm' minimises loss='mse' or 'cross_entropy', but the loss is a function that was passed; "
                "use 'lbfgs' or 'adam'."
            )
        if isinstance(model, KANNetwork):
            if why := why_too_many(FreeParameters(model).size):
                raise TrainingError(
                    f"optimizer='lm' is not possible for this KAN: {why}. Use 'lbfgs' or 'adam', fewer intervals or "
                    "fewer nodes."
                )
            return
        if self.starts is not None:
            raise TrainingError(
                f"starts={self.starts} draws starting points of a KAN, but this is a {type(model).__name__}: fit "
                "several of them, for example with steps=30 each, and the best one further."
            )
        if why := why_not_by_rows(model, as_dataset(data).X_train[: MODEL.probed_rows]):
            raise TrainingError(
                f"optimizer='lm' computes a module row by row in float64 and in evaluation mode, which is not possible "
                f"with this {type(model).__name__}: {why}. Use 'lbfgs' or 'adam'."
            )

    def minimise(self, task: Task) -> Ended:
        model, wanted, watch = task.model, task.smoothness, task.watch
        if not isinstance(model, KANNetwork):
            return self._to_the_end(task)
        if not wanted or not any(map(len, FreeParameters(model).coefficients)):
            watch.smoothness = "off: no curve is free" if wanted else "off, as asked"
            return self._to_the_end(task)
        if wanted == "auto":
            ended, watch.smoothness = SmoothnessChoice(task, self._close).run()
            return ended
        assert isinstance(wanted, Real)
        watch.smoothness = f"a weight of {wanted:g}, as asked"
        if task.first and model.spec.depth > 1:
            straighten(model, torch.Generator().manual_seed(task.generator.initial_seed()), task.update_grid)
        end = SmoothFit(task, float(wanted), learn=False).on_all()
        watch.take(model.state_dict(), watch.history)
        return end.ended

    def _to_the_end(self, task: Task) -> Ended:
        ended = self._close(task)
        assert ended is not None
        return ended

    def _close(self, task: Task, follows_noise: FollowsNoise | None = None) -> Ended | None:
        """The fit that follows the rows as closely as possible; None where `follows_noise` ended its race of starts."""
        model, objective, watch = task.model, task.objective, task.watch
        assert objective.likelihood is not None
        is_kan = isinstance(model, KANNetwork)
        shared = {"penalty": objective.penalty, "update_grid": task.update_grid, "likelihood": objective.likelihood}
        starts = self.starts or (TRAINING.starts_with_penalty if objective.penalty else TRAINING.starts)
        part = task.journal.part()  # also where there is no race, so that later parts keep their numbers
        if is_kan and task.first and starts > 1 and not task.goes_on:
            race = {"starts": starts, "generator": task.generator, "n_jobs": self.n_jobs or 1}
            race |= {"journal": part, "reporter": watch.reporter, "follows_noise": follows_noise}
            if not screen(model, task.x, task.y, **race, **shared):
                return None
        if stop := task.begin():
            return stop.after(watch.taken)
        watch.alike = 1.0 if watch.patience else TRAINING.alike_losses
        target = rounding(task) if objective.loss is mean_squared_error else 0.0
        usual = TRAINING.tolerances[objective.penalty is not None]
        tolerance = usual if self.tolerance is None else self.tolerance
        more = {"steps": task.steps, "tolerance": tolerance, "target": target}
        if is_kan:
            samples = {"generator": task.generator, "each_sample_step": watch.on_sample}
            more |= {"patience": TRAINING.patience_near} if task.near else {}
            return levenberg_marquardt(model, task.x, task.y, watch, keeper=task, **more, **samples, **shared)
        with evaluating(model):
            problem = ModuleProblem(model, task.x, task.y, objective.likelihood)
            return gauss_newton(problem, Options(**more), watch, task)


def rounding(task: Task) -> float:
    """The mean squared error, in standard units, at which only rounding errors of sums and of targets are left.

    Targets of constant columns have none.
    """
    y = as_dataset(task.data).y_train.to(task.y.dtype)
    varying = y[:, task.units.varies.to(y.device)]
    largest = float(varying.abs().max()) if varying.numel() else 0.0
    own = largest / task.units.scale * float((varying / largest).square().mean().sqrt()) if largest else 0.0
    standard = float(task.units(y).square().mean().sqrt())
    return min(torch.finfo(task.dtype).eps * (TRAINING.rounding_errors * standard + own), 1e100) ** 2
