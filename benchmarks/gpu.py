"""Time of fits on a GPU, in units of the time on the CPU.

    python benchmarks/gpu.py [--quick] [--out gpu.jsonl]

Each fit (Levenberg-Marquardt from one start and from several, Adam) runs on the CPU and on the GPU that torch finds
(CUDA, or Apple's MPS, which has no float64 and so runs Adam only, in float32). Every run is one line of JSON in FILE,
with the seconds and the error on test rows; a table shows the ratios of time. Without a GPU only the CPU runs.
"""

import argparse
import json
import time
from pathlib import Path

import torch

import knotwork as kw

FITS = {
    "lm": {"optimizer": kw.LevenbergMarquardt(starts=1)},
    "lm, 8 starts": {"optimizer": kw.LevenbergMarquardt(starts=8)},
    "adam": {"optimizer": kw.Adam(batch_size=1000)},
}


def gpu() -> str | None:
    """The name of the device of a GPU; None where there is none."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else None


def run(name: str, device: str, dtype: torch.dtype, rows: int, width: list[int], steps: int) -> dict[str, object]:
    """Seconds and errors of one fit; the first, short one, which loads the device's libraries, is not counted."""
    data = kw.sample("exp(sin(pi*x) + y**2)", x=(-1, 1), y=(-1, 1), size=rows, test_size=1000, seed=0)
    for limit in (2, steps):
        model = kw.KAN(width, grid=10, seed=0, dtype=dtype, device=device)
        began = time.perf_counter()
        result = model.fit(data, steps=limit, smoothness=None, progress=False, **FITS[name])
        seconds = time.perf_counter() - began
    return {
        "fit": name,
        "device": device,
        "dtype": str(dtype).removeprefix("torch."),
        "rows": rows,
        "width": width,
        "steps": result.steps,
        "seconds": round(seconds, 3),
        "test_rmse": result.test_rmse,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small fits, to see that the script runs")
    parser.add_argument("--out", type=Path, default=Path("gpu.jsonl"))
    options = parser.parse_args()
    found = gpu()
    if found is None:
        print("torch finds no GPU here (neither CUDA nor MPS), so only the CPU is measured.")
    rows, width, steps = (100, [2, 2, 1], 3) if options.quick else (20_000, [2, 12, 12, 1], 50)
    lines = []
    for name in FITS:
        for dtype in (torch.float32, torch.float64):
            if found == "mps" and (dtype == torch.float64 or name != "adam"):
                continue
            pair = [run(name, device, dtype, rows, width, steps) for device in ("cpu", found) if device]
            lines += pair
            ratio = f"{pair[1]['seconds'] / pair[0]['seconds']:.2f} of it on {found}" if len(pair) > 1 else ""
            print(f"{name:14} {pair[0]['dtype']:8} {pair[0]['seconds']:8.2f} s on the CPU  {ratio}")
    options.out.write_text("".join(json.dumps(line) + "\n" for line in lines))


if __name__ == "__main__":
    main()
