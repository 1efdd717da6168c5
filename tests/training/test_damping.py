"""Damping falls where the quadratic model is right and rises where steps fail."""

import pytest

from knotwork.training.damping import FIRST, LEAST, MOST_REJECTED, Damping


@pytest.mark.parametrize(
    ("gained", "factor"),
    [(1.0, 1 / 3), (0.5, 1.0), (2.0, 1 / 3), (0.75, 1 - 0.5**3), (0.25, 1 + 0.5**3), (1e-9, 2.0)],
)
def test_a_step_that_gains_what_was_foretold_frees_the_next(gained, factor):
    damping = Damping()
    damping.taken(gained, predicted=1.0)
    assert damping.value == pytest.approx(FIRST * factor)


def test_steps_that_fail_are_damped_faster_and_faster_until_there_is_none():
    damping, values = Damping(1.0), []
    while not damping.rejected():
        values.append(damping.value)
    assert values[:4] == [2, 8, 64, 1024]
    assert len(values) == MOST_REJECTED
    before = damping.value
    damping.taken(1.0, 1.0)  # and slowly again
    assert not damping.rejected() and damping.value == pytest.approx(2 * before / 3)


def test_damping_never_vanishes():
    damping = Damping()
    for _ in range(100):
        damping.taken(1.0, 1.0)
    assert damping.value == LEAST
