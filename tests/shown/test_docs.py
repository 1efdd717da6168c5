"""The documentation describes every public object and no other names. `make docs` runs its pages."""

import importlib
import inspect
import re
from pathlib import Path

import pytest

import knotwork as kw

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(page for page in DOCS.rglob("*.md") if "_build" not in page.parts)
TEXTS = {page.relative_to(DOCS).as_posix(): page.read_text(encoding="utf-8") for page in PAGES}
RUNNING = [name for name, text in TEXTS.items() if "{code-cell}" in text]


def described(text: str) -> set[str]:
    """Full names that the autodoc directives of a page describe, including members."""
    names = set()
    for block in re.findall(r"```\{eval-rst\}\n(.*?)```", text, re.DOTALL):
        directives = r"\.\. auto(\w+):: (\S+)\n((?:   .*\n)*)"
        for kind, name, options in re.findall(directives, block):
            names |= set() if kind == "module" else {name}
            members = re.search(r":members: ([^:]*)", options)
            names |= {f"{name}.{member}" for member in re.findall(r"\w+", members[1])} if members else set()
    return names


DESCRIBED = set().union(*map(described, TEXTS.values()))


def found(name: str) -> object:
    """The object with that dotted name, or None."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            thing: object = importlib.import_module(".".join(parts[:cut]))
        except ImportError:
            continue
        for part in parts[cut:]:
            thing = getattr(thing, part, None)
        if thing is not None:
            return thing
    return None


def public_names(thing: type) -> set[str]:
    """Methods and properties of a class that it defines or inherits from a class of knotwork."""
    ours = [base for base in thing.__mro__ if base.__module__.startswith("knotwork")]
    members = {name: value for base in ours for name, value in vars(base).items()}
    kinds = (property, classmethod, staticmethod)
    return {n for n, v in members.items() if n[0] != "_" and (inspect.isfunction(v) or isinstance(v, kinds))}


def test_every_exported_name_is_described():
    functions_and_classes = {f"knotwork.{name}" for name in kw.__all__ if not inspect.ismodule(getattr(kw, name))}
    assert functions_and_classes <= DESCRIBED
    modules = {f"knotwork.{name}" for name in kw.__all__ if inspect.ismodule(getattr(kw, name))}
    assert modules <= {name.rpartition(".")[0] for name in DESCRIBED}


CLASSES = [name for name in kw.__all__ if inspect.isclass(getattr(kw, name))]


@pytest.mark.parametrize("name", CLASSES)
def test_every_method_is_described(name):
    assert {f"knotwork.{name}.{member}" for member in public_names(getattr(kw, name))} <= DESCRIBED


def test_every_described_name_exists():
    assert len(DESCRIBED) > 100
    assert [name for name in sorted(DESCRIBED) if found(name) is None] == []


@pytest.mark.parametrize("page", TEXTS)
def test_every_referenced_name_is_described(page):
    targets = re.findall(r"\{py:\w+\}`(?:[^`<]*<)?~?([\w.]+)>?`", TEXTS[page])
    modules = {name.rpartition(".")[0] for name in DESCRIBED}
    assert [target for target in targets if target not in DESCRIBED | modules] == []


def docstrings(name: str) -> list[str]:
    """The docstring of the object with that name; for a class also those of its members."""
    thing = getattr(kw, name.removeprefix("knotwork."), None) or found(name)  # discover is a function and a package
    members = [vars(thing).get(part) for part in public_names(thing)] if inspect.isclass(thing) else []
    return [inspect.getdoc(one) or "" for one in (thing, *members)]


def test_every_name_referenced_in_docstrings_is_described():
    modules = {name.rpartition(".")[0] for name in DESCRIBED}
    texts = {name: "\n".join(docstrings(name)) for name in sorted(DESCRIBED)}
    named = {(name, other) for name, text in texts.items() for other in re.findall(r"`(knotwork\.\w[\w.]*)`", text)}
    assert named
    assert [pair for pair in sorted(named) if pair[1] not in DESCRIBED | modules] == []


@pytest.mark.parametrize("page", TEXTS)
def test_links_between_pages_have_targets(page):
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", TEXTS[page])
    assert [target for target in targets if not (DOCS / page).parent.joinpath(target).is_file()] == []


@pytest.mark.parametrize("page", RUNNING)
def test_the_code_cells_of_every_page_are_valid_python(page):
    """`make docs` runs them."""
    cells = re.findall(r"^```\{code-cell\} python\n(.*?)^```", TEXTS[page], re.MULTILINE | re.DOTALL)
    assert len(cells) == TEXTS[page].count("{code-cell}")
    for cell in cells:
        code = re.sub(r"\A(---\n.*?\n---\n|(:[^\n]*\n)+)", "", cell, flags=re.DOTALL)
        if not code.startswith("!"):
            compile(code, page, "exec")
