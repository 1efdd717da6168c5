"""Units of measurement as powers of base dimensions; Pint reads them."""

import difflib
import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from knotwork.data.settings import DATA
from knotwork.errors import DataError

NONE = "1"  # the unit of a pure number
_OTHERWISE = ("a.u.", "pH", "arb.", "RH", "%RH")  # Pint would read these as years, henries and other units
_MEANT = {"Nm": "N*m", "kNm": "kN*m", "Pas": "Pa*s", "mPas": "mPa*s", "Ohm": "ohm", "deg C": "degC", "deg F": "degF"}
_MEANT |= {"AU": "au", "Torr": "torr", "gm": "g", "gms": "g", "kgs": "kg", "sqft": "ft**2", "bpm": "1/min"}
_MEANT |= dict.fromkeys(("–", "—", "none", "unitless", "dimensionless"), NONE)
_TOWER = re.compile(r"(\^|\*\*)[\s\d.()+-]*(\^|\*\*)|\d{4}")  # Pint would compute 9**9**9 for ever
_NO_PRODUCT = re.compile(r"[^\W\d_]\(|[,;]")  # bar(g) is a pressure, and the N in kg(N)/ha is no newton
_BARE_POWER = re.compile(r"(?<=[^\W\d_])([+-]?\d+)")  # m s-1 and m2, as in climate tables
_ZEROS = {"degree_Celsius": (Fraction("273.15"), "K"), "degree_Fahrenheit": (Fraction("459.67"), "degR")}
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
    """A unit: `factor` times a product of powers of SI base units. Angles and shares have no powers."""

    powers: Mapping[str, Fraction]
    factor: float = 1.0


@functools.cache
def unit_of(text: str) -> Unit:
    """The Unit of a text such as m/s, kg·m², J kg⁻¹ K⁻¹, m s-1, %, ° or 1.

    Raises DataError for an unknown unit, for one with an offset, such as °C, and for a logarithmic one, such as dB:
    physical laws do not hold for products of these.
    """
    text = _meant(text)
    if text in ("", "-", NONE):
        return Unit({})
    quantity = _known(text)
    if quantity is None:
        raise DataError(f"The unit {text[: DATA.longest_unit]!r} is not known{_near(text)}")
    try:
        if quantity._is_multiplicative:
            powers = {
                name: Fraction(p).limit_denominator(DATA.largest_denominator)
                for name, p in quantity.dimensionality.items()
            }
            return Unit({name: p for name, p in powers.items() if p}, float(quantity.to_base_units().magnitude))
    except Exception:  # for parts such as the dB in dB/m Pint raises many types of error
        pass
    raise DataError(
        f"The unit {text!r} has an offset or is logarithmic, so products of it have no meaning: convert the column, "
        "for example °C to K and dB to a ratio."
    )


def is_unit(text: str) -> bool:
    """Whether a text is a known unit, also one with an offset, such as °C."""
    return _meant(text) in ("", "-", NONE) or _known(_meant(text)) is not None


def absolute_zero(text: str) -> tuple[Fraction, str] | None:
    """What must be added to a temperature in this unit so that it counts from absolute zero, and the unit it then has.

    None for a unit without such an offset.
    """
    quantity = _known(_meant(text))
    return None if quantity is None else _ZEROS.get(str(quantity.units))


def _meant(text: str) -> str:
    text = text.strip().replace("−", "-")
    return _MEANT.get(text, text)


def _known(text: str) -> Any:
    """The quantity 1 in this unit; None for a text that is no unit."""
    if len(text) > DATA.longest_unit or _TOWER.search(text) or _NO_PRODUCT.search(text) or text in _OTHERWISE:
        return None
    quantity = _quantity(text)
    return _quantity(_BARE_POWER.sub(r"**\1", text)) if quantity is None else quantity


def _near(text: str) -> str:
    """The end of a sentence on an unknown unit: units with a similar name, or how units are written."""
    names = sorted({*_MEANT, *(name for name in dir(_registry()) if name.isascii() and not name.startswith("_"))})
    close = difflib.get_close_matches(text, names, n=3, cutoff=DATA.similar_unit)
    close = [name for name in close if _known(_meant(name)) is not None]
    if close:
        return f": did you mean {' or '.join(map(repr, close))}?"
    return ": write one such as m/s, kg*m^2, degC, mmHg or %, and 1 for a pure number."


def _quantity(text: str) -> Any:
    """The quantity 1 in this unit, as Pint reads it; None for a text that Pint cannot read."""
    registry = _registry()
    try:
        return registry.Quantity(1.0, registry.parse_units(text))
    except Exception:  # for a text that is no unit Pint raises many types of error
        return None


@functools.cache
def _registry() -> Any:
    import pint

    return pint.UnitRegistry()


def base_units(powers: Mapping[str, Fraction]) -> str:
    """A product of powers of base units as text, such as kg m/s^2; 1 where there are no powers."""
    known = sorted(powers, key=lambda name: (*BASE_UNITS, name).index(name))
    above = [_power(BASE_UNITS.get(name, name.strip("[]")), powers[name]) for name in known if powers[name] > 0]
    below = [_power(BASE_UNITS.get(name, name.strip("[]")), -powers[name]) for name in known if powers[name] < 0]
    under = "" if not below else f"/{below[0]}" if len(below) == 1 else f"/({' '.join(below)})"
    return (" ".join(above) or NONE) + under


def _power(name: str, power: Fraction) -> str:
    return name if power == 1 else f"{name}^{power}" if power.denominator == 1 else f"{name}^({power})"


def simple_factor(value: float) -> Fraction | None:
    """A factor between units as an exact fraction, if it or its reciprocal has few digits; else None."""
    for turned in (False, True):
        size = 1 / value if turned else value
        near = Fraction(f"{size:.{DATA.factor_digits - 1}e}")
        if near and abs(float(near) - size) <= 1e-13 * abs(size):
            return 1 / near if turned else near
    return None
