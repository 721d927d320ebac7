"""The nearest of very many fingerprints without comparing each: a short vector stands for a fingerprint.

Two fingerprints are alike where many of their networks correlate. The sum of the squared correlations of all pairs of
networks is the inner product of two kernels over places of text, U'U with U the networks' signals, and a random
projection keeps inner products; of rank one, x'U'Uy, it never writes a kernel out. It screens and judges nothing:
whoever is near is compared in full.

Shape legend: K networks, G grid points of one passage, D dimensions of the vector, F fingerprints, Q queries.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import shake_256

import numpy as np

from fnet_core.errors import RequestError
from fnet_core.lineage.fingerprint import Fingerprint
from fnet_core.lineage.spearman import unexplained, unit_ranks

DIMENSIONS = 1024
SEED = "FNet fingerprint vectors, version 1"


def vector_of(found: Fingerprint, dimensions: int = DIMENSIONS) -> np.ndarray:
    """The fingerprint's vector, (D,) float32 of norm 1; only vectors of one protocol can be held against each other."""
    total_D = np.zeros(dimensions)
    for passage, surface_GS in enumerate(found.surface()):
        units_KG = unit_ranks(found.grid_signals(passage).astype(np.float32))
        units_KG = np.nan_to_num(unexplained(units_KG, surface_GS), nan=0.0).astype(np.float32)
        left_GD, right_GD = _signs(units_KG.shape[1], passage, dimensions)
        total_D += ((units_KG @ left_GD) * (units_KG @ right_GD)).sum(axis=0)
    norm = np.linalg.norm(total_D)
    if not norm:
        raise RequestError(f"No network of {found.model.name} gives a signal, so nothing is near it.")
    return (total_D / norm).astype(np.float32)


@lru_cache(maxsize=64)
def _signs(points: int, passage: int, dimensions: int) -> tuple[np.ndarray, np.ndarray]:
    """Two (G, D) float32 of 1 and -1, the same on every machine."""
    stream = shake_256(f"{SEED}, passage {passage}, {points} points".encode()).digest(points * dimensions // 4)
    bits = np.unpackbits(np.frombuffer(stream, np.uint8)).astype(np.float32) * 2 - 1
    left, right = bits.reshape(2, points, dimensions)
    return left, right


@dataclass(frozen=True, eq=False)
class Vectors:
    """The vectors of many fingerprints, what all of them share taken out."""

    names: tuple[str, ...]
    mean_D: np.ndarray
    units_FD: np.ndarray
    """float32, of norm 1."""

    @classmethod
    def of(cls, names: Sequence[str], vectors_FD: np.ndarray) -> "Vectors":
        """Vectors as `vector_of` gives them, by these names."""
        mean_D = vectors_FD.mean(axis=0)
        return cls(tuple(names), mean_D, _units(vectors_FD - mean_D))

    def nearest(self, vectors_QD: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Places and likenesses of the `count` nearest of each query, nearest first, (Q, count) each."""
        count = min(count, len(self.names))
        likeness_QF = _units(vectors_QD - self.mean_D) @ self.units_FD.T
        at_QC = np.argpartition(-likeness_QF, count - 1, axis=1)[:, :count]
        order_QC = np.argsort(-np.take_along_axis(likeness_QF, at_QC, axis=1), axis=1, kind="stable")
        at_QC = np.take_along_axis(at_QC, order_QC, axis=1)
        return at_QC, np.take_along_axis(likeness_QF, at_QC, axis=1)


def _units(vectors_FD: np.ndarray) -> np.ndarray:
    norms_F1 = np.linalg.norm(vectors_FD, axis=1, keepdims=True)
    return np.divide(vectors_FD, norms_F1, out=np.zeros_like(vectors_FD), where=norms_F1 > 0)
