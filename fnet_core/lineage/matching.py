"""Networks of two models matched one to one, and the interval of how well they match.

Shape legend: K, J networks of a and of b, P passages, M matched pairs, B resamples.
"""

import numpy as np
from scipy.optimize import linear_sum_assignment


def mean_where_known(values_P: np.ndarray) -> np.ndarray:
    """The mean over the first axis of what is not NaN; NaN where all is."""
    known = ~np.isnan(values_P)
    total, count = np.where(known, values_P, 0).sum(axis=0), known.sum(axis=0)
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)


def match(matrix_KJ: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The one-to-one matching of chosen rows and columns with the largest sum, strongest pair first: (M, 2) and (M,).

    A pair that is NaN, because the two never vary in one passage, counts as 0.
    """
    inside = np.nan_to_num(matrix_KJ[np.ix_(rows, columns)], nan=0.0)
    chosen_rows, chosen_columns = linear_sum_assignment(inside, maximize=True)
    values_M = inside[chosen_rows, chosen_columns]
    order = np.argsort(-values_M, kind="stable")
    return np.stack([rows[chosen_rows], columns[chosen_columns]], axis=1)[order], values_M[order]


def passage_interval(values_MP: np.ndarray, resamples: int, seed: int) -> tuple[float, float] | None:
    """95 % percentile interval of the mean over pairs of the mean over passages, passages resampled.

    A pair counts as 0 in a resample where none of its passages is known, as it does in the score. Widened about the
    mean by sqrt(P / (P - 1)), for the bootstrap's variance is that much too small; None for P < 2.
    """
    passages = values_MP.shape[1]
    if passages < 2:
        return None
    known_PM = ~np.isnan(values_MP.T)
    filled_PM = np.where(known_PM, values_MP.T, 0.0)
    weights_BP = np.random.default_rng(seed).multinomial(passages, np.full(passages, 1 / passages), resamples)
    total_BM, count_BM = weights_BP @ filled_PM, weights_BP @ known_PM
    means_BM = np.divide(total_BM, count_BM, out=np.zeros(total_BM.shape), where=count_BM > 0)
    scores_B = means_BM.mean(axis=1)
    score = float(np.nan_to_num(mean_where_known(values_MP.T), nan=0.0).mean())
    low, high = score + (np.quantile(scores_B, [0.025, 0.975]) - score) * np.sqrt(passages / (passages - 1))
    return float(np.clip(low, 0, score)), float(np.clip(high, score, 1))
