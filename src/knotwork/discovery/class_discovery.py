"""The result of a search for the boundaries between classes."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from knotwork.data import Dataset, Preparation
from knotwork.discovery.front_numbers import number_on_front
from knotwork.discovery.result_files import preparation_of, read_content, write_content, write_page
from knotwork.errors import DataError, SpecError
from knotwork.formulas import Formula
from knotwork.formulas.uncertainty import constants_of
from knotwork.keywords import check_keywords
from knotwork.solvers import StopReason

FORMAT = "knotwork discovery of classes 1"


@dataclass(frozen=True)
class BoundaryEntry:
    """One boundary of the front.

    Attributes:
        complexity: number of operators, functions, constants and variables of g.
        error: mean negative logarithm of the probability of the labels of the rows of the search, in bits a row.
        expression: the SymPy expression g.
        shape: where it was found, in words.
        formula: the `Formula` of g; None while the search runs.
        steepness: the factor of g in the log-odds.
        wrong: share of labels that are wrong wherever the row lies.
        bits: description length of g and the labels together. The boundary with the fewest bits is chosen.
    """

    complexity: int
    error: float
    expression: Any
    shape: str
    formula: Formula | None = None
    steepness: float = 1.0
    wrong: float = 0.0
    bits: float = float("inf")


@dataclass(frozen=True, repr=False)
class Boundary:
    """The boundary g = 0 of one class: g is positive where the class is more probable than all others together.

    g is known up to a positive factor only. It is scaled such that one of its terms has the coefficient 1 or -1: the
    one that leaves the shortest formula. The probability of the class is wrong + (1 - 2·wrong) / (1 + exp(-s·g)) with
    the `steepness` s.

    Attributes:
        label: the class.
        formula: the `Formula` of g, with errors of its constants. They follow from the likelihood of the labels. Its
            `r2` is the share of the deviance that the probabilities explain, and `rmse` their root mean squared error.
        front: boundaries from the simplest to the most accurate, each a `BoundaryEntry`.
        shape: where it was found, in words.
        steepness: the factor s of g in the log-odds. Where g separates all rows, s has no best value; it is then such
            that about two rows are undecided.
        wrong: share of labels that are wrong wherever the row lies, such as slips of a person.
    """

    label: Any
    formula: Formula
    front: tuple[BoundaryEntry, ...]
    shape: str
    steepness: float
    wrong: float

    @property
    def found(self) -> bool:
        """Whether g depends on the inputs; where nothing was found it is a constant."""
        return bool(self.formula.expression.free_symbols)

    def probability(self, X: Any) -> np.ndarray:
        """The probability of the class at the rows X, (n,).

        Args:
            X: columns as `Formula.predict` takes them.
        """
        from scipy.special import expit

        return self.wrong + (1 - 2 * self.wrong) * expit(self.steepness * np.asarray(self.formula.predict(X)))

    def solve_for(self, name: str) -> Formula:
        """The boundary as a formula of one input by the others, with errors of its constants: E = formula.

        Args:
            name: an input in which g is linear.

        Raises:
            SpecError: g does not hold the input, or is not linear in it.
        """
        from knotwork.expressions import symbol

        one, place = self.formula.uncertainty[0], symbol(name)
        g = one.template.expression
        slope = g.diff(place)
        if place not in g.free_symbols or slope.has(place):
            how = "does not hold" if place not in g.free_symbols else "is not linear in"
            raise SpecError(f"the boundary 0 = {self} {how} {name!r}: choose an input that enters linearly.")
        solved = replace(one, template=replace(one.template, expression=-g.xreplace({place: 0}) / slope))
        others = tuple(other for other in self.formula.variables if other != name)
        constants = constants_of((solved,), others)
        return replace(
            self.formula, expressions=(solved.template.filled(),), variables=others, targets=(name,),
            constants=constants, uncertainty=(solved,), r2=math.nan, rmse=math.nan,
        )  # fmt: skip

    def __str__(self) -> str:
        from knotwork.expressions import text

        return text(self.formula.round(4).expression)

    def __repr__(self) -> str:
        return f"Boundary({self.label!r}{f' where {self} > 0' if self.found else ': nothing found'})"


@check_keywords
@dataclass(frozen=True, repr=False)
class ClassDiscovery:
    """What `discover` found for labels: the boundary between two classes, or one of each class against all others.

    Attributes:
        classes: the labels, in order.
        boundaries: one `Boundary` of two classes, that of the second; or one of each class.
        accuracy: share of the rows that `accuracy_rows` names whose class is predicted.
        commonest: share of the commonest class of the search among these rows, for comparison.
        accuracy_rows: "test", or "training" where no row was kept aside.
        data: the rows, whose targets are the places of their labels in `classes`; None after `load`.
        seconds: duration of the search, in s.
        stop: the reason why the search ended, a `StopReason`.
        settings: the arguments of `discover`.
        failures: number of candidates that were dropped because their calculation failed, by reason.
        preparation: what was done with the columns of the table, a `Preparation`; None for plain numbers.

    Example:
        >>> import numpy as np, knotwork as kw
        >>> X = np.random.default_rng(0).uniform(-1, 1, (300, 2))
        >>> labels = np.where(X[:, 0] * X[:, 1] > 0, "same sign", "other sign")
        >>> found = kw.discover(X, labels, names=["x", "y"], progress=False)
        >>> print(found.boundary)
        x*y
        >>> found.predict([[0.5, 0.5], [-0.5, 0.5]]).tolist()
        ['same sign', 'other sign']
    """

    classes: tuple[Any, ...]
    boundaries: tuple[Boundary, ...]
    accuracy: float
    commonest: float
    accuracy_rows: str
    data: Dataset | None = field(repr=False)
    seconds: float
    stop: StopReason = StopReason.EXHAUSTED
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)
    failures: Mapping[str, int] = field(default_factory=dict)
    preparation: Preparation | None = field(default=None, repr=False)

    @property
    def boundary(self) -> Boundary:
        """The boundary between two classes; DataError where there are more."""
        if len(self.classes) > 2:
            raise DataError(f"{len(self.classes)} classes have a boundary each: see boundaries.")
        (boundary,) = self.boundaries
        return boundary

    @property
    def formula(self) -> Formula:
        """The formula g of the boundary between two classes; DataError where there are more."""
        return self.boundary.formula

    @property
    def stop_reason(self) -> str:
        """Why the search ended, as a sentence."""
        return self.stop.value

    @property
    def remarks(self) -> dict[str, str]:
        """What a reader must know of the labels and of the search, as sentences by title; mostly empty."""
        said: dict[str, str] = {}
        if self.preparation is not None and self.preparation.notes:
            said["The table"] = "; ".join(self.preparation.notes)
        if self.settings.get("split"):
            said["The split"] = str(self.settings["split"])
        none = [str(one.label) for one in self.boundaries if not one.found]
        if none:
            said["Nothing found"] = f"no boundary tells {', '.join(none)} from the rest better than chance does"
        constants = [
            (one.label, constant) for one in self.boundaries if one.found for constant in one.formula.constants
        ]
        unknown = [f"{constant.symbol} of {label}" for label, constant in constants if constant.error == float("inf")]
        if unknown:
            said["Constants that the rows do not determine"] = ", ".join(unknown)
        if self.failures:
            reasons = "; ".join(f"{count} × {reason}" for reason, count in self.failures.items())
            said["Candidates dropped because their calculation failed"] = f"{sum(self.failures.values())} ({reasons})"
        return said

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of the classes, (n, classes); of more than two classes those of each against the rest, scaled.

        Args:
            X: rows with the columns of the table that came to `discover`, which are prepared in the same way.
        """
        if self.preparation is not None:
            used = set().union(*(one.formula.variables for one in self.boundaries))
            X = self.preparation.needed(X, used, "predict()")
        found = np.stack(np.broadcast_arrays(*(one.probability(X) for one in self.boundaries)), axis=-1)
        if len(self.boundaries) == 1:
            return np.concatenate([1 - found, found], axis=-1)
        return found / found.sum(axis=-1, keepdims=True)

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class at the rows X, (n,).

        Args:
            X: as for `predict_proba`.

        Raises:
            DataError: g is not defined in some row.
        """
        p = self.predict_proba(X)
        undefined = int(np.isnan(p).any(axis=-1).sum())
        if undefined:
            raise DataError(
                f"the boundary is not defined in {undefined} of {len(p)} rows, which have no class: leave them out. "
                "predict_proba gives NaN for them."
            )
        mixed = len({type(one) for one in self.classes}) > 1  # an array would make texts of them
        return np.asarray(self.classes, dtype=object if mixed else None)[p.argmax(axis=-1)]

    def choose(self, k: int, label: Any = None) -> "ClassDiscovery":
        """The same discovery with another boundary of a front, and its accuracy; NaN where there are no rows.

        Args:
            k: number of the boundary on the front of its class, from 0 for the simplest; texts and reports show it.
            label: the class whose boundary is meant; not needed for two classes.

        Raises:
            DataError: there is no boundary of this class.
            SpecError: the front has no boundary of this number.
        """
        labels = [one.label for one in self.boundaries]
        if label is None and len(labels) == 1:
            label = labels[0]
        if label not in labels:
            raise DataError(f"label={label!r} has no boundary here: give one of {', '.join(map(repr, labels))}.")
        place = labels.index(label)
        front = self.boundaries[place].front
        chosen = boundary_of(label, front, front[number_on_front(k, len(front))])
        boundaries = (*self.boundaries[:place], chosen, *self.boundaries[place + 1 :])
        found = replace(self, boundaries=boundaries, accuracy=math.nan)
        return found if self.data is None else replace(found, accuracy=found.share_of_right(self.data))

    def share_of_right(self, data: Dataset) -> float:
        """The share of the rows that `accuracy_rows` names whose class is predicted.

        Args:
            data: the rows, whose targets are the places of their labels in `classes`.
        """
        if self.accuracy_rows == "test":
            x, codes = data.X_test, data.y_test
        else:
            x, codes = torch.cat([data.X_train, data.X_val]), torch.cat([data.y_train, data.y_val])
        x = x if data.scaling is None else data.scaling.undo(x)
        columns = dict(zip(data.input_names, x.numpy().T, strict=True))
        p = replace(self, preparation=None).predict_proba(columns)  # NaN, which is never right, where undefined
        p = np.broadcast_to(p, (len(x), p.shape[-1]))
        return float(((p.argmax(-1) == codes[:, 0].numpy()) & np.isfinite(p).all(-1)).mean())

    def report(self, path: str | Path, title: str | None = None) -> Path:
        """Write the discovery as one HTML page that needs no other file: the boundaries, their fronts, the accuracy.

        Args:
            path: the file to write, such as "report.html". An existing file is replaced.
            title: the heading; None: the classes and the inputs.

        Returns:
            The path of the page.

        Raises:
            DataError: the file cannot be written.
        """
        from knotwork.discovery.class_display import as_page

        return write_page(path, as_page(self, title))

    def save(self, path: str | Path) -> None:
        """Write everything except the data to one JSON file, which `ClassDiscovery.load` reads.

        Args:
            path: the file to write, such as "boundary.json". An existing file is replaced.

        Raises:
            CheckpointError: the file cannot be written.
        """
        content = {
            "format": FORMAT,
            "classes": list(self.classes),
            "boundaries": [_written(one) for one in self.boundaries],
            "accuracy": self.accuracy,
            "commonest": self.commonest,
            "accuracy_rows": self.accuracy_rows,
            "seconds": self.seconds,
            "stop": self.stop.name,
            "settings": dict(self.settings),
            "failures": dict(self.failures),
            "preparation": self.preparation and self.preparation.to_dict(),
        }
        write_content(content, path)

    @classmethod
    def load(cls, path: str | Path) -> "ClassDiscovery":
        """The discovery that `save` wrote, without data. No code is run.

        Args:
            path: a file that `save` wrote.

        Raises:
            CheckpointError: for any other file, and for a file that was changed.
        """
        needed = "discovery of classes: give a file that ClassDiscovery.save() wrote."
        return read_content(path, FORMAT, needed, _discovery)

    def __repr__(self) -> str:
        shown = "; ".join(map(repr, self.boundaries))
        return f"ClassDiscovery({shown}; accuracy {self.accuracy:.4g} on the {self.accuracy_rows} rows)"

    def __str__(self) -> str:
        from knotwork.discovery.class_display import as_text

        return as_text(self)

    def _repr_html_(self) -> str:
        from knotwork.discovery.class_display import as_html

        return as_html(self)


def _written(one: Boundary) -> dict[str, Any]:
    """A boundary as values for JSON."""
    front = [
        {"formula": entry.formula.to_dict(), "error": entry.error, "shape": entry.shape, "bits": entry.bits,
         "steepness": entry.steepness, "wrong": entry.wrong}
        for entry in one.front
        if entry.formula is not None
    ]  # fmt: skip
    return {"label": one.label, "front": front, "chosen": [entry.formula for entry in one.front].index(one.formula)}


def _read(content: Mapping[str, Any]) -> Boundary:
    front = []
    for one in content["front"]:
        formula = Formula.from_dict(one["formula"])
        numbers = float(one["steepness"]), float(one["wrong"]), float(one["bits"])
        front.append(
            BoundaryEntry(formula.complexity, float(one["error"]), formula.expression, one["shape"], formula, *numbers)
        )
    return boundary_of(content["label"], tuple(front), front[content["chosen"]])


def boundary_of(label: Any, front: tuple[BoundaryEntry, ...], chosen: BoundaryEntry) -> Boundary:
    """The boundary of a class whose entry was chosen from the front."""
    assert chosen.formula is not None
    return Boundary(label, chosen.formula, front, chosen.shape, chosen.steepness, chosen.wrong)


def _discovery(content: dict[str, Any]) -> ClassDiscovery:
    return ClassDiscovery(
        tuple(content["classes"]), tuple(map(_read, content["boundaries"])), float(content["accuracy"]),
        float(content["commonest"]), content["accuracy_rows"], None, float(content["seconds"]),
        StopReason[content["stop"]], content["settings"], content["failures"], preparation_of(content),
    )  # fmt: skip
