"""Figures of networks and fits, and a report of all. The only room that draws, with matplotlib and without pyplot."""

from knotwork.outputs.curves import candidates_curve, edge_curve, training_curves
from knotwork.outputs.diagram import diagram
from knotwork.outputs.maps import field_maps
from knotwork.outputs.predicted import predicted_vs_true, predictions
from knotwork.outputs.report import report

__all__ = [
    "candidates_curve",
    "diagram",
    "edge_curve",
    "field_maps",
    "predicted_vs_true",
    "predictions",
    "report",
    "training_curves",
]
