"""The examples and commands of README work as shown, and its links exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_readme_has_two_examples():
    assert len(EXAMPLES) == 2


@pytest.mark.parametrize("code", EXAMPLES, ids=["first example", "discover"])
def test_an_example_prints_what_its_comment_says(code, capsys):
    exec(compile(code, "README.md", "exec"), {})
    expected = re.search(r"print\(.*\)\s+# (.*)", code)
    assert expected is not None
    assert capsys.readouterr().out.strip() == expected[1].strip()


def test_the_first_example_has_at_most_ten_lines():
    assert len([line for line in EXAMPLES[0].splitlines() if line.strip()]) <= 10


def test_make_commands_in_the_readme_exist():
    targets = set(re.findall(r"^make (\w+)", README, re.MULTILINE))
    makefile = (ROOT / "Makefile").read_text()
    assert targets == {"demo", "test"}
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)


def test_ci_runs_only_documented_commands():
    commands = re.findall(r"^make (.*)$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    assert commands == ["check test test-reference docs"]
    shown = README + (ROOT / "CONTRIBUTING.md").read_text()
    assert all(f"make {target}" in shown for target in commands[0].split())


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\((?!https)([^)]+)\)", README))))
def test_linked_files_exist(link):
    assert (ROOT / link).is_file()


PLACES = {
    page: sorted(set(re.findall(r"`((?:\w+/)*\w+\.py|(?:\w+/)+)`", (ROOT / page).read_text(encoding="utf-8"))))
    for page in ("CONTRIBUTING.md", "docs/glossary.md")
}


@pytest.mark.parametrize(("page", "place"), [(page, place) for page, places in PLACES.items() for place in places])
def test_files_and_folders_that_pages_mention_exist(page, place):
    assert any((ROOT / folder / place).exists() for folder in ("src/knotwork", ".", "tests"))


def test_contributing_names_every_room():
    package = ROOT / "src" / "knotwork"
    rooms = {f"{path.name}/" for path in package.iterdir() if (path / "__init__.py").exists()}
    files = {path.name for path in package.glob("*.py")} - {"__init__.py", "__main__.py"}
    assert rooms | files <= set(PLACES["CONTRIBUTING.md"])


@pytest.mark.parametrize(
    "link", sorted(set(re.findall(r"\]\((?!https)([^)]+)\)", (ROOT / "CONTRIBUTING.md").read_text())))
)
def test_files_linked_in_contributing_exist(link):
    assert (ROOT / link).is_file()
