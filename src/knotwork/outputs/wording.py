"""Numbers and names as text in a page."""

import math
from collections.abc import Callable
from typing import Any

from knotwork.drawing.figure import rounded_down

LONGEST = 60  # largest number of characters of a name within a sentence
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float, digits: int = 4) -> str:
    """A number with this number of significant digits: 0.00123, 14163, −1.5·10⁻⁹."""
    if not math.isfinite(value):
        return "undefined"
    value = float(f"{value:.{digits - 1}e}")
    if value == 0:
        return "0"
    exponent = math.floor(math.log10(abs(value)))
    if -4 <= exponent < 7:
        text = f"{value:.{max(0, digits - 1 - exponent)}f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
    else:
        mantissa = f"{value:.{digits - 1}e}".split("e")[0].rstrip("0").rstrip(".")
        text = f"{mantissa}·10{str(exponent).translate(SUPERSCRIPTS)}"
    return text.replace("-", "−")


def explained(r2: float) -> str:
    """r²: 0.931, 0.99973, 1 − 1.5·10⁻⁹. It is 1 only where the rest is rounding error."""
    missing = 1 - r2
    if not math.isfinite(r2):
        return "undefined"
    if abs(r2) < 1e-12 or abs(missing) < 1e-14:
        return f"{round(r2)}"
    if missing < 1e-5:
        return f"1 − {number(missing, 2)}"
    return rounded_down(r2) if r2 > 0.9 else number(r2, 3)


def percent(share: float) -> str:
    """A share of the whole: 63 %, 0.4 %."""
    if 0 < share < 5e-4:
        return "< 0.1 %"
    return f"{100 * share:,.{1 if 0 < share < 0.1 else 0}f} %"


def right(share: float) -> str:
    """A share of correct answers: 97.3 %. It is never rounded up, and 100 % only where all are correct."""
    return f"{math.floor(1000 * share + 1e-9) / 10:g} %"


def short(name: str) -> str:
    """A name within a sentence, shortened where it is very long."""
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"


def count(n: int, what: str) -> str:
    """1 row, 1,234 rows."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"


FILTERS: dict[str, Callable[..., Any]] = {
    "number": number,
    "explained": explained,
    "percent": percent,
    "right": right,
    "short": short,
    "count": count,
}
