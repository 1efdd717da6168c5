"""Figures of networks, and the report as one HTML page. Drawn with matplotlib, without pyplot."""

from knotwork.undisturbed import loading

with loading():
    import matplotlib.figure  # noqa: F401

from knotwork.outputs.diagram import diagram
from knotwork.outputs.network_figures import edge_curve, predictions
from knotwork.outputs.report import report

__all__ = ["diagram", "edge_curve", "predictions", "report"]
