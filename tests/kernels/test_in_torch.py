"""Whole layers with other features of torch: modes, transforms, compilers, copies, processes, threads, memory."""

import copy
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn
from torch._dynamo.testing import CompileCounterWithBackend
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils.data import DataLoader, Dataset

from knotwork.kernels import active
from knotwork.model import KANLayer
from tests.kernels.cases import BOUND, make_case, make_knots, relative_error

if_compiled = pytest.mark.skipif(active().name != "compiled", reason="plain torch uses its own threads")
EQUAL = 1e-12  # of float64 sums in another order


def layer(n_in, n_out, grid=5, k=3, dtype=torch.float32, **settings):
    made = KANLayer(n_in, n_out, grid, k, dtype=dtype, generator=torch.Generator().manual_seed(0), **settings)
    made.knots = make_knots(k, grid, n_in, dtype=dtype)
    return made


def samples(*shape, dtype=torch.float32, seed=0):
    return 2.4 * torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype) - 1.2


@pytest.fixture
def threads():
    """A function that sets the number of threads, which is restored after the test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


# --- modes and transforms ---


def test_outputs_without_gradients_are_the_same(edge_sums):
    """Also for tensors that were made in inference mode."""
    knots, tensors, _ = make_case(130, 3, 5, 5, 3, torch.float64)
    leaves = [t.requires_grad_() for t in tensors]
    expected = edge_sums(*leaves[:3], knots, 3, scale=leaves[3])
    assert expected.requires_grad
    with torch.no_grad():
        y = edge_sums(*leaves[:3], knots, 3, scale=leaves[3])
    assert y.equal(expected) and not y.requires_grad
    with torch.inference_mode():
        y = edge_sums(*leaves[:3], knots, 3, scale=leaves[3])
        assert edge_sums(*(t.clone() for t in leaves[:3]), knots.clone(), 3, scale=leaves[3] + 0).equal(expected)
    assert y.equal(expected) and y.is_inference()
    assert edge_sums(*(t.detach() for t in leaves[:3]), knots, 3, scale=leaves[3].detach()).equal(expected)


def test_a_layer_can_be_used_inside_and_outside_inference_mode():
    made, x = layer(3, 4), samples(50, 3)
    expected = made(x)
    with torch.inference_mode():
        assert made(x).equal(expected) and made(x.clone()).equal(expected)
        made_inside = copy.deepcopy(made)
        assert made_inside(x).equal(expected)
    with torch.no_grad():
        assert made_inside(x).equal(expected)
    made(x).sum().backward()
    assert made.coefficients.grad.isfinite().all()


def test_autocast_keeps_single_precision(edge_sums):
    knots, tensors, gradient = make_case(130, 3, 5, 5, 3, torch.float32)
    found = []
    for enabled in (False, True):
        leaves = [t.clone().requires_grad_() for t in tensors]
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            y = edge_sums(*leaves[:3], knots, 3, scale=leaves[3])
        assert y.dtype == torch.float32
        (by_x,) = torch.autograd.grad(y, leaves[0], gradient, create_graph=True)
        by_x.square().sum().backward()
        found.append([y, by_x, *(t.grad for t in leaves)])
    assert all(a.equal(b) for a, b in zip(*found, strict=True))


def test_a_network_under_autocast_computes_layers_in_single_precision():
    """Half-precision rows of another layer are converted to the layer's own precision."""
    made, x = layer(3, 4), samples(50, 3)
    net = nn.Sequential(made, nn.Linear(4, 3), layer(3, 2, k=2))
    with torch.autocast("cpu", torch.bfloat16):
        assert made(x).equal(made(x.clone())) and made(x).dtype == torch.float32
        assert made(x.bfloat16()).equal(made(x.bfloat16().float()))
        y = net(x)
        assert net[:2](x).dtype == torch.bfloat16 and y.dtype == torch.float32
    y.square().sum().backward()
    assert all(p.grad.dtype == torch.float32 and p.grad.isfinite().all() for p in net.parameters() if p.numel())
    assert relative_error(y, net(x).double()) < 0.05  # the Linear layer between them computes with 3 decimal digits


