"""A saved formula loads exactly; changed files and other content are refused, and nothing is executed."""

import hashlib
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy import preorder_traversal

import knotwork as kw
from knotwork.errors import CheckpointError
from knotwork.expressions import algebra, from_tree, number, parse, symbol, text, to_tree
from knotwork.formulas import measured
from knotwork.symbolic import from_expression

ATOMS = st.one_of(
    st.sampled_from(["x", "y"]).map(symbol),
    st.integers(-20, 20).map(algebra.Integer),
    st.floats(-100, 100).filter(bool).map(number),
    st.sampled_from([algebra.pi, algebra.Rational(2, 3), algebra.exp(1)]),
)
FUNCTIONS = [algebra.exp, algebra.log, algebra.Abs, algebra.tanh, algebra.asin]
EXPRESSIONS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: algebra.Add(*parts)),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: algebra.Mul(*parts)),
        st.tuples(st.sampled_from(FUNCTIONS), inner).map(lambda pair: pair[0](pair[1])),
        inner.map(lambda one: one**2),
        inner.map(lambda one: algebra.factor_terms(2 * one + 2)),
    ),
    max_leaves=8,
)


def is_real(expression):
    numbers = expression.atoms(algebra.Float, algebra.Integer)
    finite = all(math.isfinite(float(n)) for n in numbers)
    return finite and not expression.has(algebra.zoo, algebra.nan, algebra.oo) and "I" not in str(expression)


@given(EXPRESSIONS.filter(is_real))
@settings(deadline=None, max_examples=100)
def test_saved_expressions_load_equal(expression):
    try:
        tree = json.loads(json.dumps(to_tree(expression)))
        found = from_tree(tree, {"x", "y"})
    except kw.KnotworkError:  # a constant part has no real value
        return
    assert found == expression and text(found) == text(expression)
    assert [type(node) for node in preorder_traversal(found)] == [type(node) for node in preorder_traversal(expression)]


def test_a_number_times_a_sum_is_saved_without_expanding_it():
    """Parsed from text, 2*(x + 1) would become 2*x + 2."""
    expression = algebra.factor_terms(parse("2*x + 2"))
    assert text(expression) == "2*(x + 1)" != text(parse(text(expression)))
    assert from_tree(to_tree(expression), {"x"}) == expression


def example(texts=("1.2345*sqrt(l)/g + 0.01234*m", "0.5678*exp(-0.4321*l) + 0.3333"), loss="mse"):
    """A formula of several outputs with units, and rows for it."""
    rng = np.random.default_rng(0)
    X = rng.uniform(1, 2, (80, 3))
    units = {"l": "m", "g": "m/s^2", "m": "kg", "T": "s", "U": "s"}
    data = kw.Dataset.from_arrays(
        X, rng.normal(size=(80, len(texts))), names=["l", "g", "m"], target_names=["T", "U"][: len(texts)], units=units
    )
    expressions = tuple(parse(one) for one in texts)
    return measured(expressions, from_expression(kw.KAN, expressions, ["l", "g", "m"], data), data, loss), X


@pytest.mark.parametrize("digits", [None, 2])
def test_a_saved_formula_loads_bit_for_bit(tmp_path, digits):
    formula, X = example()
    formula = formula if digits is None else formula.round(digits)
    formula.save(tmp_path / "formula.json")
    found = kw.Formula.load(tmp_path / "formula.json")
    assert found == formula and found.expressions == formula.expressions
    assert found.constants == formula.constants and found.units == formula.units and found.parametric
    assert found.parametric == formula.parametric and str(found) == str(formula)
    np.testing.assert_array_equal(found.covariance, formula.covariance)
    for kind in ("prediction", "confidence"):
        for one, other in zip(found.predict(X, 0.95, kind), formula.predict(X, 0.95, kind), strict=True):
            np.testing.assert_array_equal(one, other)
    assert found.to_json() == formula.to_json()
    assert kw.Formula.from_json(formula.to_json()) == kw.Formula.from_dict(formula.to_dict()) == formula
    np.testing.assert_array_equal(found[1].predict(X), formula[1].predict(X))


def test_a_formula_that_was_saved_before_fits_of_shares_loads():
    found = kw.Formula.load(Path(__file__).parents[1] / "saved" / "formula_format1.json")
    assert str(found) == "y = 2.5*u/r" and not found.uncertainty[0].relative
    assert found.constants[0].error == pytest.approx(0.0014002, rel=1e-4)
    assert kw.Formula.from_json(found.to_json()) == found


def test_undetermined_constants_are_saved_and_loaded():
    x = np.linspace(1, 3, 60)[:, None]
    data = kw.Dataset.from_arrays(x, np.sin(x[:, 0]), test_size=0, names=["x"])
    model = kw.KAN([1, 1], seed=0)
    model.fix_symbolic(0, 0, 0, "log", data, params=(0.5, 0.0, 1.3, 0.7))
    formula = model.symbolic_formula(data, simplify=False)
    found = kw.Formula.from_json(formula.to_json())
    assert found == formula and math.inf in [one.error for one in found.constants]
    np.testing.assert_array_equal(found.covariance, formula.covariance)
    np.testing.assert_array_equal(found.predict(x, 0.9).upper, formula.predict(x, 0.9).upper)


