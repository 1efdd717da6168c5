"""Sentences of the library in the words of the command: its options in place of arguments of functions."""

import re

_OPTIONS = (
    "separator", "decimal", "missing", "split", "groups", "form", "start", "lib", "forbid", "linear", "required",
    "max_complexity", "positive", "loss", "sigma", "keep_outliers", "test_size", "time_budget", "seed", "inputs",
    "exclude",
)  # fmt: skip
_VALUE = r"'([^']*)'|(True|False|\d+(?:\.\d+)?\b)|(?=[\s.,;:)]|$)"
_ARGUMENT = re.compile(rf"(?<![\w\[.=-])({'|'.join(_OPTIONS)})=(?:{_VALUE})")
_CALL = re.compile(r"discover\(X, y, (--[^()]*)\)")


def for_command(text: str) -> str:
    """The text with `--separator ';'` in place of `separator=';'`, and so for every argument that is an option.

    Example:
        >>> from knotwork.cli.option_words import for_command
        >>> for_command("pass missing='fill', or name them in groups=.")
        'pass --missing fill, or name them in --groups.'
    """
    return _CALL.sub(r"\1", _ARGUMENT.sub(_option, text))


def _option(found: re.Match[str]) -> str:
    option = f"--{found[1].replace('_', '-')}"
    value = found[2] if found[2] is not None else found[3]
    if value is None or value in ("True", "False"):
        return option
    if value == "\\t":
        return f"{option} tab"
    return f"{option} {value}" if re.fullmatch(r"[\w.-]+", value) else f"{option} '{value}'"
