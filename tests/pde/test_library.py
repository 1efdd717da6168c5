"""The exact solutions of the library solve its problems, and its reference solutions have converged."""

import math

import numpy as np
import pytest
import torch

from knotwork.pde import library, references

X = torch.linspace(-1, 1, 101, dtype=torch.float64)


def check(problem, step=1e-3, tolerance=1e-4):
    """The residual of the exact solution, its derivatives by central differences, at random points inside."""
    ends = problem.ends()
    share = torch.rand(50, len(problem.domain), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = ends[0] + (0.05 + 0.9 * share) * (ends[1] - ends[0])

    class Exact:
        def __init__(self, name):
            self.name, self.value = name, problem.exact_values(x)[name]

        def d(self, *coordinates):
            def differentiated(at, left):
                if not left:
                    return problem.exact_values(at)[self.name]
                move = torch.zeros(len(problem.domain), dtype=torch.float64)
                move[problem.coordinates.index(left[0])] = step
                return (differentiated(at + move, left[1:]) - differentiated(at - move, left[1:])) / (2 * step)

            return differentiated(x, coordinates)

        __torch_function__ = classmethod(lambda cls, *args: NotImplemented)

        def __getattr__(self, name):
            return getattr(self.value, name)

        def __mul__(self, other):
            return self.value * getattr(other, "value", other)

        def __sub__(self, other):
            return self.value - getattr(other, "value", other)

        def __pow__(self, power):
            return self.value**power

        __rmul__ = __mul__

    given = {**{n: Exact(n) for n in problem.fields}, **problem.by_name(x)}
    names = problem.residual.__code__.co_varnames[: problem.residual.__code__.co_argcount]
    found = problem.residual(*(given[n] if n in given else torch.tensor(0.1) for n in names))
    for part in found if isinstance(found, tuple) else (found,):
        assert float(part.abs().max()) < tolerance


@pytest.mark.parametrize(
    ("make", "tolerance"),
    [
        (library.poisson, 1e-3),
        (lambda: library.wave(2.0, {1: 1.0, 4: 0.5}), 0.1),
        (library.helmholtz, 0.03),
        (library.heat, 1e-3),
        (library.wave, 1e-3),
        (library.kovasznay, 3e-2),
        (library.inverse_diffusivity, 1e-3),
    ],
)
def test_the_residual_of_exact_solutions_is_zero(make, tolerance):
    check(make(), tolerance=tolerance)


def test_the_reference_of_burgers_has_converged():
    for t in (0.01, 0.3, 1.0):
        at = torch.full_like(X, t)
        coarse, fine = references.burgers(X, at), references.burgers(X, at, nodes=2400)
        assert float((coarse - fine).abs().max()) < 1e-12
    assert torch.allclose(references.burgers(X, torch.zeros_like(X)), -torch.sin(math.pi * X))
    check(library.burgers(), step=1e-4, tolerance=2.0)


def test_the_slope_of_burgers_solution_at_the_layer_is_the_published_one():
    h = 1e-6
    x = torch.tensor([h, -h], dtype=torch.float64)
    u = references.burgers(x, torch.full_like(x, 1.6037 / math.pi))
    assert float((u[0] - u[1]) / (2 * h)) == pytest.approx(-152.00516, rel=1e-4)  # Basdevant et al. 1986, table 1


def test_the_reference_of_allen_cahn_has_converged():
    rng = np.random.default_rng(0)
    x, t = torch.as_tensor(rng.uniform(-1, 1, 300)), torch.as_tensor(rng.uniform(0, 1, 300))
    coarse, fine = references.allen_cahn(x, t, 512, 500), references.allen_cahn(x, t)
    assert float((coarse - fine).norm() / fine.norm()) < 3e-6
    start = references.allen_cahn(x, torch.zeros_like(x))
    # the periodic solution has a kink at the ends for t = 0
    torch.testing.assert_close(start, x**2 * (math.pi * x).cos(), rtol=0, atol=3e-4)
