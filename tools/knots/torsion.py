"""Degrees of the hyperbolic torsion polynomial of a knot and of its adjoint sister.

Dunfield, Friedl and Jackson 2012, "Twisted Alexander polynomials of hyperbolic knots", Experimental Mathematics 21:
for a presentation of the knot group with one relator less than generators, a representation rho in SL(d,C) and the map
phi onto the integers, the torsion is

    det(Fox matrix without column j, under rho t^phi) / det(rho(x_j) t^phi(x_j) - 1),

a Laurent polynomial in t up to a unit. Its degree is that of the highest power less that of the lowest. With genus g
it is at most 4g - 2 for the lift of the hyperbolic structure to SL(2,C), and at most 6g - 3 for its adjoint.
"""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import snappy

from .errors import KnotError
from .isometries import ORIGIN, central_frame, inverse, seen_from

Word = list[int]  # 3, -1 for x_3 x_1⁻¹

ROUNDING = 50  # a coefficient counts as one when this many times the noise
CLEAR = 1e4  # and this many times where no bound confirms the degree


@dataclass(frozen=True)
class Presentation:
    """Generators as matrices (n, 2, 2) that are determined up to sign, n - 1 relators, and a meridian."""

    matrices: np.ndarray
    relators: list[Word]
    meridian: Word

    @classmethod
    def of(cls, manifold: snappy.Manifold) -> "Presentation":
        """SnapPea's unsimplified one, by face pairings: many generators, but short relators and so little rounding."""
        group = manifold.fundamental_group(False, False, False)
        matrices = [[[complex(m[i, j]) for j in (0, 1)] for i in (0, 1)] for m in map(group.SL2C, group.generators())]
        meridian = group.peripheral_curves(as_int_list=True)[0][0]
        return cls(np.array(matrices), group.relators(as_int_list=True), meridian)


@dataclass(frozen=True)
class Degree:
    """The degree of a polynomial known by rounded coefficients, and how far its two end coefficients can be trusted.

    clearance: the smaller one over the noise. imbalance: their relative difference; it should be 0, since torsion
    polynomials read the same from both ends.
    """

    value: int
    clearance: float
    imbalance: float


def torsion_degrees(manifold: snappy.Manifold, genus: int, attempts: int = 25) -> tuple[int, int]:
    """Degrees of the hyperbolic torsion polynomial and of the adjoint one.

    A degree that attains its bound, 4g - 2 and 6g - 3, confirms itself. The first does for every hyperbolic knot to 15
    crossings (Dunfield, Friedl, Jackson), so anything else is taken for rounding; a smaller adjoint degree must
    be clear of the noise. In doubt the next attempts use quadruple-precision matrices, then other triangulations.
    """
    manifold = manifold.copy()
    for attempt in range(attempts):
        if attempt > 1:
            manifold.randomize()
            if manifold.solution_type() != "all tetrahedra positively oriented":
                continue
        presentation = Presentation.of(manifold if attempt == 0 else manifold.high_precision())
        phi = map_to_integers(presentation)
        rho = lift(presentation)
        plain = torsion_degree(presentation.relators, phi, rho)
        if plain.value != 4 * genus - 2 or plain.clearance < CLEAR or plain.imbalance > 1e-3:
            continue
        adjoint = torsion_degree(presentation.relators, phi, symmetric_square(rho))
        if adjoint.value == 6 * genus - 3 and adjoint.clearance > ROUNDING and adjoint.imbalance < 0.1:
            return plain.value, adjoint.value
        if adjoint.value < 6 * genus - 3 and adjoint.clearance > CLEAR and adjoint.imbalance < 1e-3:
            return plain.value, adjoint.value
    raise KnotError("the torsion polynomials do not stand out from rounding")


def map_to_integers(presentation: Presentation) -> np.ndarray:
    """Values on the generators of the homomorphism onto the integers that takes the meridian to 1: shape (n,).

    The one null vector of the relators' exponent sums, scaled by the meridian.
    """
    n = len(presentation.matrices)
    relators = np.array([_exponents(word, n) for word in presentation.relators])
    null = np.linalg.svd(relators)[2][-1]
    phi = np.rint(null / (null @ _exponents(presentation.meridian, n))).astype(int)
    if (relators @ phi).any() or phi @ _exponents(presentation.meridian, n) != 1:
        raise KnotError("no map of the group onto the integers found")
    return phi


def _exponents(word: Word, n: int) -> np.ndarray:
    """How often each generator stands in the word, inverses counted negatively."""
    letters = np.array(word)
    return np.bincount(np.abs(letters) - 1, weights=np.sign(letters), minlength=n).astype(int)


