"""The loop finds known solutions, never raises the loss, undoes rejected steps exactly, and reports why it ended."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from scipy.optimize import least_squares

from knotwork.solvers import NormalEquations, Options, Problem, Stop, StopReason, gauss_newton
from tests.solvers.problems import KNOWN, Residual, in_numpy, misra, rosenbrock

TO_THE_END = Options(steps=200, tolerance=0.0, patience=None, target=1e-24)


def line(seed=0, n=20, p=4):
    """A linear least-squares problem whose residual is not zero at the solution, and its solution by NumPy."""
    generator = torch.Generator().manual_seed(seed)
    matrix = torch.randn(n, p, generator=generator, dtype=torch.float64)
    target = torch.randn(n, generator=generator, dtype=torch.float64)
    best = torch.linalg.lstsq(matrix, target[:, None], driver="gelsd").solution[:, 0]
    return (lambda at: matrix @ at - target), best


@pytest.mark.parametrize("seed", range(3))
def test_a_linear_problem_takes_one_undamped_step(seed):
    residuals, best = line(seed)
    problem = Residual(residuals, [0.0] * 4)
    gauss_newton(problem, Options(steps=1, first_damping=1e-15))
    torch.testing.assert_close(problem.at, best, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("acceleration", [False, True])
@pytest.mark.parametrize("name", KNOWN)
def test_known_problems_end_at_their_solutions_and_at_those_of_scipy(name, acceleration):
    residuals, start, solution = KNOWN[name]
    problem = Residual(residuals, start, acceleration)
    ended = gauss_newton(problem, TO_THE_END)
    assert ended.converged or ended.reason is StopReason.STEP_LIMIT
    tolerance = 1e-3 if name == "powell" else 1e-7  # there the residual falls with the square of the distance
    torch.testing.assert_close(problem.at, torch.tensor(solution, dtype=torch.float64), rtol=1e-7, atol=tolerance)
    theirs = least_squares(in_numpy(residuals), start, xtol=1e-15, ftol=1e-15, gtol=1e-15, x_scale="jac")
    assert problem.loss <= 2 * theirs.cost * (1 + 1e-9) + 1e-15


def test_the_loss_falls_with_every_step_and_the_callback_sees_each():
    problem, seen = Residual(rosenbrock, [-1.2, 1.0]), []
    start = float(rosenbrock(problem.at) @ rosenbrock(problem.at))

    def each_step(step, loss):
        seen.append(loss)
        assert step == len(seen) and loss == problem.loss == problem.evaluate(problem.at)[0]

    ended = gauss_newton(problem, TO_THE_END, each_step)
    assert ended.steps == len(seen) > 5
    assert all(after < before for before, after in pairwise([start, *seen]))


def test_geodesic_acceleration_saves_steps_in_a_curved_valley():
    def valley(p):  # Rosenbrock's valley, ten times as narrow
        return torch.stack([100 * (p[1] - p[0] ** 2), 1 - p[0]])

    steps = []
    for acceleration in (True, False):
        problem = Residual(valley, [-1.2, 1.0], acceleration)
        ended = gauss_newton(problem, replace(TO_THE_END, target=1e-20, first_damping=1.0))
        assert ended.reason is StopReason.ROUNDING
        steps.append(ended.steps)
    assert steps[0] < 0.7 * steps[1]


# --- rejected steps ---


def test_a_rejected_step_is_undone_exactly_and_the_quadratic_model_is_used_again():
    problem = Residual(rosenbrock, [-1.2, 1.0])
    before, attempts = problem.at.clone(), []

    def uphill(vector):
        attempts.append(vector)
        return -1.0

    problem.attempt = uphill
    ended = gauss_newton(problem)
    assert (ended.steps, ended.reason) == (0, StopReason.NO_STEP)
    assert ended.sentence == "converged: no step lowers the loss any more"
    assert torch.equal(problem.at, before) and problem.linearised == 1
    assert len(attempts) == 26  # one more than the largest number of rejections
    lengths = [float(step.norm()) for step in attempts]
    assert all(after < before for before, after in pairwise(lengths))


class InPlace(Problem):
    """Rosenbrock's valley with parameters that trial steps overwrite in place, as in a network."""

    name = "objective"

    def __init__(self, uphill: bool) -> None:
        self.store, self.uphill = [torch.tensor([-1.2, 1.0], dtype=torch.float64)], uphill
        self.places = []

    @property
    def size(self):
        return 2

    def begin(self):
        self.residual = rosenbrock(self.store[0])
        self.loss = float(self.residual @ self.residual)

    def linearise(self):
        self.start = self.store[0].clone()
        j = torch.autograd.functional.jacobian(rosenbrock, self.start)
        return NormalEquations(j.T @ j, j.T @ self.residual)

    def attempt(self, vector):
        self.places.append(self.store[0].clone())
        self.store[0] = self.start + vector
        self.new = rosenbrock(self.store[0])
        return -1.0 if self.uphill else self.loss - float(self.new @ self.new)

    def accept(self):
        self.residual, self.loss = self.new, float(self.new @ self.new)

    def reject(self):
        self.store[0] = self.start


