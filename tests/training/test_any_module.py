"""Second-order steps for any module of torch: exact derivatives, and the solutions that other programs find."""

import re

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import nn

import knotwork as kw
from knotwork.errors import KnotworkWarning, TrainingError
from knotwork.model import MODEL, ModuleParameters
from knotwork.solvers import StopReason
from knotwork.training.likelihood import Normal
from knotwork.training.module_problem import ModuleProblem

F64 = torch.float64


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def seeded(module: nn.Module, seed: int = 0) -> nn.Module:
    """The module in float64, with values that depend on the seed only."""
    module = module.to(F64)
    with torch.no_grad():
        for n, p in enumerate(module.parameters()):
            p.copy_(0.5 * normal(*p.shape, seed=100 * seed + n))
    return module


class Old(torch.autograd.Function):
    """A function that torch.func cannot follow."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.tanh()

    @staticmethod
    def backward(ctx, by):
        return by * (1 - ctx.saved_tensors[0].tanh() ** 2)


class Between(nn.Module):
    """Linear maps with a function between them; the second may be the first again."""

    def __init__(self, function, tied="no"):
        super().__init__()
        self.first, self.function = nn.Linear(3, 3), function
        self.second = self.first if tied == "module" else nn.Linear(3, 3)
        if tied == "weight":
            self.second.weight = self.first.weight
        self.last = nn.Linear(3, 2)
        self.register_buffer("scale", torch.tensor(0.7))

    def forward(self, x):
        return self.last(self.function(self.scale * self.second(self.function(self.first(x)))))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.cells, self.last = nn.GRU(1, 3, batch_first=True), nn.Linear(3, 2)

    def forward(self, x):
        return self.last(self.cells(x.unsqueeze(-1))[0][:, -1])


class Complex(nn.Module):
    """A module of complex numbers inside, as a Fourier layer is."""

    def __init__(self, trained=False):
        super().__init__()
        self.first, values = nn.Linear(3, 2), torch.complex(normal(2, 1), normal(2, 1, seed=1)).to(torch.complex64)
        if trained:
            self.spectrum = nn.Parameter(values)
        else:
            self.register_buffer("spectrum", values)

    def forward(self, x):
        x = self.first(x)
        return (torch.complex(x, x.square()) @ self.spectrum.to(torch.complex(x, x).dtype)).abs()


class Centred(nn.Module):
    """Each row depends on all others."""

    def __init__(self):
        super().__init__()
        self.last = nn.Linear(3, 1)

    def forward(self, x):
        return self.last(x - x.mean(0))


class Single(nn.Module):
    """Computes in float32 whatever it is given."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3, 1))

    def forward(self, x):
        return x.float() @ self.weight.float()


def with_named_edges() -> nn.Module:
    inner = kw.KAN([3, 2, 2], seed=0)
    inner.fix_symbolic(0, 0, 0, "sin", params=(1.5, 0.2, 1.0, 0.0), trainable=False)
    inner.fix_symbolic(1, 1, 1, "x^2", params=(1.0, 0.0, 0.5, 0.1), trainable=True)
    inner.layers[0].mask[1, 1] = 0
    return nn.Sequential(inner, nn.Linear(2, 2).to(F64))


def frozen() -> nn.Module:
    module = seeded(Between(torch.tanh))
    module.second.weight.requires_grad_(False)
    return module


MODULES = {
    "linear": lambda: seeded(nn.Linear(3, 2)),
    "MLP": lambda: kw.MLP([3, 5, 4, 2], seed=0),
    "a module used twice": lambda: seeded(Between(torch.tanh, "module")),
    "a weight used twice": lambda: seeded(Between(torch.tanh, "weight")),
    "frozen": frozen,
    "convolution": lambda: seeded(
        nn.Sequential(nn.Unflatten(1, (1, 3)), nn.Conv1d(1, 4, 2), nn.Tanh(), nn.Flatten(), nn.Linear(8, 2))
    ),
    "norms": lambda: seeded(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.LayerNorm(4), nn.Linear(4, 2))),
    "dropout": lambda: seeded(nn.Sequential(nn.Linear(3, 9), nn.SiLU(), nn.Dropout(0.5), nn.Linear(9, 2))),
    "parametrization": lambda: seeded(
        nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(3, 4)), nn.Tanh(), nn.Linear(4, 2))
    ),
    "KAN layers": lambda: nn.Sequential(kw.KANLayer(3, 4), nn.Linear(4, 3), kw.KANLayer(3, 2)).to(F64),
    "named edges": with_named_edges,
    "an old function": lambda: seeded(Between(Old.apply)),
    "recurrent": lambda: seeded(Recurrent()),
}


