"""Names of edges do not depend on the unit of the targets: curves and networks times a number get the same names."""

from dataclasses import replace

import pytest
import torch

import knotwork as kw
from knotwork.formulas.candidates import candidates
from knotwork.functions import named_function, select

DATA = kw.sample("exp(x)*1.5 + y**2", x=(-1, 1), y=(-1, 1), size=200, test_size=0, seed=0)


def value(row, x):
    a, b, c, d = row.constants
    return c * named_function(row.function).value(a * x + b) + d


UNITS = [2.0**-100, 2.0**100, 1e-30, 1e30]


@pytest.mark.parametrize("unit", UNITS)
def test_a_curve_in_another_unit_has_the_same_candidates(unit):
    x = torch.linspace(-1, 1, 100, dtype=torch.float64)
    y = 1.5 * torch.exp(x) + 0.01 * torch.sin(9 * x)
    plain, other = (candidates(x, s * y, select(None)) for s in (1.0, unit))
    assert [row.function for row in other[:3]] == [row.function for row in plain[:3]]
    for a, b in zip(plain[:3], other[:3], strict=True):
        # constants are not unique, as in c·exp(x + b), but the functions are
        values = [value(row, x) for row in (a, b)]
        torch.testing.assert_close(values[1] / unit, values[0], rtol=0, atol=1e-4)
        assert (b.r2, b.rmse) == (pytest.approx(a.r2, abs=1e-6), pytest.approx(unit * a.rmse, rel=1e-3))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("unit", [1e-30, 1e30])
def test_a_network_in_another_unit_gets_the_same_names(unit, dtype):
    found = {}
    for scale in (1.0, unit):
        data = replace(DATA, y_train=scale * DATA.y_train, y_val=scale * DATA.y_val).to(dtype)
        model = kw.KAN([2, 1], seed=0, dtype=dtype)
        model.fit(data, optimizer=kw.LevenbergMarquardt(starts=1), progress=False)
        before = {name: value.clone() for name, value in model.state_dict().items()}
        named = model.auto_symbolic(data)
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
        found[scale] = {(e.layer, e.source, e.target): e.function for e in named.spec.named}
        error = float((named(data.X_train) - data.y_train).detach().double().square().mean().sqrt() / scale)
        assert error < (1e-5 if dtype == torch.float64 else 1e-3)
    assert found[1.0] == found[unit] == {(0, 0, 0): "exp", (0, 1, 0): "x^2"}
