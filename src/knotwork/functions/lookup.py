"""Names to functions: of the library, and of expressions in x such as "exp(sin(3*x))"."""

import difflib
from collections.abc import Iterable

from knotwork.errors import SpecError
from knotwork.functions.named_functions import ALIASES, ALL, LIBRARY, NamedFunction
from knotwork.functions.written import written_function


def named_function(name: str) -> NamedFunction:
    """The function of the library with this name, or else the function that an expression in x describes.

    Raises:
        SpecError: for any other text, with the most similar names of the library.
    """
    name = ALIASES.get(name, name)
    if name in LIBRARY:
        return LIBRARY[name]
    if not name.isidentifier():
        return written_function(name)
    close = difflib.get_close_matches(name, LIBRARY, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(map(repr, close))}?" if close else f"it has: {', '.join(LIBRARY)}."
    raise SpecError(f"there is no function {name!r} in the library; {hint}")


def select(lib: Iterable[str] | None = None) -> list[NamedFunction]:
    """The functions that `lib` names, or the default library, the cheapest first."""
    chosen = [f for f in ALL if f.default] if lib is None else [named_function(name) for name in lib]
    if not chosen:
        raise SpecError("lib=[] leaves no function to choose from; pass names such as ['x', 'x^2', 'sin'] or lib=None.")
    return sorted(chosen, key=lambda f: f.cost)
