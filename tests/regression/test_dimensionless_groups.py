"""Which dimensionless groups are preferred, and the reason where there are none."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

import knotwork as kw
from knotwork.formulas.dimensions import Dimensions
from knotwork.regression import group_choices, reason_for_no_groups


def table(units, target):
    values = np.random.default_rng(0).uniform(1, 2, (20, len(units)))
    data = kw.Dataset.from_arrays(values, values[:, 0], names=list(units))
    data = replace(data, units={**units, data.target_names[0]: target})
    columns = dict(zip(units, torch.as_tensor(values).unbind(1), strict=True))
    return data, Dimensions.of(data), columns


@pytest.mark.parametrize(
    ("units", "target", "reason"),
    [
        ({"a": "m", "b": "s"}, "kg", r"no product of inputs has the unit of y \[kg\]"),
        ({"a": "m", "b": "kg"}, "m", r"no dimensionless group contains b \[kg\], which matters"),
        ({"a": "m", "b": "m"}, "m", "inputs with zeros or of both signs cannot be divided by"),
    ],
)
def test_the_reason_for_no_groups_names_the_missing_condition(units, target, reason):
    data, dimensions, _ = table(units, target)
    assert re.search(reason, reason_for_no_groups(dimensions, data))


def test_the_preferred_groups_have_whole_and_small_powers():
    _, dimensions, columns = table({"length": "m", "area": "m^2", "width": "m"}, "m")
    first = group_choices(dimensions, columns)[0]
    powers = [p for one in (first.target_scale, *first.groups) for p in one.values()]
    assert len(powers) >= 3
    assert all(p.denominator == 1 and abs(p) <= 2 for p in powers)


def test_of_equal_powers_the_target_scale_that_varies_least_is_preferred():
    _, dimensions, columns = table({"wide": "m", "narrow": "m"}, "m")
    columns["wide"] = columns["wide"] ** 8
    assert list(group_choices(dimensions, columns)[0].target_scale) == ["narrow"]
