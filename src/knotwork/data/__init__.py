"""Data sets: tables that are split for fitting, sampled functions, streams, and packaged tables."""

from knotwork.data.arrays import table_of, tensor_of
from knotwork.data.catalogue import PackagedTable, load_dataset, packaged_tables, read_packaged
from knotwork.data.conversion import as_dataset, dataset_or_stream, input_rows, is_pair
from knotwork.data.dataset import Dataset
from knotwork.data.matrix import inputs_of
from knotwork.data.parquet_stream import stream_parquet
from knotwork.data.preparation import Preparation
from knotwork.data.randomness import seeded
from knotwork.data.row_errors import RowErrors
from knotwork.data.sampling import sample
from knotwork.data.scaling import Scaling
from knotwork.data.splitting import Rows
from knotwork.data.stream import Batch, Stream, stream_batches

__all__ = [
    "Batch",
    "Dataset",
    "PackagedTable",
    "Preparation",
    "RowErrors",
    "Rows",
    "Scaling",
    "Stream",
    "as_dataset",
    "dataset_or_stream",
    "input_rows",
    "inputs_of",
    "is_pair",
    "load_dataset",
    "packaged_tables",
    "read_packaged",
    "sample",
    "seeded",
    "stream_batches",
    "stream_parquet",
    "table_of",
    "tensor_of",
]
