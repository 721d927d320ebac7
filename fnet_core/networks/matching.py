"""Pair the networks of two decompositions one to one.

Shape legend: K, J networks of the one and the other, N neurons.
"""

import numpy as np
from scipy.optimize import linear_sum_assignment


def matched_correlation(a_KN: np.ndarray, b_JN: np.ndarray) -> np.ndarray:
    """Abs Pearson r of the best one-to-one matching of two sets of maps over the same neurons.

    (min(K, J),) float64 in [0, 1], in the order of the smaller set's rows; `ValueError` if N differs.
    """
    r_KJ = map_correlation(a_KN, b_JN)
    return r_KJ[linear_sum_assignment(r_KJ, maximize=True)]


def map_correlation(a_KN: np.ndarray, b_JN: np.ndarray) -> np.ndarray:
    """Abs Pearson r of every pair of maps, (K, J) float64 in [0, 1]; 0 for a constant map."""
    return abs_products(standardized(a_KN), standardized(b_JN))


def abs_products(a_KN: np.ndarray, b_JN: np.ndarray) -> np.ndarray:
    """Abs Pearson r of every pair of maps that `standardized` gave, (K, J) in [0, 1]."""
    return np.abs(a_KN @ b_JN.T).clip(max=1)


def mask_overlap(a_KN: np.ndarray, b_JN: np.ndarray) -> np.ndarray:
    """Intersection over union of every pair of masks, (K, J) float64 in [0, 1]; 0 where both are empty."""
    both_KJ = a_KN.astype(np.float32) @ b_JN.astype(np.float32).T
    either_KJ = a_KN.sum(axis=1)[:, None] + b_JN.sum(axis=1) - both_KJ
    return np.divide(both_KJ, either_KJ, out=np.zeros(both_KJ.shape), where=either_KJ > 0)


def partners(similarity_KJ: np.ndarray) -> np.ndarray:
    """The partner of each row in the best one-to-one matching, (K,) int64; -1 for a row that goes without."""
    partner_K = np.full(len(similarity_KJ), -1, dtype=np.int64)
    rows, columns = linear_sum_assignment(similarity_KJ, maximize=True)
    partner_K[rows] = columns
    return partner_K


def taken(similarity_KJ: np.ndarray, partner_K: np.ndarray) -> np.ndarray:
    """Each row's similarity to its partner, (K,) float64; 0 for a row without one."""
    found_K = np.take_along_axis(similarity_KJ, partner_K.clip(min=0)[:, None], axis=1)[:, 0]
    return np.where(partner_K >= 0, found_K, 0.0)


def standardized(maps: np.ndarray) -> np.ndarray:
    """Maps with mean 0 and norm 1 over neurons, float64; a constant map becomes 0."""
    centred = maps - maps.mean(axis=1, keepdims=True, dtype=np.float64)
    norm = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.divide(centred, norm, out=np.zeros_like(centred), where=norm > 0)
