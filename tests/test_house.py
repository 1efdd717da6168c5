"""The code stays readable: short files and functions, settings with reasons, plain words."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "knotwork"
LONGEST_MODULE, LONGEST_FUNCTION = 400, 70
OUTSIDE_OF_SETTINGS = {  # numbers that decide no result
    "bench/memory.py": ["MIB"],  # a unit
    "data/columns_table.py": ["SHOWN_COLUMNS"],  # of a table in notebooks
    "formulas/agreement.py": ["DIGITS", "LONGEST"],  # of words about units
    "formulas/uncertainty.py": ["LARGE"],  # stands for infinitely many degrees of freedom
    "kernels/calls.py": ["BASE_NUMBERS"],  # as in csrc/kernels.hpp
    "kernels/eligibility.py": ["_KNOTS_BELOW"],  # a 16-bit number in C++
    "pde/library.py": ["SQUARE"],  # the domain of published problems
    "training/likelihood.py": ["TINY"],  # the smallest number whose square root and inverse are finite
    "training/progress.py": ["FIRST_PICTURE", "PAUSE"],  # how often a notebook shows progress
}

MODULES = sorted(PACKAGE.rglob("*.py"))


def is_number(node: ast.expr) -> bool:
    """Whether an expression consists of numbers only: 3, -0.5, 2**20, (5, 10, 20), {"lm": 100}."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, (int, float)) and not isinstance(node.value, bool)
    if isinstance(node, ast.UnaryOp):
        return is_number(node.operand)
    if isinstance(node, ast.BinOp):
        return is_number(node.left) and is_number(node.right)
    if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
        return bool(node.elts) and all(is_number(one) for one in node.elts)
    if isinstance(node, ast.Dict):
        return bool(node.values) and all(is_number(one) for one in node.values)
    if isinstance(node, ast.Call):  # frozenset({1, 2}), torch.tensor([1.0])
        return bool(node.args) and all(is_number(one) for one in node.args)
    return False


def numbers_at_the_head(text: str) -> list[str]:
    """Names of numbers that a module defines outside functions and classes; `A, B = 1, 2` counts twice."""
    found = []
    for node in ast.parse(text).body:
        value = getattr(node, "value", None)
        if not isinstance(node, (ast.Assign, ast.AnnAssign)) or value is None or not is_number(value):
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            names = target.elts if isinstance(target, ast.Tuple) else [target]
            found += [ast.unparse(name) for name in names]
    return found


def functions(text: str) -> Iterator[tuple[str, int]]:
    """Every function with its length in lines, its signature and docstring included."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1


def documented(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function's docstring."""
    first = node.body[0]
    is_text = (
        isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    )
    return (first.end_lineno or first.lineno) - first.lineno + 1 if is_text else 0


