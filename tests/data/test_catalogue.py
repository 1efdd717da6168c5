"""The packaged tables: that they are whole, load by name, and say what is known of them."""

import subprocess
import sys

import numpy as np
import pytest

from knotwork.data import catalogue as room
from knotwork.data import load_table, read_table, tables
from knotwork.errors import DataError


@pytest.fixture(scope="module")
def knots():
    return read_table("knots")


@pytest.mark.parametrize("name", tables())
def test_every_table_loads_and_has_its_story(name):
    table = tables()[name]
    data = load_table(name)
    assert data.target_names == (table.target,)
    assert data.title == name
    assert not set(table.left_out) & set(data.input_names)
    assert (room._FOLDER / f"{name}.md").read_text(encoding="utf-8").startswith(f"# {name}.csv.gz")


def test_knots_are_whole(knots):
    assert knots.shape == (14_163, 20)
    assert knots["name"].is_unique
    assert not knots.isna().any().any()
    assert sum(load_table("knots").rows()) == 14_163
    assert load_table("knots").n_inputs == 17


def test_signature_follows_the_slope(knots):
    real, imag = knots["meridinal_translation_real"], knots["meridinal_translation_imag"]
    slope = knots["longitudinal_translation"] * real / (real**2 + imag**2)
    assert 0.94 < np.corrcoef(slope, knots["signature"])[0, 1] ** 2 < 0.96
    assert (2 * knots["signature"] - slope).abs().max() < 6.05


def test_knots_keep_their_identities(knots):
    area = knots["longitudinal_translation"] * knots["meridinal_translation_imag"]
    np.testing.assert_allclose(knots["cusp_volume"], area, rtol=1e-7)
    assert set(knots["signature"]) <= set(range(-10, 11, 2))
    assert knots["chern_simons"].abs().max() <= 0.25
    assert ((knots["hyperbolic_torsion_degree"] + 2) % 4 == 0).all()


def test_inputs_and_target_can_be_chosen():
    data = load_table("knots", target="volume", inputs=["cusp_volume", "signature"], scale="standard", seed=2)
    assert (data.input_names, data.target_names) == (("cusp_volume", "signature"), ("volume",))
    assert load_table("knots", target="mirrored").n_inputs == 18


def test_files_load_the_same_way(tmp_path):
    path = tmp_path / "own.csv"
    path.write_text("a,b\n" + "".join(f"{i},{2 * i}\n" for i in range(10)))
    assert list(read_table(path).columns) == ["a", "b"]
    assert load_table(path, target="b").input_names == ("a",)
    with pytest.raises(DataError, match="is not a packaged table, so the target must be named: a, b"):
        load_table(str(path))


def test_a_file_wins_over_a_packaged_table(tmp_path, monkeypatch):
    (tmp_path / "knots").write_text("a,b\n1,2\n3,4\n")
    monkeypatch.chdir(tmp_path)
    assert read_table("knots").shape == (2, 2)


def test_what_is_neither_file_nor_table():
    with pytest.raises(DataError, match=r"'foo.csv' is neither a file nor a packaged table; packaged: knots\."):
        read_table("foo.csv")
    with pytest.raises(DataError, match="neither a file nor a packaged table"):
        load_table("knot", target="signature")


def test_importing_the_room_brings_no_heavy_guest():
    code = "import sys, torch; before = set(sys.modules); import knotwork.data; print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"pandas", "scipy", "sympy", "matplotlib"} & set(done.stdout.split())
