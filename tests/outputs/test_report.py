"""A report is correct, needs no other files, and escapes all names."""

import dataclasses
import itertools
import re
import sys
import warnings
from dataclasses import replace

import html5lib
import numpy as np
import pytest
import torch

import knotwork as kw
from knotwork.outputs.wording import explained, number, percent

NAMES = [
    "<script>alert('x')</script>",
    "\"quotes\" & 'more' </td>",
    "a very long name " * 12,
    "مساحة السطح",
    "😀 $x_^\\frac{ -->",
    "温度\x00\x08\ud800\ufffe",
    "constant",
]
TARGET = "</title><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def hostile():
    """A table whose names contain special characters, a KAN that was never fitted, and their report."""
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (120, len(NAMES)))
    X[:, -1] = 3.0
    units = {NAMES[0]: "m² & <b>", TARGET: "</p>"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", kw.KnotworkWarning)  # the constant column gives a warning
        data = kw.Dataset.from_arrays(
            X, X[:, 0] + 1, names=NAMES, target_names=[TARGET], units=units, title="<table>.csv", seed=0
        )
    model = kw.KAN([len(NAMES), 1, 1], seed=0)
    for column in (3, 4, 5):
        model.fix_symbolic(0, column, 0, "sin", params=(1.0, 0.0, 0.5, 0.0))
    return model, data


@pytest.fixture(scope="module")
def found():
    """The discovery of a small table of three columns with units."""
    rng = np.random.default_rng(0)
    X = rng.uniform(1, 2, (300, 3))
    y = 2.5 * X[:, 0] * X[:, 1] + 0.01 * rng.normal(size=300)
    data = kw.Dataset.from_arrays(
        X, y, names=["mass [kg]", "speed [m/s]", "other"], target_names=["momentum [N s]"], seed=0
    )
    general = kw.fit(kw.KAN([3, 5, 1], seed=0), data, steps=5)  # the search ended before one was needed
    return replace(kw.discover(data, lib=["x", "x^2", "sin"], time_budget=0.0, seed=0), baseline=general)


def page_of(thing, path, *arguments, **options):
    """The tree of the page that was written, as a strict parser reads it, and its text."""
    thing.report(path / "page.html", *arguments, **options)
    text = (path / "page.html").read_text(encoding="utf-8")
    return html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(text), text


def all_of(tree, tag):
    return [e for e in tree.iter() if isinstance(e.tag, str) and e.tag.split("}")[-1] == tag]


def words(element):
    return " ".join("".join(element.itertext()).split())


def rows(tree, section):
    """The cells of all rows of the tables in a section."""
    (heading,) = [e for e in all_of(tree, "h2") if e.get("id") == section]
    (part,) = [e for e in all_of(tree, "section") if heading in list(e)]
    return [[words(cell) for cell in row] for row in all_of(part, "tr")]


LIB = ["x", "sin", "exp", "tanh"]


@pytest.fixture(scope="module")
def hostile_page(hostile, tmp_path_factory):
    return page_of(hostile[0], tmp_path_factory.mktemp("page"), hostile[1], lib=LIB)


@pytest.fixture(scope="module")
def found_page(found, tmp_path_factory):
    return page_of(found, tmp_path_factory.mktemp("page"))


@pytest.fixture(params=["hostile_page", "found_page"])
def page(request):
    return request.getfixturevalue(request.param)


def test_the_page_loads_no_scripts_and_no_other_files(page):
    tree, text = page
    tags = {e.tag.split("}")[-1] for e in tree.iter() if isinstance(e.tag, str)}
    assert not tags & {"script", "img", "image", "iframe", "link", "object", "embed", "base", "form", "foreignObject"}
    assert len(all_of(tree, "style")) == 1
    for element in tree.iter():
        for name, value in element.attrib.items():
            assert not str(name).startswith("on") and str(name) not in ("src", "srcset", "action"), name
            assert "href" not in str(name) or value.startswith("#"), value
    assert re.findall(r"url\((?!#)", text) == []
    assert "://" not in text and "@import" not in text
    (policy,) = [e.get("content") for e in all_of(tree, "meta") if e.get("http-equiv")]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"


def test_every_id_is_unique_and_every_reference_has_a_target(page):
    tree, text = page
    ids = [e.get("id") for e in tree.iter() if e.get("id")]
    assert len(ids) == len(set(ids)) > 10
    referred = re.findall(r'href="#(.*?)"', text) + re.findall(r"url\(#(.*?)\)", text)
    referred += [name for e in tree.iter() for name in e.get("aria-labelledby", "").split()]
    assert set(referred) <= set(ids)


def test_heading_levels_are_not_skipped_and_the_contents_list_the_sections(page):
    tree, _ = page
    levels = [int(e.tag[1]) for e in tree.iter() if e.tag in ("h1", "h2", "h3", "h4")]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    (contents,) = all_of(tree, "nav")
    sections = [e.get("id") for e in all_of(tree, "h2")]
    assert [e.get("href") for e in all_of(contents, "a")] == [f"#{name}" for name in sections]


def test_figures_have_a_description_and_the_colours_of_the_page(page):
    tree, text = page
    figures = all_of(tree, "svg")
    assert len(figures) >= 4
    assert all(e.get("role") == "img" and e.get("aria-label") for e in figures)
    style = words(all_of(tree, "style")[0])
    used = set(re.findall(r"var\((--\w+)\)", text))
    assert used and used <= set(re.findall(r"(--\w+):", style))
    drawn = text[text.index("<svg") :]
    assert re.findall(r"(?:fill|stroke): #[0-9a-f]+", drawn) == []


def test_names_with_special_characters_are_shown_literally(hostile_page):
    tree, _ = hostile_page
    shown = [re.sub("[\x00\x08\ud800\ufffe]", "\ufffd", " ".join(name.split())) for name in NAMES]
    table = rows(tree, "data")
    assert [row[0] for row in table[1:]] == [*shown, TARGET]
    assert table[1][1] == "m² & <b>"
    (title,) = all_of(tree, "title")
    assert title.text == f"{TARGET} as a function of 7 columns"
    assert words(all_of(tree, "header")[0]).startswith("<table>.csv </title><img src=x onerror=alert(1)> as a")


def test_right_to_left_names_are_isolated(hostile, tmp_path):
    model, data = hostile
    named = model.copy()
    for column in (0, 1, 2, 6):
        named.fix_symbolic(0, column, 0, "x", params=(1.0, 0.0, 0.7, 0.0))
    named.fix_symbolic(1, 0, 0, "x", params=(1.0, 0.0, 1.0, 0.0))
    tree, _ = page_of(named, tmp_path, data)
    text, latex = all_of(tree, "pre")
    for block in (text, latex):
        assert [words(e) for e in all_of(block, "bdi")] == [NAMES[3]]
    assert words(text).startswith(f"{TARGET} = 0.7*")


def test_the_same_input_gives_the_same_bytes_except_for_the_time(hostile, tmp_path):
    model, data = hostile
    pages = []
    for name in ("first.html", "second.html"):
        model.report(tmp_path / name, data, lib=["x", "tanh"])
        pages.append((tmp_path / name).read_bytes().split(b"\n"))
    different = [(a, b) for a, b in zip(*pages, strict=True) if a != b]
    assert all(re.match(rb"<p>\d{4}-\d\d-\d\d \d\d:\d\d UTC", a) for a, _ in different)
    assert len(different) <= 1
    assert sum(b" UTC" in line for line in pages[0]) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["first.html", "second.html"]


def test_the_accuracy_shown_is_that_of_the_predictions(found, found_page):
    tree, _ = found_page
    table = {row[0]: row[1:] for row in rows(tree, "accuracy")}
    data = found.data
    shares = [(data.X_test, data.y_test), (data.X_val, data.y_val), (data.X_train, data.y_train)]
    predictions = {
        "the formula": lambda x: found.formula.numpy()(*x.numpy().T)[:, None] + 0 * x[:, :1].numpy(),
        next(name for name in table if name.startswith("its network of splines")): lambda x: (
            found.spline_model(x).detach().numpy()
        ),
        "a baseline network [3, 5, 1]": lambda x: found.baseline.model(x).detach().numpy(),
        "the mean of the training rows": lambda x: np.full((len(x), 1), float(data.y_train.mean())),
    }
    for who, predict in predictions.items():
        expected = []
        for x, y in shares:
            y = y.numpy()
            error = np.mean((predict(x) - y) ** 2)
            expected += [number(error**0.5, 3), explained(1 - error / y.var())]
        assert table[who] == expected
    assert f"r² = {explained(found.formula.r2)} " in words(all_of(tree, "header")[0]).replace("\xa0", " ")


def test_the_page_shows_the_discovery(found, found_page):
    tree, text = found_page
    made = words(tree)
    formula = found.formula
    assert re.search(r"<pre.*?>momentum = .*\bmass\b.*</pre>", text)
    cards = [one for one in all_of(tree, "article") if one.get("aria-labelledby", "").startswith("formula-")]
    assert ["chosen" in words(all_of(card, "h3")[0]) for card in cards] == [e.formula is formula for e in found.front]
    for card, entry in zip(cards, found.front, strict=True):
        facts = dict(zip(map(words, all_of(card, "dt")), map(words, all_of(card, "dd")), strict=True))
        assert int(facts["complexity"]) == entry.formula.complexity
        assert facts["RMSE (validation, N s)"] == number(entry.error, 3)
        assert facts[f"r² ({entry.formula.r2_rows})"] == explained(entry.formula.r2)
        for one in entry.formula.constants:
            assert " ".join(str(one).split()) in facts["constants"] or one.error <= 1e-9 * abs(one.value)
        assert all_of(card, "svg")
    constants = rows(tree, "formula")[1:]
    assert len(constants) == len(formula.constants)
    for one in formula.constants:
        assert [number(one.value), number(one.error, 2)] in [row[:2] for row in constants]
    importance = rows(tree, "importance")[1:]
    assert [row[0] for row in importance] == sorted(found.importance, key=lambda name: -found.importance[name])
    told = found.importance.told
    shares = {
        name: percent(share) + (f" ± {percent(told[name])}" if name in told else "")
        for name, share in found.importance.items()
    }
    assert told and [row[1] for row in importance] == [shares[row[0]] for row in importance]
    assert "x, x^2, sin" in made and f"torch {torch.__version__.split('+')[0]}" in made
    assert "(RMSE, in N s)" in made
    assert "which were not used for fitting or for any choice" in made


@pytest.mark.parametrize("with_units", [True, False])
def test_constants_have_the_units_that_the_formula_needs(tmp_path, with_units):
    names, target = (["time [s]"], "height [m]") if with_units else (["time"], "height")
    t = np.linspace(0, 2, 100)
    data = kw.Dataset.from_arrays(t[:, None], 1.75 * np.exp(0.375 * t), names=names, target_names=[target], seed=0)
    model = kw.KAN([1, 1], seed=0)
    model.fix_symbolic(0, 0, 0, "exp", params=(0.371, 0.0, 1.753, 0.0))
    tree, _ = page_of(model, tmp_path, data)
    head, *found = rows(tree, "formula")
    assert head == ["constant", "standard error", *(["unit"] if with_units else []), "relative"]
    assert {tuple(row[::2]) if with_units else (row[0],) for row in found} == (
        {("1.753", "m"), ("0.371", "1/s")} if with_units else {("1.753",), ("0.371",)}
    )


def test_columns_are_described_in_their_own_units(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.uniform(100, 200, (60, 2))
    data = kw.Dataset.from_arrays(X, X[:, 0], names=["a", "b"], scale="standard", test_size=0.0, seed=0)
    tree, _ = page_of(kw.KAN([2, 1], seed=0), tmp_path, data)
    for column, row in zip(X.T, rows(tree, "data")[1:], strict=False):
        facts = (column.min(), column.max(), column.mean(), column.std())
        assert row[2:6] == [number(v, d) for v, d in zip(facts, (5, 5, 5, 4), strict=True)]
    assert "No test rows were held out. The numbers are for the validation rows" in words(tree)
    assert "takes scaled inputs" in words(tree)


def test_a_constant_column_is_marked(hostile_page):
    tree, _ = hostile_page
    assert [row[-1] for row in rows(tree, "data")] == ["note", *[""] * 6, "constant in training", ""]


def test_every_edge_has_its_curve_and_the_best_functions(hostile, hostile_page):
    (model, data), (tree, _) = hostile, hostile_page
    cards = {words(e).split(" Edge ")[1].split(" (")[0]: e for e in all_of(tree, "article")}
    assert list(cards) == [*(f"0, {i}, 0" for i in range(7)), "1, 0, 0"]
    table = [[words(cell) for cell in row] for row in all_of(cards["0, 1, 0"], "tr")][1:]
    best = model.suggest_symbolic(0, 1, 0, data, LIB)[:3]
    assert [row[1:] for row in table] == [[explained(c.r2), number(c.cost)] for c in best]
    assert all_of(cards["0, 4, 0"], "table") == []  # this edge is named already
    assert all_of(cards["0, 6, 0"], "table") == []
    assert "It is constant on these rows." in words(cards["0, 6, 0"])


def test_only_the_edges_with_the_largest_scores_are_drawn_and_the_page_reports_this(hostile, tmp_path, monkeypatch):
    model, data = hostile
    monkeypatch.setattr(sys.modules["knotwork.outputs.report"], "MOST_CURVES", 2)
    tree, _ = page_of(model, tmp_path, data, lib=["x"])
    assert len(all_of(tree, "article")) == 2
    assert "The 2 edges that matter most, of 8: the grey curve is" in words(tree)


def test_every_one_of_several_outputs_has_its_numbers_and_its_figure(tmp_path):
    data = kw.Dataset.from_arrays(
        np.random.default_rng(0).uniform(-1, 1, (80, 2)),
        np.random.default_rng(1).normal(size=(80, 2)),
        target_names=["lift", "drag"],
        seed=0,
    )
    model = kw.KAN([2, (1, 1), 2], seed=0)
    result = model.fit(data, steps=2, optimizer=kw.LevenbergMarquardt(starts=1), progress=False)
    tree, _ = page_of(model, tmp_path, data, result=result, lib=["x"], title="Lift & drag", settings={"Seed": 7})
    assert [row[0] for row in rows(tree, "accuracy") if len(row) == 1] == ["lift", "drag"]
    labels = [e.get("aria-label") for e in all_of(tree, "svg")]
    assert [f"Predicted {name} against its true values" in labels for name in ("lift", "drag")] == [True, True]
    assert "Training and validation error against the step of the fit" in labels
    assert words(all_of(tree, "h1")[0]) == "Lift & drag"
    assert "a → factor 1" not in words(tree) and "x_1 → factor 1 of node 1 of layer 1" in words(tree)
    assert "its edges are splines, which no formula can show" in words(tree)
    assert ("Seed", "7") in zip(map(words, all_of(tree, "dt")), map(words, all_of(tree, "dd")), strict=True)


def test_missing_predictions_are_counted(tmp_path):
    x = np.linspace(-1, 1, 50)[:, None]
    data = kw.Dataset.from_arrays(x, x[:, 0], names=["x"], test_size=0.0, validation_size=0.0)
    model = kw.KAN([1, 1], seed=0)
    model.fix_symbolic(0, 0, 0, "log", params=(1.0, 0.0, 1.0, 0.0))
    tree, _ = page_of(model, tmp_path, data)
    assert "25 rows without a finite prediction are excluded" in words(tree)
    assert rows(tree, "accuracy")[2] == ["the formula", "undefined", "undefined"]


def test_the_page_reports_an_unexplained_target(found, tmp_path):
    constant = found.front[0]
    nothing = dataclasses.replace(
        found,
        formula=constant.formula,
        spline_model=constant.spline_model,
        symbolic_model=constant.symbolic_model,
        shape=constant.shape,
    )
    tree, _ = page_of(nothing, tmp_path)
    assert "No model that was tried predicts momentum better than its mean" in words(all_of(tree, "header")[0])


@pytest.mark.parametrize("place", [".", "missing/page.html", "file.txt/page.html", "n" * 300, "a\0b"])
def test_a_path_that_cannot_be_written_is_refused_in_one_sentence(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = kw.sample("x", x=(0, 1), size=20, seed=0)
    (tmp_path / "file.txt").write_text("kept")
    message = "is a folder; name the file to write" if place == "." else "cannot be written"
    with pytest.raises(kw.KnotworkError, match=message):
        kw.KAN([1, 1], seed=0).report(place, data, lib=["x"])
    assert [p.name for p in tmp_path.iterdir()] == ["file.txt"]
    assert (tmp_path / "file.txt").read_text() == "kept"


def test_a_report_without_data_is_refused_in_one_sentence(hostile, tmp_path):
    with pytest.raises(kw.KnotworkError, match="a model keeps none: pass data="):
        hostile[0].report(tmp_path / "page.html")


def test_an_existing_file_is_overwritten(hostile, tmp_path):
    (tmp_path / "page.html").write_text("old")
    assert hostile[0].report(tmp_path / "page.html", hostile[1], lib=["x"]) == tmp_path / "page.html"
    assert (tmp_path / "page.html").read_text().startswith("<!DOCTYPE html>")


def test_a_report_of_fifty_edges_is_smaller_than_two_megabytes(page):
    assert max(map(len, re.findall(r"<svg.*?</svg>", page[1]))) < 35_000
