"""Data sets: a table split and ready for fitting, sampled functions, and the tables that come with the package."""

from knotwork.data.catalogue import Table, load_table, read_table, tables
from knotwork.data.dataset import Dataset, Rows, Scaling, as_dataset
from knotwork.data.sampling import sample

__all__ = [
    "Dataset",
    "Rows",
    "Scaling",
    "Table",
    "as_dataset",
    "load_table",
    "read_table",
    "sample",
    "tables",
]
