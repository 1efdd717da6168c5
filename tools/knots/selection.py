"""The knots of the table, the order in which they are tried, and the choice of mirror images."""

import random
import re

SEED = 20240430
PLAN = "11:all,12:all,13:3500,14:4500,15:5000"
LIMIT = 14_265  # knots of the plan that were tried for the packaged table

# Prime knots by crossings: alternating, not alternating (Hoste, Thistlethwaite and Weeks 1998).
PRIME_KNOTS = {
    3: (1, 0),
    4: (1, 0),
    5: (2, 0),
    6: (3, 0),
    7: (7, 0),
    8: (18, 3),
    9: (41, 8),
    10: (123, 42),
    11: (367, 185),
    12: (1288, 888),
    13: (4878, 5110),
    14: (19536, 27436),
    15: (85263, 168030),
}


def choose(plan: str, seed: int) -> list[tuple[str, bool]]:
    """Names of the planned knots in random order, and a random choice of the mirror image of each.

    The plan "11:all,13:3500" means all knots to 11 crossings and 3,500 random ones with 13. A second "all" adds the
    crossings above the first. Raises ValueError for any other text.
    """
    rng = random.Random(seed)
    names: list[str] = []
    complete = min(PRIME_KNOTS) - 1
    for part in plan.split(","):
        match = re.fullmatch(r"(\d+):(\d+|all)", part)
        if not match or int(match[1]) not in PRIME_KNOTS:
            raise ValueError(f"the plan has {part!r}; wanted crossings from 3 to 15 and a number or all, as in 13:3500")
        crossings, amount = int(match[1]), match[2]
        if amount == "all":
            names += [name for c in range(complete + 1, crossings + 1) for name in knots_with(c)]
            complete = max(complete, crossings)
        else:
            pool = knots_with(crossings)
            names += rng.sample(pool, min(int(amount), len(pool)))
    rng.shuffle(names)
    return [(name, rng.random() < 0.5) for name in names]


def knots_with(crossings: int) -> list[str]:
    """Names of the prime knots with this number of crossings, in the order of the Hoste-Thistlethwaite table."""
    counts = zip("an", PRIME_KNOTS[crossings], strict=True)
    return [f"K{crossings}{kind}{number}" for kind, count in counts for number in range(1, count + 1)]
