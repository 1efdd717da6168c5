"""Units of measurement as powers of base dimensions, read by Pint."""

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from knotwork.errors import DataError

NONE = "1"  # the unit of a pure number
LONGEST = 60  # characters of a unit
MOST = 100  # denominator of a power
FEW = 8  # digits of a factor that is taken as a fraction: 1000, 3600, 9.80665
_OTHERWISE = ("a.u.", "pH", "arb.", "RH", "%RH", "AU")  # that Pint takes for years, henries and other things
_MEANT = {"Nm": "N*m", "kNm": "kN*m", "Pas": "Pa*s", "mPas": "mPa*s", "Ohm": "ohm", "deg C": "degC"}
_MEANT |= dict.fromkeys(("–", "—", "none", "unitless", "dimensionless"), NONE)
_TOWER = re.compile(r"(\^|\*\*)[^*^/]*(\^|\*\*)|\d{4}")  # 9**9**9 would never end
_NO_PRODUCT = re.compile(r"[^\W\d_]\(|[,;]")  # bar(g) is a pressure, and kg(N)/ha has nothing to do with newtons
_BARE_POWER = re.compile(r"(?<=[^\W\d_])([+-]?\d+)")  # m s-1 and m2, as in tables of the climate
BASE_UNITS = {
    "[mass]": "kg",
    "[length]": "m",
    "[time]": "s",
    "[temperature]": "K",
    "[current]": "A",
    "[substance]": "mol",
    "[luminosity]": "cd",
}


@dataclass(frozen=True)
class Unit:
    """A unit as `factor` times the product of SI's base units to these powers; angles and shares have none."""

    powers: Mapping[str, Fraction]
    factor: float = 1.0


@functools.cache
def unit_of(text: str) -> Unit:
    """What a unit such as m/s, kg·m², J kg⁻¹ K⁻¹, m s-1, %, ° or 1 stands for.

    Raises DataError for a unit that is not known, and for one whose zero is not nothing, such as °C, or whose steps are
    not equal, such as dB, since laws do not hold for products of those.
    """
    text = text.strip().replace("−", "-")
    text = _MEANT.get(text, text)
    if text in ("", "-", NONE):
        return Unit({})
    if len(text) > LONGEST or _TOWER.search(text) or _NO_PRODUCT.search(text) or text in _OTHERWISE:
        raise DataError(f"The unit {text[:LONGEST]!r} is not known.")
    quantity = _quantity(text)
    if quantity is None:
        quantity = _quantity(_BARE_POWER.sub(r"**\1", text))
    if quantity is None:
        raise DataError(f"The unit {text!r} is not known.")
    try:
        if quantity._is_multiplicative:
            powers = {name: Fraction(p).limit_denominator(MOST) for name, p in quantity.dimensionality.items()}
            return Unit({name: p for name, p in powers.items() if p}, float(quantity.to_base_units().magnitude))
    except Exception:  # of parts that are not, dB/m for one, Pint gives many errors, too
        pass
    raise DataError(
        f"The zero of {text!r} is not nothing, or its steps are not equal, so products of it mean nothing: convert the "
        "column, as °C to K and dB to a ratio."
    )


def _quantity(text: str) -> Any:
    """One of the unit as Pint reads it, or None."""
    registry = _registry()
    try:
        return registry.Quantity(1.0, registry.parse_units(text))
    except Exception:  # what is no unit makes Pint raise many errors of Python's own
        return None


@functools.cache
def _registry() -> Any:
    import pint

    return pint.UnitRegistry()


def base_units(powers: Mapping[str, Fraction]) -> str:
    """The product of base units as text, such as kg m/s^2; 1 where there is none."""
    known = sorted(powers, key=lambda name: (*BASE_UNITS, name).index(name))
    above = [_power(BASE_UNITS.get(name, name.strip("[]")), powers[name]) for name in known if powers[name] > 0]
    below = [_power(BASE_UNITS.get(name, name.strip("[]")), -powers[name]) for name in known if powers[name] < 0]
    under = "" if not below else f"/{below[0]}" if len(below) == 1 else f"/({' '.join(below)})"
    return (" ".join(above) or NONE) + under


def _power(name: str, power: Fraction) -> str:
    return name if power == 1 else f"{name}^{power}" if power.denominator == 1 else f"{name}^({power})"


def simple_factor(value: float) -> Fraction | None:
    """The fraction with few digits that a factor between units is, or is one over; None where there is none."""
    for turned in (False, True):
        size = 1 / value if turned else value
        near = Fraction(f"{size:.{FEW - 1}e}")
        if near and abs(float(near) - size) <= 1e-13 * abs(size):
            return 1 / near if turned else near
    return None
