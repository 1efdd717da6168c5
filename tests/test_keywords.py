"""A misspelt keyword argument of any public function, class or method is answered with the right one."""

import enum
import inspect
import pickle

import pytest

import knotwork as kw
from knotwork import pde
from knotwork.errors import ArgumentError
from knotwork.keywords import check_keywords, explained_keywords
from knotwork.outputs import diagram, report

ESTIMATORS = ("KANClassifier", "KANRegressor")
TAKES_ANY = {  # they pass keywords on to one that is checked; those of `sample` are names of variables
    *("sample", "KAN.report", "Discovery.plot", "Discovery.relations"),
    *(f"{name}.{method}" for name in ESTIMATORS for method in ("plot", "report")),
}


def is_public(thing):
    own = getattr(thing, "__module__", "").startswith("knotwork")
    special = inspect.isclass(thing) and issubclass(thing, (Exception, enum.Enum))
    return callable(thing) and own and not special


def public_callables():
    named = {name: getattr(kw, name) for name in kw.__all__}
    named |= {f"pde.{name}": getattr(pde, name) for name in pde.__all__}
    named |= {f"pde.library.{n}": f for n, f in vars(pde.library).items() if inspect.isfunction(f) and n in PROBLEMS}
    named |= {"diagram": diagram, "report": report}
    for name, thing in named.items():
        if not is_public(thing):
            continue
        yield name, thing
        if inspect.isclass(thing):
            for method, member in inspect.getmembers(thing, callable):
                if not method.startswith("_") and is_public(member) and method != "forward":
                    yield f"{name}.{method}", member


PROBLEMS = {"poisson", "helmholtz", "heat", "wave", "burgers", "allen_cahn", "kovasznay", "inverse_diffusivity"}
PUBLIC = dict(public_callables())


def keywords_of(thing):
    found = inspect.signature(thing).parameters.values()
    return [p.name for p in found if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and p.name != "self"]


@pytest.mark.parametrize("name", PUBLIC)
def test_a_misspelt_keyword_is_answered(name):
    thing = PUBLIC[name]
    if any(p.kind is p.VAR_KEYWORD for p in inspect.signature(thing).parameters.values()):
        assert name in TAKES_ANY
        return
    arguments = [None] if "self" in inspect.signature(thing).parameters else []
    for right in keywords_of(thing):
        wrong = right + right[-1]
        with pytest.raises(ArgumentError, match=rf"\(\) has no argument {wrong}=: did you mean \w+=\?$"):
            thing(*arguments, **{wrong: 1})
    with pytest.raises(ArgumentError, match=r"qqq=: (its arguments are|it takes none)"):
        thing(*arguments, qqq=1)


def test_a_class_and_its_methods_are_known_by_name():
    for call, message in {
        lambda: kw.KAN([1, 1], grids=5): r"KAN\(\) has no argument grids=: did you mean grid=\?",
        lambda: kw.KANRegressor(hiden=3): r"KANRegressor\(\) has no argument hiden=: did you mean hidden=\?",
        lambda: kw.KAN([1, 1]).prune(bugdet=0.1): r"prune\(\) has no argument bugdet=: did you mean budget=\?",
        lambda: kw.KAN([1, 1]).plot(titel="x"): r"plot\(\) has no argument titel=: did you mean title=\?",
        lambda: kw.discover([], budget=5): r"discover\(\) has no argument budget=: did you mean time_budget=\?",
        lambda: kw.sample("x", x=(0, 1), sise=10): r"sise=10 is not a range.* Or did you mean size=\?",
    }.items():
        with pytest.raises(kw.KnotworkError, match=message):
            call()
    with pytest.raises(TypeError):  # as without knotwork
        kw.KAN([1, 1], grids=5)


def test_signatures_and_texts_stay():
    def example(a, b=2, *, c=3):
        """What it does."""
        return a, b, c

    checked = check_keywords(example)
    assert inspect.signature(checked) == inspect.signature(example) and checked.__doc__ == "What it does."
    assert checked(1, c=5) == (1, 2, 5)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'a'"):
        checked(b=1)
    assert pickle.loads(pickle.dumps(kw.fit)) is kw.fit
    assert "grid" in kw.KANRegressor().get_params()


def test_sentences_of_ones_own():
    @explained_keywords(lambda verb, name, value: f"{verb}: {name}={value} is gone" if name == "old" else None)
    def example(new=1):
        return new

    with pytest.raises(ArgumentError, match=r"^example: old=3 is gone$"):
        example(old=3)
    with pytest.raises(ArgumentError, match=r"^example\(\) has no argument newer=: did you mean new=\?$"):
        example(newer=3)
