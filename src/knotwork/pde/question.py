"""What a solution depends on, so that its file is not gone on from with another problem."""

from __future__ import annotations

import torch

from knotwork.journal import digest_of
from knotwork.kan import KAN
from knotwork.pde.problems.problem import Problem
from knotwork.pde.settings import PDE
from knotwork.pde.solving.terms import make_terms


def question(problem: Problem, start: KAN, settings: dict[str, object]) -> dict[str, str]:
    """All that a solution depends on, each part as a text by its name.

    Code has no text to compare: equation and conditions are compared by their residuals for the first network.
    """
    return {
        "the calculation": "pde.solve",
        "the domain": f"{problem.domain}, time {problem.time}",
        "fields and unknowns": f"{', '.join(problem.fields)}; {problem.unknowns}",
        "the network": start.spec.to_json(),
        "values of the network": digest_of(dict(start.state_dict())),
        **{name: repr(value) for name, value in settings.items()},
        **_residuals(problem, start),
    }


def _residuals(problem: Problem, start: KAN) -> dict[str, str]:
    """Root mean square residuals of all terms at a few points, to twelve digits, and a digest of these points."""
    unknowns = torch.tensor(list(problem.unknowns.values()), dtype=torch.float64)
    found = {}
    for number, term in enumerate(make_terms(problem, PDE.fewest_points, PDE.fewest_face_points, 0)):
        term.prepare(start)
        size = float(term.values(start, unknowns).square().mean().sqrt())
        points = digest_of(term.points.x)[:16]
        found[f"term {number}"] = f"{term.name} with weight {term.weight:g}, residual {size:.12g} at points {points}"
    return found
