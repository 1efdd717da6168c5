"""Hyperbolic space and its motions in 2 x 2 complex matrices; every function works on stacks (..., 2, 2).

A point is a positive Hermitian matrix of determinant 1 and the origin is the identity; g in SL(2,C) moves x to g x g*.
Then 2 cosh d(x, y) = tr(x⁻¹ y), so that the trace of a point says how far it is from the origin. Such a number,
2 cosh of a distance, is called its `spread` here. (Elstrodt, Grunewald, Mennicke 1998, "Groups acting on hyperbolic
space", chapter 1.) g and -g are the same motion.
"""

import numpy as np

ORIGIN = np.eye(2, dtype=complex)


def spread(distance: float) -> float:
    """2 cosh(distance): distances are compared in this form, without a logarithm."""
    return 2 * float(np.cosh(distance))


def star(a: np.ndarray) -> np.ndarray:
    """Conjugate transpose."""
    return a.conj().swapaxes(-1, -2)


def inverse(a: np.ndarray) -> np.ndarray:
    """Inverse of matrices of determinant 1."""
    b = np.empty_like(a)
    b[..., 0, 0], b[..., 0, 1] = a[..., 1, 1], -a[..., 0, 1]
    b[..., 1, 0], b[..., 1, 1] = -a[..., 1, 0], a[..., 0, 0]
    return b


def moved(g: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The points g x g*."""
    return g @ x @ star(g)


def seen_from(frame: np.ndarray, g: np.ndarray) -> np.ndarray:
    """The motions g in coordinates in which frame's point is the origin."""
    return inverse(frame) @ g @ frame


def point_spread(x: np.ndarray) -> np.ndarray:
    """Spread of the distance from the origin to the points x."""
    return (x[..., 0, 0] + x[..., 1, 1]).real


def displacement(g: np.ndarray) -> np.ndarray:
    """Spread of the distance from the origin to its image under g: the squared Frobenius norm of g."""
    return (g.real**2 + g.imag**2).sum(axis=(-2, -1))


def real_products(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Re tr(a_i b_j*) for every pair from two stacks (n, 2, 2) and (m, 2, 2): shape (n, m)."""
    return _as_rows(a) @ _as_rows(b).T


def _as_rows(a: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(a).reshape(-1, 4).view(float)


def complex_length(g: np.ndarray) -> np.ndarray:
    """Translation length + i · rotation angle along the axis of g: real part >= 0, imaginary part in [-π, π).

    tr g = ± 2 cosh(length / 2). Parabolic motions and the identity have length 0.
    """
    length = 2 * np.arccosh((g[..., 0, 0] + g[..., 1, 1]) / 2)
    length = np.where(length.real < 0, -length, length)
    return length.real + 1j * ((length.imag + np.pi) % (2 * np.pi) - np.pi)


def triple_to_triple(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The motions taking three ideal points to three others; shapes (..., 3, 2), homogeneous coordinates in rows."""
    g = _frame_of_triple(target) @ inverse(_frame_of_triple(source))
    return g / np.sqrt(np.linalg.det(g))[..., None, None]


def _frame_of_triple(v: np.ndarray) -> np.ndarray:
    """Matrix taking the ideal points (1:0), (0:1), (1:1) to the three rows of v (of any determinant)."""
    first, second, third = v[..., 0, :], v[..., 1, :], v[..., 2, :]
    return np.stack([wedge(third, second)[..., None] * first, wedge(first, third)[..., None] * second], axis=-1)


def wedge(v: np.ndarray, w: np.ndarray) -> np.ndarray:
    """The determinant of the pairs of vectors v, w in C²."""
    return v[..., 0] * w[..., 1] - v[..., 1] * w[..., 0]


def central_frame(g: np.ndarray, steps: int = 60) -> np.ndarray:
    """A frame at the point which the motions g (n, 2, 2) displace least, in the sum of their spreads.

    That sum f is convex along geodesics. For a motion by exp(X/2), X Hermitian and traceless, its derivative is
    tr(G X) with G = Σ (g*g - gg*), and its second one at most f |X|² / 2: steps X = -G / f always go down.
    """
    frame = ORIGIN
    for _ in range(steps):
        local = seen_from(frame, g)
        gradient = (star(local) @ local - local @ star(local)).sum(axis=0)
        step = -gradient / displacement(local).sum()
        size = np.linalg.norm(step) / np.sqrt(2)
        if size < 1e-3:
            break
        frame = frame @ (np.cosh(size / 2) * ORIGIN + np.sinh(size / 2) / size * step)
    return frame
