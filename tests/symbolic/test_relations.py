"""Relations of networks with known formulas, in any units, and of a network trained on noisy rows."""

import math

import numpy as np
import pytest
import torch

import knotwork as kw


def of(text, rows=1000, seed=0, **ranges):
    """Relations of the network that computes an expression."""
    data = kw.sample(text, **ranges, size=rows, seed=seed)
    names = tuple(ranges)
    return kw.KAN.from_expression(text, names, data).relations(data)


@pytest.mark.parametrize(
    ("text", "terms", "factors", "symmetries"),
    [
        ("x*y + z**2", ["x,y", "z"], ["x,y,z"], ["x*y"]),
        ("exp(sin(x) + y)*z", ["x,y,z"], ["x", "y", "z"], []),
        ("sin(2*(x - y)) + z", ["x,y", "z"], ["x,y,z"], ["x - y"]),
        ("z*exp(x + 2*y)", ["x,y,z"], ["x", "y", "z"], ["x + 2*y"]),
        ("sin(x**2 + 4*y**2 + 2*z)", ["x,y,z"], ["x,y,z"], []),
        ("log(x/y) + sin(z)", ["x", "y", "z"], ["x,y,z"], ["x/y"]),
        ("sin(x*y**2)*z", ["x,y,z"], ["x,y", "z"], ["x*y^2"]),
        ("x**2*exp(3*y) + 0*z", ["x,y"], ["x", "y"], []),
    ],
)
def test_sums_products_and_combinations_are_found(text, terms, factors, symmetries):
    found = of(text, x=(0.5, 1.5), y=(0.5, 1.5), z=(0.5, 1.5))
    assert [",".join(group) for group in found.terms] == terms
    assert [",".join(group) for group in found.factors] == factors
    assert [str(symmetry) for symmetry in found.symmetries if symmetry.off < 1e-3] == symmetries


def test_the_numbers_of_relations_are_the_residuals_of_splitting():
    found = of("x*y + 2*z", x=(-1, 1), y=(-1, 1), z=(-1, 1), rows=5000)
    variances = {"xy": 1 / 9, "z": 4 / 3}
    spread = math.sqrt(sum(variances.values()))
    assert float(found.sums[0, 1]) == pytest.approx(math.sqrt(variances["xy"]) / spread, rel=0.1)
    assert float(found.sums[0, 2]) < 1e-9
    np.testing.assert_allclose(found.sums, found.sums.T)
    expected = [math.sqrt(v) / spread for v in (1 / 9, 1 / 9, 4 / 3)]
    np.testing.assert_allclose(found.effects, expected, rtol=0.1)
    # product: (xy + 2z)·(…) differ by 2(xy - x'y)(z' - z), divided by twice the size of f and its standard deviation
    np.testing.assert_allclose(found.products[0, 2], math.sqrt(4 * (2 / 9) * (2 / 3)) / 2 / spread**2, rtol=0.1)


def test_a_product_of_inputs_of_both_signs_is_recognised():
    found = of("cos(x*y) + z", x=(-2, 2), y=(-1, 1), z=(-1, 1))
    (one,) = found.symmetries
    assert (one.kind, one.first, one.second) == ("scale", "x", "y")
    assert one.factor == pytest.approx(1, abs=1e-3)


def test_factors_have_the_units_of_the_columns():
    rng = np.random.default_rng(0)
    X = rng.uniform(0, 1, (500, 2)) * [1.0, 1000.0]
    y = np.exp(-X[:, 0] + 0.003 * X[:, 1])
    for scale in (False, "standard"):
        data = kw.Dataset.from_arrays(X, y, names=["x", "y"], test_size=0.0, scale=scale, seed=0)
        model = kw.KAN([2, 1, 1], grid=10, seed=0)
        model.fit(data, progress=False)
        (one,) = (one for one in model.relations(data).symmetries if one.kind == "shift")
        assert one.factor == pytest.approx(-0.003, rel=0.01)


def test_relations_of_a_network_trained_on_noisy_rows_are_found():
    data = kw.sample("exp(sin(x) + y)*z", x=(-1, 1), y=(-1, 1), z=(1, 2), size=800, noise=0.05, seed=0)
    model = kw.KAN([3, 2, 1], seed=0)
    spread = float(data.y_train.std(correction=0))
    model.fit(data, lamb=1e-3 / spread, progress=False)  # a weak penalty: 1e-3 in units of the targets
    found = model.relations(data)
    assert found.factors == (("x",), ("y",), ("z",))
    assert found.terms == (("x", "y", "z"),)
    with torch.no_grad():
        off = (model(data.X_val) - data.y_val).square().mean().sqrt() / model(data.X_train).std(correction=0)
    assert found.error == pytest.approx(float(off), rel=0.02)


