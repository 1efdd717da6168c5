"""knotwork: Kolmogorov-Arnold networks that are fitted in seconds, drawn, pruned, and read as formulas."""

from typing import Any

from knotwork import kernels
from knotwork.data import Dataset, Stream, as_dataset, load_table, sample, stream_batches, stream_parquet
from knotwork.discover import Discovery, discover
from knotwork.errors import KnotworkError, KnotworkWarning
from knotwork.kan import KAN, load, save
from knotwork.model import MLP, KANLayer, Spec, Trace
from knotwork.simplify import Scores
from knotwork.symbolic import Candidates, Formula
from knotwork.training import FitResult, fit, fit_multilevel

__all__ = [
    "KAN",
    "MLP",
    "Candidates",
    "Dataset",
    "Discovery",
    "FitResult",
    "Formula",
    "KANLayer",
    "KnotworkError",
    "KnotworkWarning",
    "Scores",
    "Spec",
    "Stream",
    "Trace",
    "as_dataset",
    "discover",
    "fit",
    "fit_multilevel",
    "kernels",
    "load",
    "load_table",
    "sample",
    "save",
    "stream_batches",
    "stream_parquet",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("knotwork")
    raise AttributeError(f"module 'knotwork' has no attribute {name!r}")
