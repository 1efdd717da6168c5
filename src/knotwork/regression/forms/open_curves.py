"""Curves of a form that have no name: their scale and offset, errors of constants beside them, and their expression."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from knotwork.formulas.constants import Template
from knotwork.formulas.settings import FORMULAS
from knotwork.formulas.uncertainty import Uncertainty
from knotwork.regression.forms.form_fits import FittedForm, inverse_of, smooth_fit
from knotwork.regression.forms.form_problem import FormProblem
from knotwork.regression.forms.settings import FORMS


@dataclass(frozen=True)
class OpenCurves:
    """A fit with curves that have no name.

    `said` tells of each curve which scale and offset were chosen for it, since other values of constants or curves make
    up for them; `directions` (P + curves·B, D) span the changes of all parameters that are then possible.
    """

    fit: FittedForm
    said: dict[str, str]
    directions: Tensor

    @classmethod
    def of(cls, fit: FittedForm) -> "OpenCurves":
        """The fit with curves of root mean square 1, and of mean 0, where the form leaves that open."""
        said: dict[str, str] = {}
        directions = torch.eye(len(fit.at), dtype=torch.float64)
        for curve in fit.form.curves:
            fit, words, held = _normalised(fit, curve, directions)
            said |= {curve: words} if words else {}
            for gradient in held:  # no further step changes this mean or mean square
                along = directions.T @ gradient
                _, _, right = torch.linalg.svd(along[None], full_matrices=True)
                directions = directions @ right[1:].T
        return cls(fit, said, directions)

    def inverse(self) -> Tensor:
        """The inverse of the normal equations with the roughness, over all parameters, for residuals of variance 1."""
        problem = replace(self.fit, pinned=()).problem
        linear = problem.linear_at(self.fit.at)
        assert linear is not None
        jacobian = problem.jacobian(linear) @ self.directions
        normal = jacobian.T @ jacobian + len(self.fit.sample) * self.directions.T @ problem.penalty @ self.directions
        return self.directions @ inverse_of(normal) @ self.directions.T

    def template(self) -> Template:
        """The form with its curves as splines, its constants as symbols."""
        fit = self.fit
        curves = _learned(fit)
        places = {place: curves[name](u) for name, u, place in fit.form.calls}
        return Template(fit.form.expression.xreplace(places), fit.values, fit.mse)

    def uncertainty(self, template: Template) -> Uncertainty:
        """The uncertainty of the constants, with that of the curves in it."""
        fit, count = self.fit, len(template.values)
        inverse = self.inverse()[:count, :count]
        scale = inverse.diagonal().clamp_min(1e-300).sqrt()
        values, vectors = torch.linalg.eigh(inverse / scale / scale[:, None])
        factor = (vectors * values.clamp_min(0).sqrt()).T * scale
        free = int(len(fit.sample) - fit.determined)
        blind = torch.zeros(0, count, dtype=torch.float64)
        deviation = fit.sample.deviation or fit.noise
        return Uncertainty(template, factor, blind, 1 / scale, deviation, free, fit.sample.relative)

    def left_out(self) -> Tensor:
        """Residuals (n,) of rows that are left out of the fit, one at a time (see `formulas.left_out`)."""
        problem = replace(self.fit, pinned=()).problem
        linear = problem.linear_at(self.fit.at)
        assert linear is not None
        jacobian = problem.jacobian(linear)
        leverage = ((jacobian @ self.inverse()) * jacobian).sum(1)
        return self.fit.sample.residuals(linear.values) / (1 - leverage.clamp_max(1 - FORMS.undetermined))


def _normalised(fit: FittedForm, curve: str, directions: Tensor) -> tuple[FittedForm, str, list[Tensor]]:
    """The fit with this curve normalised where possible, what was done in words, and gradients of what is held."""
    problem = replace(fit, pinned=()).problem
    linear = problem.linear_at(fit.at)
    assert linear is not None
    start = problem.count + fit.form.curves.index(curve) * problem.size_of_curve
    own = slice(start, start + problem.size_of_curve)
    design = torch.cat([b for (name, _, _), b in zip(fit.form.calls, linear.bases, strict=True) if name == curve])
    coefficients = fit.at[own]
    values = design @ coefficients
    others = torch.ones(len(fit.at), dtype=torch.bool)
    others[own] = False
    jacobian = problem.jacobian(linear)
    free = directions[others]
    rest = jacobian[:, others] @ free
    offset = _made_up_for(jacobian[:, own].sum(1), rest)
    scale = _made_up_for(jacobian[:, own] @ coefficients, rest)
    if not (offset or scale):
        return fit, "", []
    mean, held, words = float(values.mean()), [], []
    changed = coefficients
    if offset:
        changed = changed - mean
        words.append("mean 0")
        held.append(_padded(design.mean(0), own, len(fit.at)))
    if scale:
        size = float((design @ changed).square().mean().sqrt()) or 1.0
        changed = changed / size
        words.append("root mean square 1")
        held.append(_padded(design.T @ (design @ changed), own, len(fit.at)))
    at = fit.at.clone()
    at[own] = changed
    new = smooth_fit(fit.form, fit.sample, fit.grid, at, list(range(own.start, own.stop)), fit.weights, rounds=1)
    if not new.mse <= fit.mse * (1 + FORMS.same_fit) + (FORMULAS.exact_error * fit.sample.scale) ** 2:
        return fit, "", []
    size = (design @ changed).square().mean() / max(float(values.square().mean()), 1e-300)
    weights = fit.weights.clone()
    weights[fit.form.curves.index(curve)] /= max(float(size), 1e-300)
    final = replace(fit, at=new.at, mse=new.mse, weights=weights, pinned=())
    return final, " and ".join(words), held


def _padded(part: Tensor, place: slice, count: int) -> Tensor:
    found = torch.zeros(count, dtype=torch.float64)
    found[place] = part
    return found


def _made_up_for(change: Tensor, others: Tensor) -> bool:
    """Whether other parameters can undo a change (n,) of the residuals."""
    if not others.shape[1] or not bool((others != 0).any()):
        return False
    scaled = others / others.norm(dim=0).clamp_min(1e-300)
    solved = torch.linalg.lstsq(scaled, change[:, None], rcond=FORMS.undetermined, driver="gelsd").solution[:, 0]
    return float((change - scaled @ solved).norm()) <= FORMS.undetermined**0.5 * float(change.norm())


def _learned(fit: FittedForm) -> dict[str, Any]:
    """The curves as functions of their arguments."""
    from knotwork.expressions import learned_curve

    problem: FormProblem = fit.problem
    linear = problem.linear_at(fit.at, slopes=False)
    assert linear is not None
    found: dict[str, Any] = {}
    ends = problem.ranges(linear.arguments)
    for curve, ((i, low), (j, high)), own in zip(fit.form.curves, ends, problem.coefficients(fit.at), strict=True):
        start, end = float(linear.arguments[i][low]), float(linear.arguments[j][high])
        width = end - start if end > start else 1.0
        knots = (start + (problem.knots[0] + 1) / 2 * width).tolist()
        found[curve] = learned_curve(curve, knots, own.tolist(), FORMS.order)
    return found
