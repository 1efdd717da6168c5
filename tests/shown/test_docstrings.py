"""The examples in docstrings run and print the documented output."""

import doctest
import importlib
import inspect
import pkgutil

import pytest

import knotwork
import knotwork.training.optimizers

EXPORTED = {name: getattr(knotwork, name) for name in knotwork.__all__ if not inspect.ismodule(getattr(knotwork, name))}
FRONT_DOORS = sorted(
    {
        *(thing.__module__ for thing in EXPORTED.values()),
        "knotwork.model.differentiable_network",
        "knotwork.model.network",
        "knotwork.simplify.pruning",
        "knotwork.symbolic.nameable_network",
        *(
            f"knotwork.training.optimizers.{module.name}"
            for module in pkgutil.iter_modules(knotwork.training.optimizers.__path__)
        ),
    }
)


class Finder(doctest.DocTestFinder):
    """Also finds the examples of decorated functions, whose globals are those of the decorator's module."""

    def _from_module(self, module, object):
        return super()._from_module(module, inspect.unwrap(object) if callable(object) else object)


def test_examples_of_decorated_functions_are_found():
    found = [test.name for test in Finder().find(importlib.import_module("knotwork.kan")) if test.examples]
    assert {"knotwork.kan.KAN", "knotwork.kan.save", "knotwork.kan.load", "knotwork.kan.KAN.predict"} <= {*found}


@pytest.mark.usefixtures("own_library")
@pytest.mark.parametrize("module", FRONT_DOORS)
def test_examples_run(module):
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    for test in Finder().find(importlib.import_module(module)):
        runner.run(test)
    failed = runner.summarize().failed
    assert failed == 0, f"{failed} examples of {module} print something else (see the output above)"


@pytest.mark.parametrize("name", EXPORTED)
def test_every_exported_name_has_an_example(name):
    own = doctest.DocTestFinder(recurse=False).find(EXPORTED[name], name)
    assert any(test.examples for test in own), f"{name} has no example"


def parameters(thing: object) -> set[str]:
    """The names of the arguments of a function or class, without the one that only raises errors."""
    found = inspect.signature(thing).parameters  # type: ignore[arg-type]
    return set(found) - {"self", "unknown"}


def described(text: str) -> set[str]:
    """The names that the sections Args and Attributes of a docstring describe: `name: what`, or `one, other: what`."""
    found, inside, entry = set(), False, ""
    for line in [*text.splitlines(), "End:"]:
        indent = len(line) - len(line.lstrip())
        if line.strip() and indent == 0:
            inside = line in ("Args:", "Attributes:")
        elif inside and indent == 4:
            entry = line
        elif inside and indent > 4 and ":" not in entry:
            entry += " " + line.strip()
        found |= {name.strip(" *") for name in entry.partition(":")[0].split(",")}
    return found


@pytest.mark.parametrize("name", [name for name in EXPORTED if not name.endswith(("Error", "Warning"))])
def test_every_argument_is_described(name):
    parts = {"X_val", "y_val", "X_test", "y_test"} if name == "Dataset" else set()  # "X_val and X_test likewise"
    missing = parameters(EXPORTED[name]) - described(inspect.getdoc(EXPORTED[name]) or "") - parts
    assert missing == set(), f"{name} does not describe {missing}"


def test_descriptions_are_found():
    text = "One: two.\n\nArgs:\n    a: b: c.\n        d: e\n    f, g,\n        h: i.\n    *j: k.\n\nRaises:\n    L: m."
    assert described(text) - {""} == {"a", "f", "g", "h", "j"}
