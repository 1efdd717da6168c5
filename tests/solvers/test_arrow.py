"""Normal equations of the shape of an arrow have the steps of the same equations written as one matrix."""

import time

import pytest
import torch

from knotwork.solvers import ArrowEquations, NormalEquations


def arrow(groups, shared, own, seed=0):
    """Random equations of this shape, and the same as one dense matrix."""
    generator = torch.Generator().manual_seed(seed)
    size = shared + groups * own
    jacobian, rows = [], 3 * (shared + own) + 1
    for g in range(groups):
        block = torch.zeros(rows, size, dtype=torch.float64)
        block[:, :shared] = torch.randn(rows, shared, generator=generator, dtype=torch.float64)
        place = slice(shared + g * own, shared + (g + 1) * own)
        block[:, place] = torch.randn(rows, own, generator=generator, dtype=torch.float64)
        jacobian.append(block)
    whole = torch.cat(jacobian)
    matrix, gradient = whole.T @ whole, torch.randn(size, generator=generator, dtype=torch.float64)
    first = matrix[:shared, :shared]
    places = [slice(shared + g * own, shared + (g + 1) * own) for g in range(groups)]
    sides = torch.stack([matrix[:shared, place] for place in places])
    blocks = torch.stack([matrix[place, place] for place in places])
    return ArrowEquations(first, sides, blocks, gradient), NormalEquations(matrix, gradient)


@pytest.mark.parametrize(("groups", "shared", "own"), [(1, 1, 1), (7, 2, 3), (5, 0, 2), (4, 3, 0), (40, 1, 4)])
@pytest.mark.parametrize("damping", [1e-8, 1.0])
def test_steps_are_those_of_the_dense_equations(groups, shared, own, damping):
    one, other = (system.step(damping) for system in arrow(groups, shared, own))
    assert one is not None and other is not None
    torch.testing.assert_close(one.vector, other.vector, rtol=1e-9, atol=1e-12)
    assert one.predicted == pytest.approx(other.predicted, rel=1e-9)
    vector = torch.linspace(-1, 1, shared + groups * own, dtype=torch.float64)
    torch.testing.assert_close(one.solve(vector), other.solve(vector), rtol=1e-8, atol=1e-11)


def test_a_matrix_that_is_not_positive_gives_no_step():
    system = arrow(3, 1, 2)[0]
    bad = ArrowEquations(system.corner, system.sides, -system.blocks, system.gradient)
    assert bad.step(1e-3) is None


def test_time_grows_linearly_with_the_number_of_groups():
    """A hundred times as many groups take far less than the ten thousand times that a dense matrix would take."""

    def seconds(groups):
        values = torch.ones(groups, 2, 2, dtype=torch.float64) + 2 * torch.eye(2, dtype=torch.float64)
        sides = torch.full((groups, 1, 2), 0.1, dtype=torch.float64)
        corner = torch.full((1, 1), float(groups), dtype=torch.float64)
        system = ArrowEquations(corner, sides, values, torch.ones(1 + 2 * groups, dtype=torch.float64))
        began = time.process_time()
        assert system.step(1e-3) is not None
        return time.process_time() - began

    seconds(500)
    assert min(seconds(50_000) for _ in range(3)) < 1000 * max(min(seconds(500) for _ in range(5)), 1e-4)
