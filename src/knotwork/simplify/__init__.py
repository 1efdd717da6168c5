"""Attribution and pruning."""

from knotwork.simplify.attribution import Scores, attribute
from knotwork.simplify.pruning import Selection, prune, select, without_edges

__all__ = ["Scores", "Selection", "attribute", "prune", "select", "without_edges"]
