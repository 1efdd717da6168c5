"""What is done to the columns of a table before it is fitted, and the same for new rows."""

from knotwork.data.preparation.preparation import Missing, Preparation, checked_missing, is_plain
from knotwork.data.preparation.prepared_rows import PreparedTable, prepare

__all__ = ["Missing", "Preparation", "PreparedTable", "checked_missing", "is_plain", "prepare"]
