"""Fits on another device than the CPU: there is none here, so that one is pretended, which refuses what a GPU would."""

import pytest
import torch

import knotwork as kw
from knotwork.errors import DataError, SpecError
from tests.pretended_device import GPU, PretendedDevice

DATA = kw.sample("exp(sin(pi*x) + y**2)", x=(-1, 1), y=(-1, 1), size=120, test_size=30, seed=0)
NOISY = kw.sample("sin(3*x) + y", x=(-1, 1), y=(-1, 1), size=120, test_size=30, noise=0.2, seed=0)
CLASSES = kw.Dataset.from_arrays(
    DATA.X_train, (DATA.X_train[:, 0] > 0.1).long(), X_test=DATA.X_test[:3], y_test=[0, 1, 1]
)
STREAM = kw.stream_batches([(DATA.X_train, DATA.y_train)])
FITS = {
    "lm": {"optimizer": kw.LevenbergMarquardt(starts=3)},
    "lm with a penalty": {"optimizer": kw.LevenbergMarquardt(starts=2), "lamb": 1e-3},
    "lm with weights": {"sample_weight": DATA.X_train[:, 0].exp(), "optimizer": kw.LevenbergMarquardt(starts=1)},
    "smooth": {"smoothness": 1e-3},
    "lbfgs": {"optimizer": "lbfgs"},
    "adam": {"optimizer": kw.Adam(batch_size=20), "lamb": 1e-3},
    "patience": {"optimizer": "adam", "patience": 2},
}


@pytest.mark.parametrize("settings", FITS.values(), ids=FITS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["f32", "f64"])
def test_a_fit_takes_place_on_the_device_of_the_network(settings, dtype):
    here = kw.KAN([2, 2, 1], seed=0, dtype=dtype)
    start = [p.clone() for p in here.parameters()]
    expected = here.fit(DATA, steps=5, **settings)
    with PretendedDevice() as device:
        network = kw.KAN([2, 2, 1], seed=0, dtype=dtype, device=GPU)
        assert all(device.has(p) for p in (*network.parameters(), *network.buffers()))
        assert all(p.cpu().equal(own) for p, own in zip(network.parameters(), start, strict=True))
        result = network.fit(DATA, steps=5, **settings)
        assert all(device.has(p) for p in (*network.parameters(), *network.buffers()))
    assert result.optimizer == expected.optimizer
    # other kernels round sums in another order; steps of float32 and searches along lines multiply that
    if dtype == torch.float64 and result.optimizer != "lbfgs":
        # the corners of |φ| multiply it, too: first values that differ by 1e-15 end up to 5e-6 apart.
        close = 1e-4 if "lamb" in settings else 1e-6
        assert result.train_rmse == pytest.approx(expected.train_rmse, rel=close)


VERBS = {
    "prune": lambda network: network.prune(DATA),
    "attribute": lambda network: network.attribute(DATA),
    "refine": lambda network: network.refine(7),
    "fit_multilevel": lambda network: kw.fit_multilevel(network, DATA, grids=[5, 7], steps=2),
    "fit_sparse": lambda network: kw.fit_sparse(network, DATA, optimizer=kw.LevenbergMarquardt(starts=1), steps=2),
    "jacobian": lambda network: network.jacobian(DATA.X_train),
    "derivatives": lambda network: network.derivatives(DATA.X_train),
    "loss_and_grad": lambda network: network.loss_and_grad(DATA.X_train, DATA.y_train),
    "copy": lambda network: network.copy(),
    "suggest_symbolic": lambda network: network.suggest_symbolic(0, 0, 0, DATA),
    "suggest_symbolic without data": lambda network: network.suggest_symbolic(0, 0, 0),
    "auto_symbolic": lambda _: kw.KAN([2, 1, 1], seed=0, device=GPU).auto_symbolic(DATA),
    "fix_symbolic": lambda network: (network.fix_symbolic(0, 0, 0, "sin", data=DATA), network.fit(DATA, steps=2)),
    "predict": lambda network: network.predict(DATA.X_test),
    "plot": lambda network: network.plot(DATA),
    "rows with noise": lambda network: network.fit(NOISY, steps=3),
    "cross-entropy": lambda _: kw.KAN([2, 2], seed=0, device=GPU).fit(CLASSES, steps=3, loss="cross_entropy"),
    "a stream": lambda network: network.fit(STREAM, steps=2),
    "an MLP by adam": lambda _: kw.fit(kw.MLP([2, 3, 1], seed=0, device=GPU), DATA, steps=3),
}


