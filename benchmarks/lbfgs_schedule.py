"""L-BFGS with the paper's grids 3, 5, 10, 20 and 200 steps each: exp(sin(pi x) + y²), [2, 5, 1], 1,000 rows.

    python benchmarks/lbfgs_schedule.py [--seeds 5]

Prints the test RMSE and the seconds since the start at the end of every level (figure 2.3 of the paper, left).
"""

import argparse
import json
import time

import knotwork as kw


def main() -> None:
    """Print one JSON line for each seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=200)
    options = parser.parse_args()
    for seed in range(options.seeds):
        data = kw.sample("exp(sin(pi*x) + y**2)", x=(-1, 1), y=(-1, 1), size=1000, test_size=1000, seed=seed)
        model = kw.KAN([2, 5, 1], grid=3, seed=seed)
        began, levels = time.perf_counter(), {}
        for grid in (3, 5, 10, 20):
            model = model.refine(grid)
            result = model.fit(data, optimizer="lbfgs", steps=options.steps, progress=False)
            levels[grid] = {"test_rmse": result.test_rmse, "seconds": round(time.perf_counter() - began, 2)}
        print(json.dumps({"seed": seed, "levels": levels}), flush=True)


if __name__ == "__main__":
    main()
