"""Networks: their structure, layers, passes, Jacobians and files."""

from knotwork.model.checkpoint import read, restore, save
from knotwork.model.jacobian import FreeParameters, Sweep, jacobian, loss_and_grad, pull_back, sweep
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
    "parse_width",
    "pull_back",
    "read",
    "restore",
    "save",
    "sweep",
    "trace",
]
