"""Whether `solve` can do what it is asked to: checks of its arguments, of time windows, and of the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from knotwork.errors import SpecError, TrainingError
from knotwork.model import KANNetwork, is_whole
from knotwork.pde.problems.problem import Problem
from knotwork.pde.solving.jets import refuse_named
from knotwork.pde.solving.terms import make_terms


def check_counts(**counts: object) -> None:
    """TrainingError for a number that is not a whole number of at least 1; None means that it was left open.

    Time windows may also be listed by the times between them.
    """
    for name, value in counts.items():
        if value is None or (name == "windows" and isinstance(value, Sequence) and not isinstance(value, str)):
            continue
        if not is_whole(value) or value < 1:  # type: ignore[operator]
            more = ", or the times between windows" if name == "windows" else ""
            raise TrainingError(f"{name}={value!r} is not possible: it must be a whole number of at least 1{more}.")


def check_windows(problem: Problem, windows: int | Sequence[float]) -> None:
    """SpecError for a problem that cannot be cut: only initial conditions lead from one window to the next."""
    if windows == 1:
        return
    cut = f"windows={windows} cuts time into parts"
    if problem.time is None or problem.unknowns:
        why = "unknown coefficients" if problem.unknowns else "no time"
        raise SpecError(f"{cut}, but this problem has {why}: solve it in one.")
    at_time = [c.kind for c in problem.conditions if any(name == problem.time for name, _ in c.on)]
    at_points = [c.kind for c in problem.conditions if c.points is not None]
    if at_time:
        raise SpecError(f"{cut}, but {at_time[0]}() is given on {problem.time}: use pde.initial() instead.")
    if at_points or problem.points is not None:
        what = f"{at_points[0]}() holds" if at_points else "the domain is given by"
        raise SpecError(f"{cut}, but {what} points, which belong to one part each: solve it in one.")
    if problem.hard:
        raise SpecError(f"{cut}, but hard() holds for all of them: use pde.initial() and pde.dirichlet() instead.")
    if not any(c.kind == "initial" for c in problem.conditions):
        raise SpecError(f"{cut}, but no initial() states where the first begins: add pde.initial().")


def check_choices(
    problem: Problem, model: object, width: object, rank: object, grid: int | Mapping[str, int], adaptive: bool
) -> None:
    """SpecError for arguments that exclude each other."""
    if adaptive and problem.points is not None:
        raise SpecError("adaptive=True draws points from the domain's box, but this problem has points of its own.")
    if rank is None and isinstance(grid, Mapping):
        raise SpecError("a grid for each coordinate goes with rank= alone: pass one number of intervals.")
    if sum(way is not None for way in (model, width, rank)) != 1:
        raise SpecError("solve() needs a network: pass width=, such as [2, 5, 1], or rank=, or model=, one of them.")


def check_network(problem: Problem, network: KANNetwork) -> None:
    """SpecError unless the network has the inputs, outputs and spline order that the problem needs."""
    if not isinstance(network, KANNetwork):
        raise SpecError(f"solve() fits a KAN, but got a {type(network).__name__}: pass width= or a KAN.")
    if network.spec.inputs != tuple(range(network.spec.in_features)):
        raise SpecError(f"this network uses the inputs {network.spec.inputs} alone: pass one that takes all of them.")
    refuse_named(network)
    spec = network.spec
    wanted = len(problem.coordinates), len(problem.fields)
    came = spec.in_features, sum(spec.width[-1])
    if came != wanted:
        raise SpecError(
            f"this network leads from {came[0]} inputs to {came[1]} outputs, but the problem has {wanted[0]} "
            f"coordinates ({', '.join(problem.coordinates)}) and {wanted[1]} fields ({', '.join(problem.fields)}): "
            f"pass width=[{wanted[0]}, ..., {wanted[1]}]."
        )
    if spec.dtype != "float64":
        raise SpecError(f"this network is {spec.dtype}: equations are solved in float64.")
    order = max(sum(multi) for term in make_terms(problem, 8, 8, 0) for multi in term.multis)
    if order >= spec.k:
        raise SpecError(
            f"the problem asks for derivatives of order {order}, which splines of order k={spec.k} do not have "
            f"continuously: pass k={min(order + 1, 7)} or more."
        )
