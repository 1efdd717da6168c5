"""A random number generator from a seed."""

import operator

import torch

from knotwork.errors import DataError


def seeded(seed: object) -> torch.Generator:
    """A new generator of torch; DataError unless the seed is an integer from 0 to 2**63 - 1."""
    try:
        number = -1 if isinstance(seed, bool) else operator.index(seed)  # type: ignore[arg-type]
    except TypeError:
        number = -1
    if not 0 <= number < 2**63:
        raise DataError(f"seed={seed!r} is not possible: give a whole number of 0 or more, such as seed=0.")
    return torch.Generator().manual_seed(number)
