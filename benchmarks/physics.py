"""The accuracy of `pde.solve` for known problems: relative L2 errors at 4,000 points that were not used.

    python benchmarks/physics.py                       # every case with five seeds
    python benchmarks/physics.py poisson heat --seeds 3
    python benchmarks/physics.py --summary

Every seed of a case is one JSON line in `results/physics.jsonl`. Lines that exist are not run again, and a table is
printed at the end. CASES contains the settings that are not defaults. `inverse` has 20 seeds, each with other noise.
The cases called "own" are not taken from another library and have default settings; "drift" showed two faults.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import torch
from lines import Lines

from knotwork import pde
from knotwork.pde import library

RESULTS = Path(__file__).parent / "results" / "physics.jsonl"


@dataclass(frozen=True)
class Case:
    """A problem for each seed, its network, the required error, and settings that are not defaults."""

    make: Callable[[int], pde.Problem]
    width: list | None
    grid: int | dict
    asked: float
    settings: dict = field(default_factory=dict)
    seeds: int = 5


def reaction(seed: int) -> pde.Problem:
    """-Δu + u³ = f with u = exp(x)·cos(2y + x), given on the boundary of a rectangle."""

    def exact(x, y):
        return torch.exp(x) * torch.cos(2 * y + x)

    def source(x, y):  # -u_xx - u_yy + u³
        return 2 * torch.exp(x) * torch.sin(2 * y + x) + 4 * exact(x, y) + exact(x, y) ** 3

    def residual(u, x, y):
        return u.d("x", "x") + u.d("y", "y") - u**3 + source(x, y)

    return pde.Problem(residual, {"x": (-0.5, 1), "y": (0, 2)}, [pde.dirichlet(exact)], exact=exact)


def drift(seed: int) -> pde.Problem:
    """u_t + u_x = 0.2 u_xx + f with u = sin(2x - 3t) / (1 + t) + x t, given at both ends."""

    def exact(x, t):
        return torch.sin(2 * x - 3 * t) / (1 + t) + x * t

    def source(x, t):
        phase = 2 * x - 3 * t
        by_t = -3 * torch.cos(phase) / (1 + t) - torch.sin(phase) / (1 + t) ** 2 + x
        return by_t + 2 * torch.cos(phase) / (1 + t) + t + 0.8 * torch.sin(phase) / (1 + t)

    def residual(u, x, t):
        return u.d("t") + u.d("x") - 0.2 * u.d("x", "x") - source(x, t)

    start = pde.initial(lambda x: exact(x, torch.zeros_like(x)))
    return pde.Problem(residual, {"x": (0, 2), "t": (0, 1.5)}, [pde.dirichlet(exact), start], exact=exact)


def anisotropic(seed: int) -> pde.Problem:
    """u_xx + (2 + sin x) u_yy + u_xy = f with u = log(3 + x + y²) + x y, given on the boundary."""

    def exact(x, y):
        return torch.log(3 + x + y**2) + x * y

    def source(x, y):
        s = 3 + x + y**2
        return -1 / s**2 + (2 + torch.sin(x)) * (2 / s - 4 * y**2 / s**2) - 2 * y / s**2 + 1

    def residual(u, x, y):
        return u.d("x", "x") + (2 + torch.sin(x)) * u.d("y", "y") + u.d("x", "y") - source(x, y)

    return pde.Problem(residual, {"x": (-1, 2), "y": (-1, 1.5)}, [pde.dirichlet(exact)], exact=exact)


FINE = {"k": 7, "starts": 8, "points": 2000, "steps": 100}  # for waves that are short compared with the domain
LAYERS = {"adaptive": True, "points": 2500, "steps": 25}  # for thin layers that form in time
PRODUCTS = {"rank": 2, "k": 7, "steps": 60, "starts": 4}
CASES = {
    "poisson": Case(lambda seed: library.poisson(), [2, 5, 1], 20, 2e-6),
    "helmholtz (1,1)": Case(lambda seed: library.helmholtz(1, 1), [2, 5, 1], 20, 1e-6),
    "helmholtz (1,4)": Case(lambda seed: library.helmholtz(1, 4), [2, 6, 1], 20, 1e-6, FINE),
    "helmholtz (4,4)": Case(
        lambda seed: library.helmholtz(4, 4), [2, 8, 1], 18, 1e-6, {**FINE, "points": 2500, "tolerance": 1e-4}
    ),
    "heat": Case(lambda seed: library.heat(), [2, 5, 1], 20, 1e-7),
    "wave": Case(lambda seed: library.wave(), [2, 5, 1], 20, 1e-7),
    "wave, two modes": Case(lambda seed: library.wave(2.0, {1: 1.0, 4: 0.5}), [2, 8, 1], 20, 1e-7, FINE),
    "helmholtz (1,4), products": Case(lambda seed: library.helmholtz(1, 4), None, 48, 1e-6, PRODUCTS),
    "helmholtz (4,4), products": Case(lambda seed: library.helmholtz(4, 4), None, 48, 1e-6, PRODUCTS),
    "wave, two modes, products": Case(
        lambda seed: library.wave(2.0, {1: 1.0, 4: 0.5}), None, 60, 1e-7, {"rank": 4, "k": 7, "steps": 60}
    ),
    "kovasznay": Case(lambda seed: library.kovasznay(), [2, 7, 3], 10, 1e-6, {"k": 7, "steps": 200, "tolerance": 1e-4}),
    "burgers": Case(
        lambda seed: library.burgers(),
        None,
        {"x": 66, "t": 5},
        1e-4,
        {"rank": 7, "k": 7, "windows": [0.13, 0.24, 0.34, 0.46], **LAYERS},
    ),
    "allen-cahn": Case(
        lambda seed: library.allen_cahn(),
        None,
        {"x": 86, "t": 4},
        1e-3,
        {"rank": 6, "windows": [0.04, 0.24, 0.48, 0.74], **LAYERS},
    ),
    "inverse": Case(
        lambda seed: library.inverse_diffusivity(seed=seed), [2, 2, 1], 10, 0.02, {"starts": 4, "steps": 40}, seeds=20
    ),
    "own: reaction": Case(reaction, [2, 5, 1], 20, 1e-5),
    "own: drift": Case(drift, [2, 5, 1], 20, 1e-5),
    "own: anisotropic": Case(anisotropic, [2, 5, 1], 20, 1e-5),
}


def run(name: str, seed: int) -> dict:
    """One solution as a line of the results."""
    case = CASES[name]
    solution = pde.solve(case.make(seed), width=case.width, grid=case.grid, seed=seed, **case.settings)
    line = {
        "case": name,
        "seed": seed,
        "width": case.width,
        "grid": case.grid,
        "settings": case.settings,
        "parameters": solution.parameters,
        "relative_l2": solution.relative_l2,
        "mse": solution.mse,
        "residual": solution.residual,
        "held_out": solution.held_out,
        "seconds": round(solution.seconds, 1),
        "stop_reason": solution.stop_reason,
    }
    for unknown, estimate in solution.unknowns.items():
        line[unknown], line[f"{unknown}_error"] = estimate.value, estimate.error
    return line


def summary(lines: list[dict]) -> str:
    """A table of medians and worst values over seeds."""
    rows = ["| case | network | parameters | asked | median | worst | seeds | s |", "|---|---|---|---|---|---|---|---|"]
    for name, case in CASES.items():
        own = [line for line in lines if line["case"] == name]
        if own:
            errors = [line["relative_l2"] for line in own]
            if "D" in own[0]:
                errors = [abs(line["D"] - 0.1) / 0.1 for line in own]
                inside = sum(abs(line["D"] - 0.1) <= 1.96 * line["D_error"] for line in own)
                name = f"{name} ({inside} in their interval)"
            seconds = median(line["seconds"] for line in own)
            network = own[0]["width"] or f"rank {own[0]['settings']['rank']}"
            rows.append(
                f"| {name} | {network}, G = {own[0]['grid']} | {own[0]['parameters']} | {case.asked:g} | "
                f"{median(errors):.1e} | {max(errors):.1e} | {len(own)} | {seconds:.0f} |"
            )
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", help="names of cases; all if none is given")
    parser.add_argument("--seeds", type=int, help="number of seeds of each case")
    parser.add_argument("--summary", action="store_true", help="run nothing, print the table")
    arguments = parser.parse_args()
    unknown = set(arguments.cases) - set(CASES)
    if unknown:
        parser.error(f"there is no case {sorted(unknown)[0]!r}; the cases are {', '.join(CASES)}")
    lines = Lines(RESULTS)
    done = {(line["case"], line["seed"]) for line in lines}
    for name in [] if arguments.summary else arguments.cases or CASES:
        for seed in range(arguments.seeds or CASES[name].seeds):
            if (name, seed) not in done:
                line = lines.add(run(name, seed))
                print(f"{name}, seed {seed}: {line['relative_l2']:.2e} in {line['seconds']:.0f} s", flush=True)
    print(summary(lines))


if __name__ == "__main__":
    main()
