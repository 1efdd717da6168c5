"""Every way to write a sum of terms with constants inside has the values of the sum itself."""

import numpy as np
import pytest
import torch

from knotwork.formulas.constants import Sample, values_of
from knotwork.regression.curve_names import EXPONENTIAL, IDENTITY, INVERSE
from knotwork.regression.inside.fits_inside import State
from knotwork.regression.inside.formula_inside import templates
from knotwork.regression.inside.functions_inside import CORNER, EXP, LOG, ROOT, SIN, Column, Feature, Inputs, Inside
from knotwork.regression.inside.terms_inside import InsideFit
from knotwork.regression.term_fits import Frame
from knotwork.regression.term_table import Term

A, B, LOG_A = Feature((1.0, 0.0)), Feature((0.0, 1.0)), Feature((1.0, 0.0), True)
ONE, OF_A, OF_B = (0.0, 0.0), (1.0, 0.0), (0.0, 1.0)
LOGARITHM_OF_A, SINE_OF_B = Inside(LOG, (A,), (1.0, 0.7)), Inside(SIN, (B,), (2.0, 0.4))
ROOT_OF_B, LOGARITHM_OF_B = Inside(ROOT, (B,), (1.0, 0.3)), Inside(LOG, (B,), (-1.0, 2.5))
LEAST = [Column(ONE, (Inside(CORNER, (A, B), (1.0, -2.0, -0.5)),)), Column(OF_A), Column(OF_B), Column(ONE)]


def sine_of_logarithm(phase):
    return [Column(ONE, (Inside(SIN, (LOG_A,), (2.3, phase)),)), Column(OF_A)]


SUMS = {
    "a logarithm": [Column(ONE, (LOGARITHM_OF_A,))],
    "a logarithm and a constant": [Column(ONE, (LOGARITHM_OF_A,)), Column(ONE)],
    "a logarithm times an input": [Column(OF_B, (LOGARITHM_OF_A,))],
    "a logarithm times a sine": [Column(OF_B, (LOGARITHM_OF_A, SINE_OF_B)), Column(ONE)],
    "a logarithm times a root": [Column(ONE, (ROOT_OF_B, LOGARITHM_OF_A))],
    "a logarithm times a logarithm": [Column(OF_A, (LOGARITHM_OF_A, LOGARITHM_OF_B))],
    "a sine of a logarithm": sine_of_logarithm(0.3),
    "a sine of a logarithm with a phase": sine_of_logarithm(2.0),
    "a sine of a logarithm with a large phase": sine_of_logarithm(4.5),
    "exponentials of two inputs": [Column(OF_A, (Inside(EXP, (A, B), (1.5, -0.5)),)), Column(ONE)],
    "a steep exponential": [Column(OF_A, (Inside(EXP, (A,), (60.0,)),)), Column(OF_B)],
    "an extreme": LEAST,
}


@pytest.mark.parametrize("outer", [IDENTITY, EXPONENTIAL, INVERSE], ids=["alone", "under exp", "under 1/"])
@pytest.mark.parametrize("kind", SUMS)
def test_every_way_to_write_a_sum_has_its_values(kind, outer):
    columns = SUMS[kind]
    coefficients = (0.5, 0.5, -1.0, 0.25) if kind == "an extreme" else (0.8, 0.3)[: len(columns)]
    x, scales = np.random.default_rng(0).uniform(1, 2, (50, 2)), (20.0, 0.5)
    inputs = Inputs(list(x.T), scales)
    inner = sum(c * inputs.value(column) for c, column in zip(coefficients, columns, strict=True))
    largest = max(float(np.abs(inner).max()), 10.0)  # exponentials of it are floats
    inner, coefficients = 10 * inner / largest, tuple(10 * c / largest for c in coefficients)
    y = outer.apply(torch.tensor(inner))
    sample = Sample({"a": torch.tensor(x[:, 0] * scales[0]), "b": torch.tensor(x[:, 1] * scales[1])}, y)
    frame, state = Frame(outer, ONE, Term(ONE)), State(columns, coefficients, 0.0, 0.0)
    fit = InsideFit(frame, state, inputs, 0.0, 0.0, 0.0, torch.zeros(50))
    ways = list(templates(fit, sample))
    for way in ways:
        assert float((values_of(way, sample) - y).abs().max()) < 1e-9 * float(y.abs().max()), way.filled()
    assert len(ways) == 1 + (kind in ("an extreme", "a logarithm and a constant"))
