"""Attribution and pruning."""

from knotwork.simplify.attribution import Scores, attribute, input_shares
from knotwork.simplify.pruning import Selection, prune, select, without_edges
from knotwork.simplify.sparse import fit_sparse

__all__ = ["Scores", "Selection", "attribute", "fit_sparse", "input_shares", "prune", "select", "without_edges"]
