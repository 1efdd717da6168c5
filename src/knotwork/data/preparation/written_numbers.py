"""Numbers as people write them: 1,234.5 and 1.234,5, 12 %, $3.50, -5 °C."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from knotwork.data.units import is_unit

CURRENCIES = "$€£¥"
MISSING = frozenset(
    ["-", "--", "–", "—", "?", "??", ".", "*", "/", "n/a", "na", "nan", "null", "none", "nil", "nd", "n.d.", "n.a.",
     "missing", "unknown", "#n/a", "#value!", "#div/0!", "#ref!", "#name?"]
)  # fmt: skip
"""Texts that stand for a missing value among numbers and dates, in small letters."""
UNKNOWN = frozenset(["?", "??", "n/a", "na", "nan", "null", "#n/a", "#value!"])
"""Texts that stand for a missing value among categories, where "none" or "-" may be a category."""

_CELL = re.compile(
    rf"(?P<sign>[+-]?)\s*(?P<before>[{CURRENCIES}]?)\s*(?P<inner>[+-]?)"
    r"(?P<number>(?:\d[\d.,' ]*|[.,]\d+)(?:[eE][+-]?\d+)?)\s*(?P<after>[^\d\s].*)?"
)
_POWER = r"(?:[eE][+-]?\d+)?"
_STYLES = {
    (".", ""): rf"(?:\d+\.?\d*|\.\d+){_POWER}",
    (".", ","): rf"(?:[1-9]\d{{0,2}}(?:,\d{{3}})+|\d+)(?:\.\d*)?{_POWER}",
    (",", ""): rf"(?:\d+,?\d*|,\d+){_POWER}",
    (",", "."): rf"(?:[1-9]\d{{0,2}}(?:\.\d{{3}})+|\d+)(?:,\d*)?{_POWER}",
    (".", " "): rf"(?:[1-9]\d{{0,2}}(?: \d{{3}})+|\d+)(?:\.\d*)?{_POWER}",
    (",", " "): rf"(?:[1-9]\d{{0,2}}(?: \d{{3}})+|\d+)(?:,\d*)?{_POWER}",
    (".", "'"): rf"(?:[1-9]\d{{0,2}}(?:'\d{{3}})+|\d+)(?:\.\d*)?{_POWER}",
}


@dataclass(frozen=True)
class NumberStyle:
    """How the numbers of a column are written: the decimal mark, the mark of thousands, the unit after each number."""

    decimal: str = "."
    thousands: str = ""
    unit: str = ""

    def value(self, text: str) -> float | None:
        """The number that a text stands for, NaN for a missing value; None for any other text."""
        if self.missing(text):
            return math.nan
        text = cleaned(text)
        parts = _parts(text)
        if parts is None or not re.fullmatch(_STYLES[self.decimal, self.thousands], parts[1]):
            return _infinite(text)
        sign, number, unit = parts
        if unit not in ("", self.unit):
            return None
        return sign * float(number.replace(self.thousands or " ", "").replace(self.decimal, "."))

    @staticmethod
    def missing(text: str | None) -> bool:
        """Whether a text stands for a missing value among numbers and dates."""
        return text is None or not cleaned(text) or cleaned(text).lower() in MISSING


def style_of(texts: Sequence[str]) -> NumberStyle | None:
    """The one style in which all texts but the missing ones are numbers; None where there is none."""
    present = [text for text in dict.fromkeys(map(cleaned, texts)) if not NumberStyle.missing(text)]
    found = [parts for text in present if (parts := _parts(text)) is not None]
    if not found or len(found) < sum(_infinite(text) is None for text in present):
        return None
    units = {unit for _, _, unit in found}
    unit = next(iter(units)) if len(units) == 1 else None
    if unit is None or (unit and unit not in CURRENCIES and not is_unit(unit)):
        return None
    for (decimal, thousands), pattern in _STYLES.items():
        if all(re.fullmatch(pattern, number) for _, number, _ in found):
            return NumberStyle(decimal, thousands, unit)
    return None


def cleaned(text: str) -> str:
    """The text without spaces around it, with a plain minus sign, plain spaces, and 1.5e3 for 1.5×10^3."""
    text = re.sub(r"[\u00a0\u2009\u202f]", " ", text).replace("−", "-").strip()
    return re.sub(r"(?<=\d)\s*[×x*·]\s*10\^\(?([+-]?\d+)\)?", r"e\1", text)


def _parts(text: str) -> tuple[int, str, str] | None:
    """Sign, number and unit of a cell such as -1,234.5 kg, (12) or $3; None for other texts."""
    bracketed = re.fullmatch(r"\((.+)\)", text)  # a negative number in bookkeeping
    found = _CELL.fullmatch(bracketed[1].strip() if bracketed else text)
    if found is None or (found["before"] and found["after"]):
        return None
    signs = (found["sign"] + found["inner"]).count("-") + bool(bracketed)
    if signs > 1:
        return None
    return (-1 if signs else 1), found["number"].strip(), (found["before"] or found["after"] or "").strip()


def _infinite(text: str) -> float | None:
    return float(text) if re.fullmatch(r"[+-]?inf(inity)?", text.lower()) else None
