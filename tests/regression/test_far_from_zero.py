"""Exponentials of inputs far from zero, such as years: their factors are outside of what floats hold easily."""

import numpy as np
import pytest
import torch

import knotwork as kw
from knotwork.formulas.constants import Sample
from knotwork.regression import plain_laws
from knotwork.regression.inside.functions_inside import EXP, Column, Feature, Inputs, Inside


def table(rows):
    rng = np.random.default_rng(5)
    return rng.uniform(1990, 2020, rows), rng.uniform(1, 3, rows), rng.uniform(0.5, 2, rows)


def test_exponentials_inside_terms_stay_finite_however_far_the_inputs_are_from_zero():
    years, v, _ = table(200)
    whole = Inputs([years / 2005, v], [2005.0, 1.0])
    feature, one = Feature((1.0, 0.0)), 3000.0  # exp(1.5·year)
    column = Column((0.0, 1.0), (Inside(EXP, (feature,), (one,)),))
    some = whole.rows(np.arange(20))
    assert np.isfinite(whole.value(column)).all() and np.isfinite(whole.slopes(column)).all()
    assert np.array_equal(some.value(column), whole.value(column)[:20])  # centres are those of all rows
    moved = Column((0.0, 1.0), (Inside(EXP, (feature,), (one * (1 + 1e-7),)),))
    slope = (whole.value(moved) - whole.value(column)) / (one * 1e-7)
    assert np.allclose(slope, whole.slopes(column)[0], rtol=1e-3, atol=1e-12)


@pytest.mark.parametrize("law", ["v*exp(0.05*(year - 2000)) + 3*v**2", "5*exp(-0.1*(year - 1990))*v + w"])
def test_exponentials_of_years_are_found(law):
    years, v, w = table(800)
    columns = {"year": years, "v": v, "w": w}
    names = ["year", "v", "w"][: 3 if "w" in law else 2]
    y = eval(law, {**columns, "exp": np.exp})
    found = kw.discover(np.stack([columns[n] for n in names], 1), y, names=names, progress=False).formula
    assert found.r2 > 1 - 1e-12 and found.complexity <= 16, found


@pytest.mark.parametrize("rate", [0.2, 0.3, -0.3])
def test_plain_laws_with_exponentials_of_years_are_fitted(rate):
    years, v, _ = (torch.from_numpy(part) for part in table(24))
    shape = (rate * (years - 2005)).exp()
    for y in (v * shape, 4 + shape):
        sample = Sample({"year": years, "v": v}, y)
        assert min(template.mse for _, template in plain_laws(sample, 7)) ** 0.5 < 1e-9 * sample.scale
