"""Draws `results/toys.jsonl`: test RMSE over the number of parameters, as in figure 3.1 of the paper.

python benchmarks/toys_figure.py                    # writes results/toys.png
"""

from collections import defaultdict
from statistics import median

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from lines import Lines
from matplotlib.ticker import NullFormatter
from toys import RESULTS, SCALING_SEEDS, TOYS

TITLES = {
    "J0(20x)": "J₀(20x)",
    "2-D": "exp(sin πx + y²)",
    "xy": "xy",
    "4-D": "exp(½(sin π(a²+b²) + sin π(c²+d²)))",
    "100-D": "exp(mean of sin²(πxᵢ/2)), hundred xᵢ",
}
LOOKS = {  # colours of Okabe and Ito, with different markers
    "kan": ("KAN, Levenberg-Marquardt", "#0072B2", "o", "-"),
    "kan-paper": ("KAN, the paper's L-BFGS", "#E69F00", "s", "-"),
    "mlp-lm": ("MLPs, Levenberg-Marquardt", "#009E73", "^", ""),
    "mlp-lbfgs": ("MLPs, L-BFGS", "#CC79A7", "v", ""),
}


def points(rows: list[dict], case: str, method: str) -> list[tuple[int, float, float, float]]:
    """(parameters, median, smallest and largest test RMSE) over the seeds, by number of parameters."""
    errors: dict[tuple[int, str], list[float]] = defaultdict(list)
    for row in rows:
        if (row["case"], row["method"]) == (case, method) and row["seed"] not in SCALING_SEEDS:
            for level in row["levels"]:
                errors[level["parameters"], str(row["shape"])].append(level["test"])
    return sorted((size, median(tests), min(tests), max(tests)) for (size, _), tests in errors.items())


def main() -> None:
    """Five panels, and a legend in place of a sixth."""
    rows = Lines(RESULTS)
    figure, axes = plt.subplots(2, 3, figsize=(12, 7), layout="constrained")
    for toy, panel in zip(TOYS, axes.flat, strict=False):
        for method, (_, colour, marker, line) in LOOKS.items():
            found = points(rows, toy.name, method)
            if found:
                sizes, middles, least, most = zip(*found, strict=True)
                panel.plot(sizes, middles, color=colour, marker=marker, linestyle=line, markersize=6, linewidth=1.5)
                panel.vlines(sizes, least, most, color=colour, linewidth=1, alpha=0.6)
        panel.set(xscale="log", yscale="log")
        panel.set_title(f"{TITLES[toy.name]}\nKAN {toy.width}", fontsize=11)
        panel.xaxis.set_minor_formatter(NullFormatter())
        panel.grid(color="#dddddd", linewidth=0.6)
        panel.set_axisbelow(True)
    for panel in axes[:, 0]:
        panel.set_ylabel("test RMSE")
    for panel in (*axes[1, :2], axes[0, 2]):
        panel.set_xlabel("parameters")
    legend = axes[1, 2]
    legend.axis("off")
    for label, colour, marker, line in LOOKS.values():
        legend.plot([], [], color=colour, marker=marker, linestyle=line, label=label)
    legend.legend(loc="center", frameon=False, fontsize=11, title="median, least and greatest of the seeds")
    figure.savefig(RESULTS.with_suffix(".png"), dpi=150)


if __name__ == "__main__":
    main()
