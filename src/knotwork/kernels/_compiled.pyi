"""The C++ extension built from csrc/. Arrays are addresses of contiguous CPU memory; only compiled.py calls it."""

HIGHEST_ORDER: int

def basis_float64(
    batch: int,
    inputs: int,
    n_knots: int,
    k: int,
    derivative: int,
    fade: bool,
    x: int,
    knots: int,
    out: int,
    slopes: int,
) -> None: ...
def inside_grid_float64(batch: int, n_inputs: int, n_knots: int, k: int, x: int, knots: int) -> bool: ...

basis_float32 = basis_float64
inside_grid_float32 = inside_grid_float64
