"""Imports go one way: every room of the package has a number, and imports only rooms of a smaller number."""

import ast
import importlib
import pkgutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

import knotwork

PACKAGE = Path(__file__).parents[1] / "src" / "knotwork"

FRONT_DOOR = "__init__"  # it re-exports every folder except the command line
ROOMS = {
    "errors": 0,
    "files": 0,
    "sizes": 0,
    "undisturbed": 0,
    "journal": 1,
    "keywords": 1,
    "notebooks": 1,
    "kernels": 1,
    "solvers": 1,
    "splines": 2,
    "expressions": 2,
    "functions": 3,
    "data": 3,
    "drawing": 4,
    "model": 4,
    "training": 5,
    "simplify": 6,
    "formulas": 7,
    "regression": 8,
    "symbolic": 8,
    "outputs": 9,
    "kan": 10,
    "estimators": 11,
    "discovery": 12,
    "pde": 12,
    FRONT_DOOR: 13,
    "bench": 14,
    "experiments": 14,
    "studio": 15,
    "cli": 16,
    "__main__": 17,
}
HEAVY_GUESTS = {
    "sympy": ("expressions",),
    "matplotlib": ("drawing", "outputs"),
    "jinja2": ("outputs",),
    "pint": ("data",),
    "typer": ("cli",),
    "sklearn": ("estimators",),
}


def imported_names(file: Path, package: Path) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of every import in a file, also inside functions; `from a import b` gives a.b."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = [node.module] if node.module else []
            if node.level:
                base = [*file.relative_to(package.parent).parts[: -node.level], *base]
            yield from ((node.lineno, ".".join([*base, alias.name])) for alias in node.names)


def only_for_types(file: Path) -> set[int]:
    """The lines under `if TYPE_CHECKING:`, which never run."""
    checks = [n for n in ast.walk(ast.parse(file.read_text())) if isinstance(n, ast.If)]
    blocks = [n.body for n in checks if isinstance(n.test, ast.Name) and n.test.id == "TYPE_CHECKING"]
    return {line for body in blocks for n in body for line in range(n.lineno, (n.end_lineno or n.lineno) + 1)}


def room_of(dotted: str) -> str:
    """The room (folder) of knotwork.room.module.name; other names of the package belong to __init__."""
    first = dotted.split(".")[1] if "." in dotted else ""
    return first if first in ROOMS else FRONT_DOOR


def allowed(source: str, target: str) -> bool:
    if source == FRONT_DOOR:
        return target != "cli"
    return source == target or ROOMS[target] < ROOMS[source]


def inspect(package: Path) -> tuple[dict[str, set[str]], list[str]]:
    """The rooms that each room imports, and a message for every import that is not allowed."""
    arrows, wrong = defaultdict(set), []
    for file in sorted(package.rglob("*.py")):
        source = file.relative_to(package).parts[0].removesuffix(".py")
        if source not in ROOMS:
            wrong.append(f"{file.relative_to(package)}: room {source!r} has no number in ROOMS")
            continue
        for line, name in imported_names(file, package):
            where, guest = f"{file.relative_to(package)}:{line}", name.split(".")[0]
            if guest == package.name:
                target = room_of(name)
                arrows[source].add(target)
                if not allowed(source, target):
                    wrong.append(f"{where}: {source} ({ROOMS[source]}) imports {target} ({ROOMS[target]})")
            elif source not in HEAVY_GUESTS.get(guest, (source,)) and line not in only_for_types(file):
                wrong.append(f"{where}: {guest} is imported outside of {', '.join(HEAVY_GUESTS[guest])}")
    return arrows, wrong


def room_map(arrows: dict[str, set[str]]) -> str:
    rows = sorted(arrows, key=lambda room: ROOMS[room])
    return "\n".join(
        f"{ROOMS[room]:>3}  {room:<12} <- {', '.join(sorted(arrows[room] - {room}, key=lambda r: (ROOMS[r], r)))}"
        for room in rows
    )