@pytest.mark.filterwarnings("ignore:There is a performance drop")
@pytest.mark.parametrize("make", MODULES.values(), ids=MODULES)
def test_derivatives_are_those_of_central_differences(make):
    module, x, h = make().eval(), 0.6 * normal(7, 3), 1e-6
    parameters = ModuleParameters(module, x)
    start = parameters.get()
    outputs, columns = parameters.jacobian(x)
    assert columns.shape == (7, 2, len(start)) == (7, 2, parameters.size)
    by = normal(7, 2, seed=5)
    product = parameters.vjp(x, by)
    for n in range(len(start)):
        step = torch.zeros_like(start)
        step[n] = h
        ends = []
        for sign in (1, -1):
            parameters.set(start + sign * step)
            ends.append(module(x).detach())
        slope = (ends[0] - ends[1]) / (2 * h)
        # rounding of the difference is 1e-16 / h = 1e-10, its truncation h² times a third derivative near 1
        assert (columns[:, :, n] - slope).abs().max() < 1e-8
        assert abs(product[n] - (by * slope).sum()) < 1e-7
    parameters.set(start)
    assert torch.equal(outputs, parameters.jacobian(x)[0]) and torch.allclose(module(x), outputs, rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", ["MLP", "a module used twice", "named edges", "an old function"])
def test_rows_in_chunks_give_the_same_normal_equations(name, monkeypatch):
    def residuals(outputs, rows):
        return outputs - y[rows], None

    module, x, y = MODULES[name]().eval(), normal(23, 3), normal(23, 2, seed=1)
    whole = ModuleParameters(module, x)
    expected, seen = whole.normal_equations(x, residuals), []
    monkeypatch.setattr(MODEL.__class__, "__setattr__", object.__setattr__)
    monkeypatch.setattr(MODEL, "jacobian_entries", 10 * 2 * whole.size)
    parts = ModuleParameters(module, x)
    module.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    for found, value in zip(parts.normal_equations(x, residuals), expected, strict=True):
        assert torch.allclose(found, value, rtol=1e-12, atol=1e-12)
    assert torch.allclose(parts.outputs(x), whole.outputs(x), rtol=0, atol=1e-14)
    assert torch.allclose(parts.vjp(x, y), whole.vjp(x, y), rtol=1e-12, atol=1e-12)
    assert 1 <= parts.rows_at_once <= 10 and max(seen[: len(seen) // 2]) <= parts.rows_at_once


@pytest.mark.parametrize("dtype", [torch.float32, F64], ids=["f32", "f64"])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_linear_map_is_the_solution_of_least_squares(dtype, weighted):
    data = kw.Dataset.from_arrays(normal(40, 3), normal(40, 2, seed=1), test_size=0, validation_size=0)
    x, y = data.X_train, data.y_train
    weights = normal(40, seed=2).square() if weighted else torch.ones(40, dtype=F64)
    module = nn.Linear(3, 2).to(dtype)
    result = kw.fit(module, data, optimizer="lm", sample_weight=weights if weighted else None)
    root = weights.sqrt().numpy()[:, None]
    design = np.concatenate([x.numpy(), np.ones((40, 1))], axis=1)
    expected, *_ = np.linalg.lstsq(root * design, root * y.numpy(), rcond=None)
    found = torch.cat([module.weight, module.bias[:, None]], 1).detach().T
    # the second step of a linear problem ends at its minimum; float32 rounds values below 1 by 6e-8
    assert found.dtype == dtype and np.abs(found.numpy() - expected).max() < 1e-6
    assert result.converged and result.optimizer == "lm"
    residuals = root * (design @ expected - y.numpy())
    assert result.train_rmse == pytest.approx(float((np.square(residuals).sum() / weights.sum() / 2) ** 0.5), rel=1e-6)


@pytest.mark.parametrize("classes", [2, 3])
def test_logistic_regression_is_the_one_that_scipy_finds(classes):
    x = normal(80, 3)
    labels = (x @ normal(3, classes, seed=1) + normal(80, classes, seed=2)).argmax(1)
    outputs = 1 if classes == 2 else classes
    module = seeded(nn.Linear(3, outputs))
    result = kw.fit(
        module, kw.Dataset.from_arrays(x, labels, test_size=0, validation_size=0), loss="cross_entropy", optimizer="lm"
    )

    def loss(flat: np.ndarray) -> float:
        logits = x.numpy() @ flat[: 3 * outputs].reshape(3, outputs) + flat[3 * outputs :]
        logits = np.concatenate([np.zeros((80, 1)), logits], 1) if outputs == 1 else logits
        return float((np.logaddexp.reduce(logits, axis=1) - logits[np.arange(80), labels.numpy()]).mean())

    least = minimize(loss, np.zeros(4 * outputs), tol=1e-12).fun
    assert result.objective == pytest.approx(least, rel=1e-6)


def test_a_module_of_float32_is_fitted_in_float64():
    """It ends at what a module of float64 with the same first values ends at, rounded."""
    data = kw.sample("sin(2*x)", x=(-1, 1), size=200, seed=0)
    module, twin = kw.MLP([1, 8, 1], seed=0, dtype=torch.float32), kw.MLP([1, 8, 1])
    twin.load_state_dict(module.state_dict())
    for some in (module, twin):
        kw.fit(some, data, optimizer="lm", steps=30)
    for own, wide in zip(module.parameters(), twin.parameters(), strict=True):
        assert own.dtype == torch.float32 and wide.dtype == F64 and torch.equal(own, wide.float())


def test_a_module_of_two_types_keeps_both():
    module = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1), nn.LayerNorm(1, dtype=torch.bfloat16))
    module[3].forward = lambda x: x * module[3].weight + module[3].bias
    module.register_buffer("more", torch.zeros(2, dtype=torch.float16))
    for optimizer in ("lm", "adam"):
        assert kw.fit(module, (normal(30, 2), normal(30, seed=1)), optimizer=optimizer, steps=3).steps == 3
        types = [p.dtype for p in module.parameters()]
        assert types == [torch.float32] * 4 + [torch.bfloat16] * 2 and module.more.dtype == torch.float16


@pytest.mark.parametrize("optimizer", ["lm", "lbfgs", "adam"])
def test_complex_constants_keep_their_imaginary_parts(optimizer):
    module = Complex()
    before = module.spectrum.clone()
    result = kw.fit(module, (normal(20, 3), normal(20, seed=1)), optimizer=optimizer, steps=3)
    assert module.spectrum.dtype == torch.complex64 and module.spectrum.equal(before)
    assert result.train_rmse < np.inf and module.first.weight.dtype == torch.float32


def test_frozen_parameters_do_not_count_for_the_size_of_a_module():
    module = nn.Sequential(nn.Linear(3, 8000), nn.Linear(8000, 1))
    module[0].requires_grad_(False)
    assert kw.fit(module, (normal(5, 3), normal(5, seed=1)), optimizer="lm", steps=1).steps == 1


def test_frozen_and_tied_parameters_stay_so():
    x, y = normal(40, 3), normal(40, 2, seed=1)
    for tied in ("module", "weight"):
        module = seeded(Between(torch.tanh, tied))
        module.last.bias.requires_grad_(False)
        before = module.last.bias.clone()
        result = kw.fit(module, (x, y), optimizer="lm", steps=5)
        assert result.steps > 0 and torch.equal(module.last.bias, before)
        assert module.second.weight is module.first.weight


def test_without_free_parameters_nothing_happens():
    module = seeded(nn.Linear(3, 1)).requires_grad_(False)
    x = normal(20, 3)
    result = kw.fit(module, (x, module(x)), optimizer="lm")
    assert result.steps == 0 and result.stop is StopReason.NOTHING_TO_TRAIN


def test_removed_edges_and_fixed_constants_of_an_inner_kan_do_not_move():
    module = with_named_edges()
    inner = module[0]
    fixed, gone = inner.layers[0].affine.clone(), inner.layers[0].coefficients[1, :, 1].clone()
    result = kw.fit(module, (0.5 * normal(60, 3), normal(60, 2, seed=1)), optimizer="lm", steps=5)
    assert result.steps == 5
    assert torch.equal(inner.layers[0].affine, fixed) and torch.equal(inner.layers[0].coefficients[1, :, 1], gone)
    assert not torch.equal(inner.layers[1].affine[0], torch.tensor([1.0, 0.0, 0.5, 0.1], dtype=F64))


@pytest.mark.parametrize("optimizer", ["lm", "lbfgs", "adam"])
def test_errors_are_those_of_evaluation_mode_and_the_mode_stays(optimizer):
    module = seeded(nn.Sequential(nn.Linear(2, 9), nn.Tanh(), nn.Dropout(0.5), nn.BatchNorm1d(9), nn.Linear(9, 1)))
    module[2].eval()
    x = normal(60, 2)
    result = kw.fit(
        module, kw.Dataset.from_arrays(x, x[:, 0] ** 2, test_size=0, validation_size=0), optimizer=optimizer, steps=3
    )
    assert module.training and module[3].training and not module[2].training
    module.eval()
    error = (module(x)[:, 0] - x[:, 0] ** 2).square().mean().sqrt().item()
    assert result.train_rmse == pytest.approx(error, rel=1e-12)


def test_dropout_and_batch_norm_are_off_in_second_order_steps():
    x, y = normal(60, 2), normal(60, seed=1)
    with_both = seeded(nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Dropout(0.5), nn.BatchNorm1d(5), nn.Linear(5, 1)))
    statistics = with_both[3].running_mean.clone()
    first = kw.fit(with_both, (x, y), optimizer="lm", steps=5)
    again = seeded(nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Dropout(0.9), nn.BatchNorm1d(5), nn.Linear(5, 1)))
    assert kw.fit(again.eval(), (x, y), optimizer="lm", steps=5).objective == first.objective
    assert torch.equal(with_both[3].running_mean, statistics) and int(with_both[3].num_batches_tracked) == 0


