"""A problem whose residual raises KeyboardInterrupt."""

from collections.abc import Sequence

from knotwork import pde


def interrupted_at(call: int, domain: dict, conditions: Sequence[pde.Condition], **settings) -> pde.Problem:
    """u_t = u_xx / 10, whose residual raises KeyboardInterrupt when it is evaluated for the `call`-th time."""
    seen = []

    def residual(u):
        seen.append(1)
        if len(seen) == call:
            raise KeyboardInterrupt
        return u.d("t") - 0.1 * u.d("x", "x")

    return pde.Problem(residual, domain, conditions, **settings)