@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
def test_rows_of_the_cpu_reach_a_network_on_a_device(verb):
    with PretendedDevice():
        network = kw.KAN([2, 2, 1], seed=0, device=GPU)
        network.fit(DATA, steps=3, optimizer=kw.LevenbergMarquardt(starts=1))
        verb(network)


def named(network):
    network.fit(DATA, steps=20, optimizer=kw.LevenbergMarquardt(starts=1), smoothness=None)
    return network.auto_symbolic(DATA, lib=["x", "x^2", "sin"])


ON_CPU = {
    "symbolic_formula": lambda network, data, place: named(network).symbolic_formula(data),
    "relations": lambda network, data, place: network.relations(data),
    "report": lambda network, data, place: named(network).report(place / "r.html", data, splines=network),
    "plot_edge": lambda network, data, place: network.plot_edge(0, 0, 0, data),
    "importances": lambda network, data, place: network.attribute(data),
}


@pytest.mark.parametrize("rows", ["cpu", "cuda"])
@pytest.mark.parametrize("verb", ON_CPU.values(), ids=ON_CPU)
def test_formulas_reports_and_figures_of_a_network_on_a_device(verb, rows, tmp_path):
    """They are made on the CPU from a copy, and creations of tensors there need no device=."""
    with PretendedDevice(creations=False) as device:
        network = kw.KAN([2, 1], seed=0, device=GPU)
        verb(network, DATA.to(rows), tmp_path)
        assert all(device.has(p) for p in (*network.parameters(), *network.buffers()))


@pytest.mark.parametrize("optimizer", [kw.LevenbergMarquardt(starts=2), kw.Adam(batch_size=20)], ids=["lm", "adam"])
def test_rows_may_be_on_the_device_before_a_fit(optimizer):
    with PretendedDevice() as device:
        data = NOISY.to(GPU)
        assert all(device.has(getattr(data, name)) for name in ("X_train", "y_train", "X_val", "y_val", "X_test"))
        found = kw.KAN([2, 2, 1], seed=0, device=GPU).fit(data, steps=4, optimizer=optimizer)
        expected = kw.KAN([2, 2, 1], seed=0, device=GPU).fit(NOISY, steps=4, optimizer=optimizer)
        assert found.train_rmse == pytest.approx(expected.train_rmse, rel=1e-9)


def test_a_data_set_goes_to_a_type_and_a_device_or_says_why_not():
    with PretendedDevice() as device:
        there = DATA.to(torch.float32, "cuda")
        assert device.has(there.X_train) and there.X_train.dtype == torch.float32
        assert not device.has(there.to("cpu").X_train)
    assert torch.equal(DATA.to(torch.float64, "cpu").X_train, DATA.X_train)
    for wrong in ("gpu7", torch.int64):
        with pytest.raises(DataError, match=r"'gpu7' is neither a floating-point type nor a device|cannot hold"):
            DATA.to(wrong)


def test_files_hold_a_network_that_is_on_a_device(tmp_path):
    with PretendedDevice() as device:
        network = kw.KAN([2, 2, 1], seed=0, device=GPU)
        settings = {"steps": 4, "optimizer": kw.LevenbergMarquardt(starts=2)}
        first = network.fit(DATA, checkpoint=tmp_path / "fit.knotwork", **settings)
        again = kw.KAN([2, 2, 1], seed=0, device=GPU)
        assert again.fit(DATA, checkpoint=tmp_path / "fit.knotwork", **settings).train_rmse == first.train_rmse
        assert all(device.has(p) for p in again.parameters())
        network.save(tmp_path / "network.safetensors")
        x, y = DATA.X_test, network(DATA.X_test).detach().cpu()
    loaded = kw.load(tmp_path / "network.safetensors")
    assert not loaded.fitted.is_cuda and torch.allclose(loaded(x), y, rtol=1e-12)


def test_the_pretended_device_refuses_what_a_gpu_would():
    with PretendedDevice() as device:
        there, here = torch.ones(2, device=GPU), torch.ones(2, device="cpu")
        assert there.device == GPU and device.has(2 * there) and not device.has(there.cpu())
        for wrong in (lambda: there + here, lambda: torch.zeros(2), lambda: there.numpy()):
            with pytest.raises(AssertionError, match=r"mixes tensors|without device=|NumPy cannot"):
                wrong()


def test_float64_on_a_device_without_it_is_refused():
    with pytest.raises(SpecError, match=r"^Apple's GPUs \(mps\) do not have float64, the default"):
        kw.KAN([2, 1], device="mps")