def test_relations_are_printed_as_a_table_with_sentences():
    shown = str(of("x*y + z**2 + 0*w", x=(-1, 1), y=(-1, 1), z=(-1, 1), w=(0, 1))).splitlines()
    assert shown[1].split() == ["inputs", "sum", "product", "x", "+", "c*y", "x*y^c"]
    assert shown[3].startswith("x, z") and shown[3].split()[2] == "0.000"
    assert shown[-3:] == [
        "f is a sum of functions of x, y; z",
        "f depends on x*y, and not on the two apart",
        "f hardly moves with w",
    ]
    assert len(shown) == 2 + 3 + 3
    none = of("sin(x + y**2 + x*y)", x=(0, 2), y=(0, 2))
    assert str(none).splitlines()[-1] == "nothing of this holds for f"
    with pytest.warns(kw.KnotworkWarning, match="constant"):
        assert str(of("0*x + 2", x=(0, 1))) == "f moves with no input"


def test_constant_columns_and_columns_of_two_values_are_accepted():
    x = np.random.default_rng(0).uniform(0, 1, (200, 3))
    x[:, 1], x[:, 2] = 3.0, x[:, 2] > 0.5
    with pytest.warns(kw.KnotworkWarning):
        data = kw.Dataset.from_arrays(x, x[:, 0] * (1 + x[:, 2]), names=["a", "b", "c"])
    model = kw.KAN.from_expression("a*(1 + c)", ["a", "b", "c"], data)
    found = model.relations(data)
    assert found.factors == (("a",), ("c",))
    assert found.used == ("a", "c")
    assert torch.isfinite(found.sums).all() and torch.isfinite(found.products).all()


def test_discoveries_and_their_reports_show_relations(tmp_path):
    data = kw.sample("x*y + z**2", x=(-1, 1), y=(-1, 1), z=(-1, 1), size=300, seed=0)
    found = kw.discover(data, seed=0)
    assert found.relations().terms == (("x", "y"), ("z",))
    page = found.report(tmp_path / "report.html").read_text(encoding="utf-8")
    assert "f is a sum of functions of x, y; z" in page


def test_unknown_outputs_impossible_thresholds_and_missing_data_are_refused():
    data = kw.sample("x*y", x=(0, 1), y=(0, 1), size=50, seed=0)
    model = kw.KAN.from_expression("x*y", ["x", "y"], data)
    with pytest.raises(kw.KnotworkError, match=r"output=1 is not there: give a number from 0 to 0"):
        model.relations(data, output=1)
    with pytest.raises(kw.KnotworkError, match="give a share above 0"):
        model.relations(data, threshold=0)
    with pytest.raises(kw.KnotworkError, match="pass data="):
        model.relations()


def test_every_logit_has_its_relations_without_a_comparison_to_labels():
    rows = torch.rand(300, 2, generator=torch.Generator().manual_seed(0)).double()
    labels = (3 * rows[:, 0]).floor().long()
    network = kw.KAN([2, 3], seed=0)
    network.fit((rows, labels), loss="cross_entropy", steps=5)
    found = network.relations((rows, labels), output=2)
    assert found.target == "logit_2" and math.isnan(found.error) and "nan" not in str(found)
    with pytest.raises(kw.KnotworkError, match="from 0 to 2"):
        network.relations((rows, labels), output=3)


@pytest.mark.parametrize(("text", "kind"), [("100 + x + y", "sum"), ("100*exp(0.01*x + 0.01*y)", "product")])
def test_two_inputs_are_split_in_one_way_only(text, kind):
    found = of(text, x=(-1, 1), y=(-1, 1))
    assert float(found.sums[0, 1]) < 0.05 and float(found.products[0, 1]) < 0.05  # both splits are nearly exact
    assert [len(found.terms), len(found.factors)] == ([2, 1] if kind == "sum" else [1, 2])
    assert [line for line in found.sentences() if " is a " in line] == [f"f is a {kind} of functions of x; y"]
