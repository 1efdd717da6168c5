"""Damping falls where the quadratic model predicts well and rises where steps fail; steps solve the damped system."""

from dataclasses import replace

import pytest
import torch

from knotwork.solvers import (
    SOLVER,
    Damping,
    NormalEquations,
    ScaledEquations,
    Step,
    accelerated_step,
    second_differences,
)


@pytest.mark.parametrize(
    ("decrease", "factor"),
    [(1.0, 1 / 3), (0.5, 1.0), (2.0, 1 / 3), (0.75, 1 - 0.5**3), (0.25, 1 + 0.5**3), (1e-9, 2.0)],
)
def test_an_accepted_step_changes_the_damping_by_how_well_its_decrease_was_predicted(decrease, factor):
    damping = Damping()
    damping.accepted(decrease, predicted=1.0)
    assert damping.value == pytest.approx(SOLVER.first_damping * factor)


def test_damping_grows_faster_with_every_rejected_step_up_to_the_largest_number_of_them():
    damping, values = Damping(1.0), []
    while not damping.rejected():
        values.append(damping.value)
    assert values[:4] == [2, 8, 64, 1024]
    assert len(values) == SOLVER.most_rejected
    before = damping.value
    damping.accepted(1.0, 1.0)  # after an accepted step the growth starts again
    assert not damping.rejected() and damping.value == pytest.approx(2 * before / 3)


def test_damping_stays_within_its_limits():
    damping = Damping()
    for _ in range(100):
        damping.accepted(1.0, 1.0)
    assert damping.value == SOLVER.least_damping
    damping = Damping(1.0, largest=100.0)
    assert [damping.rejected() for _ in range(4)] == [False, False, False, True]
    damping.restart()
    assert (damping.value, damping.rejected()) == (1.0, False)


def system(size=5, rows=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    root = torch.randn(rows, size, generator=generator, dtype=torch.float64)
    return NormalEquations(root.T @ root, torch.randn(size, generator=generator, dtype=torch.float64))


@pytest.mark.parametrize("damping", [1e-12, 0.3, 1e3])
def test_the_step_solves_the_damped_system_and_predicts_the_decrease_of_the_quadratic_model(damping):
    equations = system()
    matrix, gradient = equations.matrix, equations.gradient
    step = equations.step(damping)
    assert step is not None
    damped = matrix + damping * torch.diag(matrix.diagonal())
    torch.testing.assert_close(damped @ step.vector, -gradient)
    torch.testing.assert_close(step.solve(gradient), -step.vector)
    decrease = float(-2 * gradient @ step.vector - step.vector @ matrix @ step.vector)
    assert step.predicted == pytest.approx(decrease, rel=1e-9)


def test_parameters_that_no_residual_depends_on_do_not_change():
    equations = NormalEquations(torch.diag(torch.tensor([4.0, 0.0])).double(), torch.tensor([2.0, 0.0]).double())
    step = equations.step(1e-3)
    assert step is not None and float(step.vector[1]) == 0.0


def test_there_is_no_step_without_a_positive_definite_matrix_or_with_infinite_numbers():
    assert NormalEquations(-torch.eye(2), torch.ones(2)).step(0.1) is None
    assert NormalEquations(torch.eye(2), torch.full((2,), torch.inf)).step(0.1) is None
    assert NormalEquations(torch.full((2, 2), torch.nan), torch.ones(2)).step(0.1) is None


# --- geodesic acceleration ---


def test_second_differences_are_those_of_a_cubic():
    """(h³ - 0 - h³ = 0 and 2 h² a for a parabola), for two groups of residuals of different shapes."""
    square, cube = torch.tensor([1.0, 2.0]).double(), torch.tensor([[3.0]]).double()

    def at(t):
        return [1 + t + square * t**2, cube * t**3]

    found = second_differences(at(0.0), at)
    h = SOLVER.acceleration_probe
    torch.testing.assert_close(found[0] / h**2, 2 * square)
    torch.testing.assert_close(found[1], torch.zeros(1, 1).double(), rtol=0, atol=1e-15)


@pytest.mark.parametrize(("size", "used"), [(0.74, True), (0.76, False), (torch.nan, False)])
def test_half_the_acceleration_is_added_unless_it_is_long(size, used):
    step = Step(torch.tensor([3.0, 4.0]), 1.0, lambda vector: vector / 2)
    vjp = torch.tensor([-2.0, 0.0]) * 5 * size  # its length is `size` times that of the step
    expected = step.vector + torch.tensor([5 * size / 2, 0.0]) if used else step.vector
    torch.testing.assert_close(accelerated_step(step, vjp), expected)


def test_changed_settings_take_effect(monkeypatch):
    monkeypatch.setattr("knotwork.solvers.acceleration.SOLVER", replace(SOLVER, largest_acceleration=1e-9))
    step = Step(torch.tensor([3.0, 4.0]), 1.0, lambda vector: vector / 2)
    assert torch.equal(accelerated_step(step, torch.ones(2)), step.vector)


def test_a_decrease_that_was_not_predicted_lowers_the_damping_as_far_as_one_step_may():
    surprised, expected = Damping(1.0), Damping(1.0)
    surprised.accepted(1e200, 1e-200)
    expected.accepted(1.0, 1.0)
    assert surprised.value == expected.value < 1


def test_parameters_of_very_different_sizes_are_solved_for_together():
    generator = torch.Generator().manual_seed(0)
    jacobian = torch.randn(20, 3, generator=generator, dtype=torch.float64)
    sizes = torch.tensor([1e44, 1.0, 1e-44], dtype=torch.float64)
    residuals = jacobian @ torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    equations = ScaledEquations(jacobian.T @ jacobian, jacobian.T @ residuals, sizes)
    step = equations.step(1e-12)
    expected = torch.tensor([-1e-44, 2.0, -0.5e44], dtype=torch.float64)
    torch.testing.assert_close(step.vector, expected, rtol=1e-9, atol=0.0)
    gradient = equations.gradient * sizes  # of the parameters themselves
    torch.testing.assert_close(step.solve(gradient), -expected, rtol=1e-9, atol=0.0)
