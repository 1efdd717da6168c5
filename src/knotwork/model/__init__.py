"""Networks: their structure, layers, passes, Jacobians and files."""

from knotwork.model.checkpoint import read, restore, save
from knotwork.model.differentiable_network import DifferentiableNetwork
from knotwork.model.jacobian import (
    FreeParameters,
    LayerSweep,
    Residuals,
    Sweep,
    gradient,
    jacobian,
    loss_and_grad,
    normal_equations,
    product,
    rows_at_once,
    sweep,
    vjp,
    vjp_of_edges,
)
from knotwork.model.layer import KANLayer
from knotwork.model.mlp import MLP
from knotwork.model.module_parameters import (
    ModuleParameters,
    evaluating,
    tensors_of,
    why_not_by_rows,
    why_not_together,
    why_too_many,
)
from knotwork.model.network import KANNetwork, on_cpu
from knotwork.model.prediction import outputs_of, predict, warn_of_rows_beyond
from knotwork.model.settings import MODEL
from knotwork.model.spec import NamedEdge, Spec, is_whole, parse_width
from knotwork.model.taylor import derivatives
from knotwork.model.trace import LayerTrace, Trace, node_ranges, trace

__all__ = [
    "MLP",
    "MODEL",
    "DifferentiableNetwork",
    "FreeParameters",
    "KANLayer",
    "KANNetwork",
    "LayerSweep",
    "LayerTrace",
    "ModuleParameters",
    "NamedEdge",
    "Residuals",
    "Spec",
    "Sweep",
    "Trace",
    "derivatives",
    "evaluating",
    "gradient",
    "is_whole",
    "jacobian",
    "loss_and_grad",
    "node_ranges",
    "normal_equations",
    "on_cpu",
    "outputs_of",
    "parse_width",
    "predict",
    "product",
    "read",
    "restore",
    "rows_at_once",
    "save",
    "sweep",
    "tensors_of",
    "trace",
    "vjp",
    "vjp_of_edges",
    "warn_of_rows_beyond",
    "why_not_by_rows",
    "why_not_together",
    "why_too_many",
]
