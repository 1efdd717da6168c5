"""Registered functions of the user: found, saved, and refused if they are invalid."""

import pytest
import torch

import knotwork as kw
from knotwork import functions as library
from knotwork.formulas import candidates
from knotwork.functions import named_function, select

pytestmark = pytest.mark.usefixtures("own_library")


def test_a_registered_function_can_be_fitted_saved_and_loaded(tmp_path):
    record = kw.register_function("bump", "exp(-x)*x**2", domain=(0, 20))
    x = torch.linspace(0.5, 6, 50, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(record.value(x).sum(), x)
    assert torch.allclose(slope, record.slope(x))
    data = kw.sample("3*(2*x)**2*exp(-2*x) + 1", x=(0.2, 3), size=300, seed=0)
    found = kw.discover(data, lib=["x", "bump"], seed=0)
    functions = {edge.function for edge in found.symbolic_model.spec.named}
    assert functions >= {"bump"} or found.formula.r2 == pytest.approx(1)
    assert float((torch.as_tensor(found.formula.numpy()(data.X_test[:, 0])) - data.y_test[:, 0]).abs().max()) < 1e-8
    network = kw.KAN([1, 1], seed=0)
    network.fix_symbolic(0, 0, 0, "bump", params=(2, 0, 3, 1))
    network.save(tmp_path / "bump.safetensors")
    assert torch.equal(kw.load(tmp_path / "bump.safetensors")(data.X_test), network(data.X_test))


def test_a_registered_function_is_tried_by_default_only_on_request():
    kw.register_function("hill", "1/(1 + x**4)")
    kw.register_function("ramp", "log(1 + exp(x))", default=True)
    assert "hill" not in {f.name for f in select()} and "ramp" in {f.name for f in select()}
    assert select(["hill"]) == [named_function("hill")]


@pytest.mark.parametrize(
    ("arguments", "settings", "message"),
    [
        (("sin", "x**2"), {}, "already"),
        (("", "x**2"), {}, "is no name"),
        (("sinc", "sin(x)/x"), {}, "not a finite real number at x = 0"),
        (("root", "sqrt(x)"), {}, "not a finite real number"),
        (("line", "x"), {"domain": (1, 1)}, "is empty"),
        (("line", "x"), {"cost": -1}, "0 bits or more"),
        (("line", "x +"), {}, "is not a formula"),
        (("line", "y"), {}, "y"),
    ],
)
def test_invalid_functions_are_refused(arguments, settings, message):
    with pytest.raises(kw.KnotworkError, match=message):
        kw.register_function(*arguments, **settings)
    assert arguments[0] not in library.LIBRARY or arguments[0] == "sin"


def test_a_function_can_be_given_in_torch_where_its_expression_overflows():
    softplus, sigmoid = torch.nn.functional.softplus, torch.sigmoid
    record = kw.register_function("softplus", "log(1 + exp(x))", value=softplus, slope=sigmoid)
    far = torch.tensor([1000.0], dtype=torch.float64)
    assert record.value(far) == 1000 and record.slope(far) == 1
    for wrong, words in [({"value": sigmoid}, "value= of bent is not"), ({"slope": softplus}, "slope= of bent is not")]:
        with pytest.raises(kw.KnotworkError, match=words):
            kw.register_function("bent", "log(1 + exp(x))", **wrong)


def test_a_periodic_function_is_found_at_a_high_frequency():
    kw.register_function("wave", "sin(x) + cos(2*x)/3", periodic=True)
    x = torch.linspace(-1, 1, 400, dtype=torch.float64)
    y = 2 * (torch.sin(23 * x + 0.3) + torch.cos(2 * (23 * x + 0.3)) / 3)
    (fit,) = candidates(x, y, [named_function("wave")])
    assert fit.r2 == pytest.approx(1, abs=1e-9)
