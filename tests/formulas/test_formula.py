"""The formula has the values of the network, in the user's units, with standard errors of its constants."""

import numpy as np
import pytest
import torch

import knotwork as kw
from knotwork.expressions import parse
from knotwork.formulas import simplest
from knotwork.symbolic import symbolic_formula


def named_network(width, arity=2, seed=0):
    """A network with a smooth function on every edge and random constants."""
    generator = torch.Generator().manual_seed(seed)
    model = kw.KAN(width, arity=arity, seed=seed)
    names = ["x", "x^2", "sin", "exp", "tanh", "gaussian", "cosh", "arctan"]
    for l, layer in enumerate(model.layers):
        for i in range(layer.in_features):
            for j in range(layer.out_features):
                name = names[int(torch.randint(len(names), (), generator=generator))]
                constants = (torch.rand(4, generator=generator) * 1.4 - 0.7).tolist()
                model.fix_symbolic(l, i, j, name, params=constants)
    return model


def table(inputs, outputs=1, rows=80, **options):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (rows, inputs)) * 3 + 2
    return kw.Dataset.from_arrays(X, rng.normal(size=(rows, outputs)), seed=0, **options)


@pytest.mark.parametrize(
    ("width", "arity"), [([2, 1, 1], 2), ([3, 2, 2], 2), ([2, (1, 1), 1], 2), ([3, (0, 1), 1], 3), ([1, 1, 1, 1], 2)]
)
@pytest.mark.parametrize("scale", [False, "standard"])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_formula_equals_the_network_in_the_original_units(width, arity, scale, seed):
    data = table(width[0], width[-1], scale=scale)
    model = named_network(width, arity, seed)
    formula = model.symbolic_formula(data)
    raw = data.X_test if data.scaling is None else data.scaling.undo(data.X_test)
    values = formula.numpy()(*raw.numpy().T).reshape(len(raw), -1)
    expected = model(data.X_test).detach().numpy()
    # terms below 1e-8 of their sum may be dropped
    np.testing.assert_allclose(values, expected, rtol=1e-6, atol=1e-6 * np.abs(expected).max())
    assert formula.gap <= 1e-6 * np.abs(expected).max()


def test_the_formula_of_a_pruned_network_uses_the_original_names():
    data = kw.sample(lambda a, useless, b: a * 2 + b**2, a=(-1, 1), useless=(-1, 1), b=(-1, 1), size=300, seed=0)
    model = kw.KAN([3, 1], seed=0)
    model.fit(data, progress=False)
    model = model.prune(data)
    formula = model.auto_symbolic(data).symbolic_formula(data)
    assert formula.expression == parse("2*a + b**2")
    assert formula.variables == ("a", "useless", "b")


def test_spline_edges_and_missing_data_raise_an_error():
    model, data = kw.KAN([2, 1, 1], seed=0), table(2)
    with pytest.raises(kw.KnotworkError, match="are still splines, which no formula can show"):
        model.symbolic_formula(data)
    with pytest.raises(kw.KnotworkError, match="pass data="):
        model.symbolic_formula()


def test_a_formula_is_printed_rounded_as_text_and_as_latex():
    model, data = kw.KAN([1, 1], seed=0), table(1)
    model.fix_symbolic(0, 0, 0, "sin", params=(1.23456789, 0.0, 2.34567891, 0.0))
    formula = model.symbolic_formula(data)
    assert str(formula.round(3).expression) == "2.35*sin(1.23*x_1)"
    assert str(formula) == "y = 2.346*sin(1.235*x_1)"
    assert r"\sin" in formula.latex()
    assert formula._repr_latex_() == f"$${formula.round(4).equation()}$$" != formula.equation()
    assert formula.complexity == 6


def test_a_rounded_formula_keeps_the_errors_of_the_constants_it_shows():
    x = np.linspace(1, 3, 60)
    y = 2.34567 * np.exp(-0.71234 * x) + 2.34561 + 0.01 * np.random.default_rng(0).normal(size=60)
    data = kw.Dataset.from_arrays(x[:, None], y, test_size=0.0, names=["x"])
    model = kw.KAN([1, 1], seed=0)
    model.fix_symbolic(0, 0, 0, "exp", params=(-0.71234, 0.0, 2.34567, 2.34561))
    exact = model.symbolic_formula(data)
    rounded = exact.round(3)
    assert str(rounded.expression) == "2.35 + 2.35*exp(-0.712*x)"
    assert [one.value for one in exact.constants] == [-0.71234, 2.34561, 2.34567]
    assert [one.value for one in rounded.constants] == [-0.712, 2.35, 2.35]
    assert [one.error for one in rounded.constants] == [one.error for one in exact.constants]
    # 2.3 is rounded to 2, and remains a measured constant
    assert [one.value for one in exact.round(1).constants] == [-0.7, 2.0, 2.0]