def test_the_file_is_readable_standard_json():
    def refuse(name):
        raise AssertionError(name)

    formula, _ = example()
    content = json.loads(formula.to_json(), parse_constant=refuse)
    assert content["text"] == [text(expression) for expression in formula.expressions]
    assert content["constants"][0]["unit"] == formula.constants[0].unit


def signed(content):
    """The content with its valid digest."""
    known = {name: value for name, value in content.items() if name != "sha256"}
    return {**known, "sha256": hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()}


def test_a_changed_file_is_refused(tmp_path):
    formula, _ = example()
    content = formula.to_dict()
    for name, value in [("r2", 0.99), ("targets", ["T", "V"]), ("gap", "0"), ("more", 1)]:
        with pytest.raises(CheckpointError, match="was changed or damaged after it was written"):
            kw.Formula.from_dict({**content, name: value})
    with pytest.raises(CheckpointError, match="was changed or damaged"):
        kw.Formula.from_dict({name: value for name, value in content.items() if name != "sha256"})
    path = tmp_path / "formula.json"
    path.write_text(formula.to_json().replace("0.4321", "0.4322"))
    with pytest.raises(CheckpointError, match=r"formula\.json' was changed or damaged"):
        kw.Formula.load(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"expressions": [["__import__", "l"], 1]}, "'__import__' is no operation"),
        ({"expressions": [["Pow", 9, ["Pow", 9, 9]], 1]}, "power too large to compute"),
        ({"expressions": [["Pow", 0, -1], 1]}, "not a finite real number"),
        ({"expressions": ["os", 1]}, "'os' is not one of the variables"),
        ({"expressions": [["sin", "l", "m"], 1]}, "sin cannot have 2 operands"),
        ({"expressions": [["Add", "l"], 1]}, "Add cannot have 1 operands"),
        ({"expressions": [["Rational", 1, 0], 1]}, "no fraction of whole numbers"),
        ({"expressions": [["besselj", 2, "l"], 1]}, "no Bessel function of order 0 or 1"),
        ({"expressions": [{"l": 1}, 1]}, "no number, no variable and no operation"),
        ({"expressions": [True, 1]}, "no number, no variable and no operation"),
        ({"expressions": ["l"]}, "1 expressions for 2 targets"),
        ({"expressions": ["l", "m"]}, "the text does not belong to the expressions"),
        ({"variables": ["l", "g", "m", "m"]}, "a variable occurs twice"),
        ({"variables": "lgm"}, "'lgm' is no list"),
        ({"constants": []}, "0 constants, but covariances of"),
        ({"units": [{}]}, "'agree' is missing"),
        ({"r2": True}, "True is no number"),
        ({"loss": "hinge"}, "'hinge' is none of mse, cross_entropy"),
        ({"r2_rows": 1}, "1 is none of test, validation, training"),
        ({"uncertainty": [1, 2]}, "does not hold a formula"),
    ],
)
def test_invalid_content_is_refused_even_with_a_valid_digest(change, words):
    with pytest.raises(CheckpointError, match=words):
        kw.Formula.from_dict(signed({**example()[0].to_dict(), **change}))


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("factor", [[1.0]], "rows of another length"),
        ("scale", [1.0], "1 scales of"),
        ("degrees", 1.5, "degrees of freedom are whole numbers"),
        ("symbols", ["l", "a", "b"], "have the same name"),
        ("expression", ["sin", "z"], "'z' is not one of the variables"),
    ],
)
def test_an_invalid_uncertainty_is_refused(field, value, words):
    content = example()[0].to_dict()
    content["uncertainty"][1][field] = value
    with pytest.raises(CheckpointError, match=words):
        kw.Formula.from_dict(signed(content))


def test_files_that_are_not_formulas_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match="there is no file"):
        kw.Formula.load(tmp_path / "none.json")
    path = tmp_path / "other.json"
    for content, words in [
        (b"\xff\xfe", "cannot be read as text"),
        (b"y = 2*x", r"other\.json' is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[1, 2]", r"is not a formula in the format 'knotwork formula 1' \(it says 'list'\)"),
        (b'{"format": "knotwork formula 0"}', "it says 'knotwork formula 0'"),
    ]:
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=words):
            kw.Formula.load(path)
    with pytest.raises(CheckpointError, match="cannot be written"):
        example()[0].save(tmp_path)


def test_a_deeply_nested_expression_is_refused():
    tree = "l"
    for _ in range(200):
        tree = ["sin", tree]
    with pytest.raises(CheckpointError, match="nested over 100 levels deep"):
        kw.Formula.from_dict(signed({**example()[0].to_dict(), "expressions": [tree, 1]}))
