"""Data sets: a table split and ready for fitting, sampled functions, and the tables that come with the package."""

from knotwork.data.catalogue import Table, load_table, read_table, tables
from knotwork.data.dataset import Dataset, Rows, Scaling
from knotwork.data.forms import as_data, as_dataset
from knotwork.data.parquet_stream import stream_parquet
from knotwork.data.randomness import seeded
from knotwork.data.sampling import sample
from knotwork.data.stream import Batch, Stream, stream_batches

__all__ = [
    "Batch",
    "Dataset",
    "Rows",
    "Scaling",
    "Stream",
    "Table",
    "as_data",
    "as_dataset",
    "load_table",
    "read_table",
    "sample",
    "seeded",
    "stream_batches",
    "stream_parquet",
    "tables",
]
