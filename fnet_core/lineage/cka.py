"""Linear CKA, layer against layer, from Gram matrices small enough to publish.

Source: Kornblith et al. 2019, arXiv 1905.00414, section 3. Shape legend: L, J layers of the one model and the other,
M marks (places in the text where both models are read), N neurons, U entries of an upper triangle.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class LayerSimilarity:
    """Linear CKA of every layer of one model with every layer of another."""

    heatmap_LJ: np.ndarray
    """float64 in [0, 1]; NaN where a layer is constant."""
    middle: float | None
    """The middle layer against the middle layer."""
    best: float | None
    """Each layer's best partner in the other model, averaged over the layers of both models alike."""


def packed_gram(features_MN: np.ndarray) -> np.ndarray:
    """The centred linear Gram matrix as a unit vector, (U,) float64, whose dot products are linear CKA.

    It is the upper triangle with the entries off the diagonal times sqrt(2), so that norms and products are those of
    the whole matrix. Zeros where the features do not vary.
    """
    features = np.asarray(features_MN, dtype=np.float64)
    centred = features - features.mean(axis=0)
    gram_MM = centred @ centred.T
    rows, columns = np.triu_indices(len(gram_MM))
    packed_U = gram_MM[rows, columns] * np.where(rows == columns, 1.0, np.sqrt(2.0))
    norm = np.linalg.norm(packed_U)
    varies = norm > 1e-10 * np.square(features).sum()
    return packed_U / norm if varies else np.zeros_like(packed_U)


def compare_layers(a_LU: np.ndarray, b_JU: np.ndarray) -> LayerSimilarity:
    """Linear CKA of the layers of two models from their packed Gram matrices; `ValueError` if U differs."""
    a, b = (np.asarray(packed, dtype=np.float64) for packed in (a_LU, b_JU))
    norms_LJ = np.outer(np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1))
    heatmap_LJ = np.divide(a @ b.T, norms_LJ, out=np.full(norms_LJ.shape, np.nan), where=norms_LJ > 0).clip(0, 1)
    middle = float(heatmap_LJ[len(a) // 2, len(b) // 2])
    known = heatmap_LJ[~np.isnan(heatmap_LJ).all(axis=1)][:, ~np.isnan(heatmap_LJ).all(axis=0)]
    best = float((known.max(axis=1).mean() + known.max(axis=0).mean()) / 2) if known.size else None
    return LayerSimilarity(heatmap_LJ, None if np.isnan(middle) else middle, best)
