"""Attribution and pruning."""

from knotwork.simplify.attribution import Scores, attribute, input_shares
from knotwork.simplify.pruning import Selection, prune, select, without_edges

__all__ = ["Scores", "Selection", "attribute", "input_shares", "prune", "select", "without_edges"]
