"""Errors in L2 and H1 over the number of parameters for the paper's Poisson problem (its section 3.4).

    python benchmarks/poisson.py                        # every method without results
    python benchmarks/poisson.py kan-lm mlp-lm --seeds 1
    python benchmarks/poisson.py coarse-sample          # the errors of the paper's appendix E
    python benchmarks/poisson.py --summary              # run nothing, print the table, write results/poisson.png

Every run is one JSON line in `results/poisson.jsonl`. The methods:

- `kan-lm`: [2, 5, 1] of order 5 and of order 3 by `pde.solve` on G = 5, refined, solved again; default settings.
- `kan-paper`: the paper's method in knotwork: [2, 10, 1] of order 3, the paper's initial values, G = 5, 10, 20 with 250
  steps of L-BFGS each, 10,000 points on a lattice and 800 on the boundary, 0.01 times the mean squared residual plus
  that of the boundary; hidden grids are fitted to their values in the first 50 steps of each grid.
- `mlp-lm`: tanh networks by the same Levenberg-Marquardt method (damping, scaling, geodesic acceleration, balanced
  boundary term): the best of four starts after 30 steps, then up to 300 more, at three Sobol points for each
  parameter, but at least 600.
- `mlp-lbfgs`: the same networks, points and weights by 3,000 steps of L-BFGS.
- `coarse-sample`: [2, 5, 1], k = 3, on increasingly fine grids with a fixed sample: a lattice of 15 x 15 points, or 225
  scattered points. (`pde.solve` uses more points on finer grids: that is `kan-lm`.)

Errors are root mean squares at 10,000 Sobol points: of u, and of u and its gradient together.
"""

import argparse
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median

import matplotlib
import torch
from lines import Lines
from torch import Tensor
from torch.func import functional_call, grad, jacrev, jvp, vmap

import knotwork as kw
from knotwork import pde
from knotwork.pde import library
from knotwork.pde.problems.points import PointSet, condition_points, sobol_points
from knotwork.pde.solving.gradient_methods import minimise
from knotwork.pde.solving.second_order import levenberg_marquardt as solve_system
from knotwork.pde.solving.system import System
from knotwork.pde.solving.terms import Term
from knotwork.pde.strategies.initial_networks import draw_first_values, set_to_domain
from knotwork.solvers import (
    SOLVER,
    NormalEquations,
    Options,
    Step,
    VectorProblem,
    accelerated_step,
    gauss_newton,
    second_differences,
)

matplotlib.use("Agg")
RESULTS = Path(__file__).parent / "results" / "poisson.jsonl"
METHODS = ("kan-lm", "kan-paper", "mlp-lm", "mlp-lbfgs", "coarse-sample")
HIDDEN = ([5, 5], [10, 10], [15, 15], [20, 20])
GRIDS = (5, 10, 20, 40)
LOOKS = {
    "kan-lm, k = 5": ("KAN [2, 5, 1], k = 5, Levenberg-Marquardt", "#0072B2", "o", "-"),
    "kan-lm, k = 3": ("KAN [2, 5, 1], k = 3, Levenberg-Marquardt", "#56B4E9", "o", "-"),
    "kan-paper": ("KAN [2, 10, 1], k = 3, the paper's L-BFGS", "#E69F00", "s", "-"),
    "mlp-lm": ("MLPs, Levenberg-Marquardt", "#009E73", "^", "-"),
    "mlp-lbfgs": ("MLPs, L-BFGS", "#CC79A7", "v", "-"),
}
BOX = torch.tensor([[-1.0, -1.0], [1.0, 1.0]], dtype=torch.float64)
NONE = torch.zeros(0, dtype=torch.float64)
TEST = sobol_points(10000, BOX, 2**31 - 1)


def source(x: Tensor) -> Tensor:
    """The right-hand side of the equation at one point x (2,)."""
    s, y = torch.sin(math.pi * x[0]), x[1]
    slope = 2 * math.pi * torch.cos(math.pi * y**2) - (2 * math.pi * y) ** 2 * torch.sin(math.pi * y**2)
    return s * (slope - math.pi**2 * torch.sin(math.pi * y**2))


def exact(x: Tensor) -> Tensor:
    """u and its gradient at x (n, 2): (n, 3)."""
    y = x[:, 1]
    s, c = torch.sin(math.pi * x[:, 0]), math.pi * torch.cos(math.pi * x[:, 0])
    t, by_y = torch.sin(math.pi * y**2), 2 * math.pi * y * torch.cos(math.pi * y**2)
    return torch.stack([s * t, c * t, s * by_y], dim=1)