def test_a_function_that_torch_func_cannot_follow_gives_the_same_and_a_warning():
    x, y = normal(30, 3), normal(30, 2, seed=1)
    plain = kw.fit(seeded(Between(torch.tanh)), (x, y), optimizer="lm", steps=4)
    with pytest.warns(KnotworkWarning, match="setup_context and generate_vmap_rule = True") as caught:
        slow = kw.fit(seeded(Between(Old.apply)), (x, y), optimizer="lm", steps=4)
    assert "cannot differentiate this Between on many rows together" in str(caught[0].message)
    assert slow.objective == pytest.approx(plain.objective, rel=1e-9)


REFUSED = [
    (lambda: Centred(), {}, "its outputs for one row depend on the other rows. Use 'lbfgs' or 'adam'."),
    (
        lambda: nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2, track_running_stats=False), nn.Linear(2, 1)),
        {},
        "it does not compute one row alone (ValueError: Expected more than 1 value per channel",
    ),
    (lambda: Single(), {}, "with this Single: its outputs are float32 where its inputs are float64"),
    (lambda: nn.Linear(2, 1), {}, "it does not compute rows of 3 values in float64 (RuntimeError: mat1 and mat2"),
    (lambda: nn.Linear(3, 1), {"loss": nn.functional.l1_loss}, "but the loss is a function that was passed; use"),
    (
        lambda: nn.Linear(3, 1),
        {"optimizer": kw.LevenbergMarquardt(starts=4)},
        "starts=4 draws starting points of a KAN, but this is a Linear: fit several of them, for example with steps=30",
    ),
    (lambda: Complex(trained=True), {}, "with this Complex: its parameter spectrum holds complex numbers. Use 'lbfgs'"),
    (
        lambda: nn.DataParallel(nn.Linear(3, 1)),
        {},
        "with this DataParallel: it spreads rows over devices or processes, which model.module, the module in it, does",
    ),
    (
        lambda: nn.Sequential(nn.Linear(3, 8000), nn.Linear(8000, 1)),
        {},
        "it has 40,001 free parameters, whose matrix of second derivatives would take 12.8 GB; at most 10,000 are",
    ),
    (lambda: nn.Tanh(), {}, "this Tanh has no parameters, so there is nothing to fit."),
]


@pytest.mark.parametrize(("make", "more", "message"), REFUSED)
def test_what_is_not_possible_is_refused_in_words(make, more, message):
    module = make()
    before = {name: p.clone() for name, p in module.named_parameters()}
    with pytest.raises(TrainingError, match=re.escape(message)):
        kw.fit(module, (normal(20, 3), normal(20, seed=1)), **{"optimizer": "lm", **more})
    assert all(torch.equal(p, before[name]) for name, p in module.named_parameters())


def test_a_rejected_step_leaves_the_module_as_it_was():
    module = kw.MLP([3, 4, 1], seed=0)
    problem = ModuleProblem(module, normal(20, 3), normal(20, 1, seed=1), Normal())
    problem.begin()
    before = problem.parameters.get()
    step = problem.linearise().step(1e-3)
    problem.attempt(problem.accelerated(step))
    assert not torch.equal(problem.parameters.get(), before)
    problem.reject()
    assert torch.equal(problem.parameters.get(), before)
