"""Networks: their structure, layers, passes, Jacobians and files."""

from knotwork.model.checkpoint import read, restore, save
from knotwork.model.jacobian import (
    FreeParameters,
    Sweep,
    jacobian,
    loss_and_grad,
    normal_equations,
    rows_at_once,
    sweep,
    vjp,
)
from knotwork.model.layer import KANLayer
from knotwork.model.mlp import MLP
from knotwork.model.network import KANNetwork
from knotwork.model.spec import NamedEdge, Spec, is_whole, parse_width
from knotwork.model.taylor import derivatives
from knotwork.model.trace import LayerTrace, Trace, node_ranges, trace

__all__ = [
    "MLP",
    "FreeParameters",
    "KANLayer",
    "KANNetwork",
    "LayerTrace",
    "NamedEdge",
    "Spec",
    "Sweep",
    "Trace",
    "derivatives",
    "is_whole",
    "jacobian",
    "loss_and_grad",
    "node_ranges",
    "normal_equations",
    "parse_width",
    "read",
    "restore",
    "rows_at_once",
    "save",
    "sweep",
    "trace",
    "vjp",
]