def test_function_transforms_give_the_values_and_gradients_of_autograd(edge_sums):
    """vmap over rows and over whole layers, Jacobians in both directions, gradients, and forward mode."""
    knots, tensors, gradient = make_case(6, 3, 4, 5, 3, torch.float64)
    x, coefficients, base_weights, scale = tensors

    def call(x, coefficients=coefficients, base_weights=base_weights, scale=scale):
        return edge_sums(x, coefficients, base_weights, knots, 3, scale=scale)

    def row(x, scale):
        return call(x[None], scale=scale[None])[0]

    def equal(actual, expected):
        return relative_error(actual.detach(), expected.detach()) < EQUAL

    y, leaves = call(x), [t.clone().requires_grad_() for t in tensors]
    gradients = torch.autograd.grad(call(*leaves), leaves, gradient)
    slopes = torch.autograd.functional.jacobian(call, x).diagonal(dim1=0, dim2=2).permute(2, 0, 1)  # (row, out, in)

    assert equal(torch.func.vmap(row)(x, scale), y)
    several = torch.stack([coefficients, 2 * coefficients])
    by_layer = torch.func.vmap(call, in_dims=(None, 0))(x, several)
    assert equal(by_layer[0], y) and equal(by_layer[1], call(x, 2 * coefficients))
    assert equal(torch.func.vmap(torch.func.jacrev(row))(x, scale), slopes)
    assert equal(torch.func.vmap(torch.func.jacfwd(row))(x, scale), slopes)
    assert equal(torch.func.jvp(call, (x,), (torch.ones_like(x),))[1], slopes.sum(-1))
    value, pull = torch.func.vjp(call, *tensors)
    assert equal(value, y) and all(equal(*pair) for pair in zip(pull(gradient), gradients, strict=True))
    by_all = torch.func.grad(lambda *t: (call(*t) * gradient).sum(), argnums=(0, 1, 2, 3))(*tensors)
    assert all(equal(*pair) for pair in zip(by_all, gradients, strict=True))
    with torch.autograd.forward_ad.dual_level():
        dual = call(torch.autograd.forward_ad.make_dual(x, torch.ones_like(x)))
        assert equal(torch.autograd.forward_ad.unpack_dual(dual).tangent, slopes.sum(-1))


def test_functional_call_and_vmap_give_the_outputs_and_gradients_of_the_layer():
    """For an ensemble of layers, and for the gradient of each sample."""
    made, x = layer(3, 4, dtype=torch.float64), samples(20, 3, dtype=torch.float64)
    state = {name: p.detach() for name, p in made.named_parameters()}
    ensemble = {name: torch.stack([p, p + 1, -p]) for name, p in state.items()}
    y = torch.func.vmap(lambda s: torch.func.functional_call(made, s, (x,)))(ensemble)
    assert relative_error(y[0].detach(), made(x).detach()) < EQUAL
    assert relative_error(y[2].detach(), -made(x).detach()) < EQUAL

    def loss(state, row):
        return torch.func.functional_call(made, state, (row,)).square().sum()

    by_sample = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(state, x)["coefficients"]
    made(x).square().sum().backward()
    assert relative_error(by_sample.sum(0), made.coefficients.grad) < EQUAL


# --- compilers ---


@pytest.mark.parametrize("extrapolation", ["linear", "zero"])
def test_a_network_compiled_by_torch_gives_the_outputs_and_gradients_of_the_original(extrapolation):
    net, x = nn.Sequential(layer(3, 4, extrapolation=extrapolation), nn.Tanh(), layer(4, 2, k=2)), samples(40, 3)
    backend = CompileCounterWithBackend("aot_eager")
    found = []
    for call in (net, torch.compile(net, backend=backend, fullgraph=True)):
        net.zero_grad()
        rows = x.clone().requires_grad_()
        y = call(rows)
        y.square().sum().backward()
        found.append([y.detach(), rows.grad, *(p.grad.clone() for p in net.parameters() if p.numel())])
    assert backend.frame_count == 1  # the second call was compiled, as one graph
    assert len(found[0]) == 2 + 4  # outputs, their gradient by x, and two parameters of each layer
    for expected, actual in zip(*found, strict=True):
        assert relative_error(actual, expected.double()) < 10 * BOUND[x.dtype]


