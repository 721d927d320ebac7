"""Pair the networks of two decompositions one to one.

Shape legend: K, J networks of the one and the other, N neurons.
"""

import numpy as np
from scipy.optimize import linear_sum_assignment


def matched_correlation(a_KN: np.ndarray, b_JN: np.ndarray) -> np.ndarray:
    """Abs Pearson r of the best one-to-one matching of two sets of maps over the same neurons.

    (min(K, J),) float64 in [0, 1], in the order of the smaller set's rows; `ValueError` if N differs.
    """
    a, b = (_standardized(maps) for maps in (a_KN, b_JN))
    r_KJ = np.abs(a @ b.T)
    return r_KJ[linear_sum_assignment(r_KJ, maximize=True)]


def _standardized(maps: np.ndarray) -> np.ndarray:
    centred = maps - maps.mean(axis=1, keepdims=True, dtype=np.float64)
    return centred / np.linalg.norm(centred, axis=1, keepdims=True)
