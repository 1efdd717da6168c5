"""Figures of networks, and a report of all. Figures of numbers alone are those of the room `drawing`."""

from knotwork.outputs.diagram import diagram
from knotwork.outputs.network_figures import edge_curve, predictions
from knotwork.outputs.report import report

__all__ = ["diagram", "edge_curve", "predictions", "report"]
