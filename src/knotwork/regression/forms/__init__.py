"""Forms of the law that hold unknown constants and unknown curves."""

from knotwork.regression.forms.form_fits import FittedForm, fit_form, refitted, within
from knotwork.regression.forms.form_names import NamedForm, named_form, template_of_names
from knotwork.regression.forms.form_problem import CurveForm
from knotwork.regression.forms.open_curves import OpenCurves

__all__ = [
    "CurveForm",
    "FittedForm",
    "NamedForm",
    "OpenCurves",
    "fit_form",
    "named_form",
    "refitted",
    "template_of_names",
    "within",
]