def lift(presentation: Presentation) -> np.ndarray:
    """The generators as matrices (n, 2, 2) whose signs make every relator +1: a representation in SL(2,C).

    There are two, which differ by the sign of the meridian, that is by t -> -t: either gives the same degrees.
    Conjugated so that the generators are small, for the sake of rounding.
    """
    n = len(presentation.matrices)
    matrices = seen_from(central_frame(presentation.matrices), presentation.matrices)
    equations = []
    for word in presentation.relators:
        product = ORIGIN
        for letter in word:
            product = product @ (matrices[letter - 1] if letter > 0 else inverse(matrices[-letter - 1]))
        sign = np.sign(product[0, 0].real)
        if np.abs(product - sign * ORIGIN).max() > 1e-5:
            raise KnotError("a relator is not 1 under the hyperbolic structure")
        odd = np.flatnonzero(_exponents(word, n) % 2)
        equations.append((sum(1 << int(i) for i in odd), int(sign < 0)))
    flip = solve_mod_2(equations)
    return matrices * np.array([-1 if flip >> i & 1 else 1 for i in range(n)])[:, None, None]


def solve_mod_2(equations: list[tuple[int, int]]) -> int:
    """A solution of linear equations over two elements: each the set of its unknowns, as bits, and its right side."""
    reduced: dict[int, tuple[int, int]] = {}  # leading unknown -> equation, in which no other leading unknown stands
    for unknowns, right in equations:
        for leader, (others, side) in reduced.items():
            if unknowns & leader:
                unknowns, right = unknowns ^ others, right ^ side
        if not unknowns:
            if right:
                raise KnotError("the hyperbolic structure does not lift to SL(2,C)")
            continue
        new = unknowns & -unknowns
        for leader, (others, side) in reduced.items():
            if others & new:
                reduced[leader] = others ^ unknowns, side ^ right
        reduced[new] = unknowns, right
    return sum(leader for leader, (_, right) in reduced.items() if right)


def symmetric_square(rho: np.ndarray) -> np.ndarray:
    """The action on quadratic forms, (n, 2, 2) -> (n, 3, 3): isomorphic to the adjoint one on sl(2,C)."""
    half = np.sqrt(0.5)
    forms = np.array([[1, 0, 0], [0, half, 0], [0, half, 0], [0, 0, 1]])  # xx, (xy + yx) / √2, yy in C² ⊗ C²
    tensor = np.einsum("nij,nkl->nikjl", rho, rho).reshape(-1, 4, 4)
    return forms.T @ tensor @ forms


def fox_matrix(relators: list[Word], phi: np.ndarray, rho: np.ndarray) -> dict[int, np.ndarray]:
    """Fox derivatives of the relators by the generators under rho t^phi, by powers of t.

    Each coefficient has shape (relators, d, generators, d). The derivative of u x v by x is that of u, plus u, plus
    u x times that of v; that of u x⁻¹ v is that of u, less u x⁻¹, and so on.
    """
    n, d = rho.shape[:2]
    back = np.linalg.inv(rho)
    powers: dict[int, np.ndarray] = defaultdict(lambda: np.zeros((len(relators), d, n, d), dtype=complex))
    for row, word in enumerate(relators):
        prefix, power = np.eye(d, dtype=complex), 0
        for letter in word:
            x = abs(letter) - 1
            if letter > 0:
                powers[power][row, :, x] += prefix
                prefix, power = prefix @ rho[x], power + int(phi[x])
            else:
                prefix, power = prefix @ back[x], power - int(phi[x])
                powers[power][row, :, x] -= prefix
    return dict(powers)


def torsion_degree(relators: list[Word], phi: np.ndarray, rho: np.ndarray, points: int = 128) -> Degree:
    """Degree of the torsion of the representation rho (n, d, d), from its values at points of the unit circle.

    The points lie half a step off the roots of unity, where the denominator vanishes; of the possible denominators the
    one farthest from 0 is taken. The discrete Fourier transform gives the coefficients up to a shift and a phase. More
    than half of them are zero (the degree is below points / 2), so that their median measures the rounding.
    """
    n, d = rho.shape[:2]
    if len(relators) != n - 1:
        raise KnotError("the presentation is not of deficiency one")
    t = np.exp(2j * np.pi * (np.arange(points) + 0.5) / points)
    t_phi = t[:, None] ** phi.astype(float)
    denominators = np.linalg.det(t_phi[:, :, None, None] * rho - np.eye(d))
    best = int(np.argmax(np.where(phi != 0, np.abs(denominators).min(axis=0), -1)))
    powers = fox_matrix(relators, phi, rho)
    coefficients = np.delete(np.array(list(powers.values())), best, axis=3).reshape(len(powers), (n - 1) * d, -1)
    fox = np.tensordot(t[:, None] ** np.array(list(powers), dtype=float), coefficients, axes=1)
    sizes = np.abs(np.fft.fft(np.linalg.det(fox) / denominators[:, best])) / points
    noise = max(float(np.median(sizes)), 1e-15 * float(sizes.max()))
    # around the circle of coefficients, the polynomial is what the longest stretch of zeros leaves
    places = np.flatnonzero(sizes > ROUNDING * noise)
    gaps = np.diff(places, append=places[0] + points)
    longest = int(np.argmax(gaps))
    last, first = sizes[places[longest]], sizes[places[(longest + 1) % len(places)]]
    low, high = min(first, last), max(first, last)
    return Degree(points - int(gaps[longest]), float(low / noise), float((high - low) / high))
