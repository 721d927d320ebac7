"""What can be said of right and wrong answers: intervals, paired tests, and how many of them are by chance.

Shape legend: I items, C capabilities; any leading axes. An answer is 1 (right), 0 (wrong), 0.5 (neither text is
likelier, or the model's output is not finite) or NaN (not asked).
"""

import math

import numpy as np
from scipy import stats

LEVEL = 0.05
"""Share of false discoveries that is accepted, and p below which a single cell is looked at further."""

SPARED_LOSS = 0.1
"""The largest loss of accuracy with which a network still spares a capability."""


def wilson(right: float, asked: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share, which may count halves; (0, 1) where nothing was asked."""
    if asked == 0:
        return 0.0, 1.0
    z = float(stats.norm.ppf(0.975))
    share, square = right / asked, z * z / asked
    centre = (share + square / 2) / (1 + square)
    reach = z / (1 + square) * math.sqrt(share * (1 - share) / asked + square / (4 * asked))
    return max(0.0, centre - reach), min(1.0, centre + reach)


def by_capability(values: np.ndarray, capability_I: np.ndarray, count: int) -> np.ndarray:
    """Sums over the items of each capability, (..., I) to (..., C) float64; NaN counts nothing."""
    indicator_IC = capability_I[:, None] == np.arange(count)
    return np.nan_to_num(values.astype(np.float64)) @ indicator_IC


def means(values: np.ndarray, capability_I: np.ndarray, count: int) -> np.ndarray:
    """Means over the items of each capability, (..., I) to (..., C) float64; NaN where nothing was asked."""
    asked = by_capability(np.isfinite(values).astype(np.float64), capability_I, count)
    total = by_capability(values, capability_I, count)
    return np.divide(total, asked, out=np.full_like(total, np.nan), where=asked > 0)


def sign_test(worse: np.ndarray, better: np.ndarray) -> np.ndarray:
    """p that so many of worse + better items are worse by tossing coins, one-sided, exact; 1 where nothing changed."""
    return np.asarray(stats.binom.sf(np.asarray(worse) - 1, np.asarray(worse) + np.asarray(better), 0.5))


def harm(changed: np.ndarray, reference: np.ndarray, capability_I: np.ndarray, count: int) -> np.ndarray:
    """p of the sign test that items are answered worse than in the reference, (..., C)."""
    worse = by_capability(changed < reference, capability_I, count)
    better = by_capability(changed > reference, capability_I, count)
    return sign_test(worse, better)


def paired_interval(
    changed: np.ndarray, reference: np.ndarray, capability_I: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Student's 95 % interval of the mean change of answers, item by item, two (..., C) arrays; NaN below two items."""
    change = changed - reference
    asked = by_capability(np.isfinite(change).astype(np.float64), capability_I, count)
    mean = means(change, capability_I, count)
    squares = by_capability(change * change, capability_I, count) - asked * mean * mean
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.sqrt(np.maximum(squares, 0) / (asked - 1) / asked)
    reach = np.asarray(stats.t.ppf(0.975, np.maximum(asked - 1, 1))) * error
    known = asked > 1
    return np.where(known, mean - reach, np.nan), np.where(known, mean + reach, np.nan)


def controlled(p: np.ndarray) -> np.ndarray:
    """p-values of any shape adjusted by Benjamini and Hochberg, as `scipy.stats.false_discovery_control`; NaN stays."""
    adjusted = np.full(p.shape, np.nan)
    known = np.isfinite(p)
    if known.any():
        adjusted[known] = stats.false_discovery_control(p[known], method="bh")
    return adjusted
