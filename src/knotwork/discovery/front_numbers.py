"""Numbers of formulas on a front, as users give them."""

from knotwork.errors import SpecError
from knotwork.model import is_whole


def number_on_front(k: object, count: int) -> int:
    """A number of a formula on a front of so many, as an int; SpecError for anything else."""
    if not is_whole(k) or not 0 <= int(k) < count:  # type: ignore[call-overload]
        raise SpecError(f"there is no formula {k!r} on the front: give a whole number from 0 to {count - 1}.")
    return int(k)  # type: ignore[call-overload]
