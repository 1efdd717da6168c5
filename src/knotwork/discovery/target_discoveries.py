"""The result of a search for formulas of several targets."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from knotwork.data.column_names import listed
from knotwork.discovery.discovery import Discovery
from knotwork.discovery.result_files import read_content, write_content, write_page
from knotwork.discovery.storage import content_of, discovery_of
from knotwork.formulas import Formula
from knotwork.keywords import check_keywords
from knotwork.model import is_whole
from knotwork.regression.targets import CommonConstant, CommonPart, common_parts
from knotwork.solvers import StopReason

FORMAT = "knotwork discovery of targets 1"


@check_keywords
@dataclass(frozen=True, repr=False)
class TargetDiscoveries:
    """What `discover` found for several targets: a `Discovery` of each, and what their formulas have in common.

    It is a sequence of the discoveries in the order of the targets; `found["dx"]` is that of the target dx.

    Attributes:
        discoveries: one `Discovery` for each target. The errors of constants that formulas share follow from the rows
            of all targets that have them.
        shared: the largest parts that formulas have in common, each a `CommonPart` with the names of its targets.
        constants: the constants inside of such parts that are the same for several targets, each a `CommonConstant`.
        seconds: duration of the search, in s.
        stop: the reason why the search ended, a `StopReason`.
        missing: number of rows in which a target is missing, by its name; these take no part for this target.
        failures: number of candidates for shared terms that were dropped because their calculation failed, by reason.

    Example:
        >>> import numpy as np, knotwork as kw
        >>> X = np.random.default_rng(0).uniform(0.5, 2, (200, 2))
        >>> x, z = X.T
        >>> found = kw.discover(X, np.c_[x + x * z, z - x * z], names=["x", "z"], progress=False)
        >>> print(found["y_1"].formula)
        y_1 = x*(z + 1)
        >>> print(found.shared[0])
        x*z in y_1, y_2
    """

    discoveries: tuple[Discovery, ...]
    shared: tuple[CommonPart, ...]
    constants: tuple[CommonConstant, ...]
    seconds: float
    stop: StopReason = StopReason.EXHAUSTED
    missing: Mapping[str, int] = field(default_factory=dict)
    failures: Mapping[str, int] = field(default_factory=dict)

    @property
    def targets(self) -> tuple[str, ...]:
        """The names of the targets, in the order of their columns."""
        return tuple(one.formula.targets[0] for one in self.discoveries)

    @property
    def formulas(self) -> tuple[Formula, ...]:
        """The `Formula` of each target, in the order of their columns."""
        return tuple(one.formula for one in self.discoveries)

    @property
    def stop_reason(self) -> str:
        """Why the search ended, as a sentence."""
        return self.stop.value

    @property
    def remarks(self) -> dict[str, str]:
        """What a reader must know of the targets and of the search, as sentences by title; mostly empty."""
        said: dict[str, str] = {}
        if self.missing:
            said["Rows left out as a target is missing"] = ", ".join(
                f"{n} of {name}" for name, n in self.missing.items()
            )
        for name, one in zip(self.targets, self.discoveries, strict=True):
            said.update({f"{title} ({name})": words for title, words in one.remarks.items()})
        if self.failures:
            reasons = "; ".join(f"{count} × {reason}" for reason, count in self.failures.items())
            said["Candidates dropped because their calculation failed"] = f"{sum(self.failures.values())} ({reasons})"
        return said

    def predict(self, X: Any) -> np.ndarray:
        """Values of all targets at the rows X, (n, targets).

        Args:
            X: rows with the columns of the table that came to `discover`, which are prepared in the same way, as in
                `Discovery.predict`.

        Raises:
            DataError: for other columns, unknown categories, and missing values.
        """
        return np.stack(np.broadcast_arrays(*(one.predict(X) for one in self)), axis=-1)

    def latex(self) -> str:
        """LaTeX of the equations, one line for each target."""
        return " \\\\\n".join(one.equation() for one in self.formulas)

    def __len__(self) -> int:
        return len(self.discoveries)

    def __iter__(self) -> Iterator[Discovery]:
        return iter(self.discoveries)

    def __getitem__(self, target: str | int) -> Discovery:
        """The discovery of a target, by its name or its number from 0; KeyError for another name."""
        if isinstance(target, str) and target not in self.targets:
            raise KeyError(f"there is no target {target!r}: they are {listed(self.targets, 20)}")
        if not isinstance(target, str) and not is_whole(target):
            raise KeyError(f"{target!r} is neither the name nor the number of a target")
        return self.discoveries[self.targets.index(target) if isinstance(target, str) else target]

    def choose(self, k: int, target: str | int) -> "TargetDiscoveries":
        """The same discoveries with another formula of the front of one target, and what the formulas then share.

        Args:
            k: number of the formula on the front of its target, from 0 for the simplest.
            target: the name of the target, or its number from 0.

        Raises:
            KeyError: there is no such target.
            SpecError: the front has no formula of this number.
        """
        one = self[target]
        new = one.choose(k)
        found = tuple(new if other is one else other for other in self)
        names = self.targets
        parts = common_parts([each.formula.expression for each in found], names)
        name = one.formula.targets[0]
        constants = tuple(each for each in self.constants if name not in each.targets or new.formula is one.formula)
        return replace(self, discoveries=found, shared=parts, constants=constants)

    def report(self, path: str | Path, title: str | None = None) -> Path:
        """Write the discovery as one HTML page that needs no other file: the formulas, what they share, the fronts.

        `found[target].report(...)` writes all about one target.

        Args:
            path: the file to write, such as "report.html". An existing file is replaced.
            title: the heading; None: the targets as functions of the inputs.

        Returns:
            The path of the page.

        Raises:
            DataError: the file cannot be written.
        """
        from knotwork.discovery.targets_display import as_page

        return write_page(path, as_page(self, title))

    def save(self, path: str | Path) -> None:
        """Write everything except the data to one JSON file, which `TargetDiscoveries.load` reads.

        Args:
            path: the file to write, such as "laws.json". An existing file is replaced.

        Raises:
            CheckpointError: the file cannot be written.
        """
        content = {
            "format": FORMAT,
            "discoveries": [content_of(one) for one in self.discoveries],
            "constants": [asdict(one) for one in self.constants],
            "seconds": self.seconds,
            "stop": self.stop.name,
            "missing": dict(self.missing),
            "failures": dict(self.failures),
        }
        write_content(content, path)

    @classmethod
    def load(cls, path: str | Path) -> "TargetDiscoveries":
        """The discovery that `save` wrote, without data. No code is run.

        Args:
            path: a file that `save` wrote.

        Raises:
            CheckpointError: for any other file, and for a file that was changed.
        """
        needed = "discovery of targets: give a file that TargetDiscoveries.save() wrote."
        return read_content(path, FORMAT, needed, _discoveries)

    def __repr__(self) -> str:
        shown = "; ".join(repr(one) for one in self.formulas)
        return f"TargetDiscoveries({shown}; {self.seconds:.2g} s)"

    def __str__(self) -> str:
        from knotwork.discovery.targets_display import as_text

        return as_text(self)

    def _repr_html_(self) -> str:
        from knotwork.discovery.targets_display import as_html

        return as_html(self)


def _discoveries(content: dict[str, Any]) -> TargetDiscoveries:
    found = tuple(map(discovery_of, content["discoveries"]))
    constants = tuple(
        CommonConstant(float(one["value"]), float(one["error"]), tuple(one["targets"])) for one in content["constants"]
    )
    names = [one.formula.targets[0] for one in found]
    parts = common_parts([one.formula.expression for one in found], names)
    seconds, stop = float(content["seconds"]), StopReason[content["stop"]]
    return TargetDiscoveries(found, parts, constants, seconds, stop, content["missing"], content["failures"])
