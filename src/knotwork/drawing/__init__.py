"""Figures of numbers, which need no network: errors against steps, curves with candidates, predictions, fields.

`FitResult.plot`, `Candidates.plot` and `Solution.plot` each call one function of this room. It uses matplotlib without
pyplot, and is imported when something is drawn.
"""

from knotwork.undisturbed import loading

with loading():
    import matplotlib.figure  # noqa: F401

from knotwork.drawing.curves import candidates_curve, training_curves
from knotwork.drawing.maps import field_maps
from knotwork.drawing.predicted import predicted_vs_true

__all__ = ["candidates_curve", "field_maps", "predicted_vs_true", "training_curves"]
