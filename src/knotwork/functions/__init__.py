"""Named functions: the library, functions of your own, and expressions in x."""

from knotwork.functions.lookup import named_function, select
from knotwork.functions.named_functions import LIBRARY, Curve, NamedFunction, add

__all__ = ["LIBRARY", "Curve", "NamedFunction", "add", "named_function", "select"]
