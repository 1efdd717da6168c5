"""The dimensions of the columns of a table, from their units."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from knotwork.data import Dataset
from knotwork.data.column_names import listed
from knotwork.data.units import Unit, unit_of
from knotwork.errors import DataError

Powers = Mapping[str, Fraction]


@dataclass(frozen=True)
class Dimensions:
    """The units of all columns of a table as powers of base dimensions."""

    inputs: Mapping[str, Unit]
    target: Unit

    @classmethod
    def of(cls, data: Dataset, output: int = 0) -> "Dimensions":
        """The units of a target and all inputs; DataError with the first column whose unit is missing or unknown."""
        names = (*data.input_names, data.target_names[output])
        missing = [name for name in names if name not in data.units]
        if missing:
            raise DataError(f"{listed(missing)} {'has' if len(missing) == 1 else 'have'} no unit; pure numbers have 1.")
        found = []
        for name in names:
            try:
                found.append(unit_of(data.units[name]))
            except DataError as error:
                raise DataError(f"Column '{name}': {error}") from None
        return cls(dict(zip(data.input_names, found[:-1], strict=True)), found[-1])

    @property
    def base(self) -> list[str]:
        """The base dimensions that occur."""
        return list(dict.fromkeys(name for unit in (*self.inputs.values(), self.target) for name in unit.powers))

    def vector(self, unit: Unit) -> list[Fraction]:
        """Powers of the base dimensions, in their order."""
        return [unit.powers.get(name, Fraction(0)) for name in self.base]

    def unused(self, names: Sequence[str]) -> list[str] | None:
        """Inputs that are in no dimensionless group and not in the target's unit; None if no product has that unit."""
        from knotwork.expressions import solve_exactly

        vectors = {name: self.vector(self.inputs[name]) for name in names}
        target = self.vector(self.target)
        if solve_exactly(list(vectors.values()), [target])[0] is None:
            return None
        found = []
        for name in names:
            others = [vector for other, vector in vectors.items() if other != name]
            alone, measured = solve_exactly(others, [vectors[name], target])
            if alone is None and measured is not None:
                found.append(name)
        return found