def errors(found: Tensor) -> dict[str, float]:
    """Errors of u and its gradient at TEST (n, 3)."""
    squares = (found - exact(TEST)).square().mean(0)
    return {"l2": float(squares[0].sqrt()), "h1": float(squares.sum().sqrt()), "mse": float(squares[0])}


@torch.no_grad()
def of_kan(model: kw.KAN) -> dict:
    """Errors of a KAN."""
    value, slope = model.derivatives(TEST, order=1)
    return {"parameters": model.parameters_in_use(), **errors(torch.cat([value, slope[..., 0]], dim=1))}


def kan_lm(k: int, seed: int) -> Iterator[dict]:
    """`pde.solve` on each level."""
    problem, model = library.poisson(), None
    for grid in GRIDS:
        if model is None:
            solution = pde.solve(problem, width=[2, 5, 1], grid=grid, k=k, seed=seed)
        else:
            solution = pde.solve(problem, model.refine(grid), seed=seed)
        model = solution.model
        yield {"grid": grid, **of_kan(model), "residual": solution.residual, "held_out": solution.held_out}


def lattice(n: int) -> Tensor:
    """n x n points including those on the boundary, (n², 2)."""
    axis = torch.linspace(-1, 1, n, dtype=torch.float64)
    return torch.cartesian_prod(axis, axis)


def system_at(model: kw.KAN, x: Tensor, on_face: int) -> System:
    """The problem's system with the equation at x."""
    problem = library.poisson()
    edge = problem.conditions[0]
    terms = [Term(problem, "equation", problem.equation, PointSet(x))]
    terms += [Term(problem, edge.kind, edge.residual, some) for some in condition_points(problem, edge, on_face, 0)]
    return System(model, terms, NONE)


def kan_paper(seed: int) -> Iterator[dict]:
    """The paper's method."""
    model = set_to_domain(kw.KAN([2, 10, 1], grid=GRIDS[0], k=3, seed=seed, init="paper"), library.poisson())
    for grid in GRIDS[:3]:
        model = model.refine(grid)
        system = system_at(model, lattice(100), 200)
        system.terms[0].weight = 0.01
        minimise(system, "lbfgs", steps=50)
        minimise(system, "lbfgs", steps=200, update_grid=False)
        yield {"grid": grid, **of_kan(model)}


class Network(torch.nn.Module):
    """A tanh network with residuals of the Poisson problem as functions of its parameters, one vector (P,)."""

    def __init__(self, width: list[int], seed: int) -> None:
        super().__init__()
        layers: list[torch.nn.Module] = []
        for a, b in pairwise(width):
            layers += [torch.nn.Linear(a, b, dtype=torch.float64), torch.nn.Tanh()]
        self.layers = torch.nn.Sequential(*layers[:-1])
        generator = torch.Generator().manual_seed(seed)
        for parameter in self.parameters():  # Glorot and Bengio 2010
            ends = (6 / sum(parameter.shape)) ** 0.5 if parameter.ndim == 2 else 0.0
            torch.nn.init.uniform_(parameter, -ends, ends, generator=generator)
        self.shapes = {name: p.shape for name, p in self.named_parameters()}

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)[..., 0]

    def vector(self) -> Tensor:
        return torch.cat([p.detach().flatten() for p in self.parameters()])

    def at(self, p: Tensor, x: Tensor) -> Tensor:
        """The value at one point x (2,)."""
        parts = p.split([s.numel() for s in self.shapes.values()])
        named = {name: part.view(s) for (name, s), part in zip(self.shapes.items(), parts, strict=True)}
        return functional_call(self, named, (x,))

    def equation(self, p: Tensor, x: Tensor) -> Tensor:
        """The residual of the equation at one point."""
        slope = grad(lambda at: self.at(p, at))
        second = sum(jvp(slope, (x,), (unit,))[1] @ unit for unit in torch.eye(2, dtype=x.dtype))
        return second - source(x)


class Rows:
    """Weighted residuals of a network at points of the equation and of the boundary, and their Jacobian."""

    def __init__(self, network: Network, seed: int) -> None:
        self.network = network
        count = len(network.vector())
        n = max(600, 3 * count)
        problem = library.poisson()
        edge = torch.cat(
            [p.x for p in condition_points(problem, problem.conditions[0], max(50, int(2 * n**0.5)), seed)]
        )
        self.parts = [(network.equation, sobol_points(n, BOX, seed)), (network.at, edge)]
        self.weights = [1.0, 1.0]

    def balance(self, p: Tensor) -> None:
        """Set the weights as `System.balance` does."""
        moves = [float(self._columns(f, p, x).square().sum()) / len(x) for f, x in self.parts]
        self.weights = [1.0, max(moves[0] / moves[1], 1.0)]

    def residuals(self, p: Tensor) -> Tensor:
        return torch.cat(
            [(w / len(x)) ** 0.5 * vmap(f, (None, 0))(p, x) for (f, x), w in zip(self.parts, self.weights, strict=True)]
        )

    def jacobian(self, p: Tensor) -> Tensor:
        return torch.cat(
            [(w / len(x)) ** 0.5 * self._columns(f, p, x) for (f, x), w in zip(self.parts, self.weights, strict=True)]
        )

    @staticmethod
    def _columns(f: Callable, p: Tensor, x: Tensor) -> Tensor:
        return torch.cat([vmap(jacrev(f), (None, 0))(p, some) for some in x.split(500)])


