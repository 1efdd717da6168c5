"""Plain laws: what few rows can tell, found by fits of sums, products and shapes of textbooks."""

from knotwork.regression.plain.plain_laws import LINE, POWER_LAW, bits_of_law, plain_laws
from knotwork.regression.plain.settings import PLAIN

__all__ = ["LINE", "PLAIN", "POWER_LAW", "bits_of_law", "plain_laws"]
