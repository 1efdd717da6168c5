"""The accuracy of KANRegressor and KANClassifier compared with estimators of scikit-learn on the same splits.

    python benchmarks/estimators.py [--repeats 1] [--out benchmarks/results/estimators.json] [--reports FOLDER]

Diabetes (442 rows, 10 columns): r² on the test rows of repeated five-fold cross-validation. Every estimator chooses
its settings by a grid search in five folds of the training rows. Breast cancer (569 rows, 30 columns) and digits
(1,797 rows, 64 columns, 10 classes): accuracy and log loss on the test rows of five stratified folds, with default
settings; the MLP follows a StandardScaler. The seed of an estimator is the number of the split. Seconds are for one
fit (for diabetes, including its search) on one processor. --reports writes a report of the first split of each table.
"""

import argparse
import json
import time
import warnings
from pathlib import Path

import numpy as np
import sklearn
import torch
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.ensemble import GradientBoostingRegressor, HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Ridge
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, KFold, RepeatedKFold, StratifiedKFold
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

import knotwork as kw


def scaled(model: object) -> Pipeline:
    """The estimator after a StandardScaler."""
    return Pipeline([("scale", StandardScaler()), ("model", model)])


REGRESSORS = {  # with the settings of their grid search
    "KANRegressor": (kw.KANRegressor(), {"hidden": [(), 2, 5], "grid": [2, 5]}),
    "Ridge": (Ridge(), {"alpha": np.logspace(-3, 3, 13)}),
    "GradientBoosting": (
        GradientBoostingRegressor(subsample=0.8),
        {"learning_rate": [0.03, 0.1], "max_depth": [1, 2, 3]},
    ),
    "HistGradientBoosting": (
        HistGradientBoostingRegressor(),
        {"learning_rate": [0.03, 0.1], "max_leaf_nodes": [4, 15]},
    ),
    "MLPRegressor": (
        MLPRegressor(learning_rate_init=0.01, max_iter=500),
        {"hidden_layer_sizes": [(20,), (50,)], "alpha": [0.1, 1.0, 10.0]},
    ),
}
CLASSIFIERS = {"KANClassifier": kw.KANClassifier(), "MLPClassifier": scaled(MLPClassifier())}
TABLES = {"breast_cancer": load_breast_cancer, "digits": load_digits}


def seeded(model: object, seed: int) -> object:
    """A new copy with that seed, if the estimator has one."""
    model = clone(model)
    names = [name for name in model.get_params() if name.split("__")[-1] == "random_state"]
    return model.set_params(**dict.fromkeys(names, seed))


def summary(values: list[float]) -> dict:
    """All values, their mean and their standard deviation."""
    return {
        "each": [round(v, 4) for v in values],
        "mean": round(float(np.mean(values)), 4),
        "std": np.std(values).round(4),
    }


def regression(repeats: int) -> dict:
    """r² of every regressor on every split of the diabetes table, and the chosen settings."""
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    splits = list(RepeatedKFold(n_splits=5, n_repeats=repeats, random_state=0).split(X))
    found = {}
    for name, (model, grid) in REGRESSORS.items():
        scores, seconds, chosen = [], [], []
        for n, (train, test) in enumerate(splits):
            inner = KFold(5, shuffle=True, random_state=n)
            settings = {f"model__{key}": values for key, values in grid.items()}
            search = GridSearchCV(seeded(scaled(model), n), settings, cv=inner)
            began = time.process_time()
            search.fit(X.iloc[train], y.iloc[train])
            seconds.append(time.process_time() - began)
            scores.append(search.score(X.iloc[test], y.iloc[test]))
            chosen.append(", ".join(f"{key.split('__')[1]}={v}" for key, v in search.best_params_.items()))
        found[name] = {"r2": summary(scores), "seconds": summary(seconds), "chosen": chosen}
        print(line("diabetes", name, "r2", found[name]), flush=True)
    return found


def classification(table: str) -> dict:
    """Accuracy and log loss of every classifier on every split of a table."""
    X, y = TABLES[table](return_X_y=True, as_frame=True)
    splits = list(StratifiedKFold(5, shuffle=True, random_state=0).split(X, y))
    found = {}
    for name, model in CLASSIFIERS.items():
        right, loss, seconds = [], [], []
        for n, (train, test) in enumerate(splits):
            one = seeded(model, n)
            began = time.process_time()
            one.fit(X.iloc[train], y.iloc[train])
            seconds.append(time.process_time() - began)
            right.append(one.score(X.iloc[test], y.iloc[test]))
            loss.append(log_loss(y.iloc[test], one.predict_proba(X.iloc[test])))
        found[name] = {"accuracy": summary(right), "log_loss": summary(loss), "seconds": summary(seconds)}
        print(line(table, name, "accuracy", found[name]), flush=True)
    return found


def line(table: str, name: str, measure: str, found: dict) -> str:
    """One line of the printed table."""
    score, seconds = found[measure], found["seconds"]
    return (
        f"{table:<14} {name:<21} {measure:<9} {score['mean']:.4f} ± {score['std']:.4f}   {seconds['mean']:7.2f} s a fit"
    )


def write_reports(folder: Path) -> None:
    """Write a report for each table: the estimator with default settings on the first split."""
    folder.mkdir(parents=True, exist_ok=True)
    kinds = {
        "diabetes": (kw.KANRegressor, load_diabetes),
        **{name: (kw.KANClassifier, TABLES[name]) for name in TABLES},
    }
    for name, (kind, table) in kinds.items():
        X, y = table(return_X_y=True, as_frame=True)
        splitter = KFold if kind is kw.KANRegressor else StratifiedKFold
        train, test = next(splitter(5, shuffle=True, random_state=0).split(X, y))
        model = kind(random_state=0).fit(X.iloc[train], y.iloc[train])
        print(model.report(folder / f"{name}.html", X.iloc[test], y.iloc[test]), flush=True)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=1, help="number of five-fold splits of the diabetes table")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/estimators.json"))
    parser.add_argument(
        "--reports", type=Path, help="write a report of each table into this folder, and measure nothing"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", ConvergenceWarning)
    if options.reports:
        write_reports(options.reports)
        return
    found = {name: classification(name) for name in TABLES} | {"diabetes": regression(options.repeats)}
    versions = {"scikit-learn": sklearn.__version__, "torch": torch.__version__, "kernels": str(kw.kernels.active())}
    options.out.write_text(json.dumps({"versions": versions, **found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
