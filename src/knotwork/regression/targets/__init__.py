"""Formulas of several targets that share terms and constants."""

from knotwork.regression.targets.common_constants import CommonConstant, Equal, common_constants, with_common_constants
from knotwork.regression.targets.common_parts import CommonPart, common_parts
from knotwork.regression.targets.joint_choice import joint_choice
from knotwork.regression.targets.laws import Law, TargetRows

__all__ = [
    "CommonConstant",
    "CommonPart",
    "Equal",
    "Law",
    "TargetRows",
    "common_constants",
    "common_parts",
    "joint_choice",
    "with_common_constants",
]
