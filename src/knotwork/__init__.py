"""knotwork: Kolmogorov-Arnold networks that are fitted in seconds, drawn, pruned, and read as formulas."""

from typing import TYPE_CHECKING, Any

from knotwork.undisturbed import loading

with loading():  # torch, and the rooms
    from knotwork import kernels
    from knotwork.data import (
        Dataset,
        Preparation,
        Stream,
        as_dataset,
        load_dataset,
        sample,
        stream_batches,
        stream_parquet,
    )
    from knotwork.discovery import ClassDiscovery, Discovery, GroupedDiscovery, TargetDiscoveries, discover
    from knotwork.errors import KnotworkError, KnotworkWarning
    from knotwork.formulas import Candidates, Formula, GroupedFormula, register_function
    from knotwork.kan import KAN, load, save
    from knotwork.model import MLP, KANLayer, Spec, Trace
    from knotwork.simplify import Scores, attribute, fit_sparse
    from knotwork.symbolic import Relations
    from knotwork.training import (
        LBFGS,
        Adam,
        Event,
        FitResult,
        LevenbergMarquardt,
        TorchOptimizer,
        fit,
        fit_multilevel,
        fit_shapes,
    )

if TYPE_CHECKING:
    from knotwork import pde
    from knotwork.estimators import KANClassifier, KANRegressor

__all__ = [
    "KAN",
    "LBFGS",
    "MLP",
    "Adam",
    "Candidates",
    "ClassDiscovery",
    "Dataset",
    "Discovery",
    "Event",
    "FitResult",
    "Formula",
    "GroupedDiscovery",
    "GroupedFormula",
    "KANClassifier",
    "KANLayer",
    "KANRegressor",
    "KnotworkError",
    "KnotworkWarning",
    "LevenbergMarquardt",
    "Preparation",
    "Relations",
    "Scores",
    "Spec",
    "Stream",
    "TargetDiscoveries",
    "TorchOptimizer",
    "Trace",
    "as_dataset",
    "attribute",
    "discover",
    "fit",
    "fit_multilevel",
    "fit_shapes",
    "fit_sparse",
    "kernels",
    "load",
    "load_dataset",
    "pde",
    "register_function",
    "sample",
    "save",
    "stream_batches",
    "stream_parquet",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("knotwork")
    if name in ("KANClassifier", "KANRegressor"):  # with scikit-learn, which takes longer to import than all the rest
        from knotwork import estimators

        return getattr(estimators, name)
    if name == "pde":
        from importlib import import_module

        return import_module("knotwork.pde")
    raise AttributeError(f"module 'knotwork' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
