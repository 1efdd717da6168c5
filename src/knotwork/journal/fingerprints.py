"""A fingerprint of the arguments of a calculation: equal ones have equal fingerprints, in any process."""

import hashlib
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from knotwork.journal.settings import JOURNAL


class Fingerprints:
    """Makes fingerprints of numbers, texts, arrays, expressions, generators, and of what consists of these.

    An object that has a method `identity` is what this returns. A dataclass is its fields. Fingerprints of objects that
    never change, whose class says `never_changes = True`, are kept for the next time.
    """

    def __init__(self) -> None:
        self.known: OrderedDict[int, tuple[object, str]] = OrderedDict()  # objects stay, so no id comes again

    def of(self, value: Any) -> str:
        """The fingerprint, 64 hexadecimal digits; TypeError for a value that has none."""
        digest = hashlib.sha256()
        self._feed(digest.update, value)
        return digest.hexdigest()

    def _feed(self, feed: Any, value: Any) -> None:
        if value is None or isinstance(value, (bool, int, float, str)):
            feed(f"{type(value).__name__} {value!r};".encode())
        elif isinstance(value, torch.Generator):
            self._feed(feed, value.get_state())
        elif isinstance(value, Tensor):
            _feed_array(feed, value.detach().cpu().contiguous().numpy())
        elif isinstance(value, np.ndarray):
            self._feed(feed, value.tolist()) if value.dtype == object else _feed_array(feed, value)
        elif isinstance(value, Mapping):
            self._feed_each(feed, "{", value.items())
        elif isinstance(value, (list, tuple, range)):
            self._feed_each(feed, "[", value)
        elif getattr(type(value), "never_changes", False):
            feed(self._kept(value).encode())
        elif hasattr(value, "free_symbols") and hasattr(value, "args"):
            self._feed_expression(feed, value)
        elif hasattr(value, "identity") or is_dataclass(value):
            self._feed_object(feed, value)
        else:
            raise TypeError(f"a value of type {type(value).__name__} has no fingerprint")

    def _feed_each(self, feed: Any, kind: str, values: Any) -> None:
        feed(f"{kind}{len(values)};".encode())
        for one in values:
            self._feed(feed, one)

    def _kept(self, value: Any) -> str:
        if id(value) not in self.known:
            digest = hashlib.sha256()
            self._feed_object(digest.update, value)
            self.known[id(value)] = value, digest.hexdigest()
            if len(self.known) > JOURNAL.fingerprints_kept:
                self.known.popitem(last=False)
        return self.known[id(value)][1]

    def _feed_object(self, feed: Any, value: Any) -> None:
        feed(f"{type(value).__name__}:".encode())
        if hasattr(value, "identity"):
            self._feed(feed, value.identity())
        else:
            self._feed(feed, [getattr(value, field.name) for field in fields(value)])

    def _feed_expression(self, feed: Any, node: Any) -> None:
        """An expression of SymPy, exactly: texts of decimals have fewer digits than the decimals."""
        if node.args:
            curve = [getattr(node.func, name, None) for name in ("order", "knots", "coefficients")]
            feed(f"{node.func.__name__}({len(node.args)}".encode())
            if curve[-1] is not None:
                self._feed(feed, curve)
            for argument in node.args:
                self._feed_expression(feed, argument)
        elif node.is_Float:
            feed(f"float {float(node).hex()};".encode())
        elif node.is_Symbol:
            feed(f"symbol {node.name!r} {node.is_real};".encode())
        else:
            feed(f"number {node};".encode())


def _feed_array(feed: Any, array: np.ndarray[Any, Any]) -> None:
    feed(f"{array.dtype} {array.shape};".encode())
    feed(np.ascontiguousarray(array).data.cast("B") if array.size else b"")


def without_addresses(text: str) -> str:
    """A text without addresses in memory, which say nothing in another process."""
    return re.sub(" at 0x[0-9a-f]+", "", text)