def test_equations_of_several_outputs_are_printed_below_each_other():
    model, data = kw.KAN([1, 2], seed=0), table(1, 2)
    for output in range(2):
        model.fix_symbolic(0, 0, output, "x", params=(1.0, 0.0, 2.0 + output, 0.0))
    assert model.symbolic_formula(data).equation() == r"y_{1} = 2 x_{1} \\ y_{2} = 3 x_{1}"


def test_constants_become_simple_numbers_only_within_their_errors():
    model = kw.KAN([1, 1], seed=0)
    model.fix_symbolic(0, 0, 0, "sin", params=(np.pi * (1 + 1e-9), 0.0, 2 + 1e-9, 0.0))
    X = np.linspace(-1, 1, 100)[:, None]
    exact = kw.Dataset.from_arrays(X, 2 * np.sin(np.pi * X), names=["x"], test_size=0.0)
    assert model.symbolic_formula(exact).expression == parse("2*sin(pi*x)")
    model.fix_symbolic(0, 0, 0, "sin", params=(np.pi, 0.0, 2.001, 0.0))
    off = kw.Dataset.from_arrays(X, 2.001 * np.sin(np.pi * X), names=["x"], test_size=0.0)
    assert model.symbolic_formula(off).expression != parse("2*sin(pi*x)")


def test_standard_errors_are_those_of_linear_regression():
    rng = np.random.default_rng(0)
    x = rng.uniform(1, 2, 400)
    y = 1.7 * x + 0.45 + 0.1 * rng.normal(size=400)
    data = kw.Dataset.from_arrays(x[:, None], y, test_size=0.0, validation_size=0.0, names=["x"])
    model = kw.KAN([1, 1], seed=0)
    model.fix_symbolic(0, 0, 0, "x", data, params=(1.0, 0.0, 1.7, 0.45))
    model.fit(data, progress=False)
    formula = symbolic_formula(model, data)
    design = np.stack([x, np.ones(400)], 1)
    residual = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
    expected = np.sqrt(residual @ residual / 398 * np.diag(np.linalg.inv(design.T @ design)))
    constant, slope = formula.constants
    assert slope.error == pytest.approx(expected[0], rel=1e-4)
    assert constant.error == pytest.approx(expected[1], rel=1e-4)


def test_constants_that_the_data_do_not_determine_have_infinite_errors():
    x = np.linspace(1, 3, 60)
    data = kw.Dataset.from_arrays(x[:, None], np.sin(x), test_size=0.0)
    model = kw.KAN([1, 1], seed=0)
    model.fix_symbolic(0, 0, 0, "log", data, params=(0.5, 0.0, 1.3, 0.7))
    formula = symbolic_formula(model, data, simplify=False)  # 1.3*log(0.5*x) + 0.7
    errors = {one.value: one.error for one in formula.constants}
    assert np.isfinite(errors[1.3])
    assert np.isinf(errors[0.5])
    assert np.isinf(errors[0.7])


def test_errors_of_a_formula_with_absolute_values_are_finite():
    x = np.linspace(-1, 1, 60)
    y = 1.7 * np.abs(1.3 * x - 0.4) + 0.01 * np.random.default_rng(0).normal(size=60)
    data = kw.Dataset.from_arrays(x[:, None], y, test_size=0.0, names=["x"])
    model = kw.KAN([1, 1], seed=0)
    model.fix_symbolic(0, 0, 0, "abs", params=(1.3, -0.4, 1.7, 0.1))
    formula = model.symbolic_formula(data)
    # a factor, the place of the kink and a constant: the number that data can determine
    assert len(formula.constants) == 3
    assert all(np.isfinite(one.error) for one in formula.constants)


@pytest.mark.parametrize(
    ("text", "short"),
    [("3.00002559/sqrt(a**(-4))", "3.00002559*a**2"), ("sqrt(a**2*b**2)", "a*b"), ("2*sqrt(c**2)", None)],
)
def test_powers_of_powers_are_combined_only_where_the_rows_allow_it(text, short):
    data = kw.sample("a + b + c", a=(1, 2), b=(1, 2), c=(-1, 1), size=50, seed=0)
    found = simplest(parse(text), data)
    assert found == parse(short) if short else "Abs" in str(found) or "sqrt" in str(found)


