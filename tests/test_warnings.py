"""Warnings point at the line of the user, whatever functions of other packages lie between."""

import threading

import numpy as np
import pytest
import torch
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import knotwork as kw
from knotwork.errors import KnotworkWarning, warn

ROWS = np.linspace(-1, 1, 40).reshape(20, 2)
FITTED = kw.KAN([2, 1], seed=0)
FITTED.fit((ROWS, ROWS[:, 0]), steps=1, optimizer=kw.LevenbergMarquardt(starts=1))
FAR = 10 + ROWS


class Old(torch.autograd.Function):
    """A function that torch.func cannot follow."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, by):
        return by


class Module(torch.nn.Linear):
    def forward(self, x):
        return Old.apply(super().forward(x))


def saved(path):
    path.write_text(",b,y\n0,2,3\n1,5,7\n2,1,2\n")
    return path


PIPED = make_pipeline(StandardScaler(), kw.KANRegressor(max_iter=1)).fit(ROWS, ROWS[:, 0])
WARNED = {
    "predict": lambda path: FITTED.predict(FAR),
    "predict in a pipeline": lambda path: PIPED.predict(FAR),
    "a constant column": lambda path: kw.Dataset.from_arrays(np.ones((20, 1)), ROWS[:, 0]),
    "a column that float32 cannot resolve": lambda path: kw.KAN([2, 1], dtype=torch.float32).fit(
        (ROWS * 1e-6 + [[1.0, 0.0]], ROWS[:, 0]), steps=1
    ),
    "a module differentiated row by row": lambda path: kw.fit(
        Module(2, 1), (ROWS, ROWS[:, 0]), optimizer="lm", steps=1
    ),
    "a file": lambda path: kw.Dataset.from_csv(saved(path / "table.csv"), "y"),
    "a name without a font": lambda path: FITTED.plot((ROWS, ROWS[:, 0]), input_names=["\U0001e940", "b"]),
}


@pytest.mark.parametrize("warned", WARNED.values(), ids=list(WARNED))
def test_a_warning_points_at_the_line_of_the_user(warned, tmp_path):
    with pytest.warns(KnotworkWarning) as caught:
        warned(tmp_path)
    ours = [warning for warning in caught if warning.category is KnotworkWarning]
    assert {warning.filename for warning in ours} == {__file__}


def test_functions_of_torch_between_are_passed_over():
    with pytest.warns(KnotworkWarning) as caught:
        torch.no_grad()(FITTED.predict)(FAR)
    assert caught[0].filename == __file__


def test_a_warning_is_given_where_no_line_of_the_user_is_left():
    def run():
        thread = threading.Thread(target=warn, args=("text",))
        thread.start()
        thread.join()

    with pytest.warns(KnotworkWarning, match="^text$"):
        run()
