"""The state that a fit keeps."""

import pytest
import torch
from torch import nn

from knotwork import KAN, sample
from knotwork.training import Reporter
from knotwork.training.objective import make_objective
from knotwork.training.watch import Watch


def watching(bias, first=2.0, alike=1.0):
    """A `Watch` of a model with one number, which shows the state that was kept."""
    rows = torch.zeros(3, 1), torch.full((3, 1), first**0.5)
    nothing = torch.zeros(0, 1), torch.zeros(0, 1)
    objective = make_objective(bias, "mse", 0.0, 1.0, 1.0, False)
    watch = Watch(bias, objective, rows, nothing, None, Reporter(), 0.0)
    watch.alike, watch.clean = alike, float("inf")
    return watch


class Bias(nn.Module):
    def __init__(self):
        super().__init__()
        self.step = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return x + 0 * self.step


@pytest.mark.parametrize(
    ("alike", "values", "kept"),
    [
        (1.0, [1.0, 1.05, 1.0, 0.99, 1.2], 4),
        (1.1, [1.0, 1.05], 2),
        (1.1, [1.0, 1.05, 1.12], 2),
        (1.1, [1.0, 1.05, 1.12, 0.5, 0.56], 4),
        (1.1, [1.0, 1.09, 1.18], 2),  # compared with the lowest value, not with the kept one
        (1.1, [1.9, 2.05], 1),  # not worse than at the start
        (1.1, [float("nan")], 0),
    ],
)
def test_the_last_state_that_is_nearly_as_good_as_the_best_is_kept(alike, values, kept):
    model = Bias()
    watch = watching(model, alike=alike)
    for step, value in enumerate(values, start=1):
        with torch.no_grad():
            model.step.fill_(step)
        watch._offer(value)
    assert float(watch.state["step"]) == kept


@pytest.mark.parametrize("seed", [0, 18])
def test_the_kept_state_is_accurate_at_the_ends_of_the_grid(seed):
    """Earlier states have a loss that is a few percent lower, but forty times larger errors in corners without rows."""
    data = sample("exp(sin(pi*x) + y**2)", x=(-1, 1), y=(-1, 1), size=1000, test_size=2000, seed=seed)
    model = KAN([2, 1, 1], grid=5, seed=seed)
    result = model.fit(data, seed=seed)
    for grid in (10, 20, 40):
        model = model.refine(grid)
        result = model.fit(data, seed=seed)
        assert (result.test_rmse or 1.0) < 1.5 * result.train_rmse