class ResidualsOfRows(VectorProblem):
    """The sum of squared residuals as a function of the network's parameters."""

    def __init__(self, rows: Rows, p: Tensor) -> None:
        super().__init__(p)
        self.rows = rows

    def evaluate(self, at: Tensor) -> tuple[float, Tensor]:
        r = self.rows.residuals(at)
        return float(r @ r), r

    def linearise(self) -> NormalEquations:
        self.j = self.rows.jacobian(self.at)
        return NormalEquations(self.j.T @ self.j, self.j.T @ self.seen)

    def accelerated(self, step: Step) -> Tensor:
        moved = second_differences([self.seen], lambda share: [self.rows.residuals(self.at + share * step.vector)])[0]
        return accelerated_step(step, self.j.T @ (moved / SOLVER.acceleration_probe**2))


def levenberg_marquardt(rows: Rows, p: Tensor, steps: int, tolerance: float = 1e-3, patience: int = 8) -> Tensor:
    """The steps of `knotwork.pde.solving.second_order` for any residuals."""
    problem = ResidualsOfRows(rows, p)
    gauss_newton(problem, Options(steps=steps, tolerance=tolerance, patience=patience))
    return problem.at


def mlp(method: str, hidden: list[int], seed: int) -> dict:
    """One MLP."""
    starts = []
    for n in range(4 if method == "mlp-lm" else 1):
        network = Network([2, *hidden, 1], 1000 * seed + n)
        rows, p = Rows(network, seed), network.vector()
        rows.balance(p)
        if method == "mlp-lm":
            p = levenberg_marquardt(rows, p, 30)
        starts.append((float(rows.residuals(p).square().sum()) / rows.weights[1], n, rows, p))
    rows, p = min(starts)[2:]
    if method == "mlp-lm":
        rows.balance(p)
        p = levenberg_marquardt(rows, p, 300)
    else:
        p = lbfgs(rows, p, 3000)
    slope = vmap(grad(rows.network.at, argnums=1), (None, 0))(p, TEST)
    value = vmap(rows.network.at, (None, 0))(p, TEST)
    return {"parameters": len(p), **errors(torch.cat([value.unsqueeze(1), slope], dim=1))}


def lbfgs(rows: Rows, p: Tensor, steps: int) -> Tensor:
    """torch's L-BFGS with strong Wolfe conditions."""
    parameter = torch.nn.Parameter(p.clone())
    optimizer = torch.optim.LBFGS(
        [parameter], 1.0, max_iter=steps, max_eval=2 * steps, history_size=50, line_search_fn="strong_wolfe",
        tolerance_grad=0.0, tolerance_change=0.0,
    )  # fmt: skip

    def closure() -> float:
        optimizer.zero_grad()
        loss = rows.residuals(parameter).square().sum()
        loss.backward()
        return float(loss)

    optimizer.step(closure)
    return parameter.detach()


def coarse_sample(sample: str, seed: int) -> Iterator[dict]:
    """Grids that are finer than a fixed sample: the loss at its points, and residual and error elsewhere."""
    x = lattice(15) if sample == "lattice" else sobol_points(225, BOX, seed)
    problem = library.poisson()
    model = set_to_domain(kw.KAN([2, 5, 1], grid=GRIDS[0], k=3, seed=seed, base="zero"), problem)
    draw_first_values(model, torch.Generator().manual_seed(seed))
    for grid in GRIDS[:3]:
        model = model.refine(grid)
        system = system_at(model, x, 50)
        system.balance()
        at_start = float(system.terms[0].values(model, NONE).square().mean().sqrt())
        solve_system(system, steps=150)
        other = Term(problem, "equation", problem.equation, PointSet(sobol_points(4000, BOX, 1)))
        other.prepare(model)
        here, there = (float(t.values(model, NONE).square().mean().sqrt()) for t in (system.terms[0], other))
        yield {"grid": grid, "refined": at_start, "residual": here, "held_out": there, **of_kan(model)}


