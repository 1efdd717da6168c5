"""The loop of damped Gauss-Newton steps."""

import math
from typing import Any

from knotwork.solvers.damping import Damping, System
from knotwork.solvers.least_squares_problem import Problem
from knotwork.solvers.settings import SOLVER, Options
from knotwork.solvers.stop_reason import EachStep, Ended, Keeper, Stop, StopReason


def gauss_newton(
    problem: Problem,
    options: Options | None = None,
    each_step: EachStep | None = None,
    keeper: Keeper | None = None,
) -> Ended:
    """Minimise the objective of a problem in place by damped Gauss-Newton steps.

    A step is accepted if it lowers the objective. After a rejected step the same quadratic model is damped more. The
    damping is Nielsen's (Madsen, Nielsen, Tingleff 2004, section 3.2), the acceleration that of the problem (Transtrum
    and Sethna 2012).

    Args:
        problem: what is minimised, and where it starts.
        options: limits, tolerance and damping; by default `Options()`.
        each_step: called after every accepted step with its number and the loss; a `Stop` ends the loop.
        keeper: keeps the state of the loop after accepted steps; the loop goes on from a state that it holds.

    Returns:
        The number of accepted steps and why the loop ended.

    Example:
        >>> import torch
        >>> from knotwork.solvers import NormalEquations, VectorProblem, gauss_newton
        >>> class Root(VectorProblem):
        ...     def evaluate(self, at):
        ...         r = at**2 - 2
        ...         return float(r @ r), r
        ...     def linearise(self):
        ...         j = torch.diag(2 * self.at)
        ...         return NormalEquations(j.T @ j, j.T @ self.seen)
        >>> root = Root(torch.ones(1, dtype=torch.float64))
        >>> gauss_newton(root).converged
        True
        >>> round(float(root.at), 10)
        1.4142135624
    """
    if not problem.size:
        return _plain(StopReason.NOTHING_TO_TRAIN).after(0)
    kept = None if keeper is None else keeper.resume()
    if kept is None:
        problem.begin()
    else:
        problem.resume(kept["problem"])
    if problem.loss != problem.loss:
        return Ended(0, StopReason.NOT_FINITE, problem.not_finite)
    descent = _Descent(problem, options or Options(), each_step, keeper)
    return descent.run() if kept is None else descent.run_on(kept)


class _Descent:
    """One run of the loop: its damping and its counts."""

    def __init__(
        self, problem: Problem, options: Options, each_step: EachStep | None, keeper: Keeper | None = None
    ) -> None:
        self.problem, self.options, self.each_step, self.keeper = problem, options, each_step, keeper
        self.damping = Damping(options.first_damping, options.least_damping, options.largest_damping)
        self.system: System | None = None
        self.taken = self.attempts = self.slow = 0
        self.lowest = problem.loss
        self.best: Any = problem.state() if options.keep_best else None

    def run(self, stop: Stop | None = None) -> Ended:
        """Make steps unless there is a reason to `stop`; go back to the best state, if the options ask for it."""
        if not self.options.keep_best:
            return self._steps(stop).after(self.taken)
        try:
            stop = self._steps(stop)
        except KeyboardInterrupt:
            stop, self.problem.loss = _plain(StopReason.INTERRUPTED), math.inf
        if self.problem.loss > self.lowest:
            self.problem.restore(self.best)
            self.problem.loss = self.lowest
        return stop.after(self.taken)

    def run_on(self, kept: dict[str, Any]) -> Ended:
        """`run` from the state after an accepted step, as `_kept` gives it."""
        self.taken, self.attempts, self.slow = kept["step"], *kept["counts"]
        self.damping.value, self.lowest, self.best = kept["damping"], kept["lowest"], kept["best"]
        return self.run(self._next(self._without_progress()))

    def _kept(self) -> dict[str, Any]:
        """The state after an accepted step, where the damping has counted no rejections and there is no system."""
        counts = {"step": self.taken, "counts": [self.attempts, self.slow]}
        own = {"damping": self.damping.value, "lowest": self.lowest, "best": self.best}
        return {"problem": self.problem.kept(), **counts, **own}

    def _steps(self, stop: Stop | None) -> Stop:
        """Make steps until there is a reason to stop."""
        problem, options = self.problem, self.options
        while stop is None and self.taken < _limit(options.steps) and self.attempts < _limit(options.attempts):
            if problem.loss <= options.target:
                return _plain(StopReason.ROUNDING)
            accepted = self._attempt()
            reason = self._after_step() if accepted else self._after_rejection()
            if accepted:
                asked = None if self.each_step is None else self.each_step(self.taken, problem.reported)
                if self.keeper is not None:
                    self.keeper.keep(self._kept, at_once=asked is not None and asked.reason.by_caller)
                if asked is not None:
                    return asked
            stop = self._next(reason)
        if stop is not None:
            return stop
        limit = f"{options.steps} steps" if self.taken >= _limit(options.steps) else f"{options.attempts} attempts"
        return Stop(StopReason.STEP_LIMIT, f"the limit of {limit} was reached")

    def _next(self, reason: Stop | None) -> Stop | None:
        """Why the loop ends after an attempt, unless the problem changes and it goes on."""
        problem, options = self.problem, self.options
        remaining = None if options.steps is None else options.steps - self.taken
        if problem.restart(reason, remaining):
            self.damping.restart()
            self.system, self.slow = None, 0
            return None
        if reason is not None and problem.loss <= SOLVER.near_target * options.target:
            return _plain(StopReason.ROUNDING)
        return reason

    def _attempt(self) -> bool:
        """Try the step of the present damping. Returns whether it was accepted."""
        self.attempts += 1
        if self.system is None:
            self.system = self.problem.linearise()
        step = self.system.step(self.damping.value)
        decrease = math.nan if step is None else self.problem.attempt(self.problem.accelerated(step))
        better = decrease > 0 or (self.options.accept_equal and decrease == 0)  # False for NaN
        if step is None or not better:
            self.problem.reject()
            return False
        self.damping.accepted(decrease, step.predicted)
        self.taken, self.system = self.taken + 1, None
        self.problem.accept()
        return True

    def _after_step(self) -> Stop | None:
        """Count steps without progress, and let the problem follow the new parameters."""
        problem, options = self.problem, self.options
        self.slow = 0 if problem.progressed(self.lowest, options.tolerance) else self.slow + 1
        if not options.keep_best:
            self.lowest = min(problem.loss, self.lowest)
        problem.follow()
        if options.keep_best and problem.loss < self.lowest:
            self.lowest, self.best = problem.loss, problem.state()
        return self._without_progress()

    def _without_progress(self) -> Stop | None:
        """The reason to stop after too many steps without progress."""
        options = self.options
        if options.patience is None or self.slow < options.patience:
            return None
        return Stop(StopReason.CONVERGED, self.problem.no_progress(options.patience, options.tolerance))

    def _after_rejection(self) -> Stop | None:
        """Damp the next attempt more, or say that there is no step."""
        if not self.damping.rejected():
            return None
        return Stop(StopReason.NO_STEP, f"converged: no step lowers the {self.problem.name} any more")


def _limit(count: int | None) -> float:
    return math.inf if count is None else count


def _plain(reason: StopReason) -> Stop:
    return Stop(reason, reason.value)
