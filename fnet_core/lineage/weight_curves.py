"""The attention-weight fingerprint: how the spread of the Q, K, V and O weights goes over the layers.

Source: arXiv 2507.03014, withdrawn in 2026. Independent models of one design and recipe can agree here, so it is shown
as one signal among several and never decides. Shape legend: L, M layers of the one model and the other, 4 projections.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

PROJECTIONS = ("q", "k", "v", "o")


@dataclass(frozen=True)
class CurveAgreement:
    """Pearson correlation of two models' curves, and its mean over those that have one; None where a curve is flat."""

    q: float | None
    k: float | None
    v: float | None
    o: float | None
    mean: float | None


def weight_curves(layers: Iterable[Mapping[str, Tensor]]) -> np.ndarray:
    """Standard deviation of the weights that `modules.attention_weights` gives for each layer, (4, L) float64."""
    rows = [[float(layer[name].float().std(correction=0)) for name in PROJECTIONS] for layer in layers]
    return np.array(rows, dtype=np.float64).T


def normalised(curves_4L: np.ndarray) -> np.ndarray:
    """Each curve less its mean over layers, in its standard deviations, (4, L) float64; a flat curve becomes NaN."""
    mean_41 = curves_4L.mean(axis=1, keepdims=True)
    spread_41 = curves_4L.std(axis=1, keepdims=True)
    varies_41 = spread_41 > 1e-9 * np.abs(mean_41)
    return np.divide(curves_4L - mean_41, spread_41, out=np.full_like(curves_4L, np.nan), where=varies_41)


def stretched(curves_4L: np.ndarray, layers: int) -> np.ndarray:
    """Curves interpolated linearly over relative depth to so many layers, (4, layers) float64."""
    depth, wanted = np.linspace(0, 1, curves_4L.shape[1]), np.linspace(0, 1, layers)
    return np.stack([np.interp(wanted, depth, curve) for curve in curves_4L])


def compare_curves(a_4L: np.ndarray, b_4M: np.ndarray) -> CurveAgreement:
    """Pearson correlation of the curves of two models, the shorter ones interpolated."""
    layers = max(a_4L.shape[1], b_4M.shape[1])
    a, b = (normalised(stretched(curves, layers)) for curves in (a_4L, b_4M))
    q, k, v, o = found = [None if np.isnan(r) else float(np.clip(r, -1, 1)) for r in (a * b).mean(axis=1)]
    known = [r for r in found if r is not None]
    return CurveAgreement(q, k, v, o, float(np.mean(known)) if known else None)
