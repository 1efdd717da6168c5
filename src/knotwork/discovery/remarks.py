"""What a reader must know of a table and of its search, in sentences."""

import torch

from knotwork.discovery.discovery import Discovery
from knotwork.discovery.settings import DISCOVERY


def remarks_of(found: Discovery) -> dict[str, str]:
    """The sentences by title; mostly none."""
    said: dict[str, str] = {}
    if found.preparation is not None and found.preparation.notes:
        said["The table"] = "; ".join(found.preparation.notes)
    if found.settings.get("split"):
        said["The split"] = str(found.settings["split"])
    if found.settings.get("temperatures"):
        said["Temperatures"] = f"{found.settings['temperatures']}, which takes fewer bits"
    if found.unknowns:
        said["Unknowns of the form"] = "; ".join(found.unknowns.values())
    if found.dependent:
        equal = [f"{name} = {combination}" for name, combination in found.dependent.items()]
        said["Columns that follow from others"] = "; ".join(equal)
    if found.importance.correlated:
        said["Inputs that move together, so that their importances can hardly be told apart"] = "; ".join(
            found.importance.correlated
        )
    if found.copies:
        said["Rows that are copies of another row"] = str(found.copies)
    if found.undefined:
        said["Not defined everywhere within the ranges of the rows"] = found.undefined
    if found.unmet:
        said["No formula that was tried satisfies what was asked"] = f"of this one, {found.unmet}"
    if found.outliers:
        count, most = len(found.outliers), DISCOVERY.most_outliers_shown
        shown = "; ".join(map(str, found.outliers[:most]))
        more = f"; and {count - most} more" if count > most else ""
        said["Rows left out of fit and r², as they contradict the formula"] = f"{shown}{more}; counted from 0"
    chi2 = found.formula.reduced_chi2
    if chi2 is not None:
        source = "residuals" if found.settings.get("loss") == "huber" else "those of the rows"
        said["χ² per degree of freedom"] = f"{chi2:.3g}; the errors of constants follow from {source}"
    if found.settings.get("loss") == "huber":
        said["Loss"] = "Huber's: squares of small residuals, sizes of large ones"
    if found.settings.get("loss") == "poisson":
        said["Loss"] = "the likelihood of counts, whose variance is their expected number"
    if found.settings.get("loss") == "relative":
        said["Errors"] = "shares of the target, so that small targets count as much as large ones"
    if found.data is not None and len(torch.cat([found.data.y_train, found.data.y_val]).unique()) == 2:
        said["The target has two values"] = "loss='cross_entropy' searches for the boundary between them"
    if found.formula.r2 < 0 and found.formula.expression.free_symbols:
        rows = found.formula.r2_rows
        said[f"Worse than their mean on the {rows} rows"] = f"r² = {found.formula.r2:.3g}, so do not rely on it"
    if found.failures:
        reasons = "; ".join(f"{count} × {reason}" for reason, count in found.failures.items())
        said["Candidates dropped because their calculation failed"] = f"{sum(found.failures.values())} ({reasons})"
    return said