def line(noise=0.1, rows=100, seed=0):
    """A formula a·x + b fitted to rows with noise, and its data."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (rows, 1))
    data = kw.Dataset.from_arrays(
        x, 1.2345678 * x[:, 0] + 0.7654321 + noise * rng.normal(size=rows), names=["x"], seed=0
    )
    model = kw.KAN([1, 1], seed=0)
    slope, offset = np.polyfit(data.X_train[:, 0].numpy(), data.y_train[:, 0].numpy(), 1)
    model.fix_symbolic(0, 0, 0, "x", data, params=(1.0, 0.0, float(slope), float(offset)))
    return model.symbolic_formula(data), data


def test_formulas_can_be_keys_of_a_dict():
    formula, _ = line()
    again, _ = line()
    other, _ = line(seed=1)
    assert hash(formula) == hash(again) and formula == again
    assert {formula: 1}[again] == 1 and len({formula, again, other, formula.round(2)}) == 3


def test_the_interval_of_a_rounded_formula_includes_the_rounding_error():
    formula, data = line()
    for kind in ("prediction", "confidence"):
        exact = formula.predict(data.X_test.numpy(), interval=0.9, kind=kind)
        rounded = formula.round(1).predict(data.X_test.numpy(), interval=0.9, kind=kind)
        moved = np.abs(rounded.mean - exact.mean)
        assert moved.max() > 0.01
        np.testing.assert_allclose(rounded.upper - rounded.mean, exact.upper - exact.mean + moved, rtol=1e-12)
        assert (rounded.lower <= exact.lower + 1e-12).all() and (rounded.upper >= exact.upper - 1e-12).all()
    same = formula.round(17).predict(data.X_test.numpy(), interval=0.9)
    np.testing.assert_allclose(same.upper, formula.predict(data.X_test.numpy(), interval=0.9).upper, rtol=1e-12)


def test_numbers_in_a_dict_give_numbers():
    rng = np.random.default_rng(0)
    X = rng.uniform(1, 2, (60, 2))
    data = kw.Dataset.from_arrays(X, X[:, 0] * X[:, 1] + 0.01 * rng.normal(size=60), names=["a", "b"], seed=0)
    formula = kw.discover(data).formula
    value, lower, upper = formula.predict({"a": 1.5, "b": 2}, interval=0.9)
    assert value.shape == lower.shape == upper.shape == formula.predict({"a": 1.5, "b": 2}).shape == ()
    assert lower < value < upper and value == pytest.approx(3, abs=0.05)
    many = formula.predict({"a": 1.5, "b": [1.0, 2.0]}, interval=0.9)
    assert [one.shape for one in many] == [(2,)] * 3
    assert many.mean[1] == value and many.upper[1] == pytest.approx(float(upper))
    assert formula.predict({"a": [1.5], "b": [2.0]}).shape == (1,)
    with pytest.raises(kw.KnotworkError, match="2 and 3 rows"):
        formula.predict({"a": [1, 2], "b": [1, 2, 3]})
    with pytest.raises(kw.KnotworkError, match=r"Column 'a' of X holds text"):
        formula.predict({"a": "one", "b": 2})


def test_a_formula_without_variables_has_a_value_for_every_row():
    rng = np.random.default_rng(0)
    data = kw.Dataset.from_arrays(rng.normal(size=(60, 2)), rng.normal(size=60), names=["a", "b"], seed=0)
    model = kw.KAN([2, 1], seed=0)
    for i in range(2):
        model.fix_symbolic(0, i, 0, "x", data, params=(0.0, 0.0, 0.0, 0.6))
    formula = model.symbolic_formula(data)
    assert not formula.expression.free_symbols
    assert formula.predict(np.zeros((4, 2))).shape == formula.predict({"a": [1, 2, 3, 4]}).shape == (4,)
    assert formula.predict({}).shape == formula.predict({"b": 1.0}).shape == ()
    assert formula.predict({}) == pytest.approx(1.2)
    assert formula.predict({}, interval=0.9).upper.shape == ()


@pytest.mark.parametrize("unit", [1e200, 1e-200])
def test_r2_and_rmse_scale_with_the_unit_of_the_target(unit):
    """R² is the same and the RMSE is proportional to the unit, also for very large and very small targets."""
    x = np.linspace(-1, 1, 50)[:, None]
    y = x[:, 0] + 0.1 * np.cos(20 * x[:, 0])
    found = []
    for scale in (1.0, unit):
        data = kw.Dataset.from_arrays(x, scale * y, names=["x"], seed=0)
        model = kw.KAN([1, 1], seed=0)
        model.fix_symbolic(0, 0, 0, "x", data, params=(1.0, 0.0, 1.1 * scale, 0.0))
        found.append(symbolic_formula(model, data, simplify=False))
    assert found[1].r2 == pytest.approx(found[0].r2, rel=1e-9) and 0.9 < found[0].r2 < 1
    assert found[1].rmse / unit == pytest.approx(found[0].rmse, rel=1e-9)


def test_each_of_several_outputs_is_a_formula():
    data = table(2, 2)
    formula = named_network([2, 2], seed=1).symbolic_formula(data)
    first, second = formula[0], formula[formula.targets[1]]
    assert (first.expression, second.expression) == formula.expressions
    np.testing.assert_array_equal(second.predict(data.X_test), formula.predict(data.X_test)[:, 1])
    assert first.constants + second.constants == formula.constants
    assert first.covariance.shape == (len(first.constants),) * 2
    for wrong in ("z", 2, -1, 0.5):
        with pytest.raises(KeyError, match=r"there is no output .*: they are 'y_1', 'y_2'"):
            formula[wrong]
