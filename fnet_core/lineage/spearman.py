"""Spearman's rank correlation of all pairs of rows of two matrices at once.

Shape legend: K, J series of the one and the other, G points of a series.
"""

import numpy as np
from scipy.stats import rankdata

_LEAST_REST = 0.02
"""Norm of what is left of a unit row below which it is rounding and repetition, not a signal."""


def ranks(series_KG: np.ndarray) -> np.ndarray:
    """The rank of each value within its row, 1 to G, ties sharing their average, (K, G) float64."""
    return rankdata(series_KG, axis=1)


def unit_ranks(series_KG: np.ndarray) -> np.ndarray:
    """Centred ranks of each row with norm 1, (K, G) float64, so that products are Spearman's rho; constant rows NaN."""
    centred_KG = ranks(series_KG) - (series_KG.shape[1] + 1) / 2
    return _with_norm_one(centred_KG, 0.0)


def cut_units(units_KG: np.ndarray, points: int) -> np.ndarray:
    """The first `points` of each row, centred and with norm 1 again; NaN where a row is or nothing varies."""
    cut_KG = units_KG[:, :points]
    return _with_norm_one(cut_KG - cut_KG.mean(axis=1, keepdims=True), 1e-9)


def _with_norm_one(rows_KG: np.ndarray, above: float) -> np.ndarray:
    norm_K1 = np.linalg.norm(rows_KG, axis=1, keepdims=True)
    return np.divide(rows_KG, norm_K1, out=np.full_like(rows_KG, np.nan), where=norm_K1 > above)


def spearman(a_KG: np.ndarray, b_JG: np.ndarray) -> np.ndarray:
    """Spearman's rho of every row of a with every row of b, (K, J) float64; NaN where a row is constant.

    `ValueError` if G differs.
    """
    return unit_ranks(a_KG) @ unit_ranks(b_JG).T


def unexplained(units_KG: np.ndarray, directions_GD: np.ndarray) -> np.ndarray:
    """Unit rows less what orthonormal directions explain, norm 1 again, (K, G): products are partial rank correlations.

    NaN where a row is, and where next to nothing is left.
    """
    return _with_norm_one(units_KG - (units_KG @ directions_GD) @ directions_GD.T, _LEAST_REST)