def runs(seeds: int) -> Iterator[tuple[dict, Callable[[], list[dict]]]]:
    """The description of each run, and the function that makes it."""
    for seed in range(seeds):
        for k in (5, 3):
            yield {"method": "kan-lm", "shape": f"k = {k}", "seed": seed}, lambda k=k, s=seed: list(kan_lm(k, s))
        for sample in ("lattice", "scattered"):
            what = {"method": "coarse-sample", "shape": sample, "seed": seed}
            yield what, lambda sample=sample, s=seed: list(coarse_sample(sample, s))
        yield {"method": "kan-paper", "shape": "[2, 10, 1]", "seed": seed}, lambda s=seed: list(kan_paper(s))
        for method in ("mlp-lm", "mlp-lbfgs"):
            for hidden in HIDDEN:
                what = {"method": method, "shape": str([2, *hidden, 1]), "seed": seed}
                yield what, lambda m=method, h=hidden, s=seed: [mlp(m, h, s)]


def curves(lines: list[dict]) -> dict[str, list[tuple[int, float, float]]]:
    """(parameters, median L2, median H1) of each method over seeds, by number of parameters."""
    found: dict[str, dict[int, list[dict]]] = defaultdict(lambda: defaultdict(list))
    for line in lines:
        name = f"kan-lm, {line['shape']}" if line["method"] == "kan-lm" else line["method"]
        if line["method"] != "coarse-sample":
            for level in line["levels"]:
                found[name][level["parameters"]].append(level)
    return {
        name: [
            (size, median(v["l2"] for v in some), median(v["h1"] for v in some)) for size, some in sorted(at.items())
        ]
        for name, at in found.items()
    }


def exponent(sizes: list[int], values: list[float]) -> float:
    """-d log error / d log parameters by least squares."""
    x, y = (torch.tensor(v, dtype=torch.float64).log() for v in (sizes, values))
    return -float(((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum())


def summary(lines: list[dict]) -> str:
    """Tables of the methods, and of the grids that are finer than the sample."""
    rows = ["| method | parameters | L2 | H1 | exponents |", "|---|---|---|---|---|"]
    for name, points in curves(lines).items():
        sizes, l2, h1 = (list(v) for v in zip(*points, strict=True))
        slopes = f"{exponent(sizes, l2):.1f}, {exponent(sizes, h1):.1f}" if len(sizes) > 1 else ""
        for size, a, b in points:
            rows.append(f"| {name} | {size} | {a:.1e} | {b:.1e} | {slopes} |")
    rows += ["", "| sample | seed | G | refined | residual | elsewhere | L2 |", "|---|---|---|---|---|---|---|"]
    for line in lines:
        for level in line["levels"] if line["method"] == "coarse-sample" else []:
            numbers = " | ".join(f"{level[key]:.1e}" for key in ("refined", "residual", "held_out", "l2"))
            rows.append(f"| {line['shape']} | {line['seed']} | {level['grid']} | {numbers} |")
    return "\n".join(rows)


def draw_figure(lines: list[dict]) -> None:
    """Two panels: L2 and H1 over the number of parameters."""
    import matplotlib.pyplot as plt
    from matplotlib.ticker import NullFormatter

    figure, axes = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    for name, points in curves(lines).items():
        label, colour, marker, line = LOOKS[name]
        sizes, *both = zip(*points, strict=True)
        for panel, values in zip(axes, both, strict=True):
            slope = f", exponent {exponent(list(sizes), list(values)):.1f}" if len(sizes) > 1 else ""
            panel.plot(sizes, values, color=colour, marker=marker, linestyle=line, label=label + slope)
    for panel, title in zip(axes, ("root mean square of u - exact", "and of its gradient (H¹)"), strict=True):
        panel.set(xscale="log", yscale="log", xlabel="parameters", title=title)
        panel.xaxis.set_minor_formatter(NullFormatter())
        panel.grid(color="#dddddd", linewidth=0.6)
        panel.legend(fontsize=7, frameon=False)
    figure.savefig(RESULTS.with_suffix(".png"), dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="*", default=METHODS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--summary", action="store_true")
    options = parser.parse_args()
    lines = Lines(RESULTS)
    done = {(line["method"], line["shape"], line["seed"]) for line in lines}
    for what, made in [] if options.summary else runs(options.seeds):
        if what["method"] in options.methods and tuple(what.values()) not in done:
            began = time.process_time()
            line = lines.add({**what, "levels": made(), "seconds": round(time.process_time() - began, 1)})
            print(what, [f"{level['l2']:.1e}" for level in line["levels"]], line["seconds"], flush=True)
    print(summary(lines))
    draw_figure(lines)


if __name__ == "__main__":
    main()
