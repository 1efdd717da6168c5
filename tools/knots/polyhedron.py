"""A compact fundamental polyhedron of a knot complement: generators of its group with short displacements."""

import heapq
import itertools
from dataclasses import dataclass

import numpy as np
import snappy

from .errors import KnotError
from .isometries import (
    central_frame,
    displacement,
    inverse,
    moved,
    point_spread,
    seen_from,
    triple_to_triple,
    wedge,
)


@dataclass(frozen=True)
class Polyhedron:
    """n ideal tetrahedra placed in hyperbolic space, one image of each.

    centres: (n, 2, 2), the points. neighbours: (n, 4), the tetrahedron across each face. pairings: (n, 4, 2, 2), the
    motion of the group which brings that neighbour next to the face (the identity where it stands there already).
    """

    centres: np.ndarray
    neighbours: np.ndarray
    pairings: np.ndarray

    def generators(self) -> np.ndarray:
        """The face pairings other than the identity, inverses included: they generate the group."""
        pairings = self.pairings.reshape(-1, 2, 2)
        return pairings[displacement(pairings) > 2 + 1e-6]


def compact_polyhedron(manifold: snappy.Manifold) -> Polyhedron:
    """SnapPea's developed tetrahedra, gathered closely around a central point, which becomes the origin."""
    solid = developed(manifold)
    for _ in range(3):
        solid = _gathered(_recentred(solid))
    return solid


def developed(manifold: snappy.Manifold) -> Polyhedron:
    """The tetrahedra where SnapPea develops them when it chooses generators of the fundamental group."""
    manifold._choose_generators(True, False)
    tetrahedra = manifold._choose_generators_info()
    corners = np.array([[_ideal_point(complex(z)) for z in t["corners"]] for t in tetrahedra])
    neighbours = np.array([t["neighbors"] for t in tetrahedra])
    source, target = [], []
    for number, face in itertools.product(range(len(tetrahedra)), range(4)):
        gluing = tetrahedra[number]["gluings"][face]
        shared = [vertex for vertex in range(4) if vertex != face]
        source.append(corners[neighbours[number, face], [gluing[vertex] for vertex in shared]])
        target.append(corners[number, shared])
    pairings = triple_to_triple(np.array(source), np.array(target))
    return Polyhedron(_centres(corners), neighbours, pairings.reshape(-1, 4, 2, 2))


def _ideal_point(z: complex) -> np.ndarray:
    """Homogeneous coordinates of length 1; SnapPea writes a huge number for the point at infinity."""
    v = np.array([1, 0] if abs(z) > 1e50 else [z, 1], dtype=complex)
    return v / np.linalg.norm(v)


def _centres(corners: np.ndarray) -> np.ndarray:
    """The point of each ideal tetrahedron that its four symmetries fix: (n, 4, 2) -> (n, 2, 2).

    It is Σ s_i v_i v_i* up to scale, with weights s_i = Π_{j≠i} |v_i ∧ v_j|⁻¹ (they make opposite edges equal).
    """
    sizes = np.abs(wedge(corners[:, :, None], corners[:, None, :]))
    sizes[:, range(4), range(4)] = 1
    weights = 1 / sizes.prod(axis=2)
    weights /= weights.max(axis=1, keepdims=True)
    x = np.einsum("ti,tij,tik->tjk", weights, corners, corners.conj())
    determinant = np.linalg.det(x).real
    if determinant.min() < 1e-24:
        raise KnotError("a tetrahedron is flat")
    return x / np.sqrt(determinant)[:, None, None]


def _recentred(solid: Polyhedron) -> Polyhedron:
    """The same in coordinates whose origin is moved least by the generators."""
    frame = central_frame(solid.generators())
    return Polyhedron(moved(inverse(frame), solid.centres), solid.neighbours, seen_from(frame, solid.pairings))


def _gathered(solid: Polyhedron) -> Polyhedron:
    """Another image of each tetrahedron: grown face by face from the one nearest to the origin, nearest image first."""
    count = itertools.count()
    first = int(np.argmin(point_spread(solid.centres)))
    images: dict[int, np.ndarray] = {}
    queue = [(0.0, next(count), first, np.eye(2, dtype=complex))]
    while queue:
        _, _, number, image = heapq.heappop(queue)
        if number in images:
            continue
        images[number] = image
        across = image @ solid.pairings[number]
        neighbours = solid.neighbours[number]
        distances = point_spread(moved(across, solid.centres[neighbours]))
        for face, neighbour in enumerate(neighbours.tolist()):
            if neighbour not in images:
                heapq.heappush(queue, (float(distances[face]), next(count), neighbour, across[face]))
    image = np.array([images[number] for number in range(len(solid.centres))])
    pairings = image[:, None] @ solid.pairings @ inverse(image)[solid.neighbours]
    return Polyhedron(moved(image, solid.centres), solid.neighbours, pairings)