def code_lines(text: str) -> Iterator[tuple[str, int]]:
    """Every function with its length without its docstring."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1 - documented(node)


def test_modules_are_short():
    assert len(MODULES) > 100
    long = {str(m.relative_to(PACKAGE)): n for m in MODULES if (n := len(m.read_text().splitlines())) > LONGEST_MODULE}
    assert long == {}


def test_functions_are_short():
    long = [
        f"{module.relative_to(PACKAGE)}: {name} has {lines} lines"
        for module in MODULES
        for name, lines in code_lines(module.read_text())
        if lines > LONGEST_FUNCTION
    ]
    assert long == []


def test_numbers_that_decide_results_are_settings():
    """They are defined in settings.py, where each has its unit and its reason; numbers of figures may stay."""
    elsewhere = {
        str(module.relative_to(PACKAGE)): found
        for module in MODULES
        if module.name != "settings.py"
        and module.relative_to(PACKAGE).parts[0] not in ("drawing", "outputs")
        and (found := numbers_at_the_head(module.read_text()))
    }
    assert elsewhere == OUTSIDE_OF_SETTINGS


SETTINGS = [module for module in MODULES if module.name == "settings.py"]


@pytest.mark.parametrize("module", SETTINGS, ids=lambda module: module.parent.name)
def test_every_setting_has_its_reason(module):
    """A text follows each field of a settings class: what the number is and why it has this value."""
    for node in ast.walk(ast.parse(module.read_text())):
        if not isinstance(node, ast.ClassDef) or node.name == "Options":  # the arguments of one call
            continue
        for field, after in zip(node.body, [*node.body[1:], None], strict=True):
            if isinstance(field, ast.AnnAssign):
                told = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
                assert told, f"{module.parent.name}: {ast.unparse(field.target)} has no reason below it"
                assert len(str(after.value.value).split()) >= 4, f"{ast.unparse(field.target)}: say what and why"


def test_no_two_files_of_one_name():
    """A file name has one meaning. Only __init__.py and settings.py exist in several folders."""
    where = defaultdict(list)
    for module in MODULES:
        if module.name not in ("__init__.py", "settings.py") and "cli" not in module.relative_to(PACKAGE).parts:
            where[module.name].append(str(module.parent.relative_to(PACKAGE)))
    assert {name: rooms for name, rooms in where.items() if len(rooms) > 1} == {}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("A = 1", ["A"]),
        ("A, B = 1, -2.5", ["A", "B"]),
        ("A: float = 2**20\nB = 'text'", ["A"]),
        ("A = {'lm': 100, 'adam': 2000}", ["A"]),
        ("A = (5, 10)\nB = True\nC = f(x)\nD = []", ["A"]),
        ("def f():\n    A = 1", []),
    ],
)
def test_numbers_are_found(text, names):
    assert numbers_at_the_head(text) == names


def test_lengths_are_found():
    text = 'def f():\n    """One.\n\n    Two.\n    """\n    return 1\n'
    assert dict(functions(text)) == {"f": 6} and dict(code_lines(text)) == {"f": 2}


GONE = [  # patterns of words that this project does not use, with the word to write instead
    (r"whisper", "smoothness weight"),
    (r"\blouder\b", "larger smoothness weight"),
    (r"\bbent[_ ]step|\b_bent\b|\bBENT\b", "geodesic acceleration"),
    (r"groups? without a unit", "dimensionless group"),
    (r"\bobstacle\b", "reason"),
    (r"\btidy(ing)?\b|\btidied\b", "simplify, round constants"),
    (r"\bscouts?\b|\bSCOUT", "baseline network"),
    (r"\bgauges?\b|\bGAUGES\b", "scaling constants"),
    (r"\b[Gg]uidance\b", "constraints"),
    (r"\bMEETING\b|starts have met", "consensus stopping"),
    (r"\beven(s|ed)?_out\b|\bevened out\b", "row equilibration"),
    (r"\bequal[_ ]shares\b", "knot equidistribution"),
    (r"\bpull(s|ed)?[_ ]back\b|\bpulled\b", "vjp"),
    (r"\b[Hh]opeless|\bHOPELESS\b", "prune ratio"),
    (r"\bfaint\b", "negligible"),
    (r"\bmanners\b", "estimator API"),
    (r"\breckon", "compute"),
    (r"\bAS_WELL\b|\bROUGHLY\b|\bHASTY\b|\bDEAREST\b|\bDEAR\b", "a name that says what the number is"),
    (r"\bsay=|\bwatch=|\bSay\b", "callback"),
]
TEXTS = [
    *(f for folder in ("src", "tests", "docs", "benchmarks", "tools") for f in sorted((ROOT / folder).rglob("*"))),
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
]
TEXTS = [
    f
    for f in TEXTS
    if f.suffix in (".py", ".md", ".toml", ".j2", ".html") and "_build" not in f.parts and f != Path(__file__)
]


def gone_words(text: str) -> list[str]:
    """Each line of a text that contains one of the words, with the word to write."""
    return [
        f"line {n}: {match[0]!r}, write {instead!r}"
        for n, line in enumerate(text.splitlines(), start=1)
        for pattern, instead in GONE
        if (match := re.search(pattern, line))
    ]


@pytest.mark.parametrize("file", TEXTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_words_are_plain(file):
    assert gone_words(file.read_text()) == []


def test_unwanted_words_are_found():
    assert gone_words("a whisper of roughness\nfine\nscout_error = SCOUT") == [
        "line 1: 'whisper', write 'smoothness weight'",
        "line 3: 'SCOUT', write 'baseline network'",
    ]
