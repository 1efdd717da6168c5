"""Arithmetic: the B-spline basis, compiled where it can be, in plain torch everywhere else."""

from knotwork.kernels.reference import basis

__all__ = ["basis"]
