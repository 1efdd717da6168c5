"""The generator of the table of knots selects the knots of the packaged table. (Its other parts need SnapPy.)"""

import pytest
from tools.knots.selection import LIMIT, PLAN, SEED, choose, knots_with

from knotwork.data import read_packaged


def test_every_row_of_the_packaged_table_was_planned_with_its_mirror():
    planned = dict(choose(PLAN, SEED)[:LIMIT])
    table = read_packaged("knots")
    assert len(planned) == LIMIT
    assert all(planned[name] == bool(mirrored) for name, mirrored in zip(table["name"], table["mirrored"], strict=True))
    assert LIMIT - len(table) == 102  # nine have no hyperbolic structure or crash, 93 are repeats


def test_knots_are_named_as_in_the_table_of_hoste_and_thistlethwaite():
    assert knots_with(8)[:2] == ["K8a1", "K8a2"]
    assert knots_with(8)[-1] == "K8n3"
    assert len(knots_with(12)) == 2176


@pytest.mark.parametrize("plan", ["", "12", "2:all", "16:5", "11:some"])
def test_a_malformed_plan_is_refused(plan):
    with pytest.raises(ValueError, match="wanted crossings from 3 to 15"):
        choose(plan, 0)
