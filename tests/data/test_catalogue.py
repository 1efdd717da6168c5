"""Packaged tables: they are complete, load by name and have a description."""

import subprocess
import sys

import numpy as np
import pytest

from knotwork.data import catalogue as room
from knotwork.data import load_dataset, packaged_tables, read_packaged
from knotwork.errors import DataError


@pytest.fixture(scope="module")
def knots():
    return read_packaged("knots")


@pytest.mark.parametrize("name", packaged_tables())
def test_every_packaged_table_loads_and_has_a_description(name):
    table = packaged_tables()[name]
    data = load_dataset(name)
    assert data.target_names == (table.target,)
    assert data.title == name
    assert not set(table.excluded) & set(data.input_names)
    assert (room._FOLDER / f"{name}.md").read_text(encoding="utf-8").startswith(f"# {name}.csv.gz")


def test_the_table_of_knots_is_complete(knots):
    assert knots.shape == (14_163, 20)
    assert knots["name"].is_unique
    assert not knots.isna().any().any()
    assert sum(load_dataset("knots").rows()) == 14_163
    assert load_dataset("knots").n_inputs == 17


def test_half_the_slope_predicts_the_signature_of_knots(knots):
    real, imag = knots["meridinal_translation_real"], knots["meridinal_translation_imag"]
    slope = knots["longitudinal_translation"] * real / (real**2 + imag**2)
    assert 0.94 < np.corrcoef(slope, knots["signature"])[0, 1] ** 2 < 0.96
    assert (2 * knots["signature"] - slope).abs().max() < 6.05


def test_the_table_of_knots_satisfies_known_identities(knots):
    area = knots["longitudinal_translation"] * knots["meridinal_translation_imag"]
    np.testing.assert_allclose(knots["cusp_volume"], area, rtol=1e-7)
    assert set(knots["signature"]) <= set(range(-10, 11, 2))
    assert knots["chern_simons"].abs().max() <= 0.25
    assert ((knots["hyperbolic_torsion_degree"] + 2) % 4 == 0).all()


def test_inputs_and_target_can_be_chosen():
    data = load_dataset("knots", target="volume", inputs=["cusp_volume", "signature"], scale="standard", seed=2)
    assert (data.input_names, data.target_names) == (("cusp_volume", "signature"), ("volume",))
    assert load_dataset("knots", target="mirrored").n_inputs == 18


def test_an_unknown_packaged_table_is_refused():
    with pytest.raises(DataError, match=r"There is no packaged table 'foo.csv'; packaged: knots\. A file is read by"):
        load_dataset("foo.csv")
    with pytest.raises(DataError, match="There is no packaged table 'knot'"):
        read_packaged("knot")


def test_importing_the_package_imports_no_large_library():
    code = "import sys, torch; before = set(sys.modules); import knotwork.data; print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"pandas", "scipy", "sympy", "matplotlib"} & set(done.stdout.split())
