"""Keyword arguments that do not exist are refused in words: KAN(grids=5) is answered with "did you mean grid=?"."""

import difflib
import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from knotwork.errors import ArgumentError

Thing = TypeVar("Thing", bound=Callable[..., Any])
Explain = Callable[[str, str, object], str | None]
"""The sentence for an argument that exists elsewhere, from the called name, the argument and its value; or None."""


def check_keywords(thing: Thing, explain: Explain | None = None) -> Thing:
    """A decorator of a function, or of a class with its constructor and its public methods.

    Their signatures stay as they are, for people and for type checkers. Functions that take any keyword are left alone.
    """
    if not inspect.isclass(thing):
        return _checked(thing, explain, 0)  # type: ignore[return-value]
    for name, member in list(vars(thing).items()):
        if name != "__init__" and (name.startswith("_") or name == "forward"):  # torch looks at forward itself
            continue
        if inspect.isfunction(member):
            setattr(thing, name, _checked(member, explain, 1))
        elif isinstance(member, classmethod | staticmethod):
            own = 1 if isinstance(member, classmethod) else 0
            setattr(thing, name, type(member)(_checked(member.__func__, explain, own)))
    return thing  # type: ignore[return-value]


def explained_keywords(explain: Explain) -> Callable[[Thing], Thing]:
    """`check_keywords` with sentences of its own for some arguments, such as those of another library."""
    return lambda thing: check_keywords(thing, explain)


def suggestion(name: str, known: list[str]) -> str:
    """ "did you mean grid=?", or the names of all arguments where none is close."""
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"did you mean {close[0]}=?"
    return f"its arguments are {', '.join(sorted(known))}." if known else "it takes none."


def _checked(function: Callable[..., Any], explain: Explain | None, own: int) -> Callable[..., Any]:
    """The function with a check of keywords; the first `own` parameters are the object or the class."""
    parameters = list(inspect.signature(function).parameters.values())[own:]
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return function
    known = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    accepted = frozenset(known)

    @functools.wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        if not accepted.issuperset(kwargs):
            verb = type(args[0]).__name__ if function.__name__ == "__init__" else function.__name__
            name = next(name for name in kwargs if name not in accepted)
            told = explain(verb, name, kwargs[name]) if explain else None
            raise ArgumentError(told or f"{verb}() has no argument {name}=: {suggestion(name, known)}")
        return function(*args, **kwargs)

    return checked
