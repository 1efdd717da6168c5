"""Settings of this room: which rows and texts are read and kept, each with its reason."""

from dataclasses import dataclass


@dataclass(frozen=True)
class DataSettings:
    """Numbers that reading and streaming tables use. Their one instance is `DATA`."""

    rows_held: int = 10_000
    """Rows of a stream that stay in memory, at most, for each of training sample, validation and test.

    Chosen, not measured: grids, scaling and the choice of a model are estimated from them; 10,000 rows estimate a
    quantile to about half a percent and take 8 MB with 100 columns."""

    rows_read_at_once: int = 16_384
    """Rows of a Parquet row group that are converted at once. Limits the memory of a stream; results do not depend on
    it. Chosen, not measured."""

    bytes_read_at_once: int = 2**20
    """Bytes of a column that are read from a Parquet file at once. Limits memory; results do not depend on it. Chosen,
    not measured."""

    fewest_distinct: int = 10
    """Different rows below which copies are split like other rows: with so few, parts would be far from their sizes.
    Chosen, not measured."""

    most_comment_lines: int = 200
    """Lines of comments above a table, at most, among which its names may stand. Chosen, not measured."""

    lines_examined: int = 20
    """First lines of a CSV file from which its separator and decimal mark are found. Chosen, not measured."""

    most_categories: int = 12
    """Different texts of a column that become indicators without being asked for. Each is an input more, and a search
    among formulas of many inputs is slow. Chosen, not measured."""

    most_categories_asked: int = 60
    """The same for a column that was asked for by name: beyond that, rows of one category are few. Chosen."""

    rows_of_category: float = 2.0
    """Rows of each category on average, at least: of one row alone, its indicator fits the noise."""

    most_missing: float = 0.5
    """Share of the rows that may be dropped as values are missing, before the column with the most gaps is skipped in
    their place: half of the rows is worth more than one column. Chosen, not measured."""

    fewest_years: float = 3.0
    """Years of a span of dates from which they are told in years: numbers of about one. Chosen."""

    fewest_units: float = 2.0
    """Days, or hours, of a span of time from which it is told in them. Chosen."""

    longest_unit: int = 60
    """Characters of a text that is still read as a unit. Longer texts in brackets are remarks. Chosen, not measured."""

    texts_examined: int = 1000
    """First entries of a column from which it is found whether it holds numbers with some texts among them."""

    similar_unit: float = 0.75
    """Similarity (difflib) from which a known unit is suggested for an unknown one: one letter of four may differ."""

    largest_denominator: int = 100
    """Largest denominator of a power of a base unit, such as m^(1/3). Powers of units come from roots of small order;
    the limit only rounds away floating-point errors. Chosen, not measured."""

    factor_digits: int = 8
    """Significant digits of a factor between units that is written as an exact fraction, such as 3600 or 9.80665.
    Defined factors have fewer digits, measured ones more. Chosen, not measured."""


DATA = DataSettings()
