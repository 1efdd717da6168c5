"""Functions of one's own: found, saved, and refused where they cannot be."""

import pytest
import torch

import knotwork as kw
from knotwork import functions
from knotwork.functions import named_function, select


@pytest.fixture(autouse=True)
def own_library(monkeypatch):
    """Leaves the library as it was."""
    before, names = list(functions._ALL), dict(functions.LIBRARY)
    yield
    functions._ALL[:] = before
    functions.LIBRARY.clear()
    functions.LIBRARY.update(names)


def test_a_registered_function_names_an_edge_and_survives_a_file(tmp_path):
    record = kw.register_function("bump", "exp(-x)*x**2", domain=(0, 20))
    x = torch.linspace(0.5, 6, 50, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(record.value(x).sum(), x)
    assert torch.allclose(slope, record.slope(x))
    data = kw.sample("3*(2*x)**2*exp(-2*x) + 1", x=(0.2, 3), size=300, seed=0)
    found = kw.discover(data, lib=["x", "bump"], seed=0)
    assert {edge.function for edge in found.named.spec.named} >= {"bump"} or found.formula.r2 == pytest.approx(1)
    assert float((torch.as_tensor(found.formula.numpy()(data.X_test[:, 0])) - data.y_test[:, 0]).abs().max()) < 1e-8
    network = kw.KAN([1, 1], seed=0)
    network.fix_symbolic(0, 0, 0, "bump", params=(2, 0, 3, 1))
    network.save(tmp_path / "bump.safetensors")
    assert torch.equal(kw.load(tmp_path / "bump.safetensors")(data.X_test), network(data.X_test))


def test_it_is_tried_by_default_only_if_asked():
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
def test_what_cannot_be_a_function_is_refused(arguments, settings, message):
    with pytest.raises(kw.KnotworkError, match=message):
        kw.register_function(*arguments, **settings)
    assert arguments[0] not in functions.LIBRARY or arguments[0] == "sin"
