"""All invariants of one knot, each with its definition, convention and source.

The columns and conventions are those of Davies et al. 2021, "Advancing mathematics by guiding human intuition with AI",
Nature 600. The right-handed trefoil has signature -2, as in KnotInfo, and everything that changes sign under a mirror
is of the same image of the knot.
"""

import math

import numpy as np
import snappy
import spherogram

from .errors import KnotError
from .geodesics import shortest_geodesic
from .torsion import torsion_degrees

SYMMETRY_GROUPS = ("0", "D3", "D4", "D6", "D8", "Z/2 + Z/2")
CHANGED_BY_MIRROR = ("chern_simons", "meridinal_translation_real", "short_geodesic_imag_part", "signature")


def invariants(name: str, mirrored: bool = False) -> dict[str, float]:
    """Every column of the table but the name, of the knot `name` (as in "K11n34") or of its mirror image."""
    manifold = hyperbolic_structure(name)
    link = snappy.Manifold(name).link()
    meridian, longitude = cusp_translations(manifold)
    geodesic = shortest_geodesic(manifold)
    degree, adjoint_degree = torsion_degrees(manifold, genus(link))
    row = {
        "chern_simons": chern_simons(manifold),
        "cusp_volume": cusp_area(meridian, longitude),
        "hyperbolic_adjoint_torsion_degree": adjoint_degree,
        "hyperbolic_torsion_degree": degree,
        "injectivity_radius": injectivity_radius(geodesic, meridian, longitude),
        "longitudinal_translation": longitude,
        "meridinal_translation_imag": meridian.imag,
        "meridinal_translation_real": meridian.real,
        "short_geodesic_imag_part": geodesic.imag,
        "short_geodesic_real_part": geodesic.real,
        **symmetry_columns(manifold),
        "volume": volume(manifold),
        "signature": signature(link),
    }
    return mirror_image(row) if mirrored else row


def mirror_image(row: dict[str, float]) -> dict[str, float]:
    """The invariants of the mirror image: four change sign, Chern-Simons modulo 1/2."""
    row = row | {column: -row[column] for column in CHANGED_BY_MIRROR}
    row["chern_simons"] = _modulo_half(row["chern_simons"])
    return row


def hyperbolic_structure(name: str, attempts: int = 20) -> snappy.Manifold:
    """The knot's complement, triangulated so that SnapPea finds all tetrahedra positively oriented.

    Torus knots and satellites have no such structure. Knots of the Hoste-Thistlethwaite table, to 15 crossings
    ("The first 1,701,936 knots", 1998), from the package snappy_15_knots; the trefoil is K3a1.
    """
    manifold = snappy.Manifold(name)
    for _ in range(attempts):
        if manifold.solution_type() == "all tetrahedra positively oriented":
            return manifold
        manifold.randomize()
    raise KnotError("no positively oriented hyperbolic structure found")


def volume(manifold: snappy.Manifold) -> float:
    """Volume of the complement in its hyperbolic metric of curvature -1 (unique by Mostow and Prasad); SnapPy."""
    return float(manifold.volume())


def chern_simons(manifold: snappy.Manifold) -> float:
    """Chern-Simons invariant of the metric modulo 1/2, in [-1/4, 1/4) (Meyerhoff 1986); SnapPy."""
    return _modulo_half(float(manifold.chern_simons()))


def _modulo_half(x: float) -> float:
    return (x + 0.25) % 0.5 - 0.25


def cusp_translations(manifold: snappy.Manifold) -> tuple[complex, float]:
    """Meridian and longitude as translations of the boundary of the maximal cusp: μ with Im μ > 0, and λ > 0.

    The cusp neighbourhood is grown until it touches itself (Adams, "Waist size for cusps in hyperbolic 3-manifolds",
    2002); turned so that the longitude is real. The natural slope of Davies et al. is Re(λ / μ). SnapPy.
    """
    cusp = manifold.cusp_neighborhood()
    cusp.set_displacement(cusp.stopping_displacement())
    meridian, longitude = (complex(z) for z in cusp.translations())
    meridian, longitude = meridian * abs(longitude) / longitude, abs(longitude)
    if meridian.imag < 0:
        raise KnotError("the cusp is not oriented as expected")
    if abs(2 * float(cusp.volume()) / cusp_area(meridian, longitude) - 1) > 1e-6:
        raise KnotError("volume and translations of the cusp disagree")
    return meridian, longitude


def cusp_area(meridian: complex, longitude: float) -> float:
    """λ Im μ, the area of the boundary torus of the maximal cusp: twice the volume of the cusp.

    The column is called cusp_volume, and holds the area in the table of Davies et al. too.
    """
    return longitude * meridian.imag


def injectivity_radius(geodesic: complex, meridian: complex, longitude: float) -> float:
    """min(l / 2, arcsinh(s / 2)): l the shortest geodesic's length, s the shortest translation of the maximal cusp.

    Half the shortest way around, the cusp left out: a translation by s along the horosphere moves its points by
    2 arcsinh(s / 2). This is what the column of Davies et al. holds.
    """
    return min(geodesic.real / 2, math.asinh(shortest_vector(meridian, longitude) / 2))


def shortest_vector(a: complex, b: complex) -> float:
    """Length of the shortest vector but 0 of the plane lattice spanned by a and b (Gauss's reduction)."""
    while True:
        if abs(a) > abs(b):
            a, b = b, a
        multiple = round((b * a.conjugate()).real / abs(a) ** 2)
        if multiple == 0:
            return abs(a)
        b -= multiple * a


def symmetry_columns(manifold: snappy.Manifold) -> dict[str, int]:
    """One column 0 or 1 for each common symmetry group of the complement; all are 0 for Z/2, D5 and so on.

    All isometries, those that reverse orientation included, from the canonical cell decomposition (Weeks, "Convex
    hulls and isometries of cusped hyperbolic 3-manifolds", 1993); "0" is the trivial group, D3 has 6 elements. SnapPy.
    """
    group = manifold.symmetry_group()
    if not group.is_full_group():
        raise KnotError("the symmetry group is known in part only")
    return {f"Symmetry_{name}": int(str(group) == name) for name in SYMMETRY_GROUPS}


def genus(link: spherogram.Link) -> int:
    """Least genus of a Seifert surface, seen by knot Floer homology (Ozsváth and Szabó 2004); knot_floer_homology."""
    return int(link.knot_floer_homology()["seifert_genus"])


def signature(link: spherogram.Link) -> int:
    """Signature of V + Vᵀ, V a Seifert matrix (Trotter 1962), in KnotInfo's sign; V by spherogram."""
    seifert = np.array(link.seifert_matrix(), dtype=float)
    eigenvalues = np.linalg.eigvalsh(seifert + seifert.T)
    if np.abs(eigenvalues).min() < 1e-9:
        raise KnotError("the symmetrised Seifert matrix is singular")
    # spherogram's V has the other sign
    return -int(np.sign(eigenvalues).sum())
