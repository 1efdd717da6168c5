"""A network as a formula: names for its edges, how its inputs interact, and the network of an expression."""

from knotwork.symbolic.construction import from_expression
from knotwork.symbolic.extraction import symbolic_formula
from knotwork.symbolic.nameable_network import NameableNetwork
from knotwork.symbolic.naming import fix_symbolic, suggest_symbolic, unfix_symbolic
from knotwork.symbolic.network_naming import auto_symbolic, description
from knotwork.symbolic.relations import Relations, Symmetry, relations

__all__ = [
    "NameableNetwork",
    "Relations",
    "Symmetry",
    "auto_symbolic",
    "description",
    "fix_symbolic",
    "from_expression",
    "relations",
    "suggest_symbolic",
    "symbolic_formula",
    "unfix_symbolic",
]
