"""Results print as one line, and notebooks show them as small tables that cannot hold foreign code."""

import html.parser
import re

import numpy as np
import pytest

import knotwork as kw
from knotwork import pde

EVIL = "<script>alert('x')</script>"


@pytest.fixture(scope="module")
def shown():
    x = np.linspace(-1, 1, 60)
    data = kw.Dataset.from_arrays(np.stack([x, x**3], 1), x**2, names=[EVIL, "b"], target_names="t<b>", seed=0)
    model = kw.KAN([2, 1], seed=0)
    for source, name in enumerate(("x^2", "x")):
        model.fix_symbolic(0, source, 0, name, params=(1, 0, 1 - source, 0))
    plain = kw.KAN([2, 2, 1], seed=0)
    one = kw.KAN([1, 1], seed=0)
    line = kw.sample("x**2", x=(-1, 1), size=60)
    found = kw.discover(line, progress=False)
    values = {
        "KAN": plain,
        "KAN with names": model,
        "Dataset": data,
        "FitResult": one.fit(line, steps=2, progress=False),
        "Formula": found.formula,
        "Formula of strange names": model.symbolic_formula(data),
        "Discovery": found,
        "Candidates": one.suggest_symbolic(0, 0, 0, line),
        "Scores": plain.attribute(data),
        "Relations": plain.relations(data),
        "Solution": pde.solve(pde.library.heat(), width=[2, 1], grid=5, starts=1, steps=2, points=60),
    }
    return values


KINDS = ["KAN", "KAN with names", "Dataset", "FitResult", "Formula", "Formula of strange names"]
KINDS += ["Discovery", "Candidates", "Scores", "Relations", "Solution"]


class Balanced(html.parser.HTMLParser):
    """Collects the tags, and fails where one is closed that was not opened last."""

    def __init__(self):
        super().__init__()
        self.open, self.seen = [], set()

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.seen.add(tag)
        assert not any(name.startswith("on") for name, _ in attrs)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("kind", KINDS)
def test_a_value_prints_as_one_line(shown, kind):
    line = repr(shown[kind])
    assert "\n" not in line and len(line) < 400
    assert line.startswith(f"{kind.split()[0]}(") and line.endswith(")")


@pytest.mark.parametrize("kind", KINDS)
def test_notebooks_show_plain_tables(shown, kind):
    page, parser = shown[kind]._repr_html_(), Balanced()
    parser.feed(page)
    assert not parser.open and not parser.seen & {"script", "style", "img", "iframe", "link"}
    assert "alert('x')" not in page and len(page) < 20_000
    assert not re.search(r"color|background|#[0-9a-f]{3,6}\b", page)  # those of the page, so that dark pages work


def test_what_the_lines_say():
    data = kw.sample("x**2", x=(-1, 1), size=60, seed=0)
    model = kw.KAN([1, 1], seed=0)
    assert repr(model) == "KAN([1, 1], grid=5, k=3, 9 parameters in use, not fitted)"
    result = model.fit(data, progress=False)
    assert re.match(r"FitResult\(lm: RMSE training \S+, validation \S+, test \S+; \d+ steps in \S+ s; ", repr(result))
    assert repr(model.auto_symbolic(data).symbolic_formula(data)) == "Formula(f = x**2; r² = 1 on the test rows)"
    assert repr(model.suggest_symbolic(0, 0, 0, data)).startswith("Candidates(edge (0, 0, 0): x^2 r² = ")


def test_a_wide_table_is_cut():
    data = kw.Dataset.from_arrays(np.random.default_rng(0).normal(size=(20, 50)), np.arange(20.0))
    assert "and 31 more" in data._repr_html_()