def test_exported_and_traced_layers_give_the_same_outputs():
    made, x = layer(3, 4, dtype=torch.float64), samples(20, 3, dtype=torch.float64)
    expected = made(x).detach()
    exported = torch.export.export(made, (x,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    more = samples(33, 3, dtype=torch.float64, seed=1)
    assert relative_error(exported.module()(more).detach(), made(more).detach()) < EQUAL
    with torch.no_grad():
        assert relative_error(make_fx(made)(torch.zeros_like(x))(x), expected) < EQUAL


# --- copies, containers, processes ---


def test_copies_are_equal_and_independent():
    made, x = layer(3, 4), samples(50, 3)
    expected = made(x)
    for copied in (
        copy.deepcopy(made),
        pickle.loads(pickle.dumps(made)),
        copy.deepcopy(pickle.loads(pickle.dumps(made))),
    ):
        assert copied(x).equal(expected)
        with torch.no_grad():
            copied.coefficients.zero_()
        copied(x).sum().backward()
    assert made(x).equal(expected) and made.coefficients.grad is None


def test_a_network_of_kan_layers_and_other_modules_can_be_trained():
    net = nn.Sequential(nn.Linear(2, 8), layer(8, 8), nn.LayerNorm(8), layer(8, 1, k=5), nn.Flatten(0))
    x = samples(300, 2)
    y = (3 * x[:, 0]).sin() * x[:, 1]
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-2)
    losses = []
    for _ in range(60):
        optimiser.zero_grad()
        loss = nn.functional.mse_loss(net(x), y)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 10


class Rows(Dataset):
    """Rows computed by a layer, in the process that reads them."""

    def __init__(self, made, x):
        self.made, self.x = made, x

    def __len__(self):
        return 8

    def __getitem__(self, n):
        torch.set_num_threads(2 if active().name == "compiled" else 1)  # torch's own threads cannot survive a fork
        with torch.no_grad():
            return self.made(self.x + n / 100)


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forked_worker_processes_compute_the_same_after_threads_were_used(threads):
    """A forked child has none of its parent's threads; it starts its own."""
    threads(2 if active().name == "compiled" else 1)
    made, x = layer(64, 64), samples(200, 64)
    rows = Rows(made, x)
    expected = [rows[n] for n in range(len(rows))]
    loader = DataLoader(rows, batch_size=None, num_workers=2, multiprocessing_context="fork", timeout=60)
    for _ in range(2):
        for actual, value in zip(loader, expected, strict=True):
            assert actual.equal(value)
        assert rows[0].equal(expected[0])


# --- threads ---

SIZES = [(1, 784, 64), (64, 128, 64), (1000, 16, 64), (3000, 3, 40), (129, 33, 130), (700, 70, 8)]


def step(made, x):
    """Outputs and gradients by the parameters and by x."""
    rows = x.clone().requires_grad_()
    y = made(rows)
    return [y.detach(), *torch.autograd.grad(y.square().sum(), [rows, made.coefficients, made.base_weights])]


@if_compiled
@pytest.mark.parametrize("size", SIZES)
def test_results_do_not_depend_on_the_number_of_threads(threads, size):
    """The same number gives the same bits; another number adds in another order."""
    batch, n_in, n_out = size
    made, x = layer(n_in, n_out, dtype=torch.float64), samples(batch, n_in, dtype=torch.float64)
    threads(1)
    expected = step(made, x)
    for number in (1, 2, 3, 7):
        threads(number)
        first = step(made, x)
        for _ in range(3):
            assert all(a.equal(b) for a, b in zip(step(made, x), first, strict=True))
        for actual, value in zip(first, expected, strict=True):
            assert relative_error(actual, value) < EQUAL


@if_compiled
def test_simultaneous_calls_from_several_threads_give_the_same_results(threads):
    """The same as without other threads."""
    threads(2)
    work = [
        (layer(n_in, n_out, grid, dtype=torch.float64), samples(batch, n_in, dtype=torch.float64))
        for (batch, n_in, n_out), grid in zip(SIZES, [5, 20, 70, 5, 3, 11], strict=True)
    ]
    expected = [step(*pair) for pair in work]
    jobs = [n for round in range(6) for n in (range(6) if round % 2 else reversed(range(6)))]
    with ThreadPoolExecutor(3, initializer=threads, initargs=(2,)) as pool:
        for n, found in zip(jobs, pool.map(lambda n: step(*work[n]), jobs), strict=True):
            assert all(a.equal(b) for a, b in zip(found, expected[n], strict=True)), n


# --- memory ---

PEAK = """
import torch
from knotwork.model import KANLayer

def resident(name):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name)) / 1024

def step(layer, x):
    layer(x).square().sum().backward()

torch.set_num_threads(2)
warm = KANLayer(2, 2)
step(warm, torch.rand(4, 2))
layer, x = KANLayer(784, 64, grid=GRID), torch.rand(1000, 784)
for p in layer.parameters():
    p.grad = torch.zeros_like(p)
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")  # the peak begins anew
before = resident("VmRSS")
step(layer, x)
print(resident("VmHWM") - before)
"""


@if_compiled
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("grid", [5, 50])
def test_memory_of_a_step_is_too_small_for_a_basis(grid):
    """A training step of 1,000 rows takes at most 100 MiB above its data; a basis of G = 50 alone would take 159."""
    done = subprocess.run(
        [sys.executable, "-c", PEAK.replace("GRID", str(grid))], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < 100


TOO_LARGE = """
import resource
import torch
from knotwork.model import KANLayer

torch.set_num_threads(1)
torch.set_grad_enabled(False)
small, large = KANLayer(2, 1), KANLayer(2, 20_001)
x, rows = torch.rand(1000, 2), torch.rand(4096, 2)
expected = small(x)
held = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + (366 << 20), resource.RLIM_INFINITY))  # room for the outputs alone
try:
    large(rows)
except MemoryError:
    print("too large")
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(small(x).equal(expected), large(rows).shape[1])
"""


@if_compiled
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_layers_work_again_after_an_out_of_memory_error():
    done = subprocess.run([sys.executable, "-c", TOO_LARGE], capture_output=True, text=True)
    assert done.stdout == "too large\nTrue 20001\n", done.stderr
