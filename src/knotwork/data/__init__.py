"""Data sets: a table split and ready for fitting, sampled functions, and the tables that come with the package."""

from knotwork.data.dataset import Dataset, Rows, Scaling, as_dataset
from knotwork.data.sampling import sample

__all__ = ["Dataset", "Rows", "Scaling", "as_dataset", "sample"]
