"""Names of units as people write them, and the words for one that is not known."""

import pytest

from knotwork.data.units import is_unit, unit_of
from knotwork.errors import DataError


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("AU", "149597870700 m"), ("yr", "31557600 s"), ("mmHg", "133.322387415 Pa"), ("Torr", "101325/760 Pa"),
        ("psi", "6894.757293168363 Pa"), ("kcal", "4184 J"), ("L", "0.001 m^3"), ("gm", "0.001 kg"), ("kgs", "1 kg"),
        ("sqft", "0.09290304 m^2"), ("bpm", "1/60 Hz"), ("mph", "0.44704 m/s"), ("inHg", "3386.3886403409997 Pa"),
    ],
)  # fmt: skip
def test_common_units_have_their_size_in_the_international_system(name, same):
    number, unit = same.split()
    above, _, below = number.partition("/")
    found, wanted = unit_of(name), unit_of(unit)
    assert found.powers == wanted.powers
    assert found.factor == pytest.approx(float(above) / float(below or 1) * wanted.factor, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "banana",
            "The unit 'banana' is not known: write one such as m/s, kg\\*m\\^2, degC, mmHg or %, and 1 for a pure",
        ),
        ("meterr", "The unit 'meterr' is not known: did you mean 'meter'"),
        ("kilgram", "did you mean 'kilogram'"),
        ("secnd", "did you mean 'second'"),
        ("x", "The unit 'x' is not known"),
        ("pH", "The unit 'pH' is not known"),
    ],
)
def test_an_unknown_unit_is_told_with_similar_ones(name, said):
    assert not is_unit(name)
    with pytest.raises(DataError, match=said):
        unit_of(name)


@pytest.mark.parametrize("name", ["degC", "°F", "dB", "%", "1", "m s-1"])
def test_units_with_an_offset_are_units(name):
    assert is_unit(name)


@pytest.mark.parametrize(
    ("spaced", "plain"),
    [("m^1 s^-1", "m/s"), ("J kg^-1 K^-1", "J/(kg*K)"), ("m**2 s**-2", "m^2/s^2"), ("kg m^2 s^-2 A^-1", "Wb")],
)
def test_units_with_several_powers_are_read_with_spaces_between(spaced, plain):
    assert unit_of(spaced) == unit_of(plain)


@pytest.mark.parametrize("tower", ["m^9^9", "9**9**9", "m ^ 9 ^ 9", "m^(9^9)", "m^(9)^9", "m**-9**9"])
def test_a_power_of_a_power_is_no_unit(tower):
    with pytest.raises(DataError, match="is not known"):
        unit_of(tower)