def test_rooms_import_only_smaller_numbers():
    arrows, wrong = inspect(PACKAGE)
    assert arrows, f"no imports were found in {PACKAGE}"
    if wrong:
        pytest.fail(f"\n{room_map(arrows)}\n\n" + "\n".join(wrong), pytrace=False)


@pytest.mark.parametrize(
    ("file", "text", "complaint"),
    [
        ("kernels/a.py", "from knotwork.model import KAN", "kernels/a.py:1: kernels (1) imports model (4)"),
        ("model/a.py", "def f():\n    from knotwork import training", "model/a.py:2: model (4) imports training (5)"),
        ("model/sub/a.py", "from ...pde import solve", "model/sub/a.py:1: model (4) imports pde (12)"),
        ("data/a.py", "if TYPE_CHECKING:\n    import knotwork.kan", "data/a.py:2: data (3) imports kan (10)"),
        ("splines/a.py", "from knotwork.functions import f", "splines/a.py:1: splines (2) imports functions (3)"),
        ("pde/a.py", "from knotwork import fit", "pde/a.py:1: pde (12) imports __init__ (13)"),
        ("__init__.py", "from knotwork.cli import main", "__init__.py:1: __init__ (13) imports cli (16)"),
        ("model/a.py", "import sympy.core", "model/a.py:1: sympy is imported outside of expressions"),
        ("kan.py", "def f():\n    import typer", "kan.py:2: typer is imported outside of cli"),
        ("attic.py", "", "attic.py: room 'attic' has no number in ROOMS"),
    ],
)
def test_a_wrong_import_is_found(tmp_path, file, text, complaint):
    planted = tmp_path / "knotwork" / file
    planted.parent.mkdir(parents=True)
    planted.write_text(text)
    assert inspect(tmp_path / "knotwork")[1] == [complaint]


def test_right_imports_are_accepted(tmp_path):
    room = tmp_path / "knotwork" / "experiments"
    room.mkdir(parents=True)
    (room / "a.py").write_text("import numpy\nimport knotwork as kw\nfrom .b import c\nfrom knotwork.pde import solve")
    (room.parent / "__init__.py").write_text("from knotwork.estimators import KANRegressor")
    (room.parent / "kan.py").write_text("if TYPE_CHECKING:\n    from matplotlib.figure import Figure")
    assert inspect(room.parent)[1] == []


def test_importing_knotwork_imports_no_large_library():
    program = "import sys, knotwork; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    heavy = {"sympy", "pandas", "matplotlib", "jinja2", "scipy", "typer", "sklearn", "pint"}
    assert not heavy & set(done.stdout.split())


def hidden(package) -> list[str]:
    """Modules and packages inside of a package for which `import a.b.c as m` gives something else.

    A module may be named after the function that it holds, as `pde/solve.py` is: then that function stands for it.
    """
    found = []
    names = [
        m.name for m in pkgutil.walk_packages(package.__path__, f"{package.__name__}.") if "__main__" not in m.name
    ]
    modules = {name: importlib.import_module(name) for name in names}
    for name, module in modules.items():
        program = {}
        try:
            exec(f"import {name} as m", program)
        except ImportError:
            found.append(name)
            continue
        named_after = not hasattr(module, "__path__") and getattr(program["m"], "__module__", "") == name
        if program["m"] is not module and not named_after:
            found.append(name)
    return found


def test_no_function_hides_a_package():
    assert hidden(knotwork) == []


def test_a_hidden_package_is_found(tmp_path, monkeypatch):
    room = tmp_path / "house_of_cards" / "find"
    room.mkdir(parents=True)
    (room.parent / "__init__.py").write_text("from house_of_cards.find.parts import find")
    (room / "__init__.py").write_text("")
    (room / "parts.py").write_text("def find(): ...")
    (room.parent / "solve.py").write_text("def solve(): ...")
    monkeypatch.syspath_prepend(tmp_path)
    assert hidden(importlib.import_module("house_of_cards")) == ["house_of_cards.find", "house_of_cards.find.parts"]