def test_rejected_steps_are_undone_in_problems_that_change_in_place():
    problem = InPlace(uphill=True)
    ended = gauss_newton(problem)
    assert (ended.steps, ended.sentence) == (0, "converged: no step lowers the objective any more")
    assert all(place.tolist() == [-1.2, 1.0] for place in [*problem.places, *problem.store])
    problem = InPlace(uphill=False)
    assert gauss_newton(problem, TO_THE_END).converged
    torch.testing.assert_close(problem.store[0], torch.ones(2, dtype=torch.float64))


def test_steps_to_nan_are_rejected():
    def root(p):  # NaN for negative numbers, which the full step reaches
        return p.sqrt() - 0.1

    problem = Residual(root, [4.0])
    assert math.isnan(float(root(problem.at - root(problem.at) / (0.5 / problem.at.sqrt()))))
    ended = gauss_newton(problem, TO_THE_END)
    assert ended.converged and float(problem.at) == pytest.approx(0.01, rel=1e-7)


def test_steps_that_do_not_change_the_loss_are_accepted_only_with_that_option():
    def flat(p):
        return p[:1] * 0 + 1 + 0 * p[1:]

    taken = []
    for accept in (False, True):
        problem = Residual(flat, [1.0, 1.0])
        taken.append(gauss_newton(problem, Options(accept_equal=accept, patience=2)).steps)
    assert taken == [0, 2]


# --- why it ends ---


def test_the_loop_ends_at_the_limit_of_steps():
    ended = gauss_newton(Residual(rosenbrock, [-1.2, 1.0]), Options(steps=3))
    assert (ended.steps, ended.reason) == (3, StopReason.STEP_LIMIT) and not ended.converged
    assert ended.sentence == "the limit of 3 steps was reached"


def test_the_limit_of_attempts_counts_rejected_steps():
    problem = Residual(rosenbrock, [-1.2, 1.0])
    ended = gauss_newton(problem, Options(steps=None, attempts=6, first_damping=1e-15))
    assert ended.reason is StopReason.STEP_LIMIT and ended.steps < 6
    assert problem.evaluated == 1 + 6  # at the start and for every attempt
    assert ended.sentence == "the limit of 6 attempts was reached"


def test_patience_counts_steps_without_progress():
    losses = [Residual(misra, [500.0, 1e-4]).evaluate(torch.tensor([500.0, 1e-4], dtype=torch.float64))[0]]
    problem = Residual(misra, [500.0, 1e-4])
    ended = gauss_newton(problem, Options(tolerance=0.2, patience=2), lambda step, loss: losses.append(loss))
    assert ended.reason is StopReason.CONVERGED and ended.converged
    assert ended.sentence == "converged: 2 steps in a row brought no loss lower by 0.2 of it"
    shares = [1 - after / before for before, after in pairwise(losses)]
    assert max(shares[-2:]) <= 0.2 < shares[-3]


def test_the_loop_ends_at_the_target():
    problem, losses = Residual(rosenbrock, [-1.2, 1.0]), []
    ended = gauss_newton(problem, Options(target=1e-2), lambda step, loss: losses.append(loss))
    assert (ended.reason, ended.sentence) == (StopReason.ROUNDING, "only rounding errors are left")
    assert losses[-1] <= 1e-2 < losses[-2]
    assert gauss_newton(problem, Options(target=1e-2)) == ended.__class__(0, ended.reason, ended.sentence)


