"""Each task computes what its name says, and uneven grids are valid grids."""

import pytest
import torch
from torch import nn

from knotwork.bench import implementations
from knotwork.bench.cases import Case, samples
from knotwork.bench.implementations import build, on_grids, ours, uneven
from knotwork.bench.tasks import prepare
from knotwork.errors import KnotworkError
from knotwork.splines import uniform_knots


class Quadratic(nn.Module):
    """u = a·x² + b·y², whose Laplacian is 2a + 2b."""

    def __init__(self):
        super().__init__()
        self.factors = nn.Parameter(torch.tensor([3.0, -1.0]))

    def forward(self, x):
        return (self.factors * x**2).sum(1, keepdim=True)


def test_the_laplacian_loss_of_a_quadratic():
    x = torch.tensor([[1.0, 2.0], [0.5, 0.0]])
    loss, (gradient,) = prepare(Quadratic(), x, x, "laplacian")()
    residuals = torch.tensor([4 + 3 - 4.0, 4 + 0.75])  # 2a + 2b + u
    by_factors = 2 + x**2
    torch.testing.assert_close(loss, residuals.square().mean())
    torch.testing.assert_close(gradient, (2 * residuals[:, None] * by_factors).mean(0))


def test_gradients_of_the_mean_squared_error():
    x, y = torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0]])
    loss, (gradient,) = prepare(Quadratic(), x, y, "gradient")()
    assert loss == (3 - 4 - 1) ** 2
    torch.testing.assert_close(gradient, 2 * (3 - 4 - 1.0) * x[0] ** 2)


def test_a_step_of_adam_changes_every_parameter_by_the_learning_rate():
    module = Quadratic()
    prepare(module, torch.ones(1, 2), torch.ones(1, 1), "step")()
    torch.testing.assert_close(module.factors.detach(), torch.tensor([3.0, -1.0]) - 1e-3)


def test_a_forward_pass_records_no_gradient_graph():
    assert not prepare(Quadratic(), torch.ones(1, 2), torch.ones(1, 1), "forward")().requires_grad


def test_a_refit_sets_the_grid_to_the_rows_and_is_refused_without_a_grid():
    case = Case("any", (2, 3), 4, 50, torch.float64, "refit")
    x, y = samples(case)
    layer = build(case)
    prepare(layer, 5 * x, y, "refit")()
    torch.testing.assert_close(layer.knots[:, case.k], 5 * x.amin(0))
    with pytest.raises(KnotworkError, match="its grid cannot be set from samples"):
        prepare(Quadratic(), x, y, "refit")


@pytest.mark.parametrize("k", [1, 3])
def test_uneven_knots_keep_their_ends_and_increase(k):
    ends = torch.tensor([-1.0, 2.0]), torch.tensor([1.0, 5.0])
    even = uniform_knots(*ends, 6, k)
    knots = uneven(even, k)
    torch.testing.assert_close(knots[:, [k, -k - 1]], even[:, [k, -k - 1]])
    lengths = knots.diff(dim=-1)
    assert lengths.min() > 0 and lengths.max() / lengths.min() > 1.2


@pytest.mark.parametrize("task", ["gradient", "forward"])
def test_every_grid_has_the_size_and_spacing_of_its_name(task, monkeypatch):
    case = Case("any", (2, 3, 1), 7, 30, torch.float64, task)
    x, y = samples(case)
    built = []
    monkeypatch.setattr(implementations, "build", lambda case: built.append(build(case)) or built[-1])
    for candidate in on_grids(case):
        candidate.prepare(case, x, y)()
        grid = int(candidate.name.split()[0].removeprefix("G="))
        for knots in (values for name, values in built[-1].state_dict().items() if name.endswith("knots")):
            lengths = knots.diff(dim=-1)
            assert knots.shape[1] == grid + 2 * case.k + 1
            assert torch.allclose(lengths, lengths[:, :1]) is candidate.name.endswith(" even")
    assert [c.name for c in on_grids(case)] == ["G=5 even", "G=5 uneven", "G=200 even", "G=200 uneven"]


@pytest.mark.parametrize("even", [True, False])
def test_all_implementations_return_the_same_loss_and_gradients(even):
    """knotwork has several implementations of a loss with its gradients."""
    case = Case("any", (2, 5, 1), 5, 40, torch.float64, "gradient", even=even)
    x, y = samples(case)
    found = [candidate.prepare(case, x, y)() for candidate in ours(case)]
    flat = [torch.cat([loss.detach()[None], *(g.flatten() for g in gradients)]) for loss, gradients in found]
    torch.testing.assert_close(flat, [flat[0]] * len(flat), rtol=1e-10, atol=1e-12)