def test_near_the_target_the_reason_is_always_rounding():
    problem = Residual(misra, [500.0, 1e-4])
    ended = gauss_newton(problem, Options(target=0.12, patience=3))  # the minimum is 0.1246
    assert ended.reason is StopReason.ROUNDING and problem.loss > 0.12


def test_a_callback_stops_the_loop():
    asked = Stop(StopReason.PATIENCE, "enough")
    ended = gauss_newton(Residual(rosenbrock, [-1.2, 1.0]), each_step=lambda step, loss: asked if step == 3 else None)
    assert ended == asked.after(3) and not ended.converged


def test_a_start_with_a_loss_of_nan_is_returned_unchanged():
    problem = Residual(lambda p: p.log(), [-1.0])
    ended = gauss_newton(problem)
    assert (ended.steps, ended.reason) == (0, StopReason.NOT_FINITE)
    assert ended.sentence == "the loss is NaN where the fit began, so no step can be judged"
    assert problem.linearised == 0


def test_a_problem_without_parameters_ends_at_once():
    ended = gauss_newton(Residual(lambda p: p, []))
    assert (ended.steps, ended.reason) == (0, StopReason.NOTHING_TO_TRAIN) and ended.converged


def test_ctrl_c_keeps_the_best_state_or_is_raised():
    def stopping(step, loss):
        if step == 4:
            raise KeyboardInterrupt

    problem = Residual(rosenbrock, [-1.2, 1.0])
    ended = gauss_newton(problem, Options(keep_best=True), stopping)
    assert (ended.steps, ended.reason) == (4, StopReason.INTERRUPTED) and ended.reason.by_caller
    twin = Residual(rosenbrock, [-1.2, 1.0])
    gauss_newton(twin, Options(steps=4))
    assert torch.equal(problem.at, twin.at) and problem.loss == twin.loss
    with pytest.raises(KeyboardInterrupt):
        gauss_newton(Residual(rosenbrock, [-1.2, 1.0]), each_step=stopping)


# --- problems that change between steps ---


class Moving(Residual):
    """A problem whose state changes after its third step, as when hidden grids change."""

    def follow(self):
        self.steps = getattr(self, "steps", 0) + 1
        if self.steps == 3:
            self.at = self.at + 5.0
            self.begin()


def test_the_best_state_is_kept_if_the_loss_rises_between_steps():
    losses = []
    problem = Moving(rosenbrock, [-1.2, 1.0])
    gauss_newton(problem, Options(steps=3, keep_best=True), lambda step, loss: losses.append(loss))
    assert losses[2] > losses[1]
    assert problem.loss == losses[1] == problem.evaluate(problem.at)[0]
    problem = Moving(rosenbrock, [-1.2, 1.0])
    gauss_newton(problem, Options(steps=3))
    assert problem.loss == losses[2]


class Refined(Residual):
    """A problem that is replaced by another one before the loop ends."""

    def restart(self, stop, remaining):
        if stop is None or hasattr(self, "asked"):
            return False
        self.asked = stop, remaining
        self.residuals = rosenbrock
        self.begin()
        return True


def test_a_problem_may_restart_before_the_loop_ends():
    problem = Refined(lambda p: torch.cat([p - 3, p - 2]), [0.0, 0.0])
    ended = gauss_newton(problem, Options(steps=400, tolerance=0.0, patience=None))
    stop, remaining = problem.asked
    assert stop.reason is StopReason.NO_STEP and remaining < 400
    assert ended.converged
    torch.testing.assert_close(problem.at, torch.ones(2, dtype=torch.float64), rtol=1e-7, atol=1e-7)


def test_reasons_say_whether_the_result_can_be_improved():
    converged = {reason.name for reason in StopReason if reason.converged}
    assert converged == {
        "CONVERGED",
        "ROUNDING",
        "NO_STEP",
        "CONSTANT",
        "NOTHING_TO_TRAIN",
        "EXACT",
        "RANDOM_RESIDUAL",
    }
    assert {reason for reason in StopReason if reason.by_caller} == {StopReason.INTERRUPTED, StopReason.CALLBACK}
    assert all(reason.value for reason in StopReason)
