"""What changed between two related models: networks lost, gained and changed, and how far each layer moved.

From two fingerprints alone; where the models part in a text says `parting`. Shape legend: K, J networks of a and of b,
L, M layers of a and of b.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from fnet_core.drawing import Described, drawn
from fnet_core.lineage.comparison import Comparison

GONE = 0.35
"""A network that agrees with none of the other model's by more than this is lost, or new: so much do matched networks
of models trained apart agree (0.13 to 0.34 on the reference pairs that read the passages)."""

SHOWN = 5
"""Networks and layers that are named in words."""


@dataclass(frozen=True, eq=False, repr=False)
class Changes(Described):
    """What two models' fingerprints say of how they differ, b seen from a."""

    comparison: Comparison
    best_K: np.ndarray
    """float64: the strongest agreement of each network of a with any of b; NaN where it gives no signal."""
    best_J: np.ndarray
    partner_M: np.ndarray
    """int64: for each layer of b the layer of a that it is held against; -1 where it matches none."""
    moved_M: np.ndarray
    """float64: one less the linear CKA of both layers, 0 for layers that do the same; NaN without a partner."""

    @property
    def lost(self) -> tuple[int, ...]:
        """Networks of a that b has no more."""
        return _below(self.best_K)

    @property
    def gained(self) -> tuple[int, ...]:
        """Networks of b that a has not."""
        return _below(self.best_J)

    @property
    def changed(self) -> tuple[tuple[int, int, float], ...]:
        """Matched networks that both have, a's, b's and their agreement, the most changed first."""
        found = self.comparison
        pairs = [
            (int(k), int(j), float(value))
            for (k, j), value in zip(found.matched_M2, found.values_M, strict=True)
            if value >= GONE
        ]
        return tuple(reversed(pairs))

    def networks(self) -> pd.DataFrame:
        """One row per network: what became of it, network_a, network_b, agreement, label; lost and gained first."""
        a, b = self.comparison.a, self.comparison.b
        rows: list[dict[str, Any]] = [_row("lost", k, None, self.best_K[k], a.labels[k]) for k in self.lost]
        rows += [_row("gained", None, j, self.best_J[j], b.labels[j]) for j in self.gained]
        rows += [_row("changed", k, j, value, _both(a.labels[k], b.labels[j])) for k, j, value in self.changed]
        table = pd.DataFrame(rows, columns=["what", "network_a", "network_b", "agreement", "label"])
        return table.astype({"network_a": "Int64", "network_b": "Int64"})

    def layers(self) -> pd.DataFrame:
        """One row per layer of b: layer_b, layer_a (missing where it is new), moved."""
        partners = pd.array([None if i < 0 else int(i) for i in self.partner_M], dtype="Int64")
        return pd.DataFrame({"layer_b": np.arange(len(self.partner_M)), "layer_a": partners, "moved": self.moved_M})

    def sentences(self) -> list[str]:
        """The whole in words."""
        found = self.comparison
        a, b = (found.a.model.name, found.b.model.name) if found.a.model.name != found.b.model.name else ("A", "B")
        lost = f"Of {int((~np.isnan(self.best_K)).sum())} networks of {a}, {b} has lost {len(self.lost)}"
        told = [f"{lost} and gained {len(self.gained)}: they agree with none of the other's above {GONE:g}."]
        if self.changed:
            most = ", ".join(f"A{k} to B{j} ({value:.2f})" for k, j, value in self.changed[:SHOWN])
            told.append(f"Most changed of those that both have: {most}.")
        known = np.flatnonzero(~np.isnan(self.moved_M))
        if len(known):
            order = known[np.argsort(-self.moved_M[known], kind="stable")]
            most = ", ".join(f"{layer} ({self.moved_M[layer]:.2f})" for layer in order[:SHOWN].tolist())
            told.append(
                f"Layers of {b} that moved most, one less CKA: {most}; on average {self.moved_M[known].mean():.2f}."
            )
        if new := np.flatnonzero(self.partner_M < 0).tolist():
            told.append(f"Layers of {b} that match none of {a}: {', '.join(map(str, new))}.")
        return told

    def summary(self) -> dict[str, Any]:
        """The JSON object of the command line."""
        found = self.comparison
        return {
            "a": found.a.model.name,
            "b": found.b.model.name,
            "verdict": found.outcome,
            "score": found.score,
            "lost": [{"network": k, "best": float(self.best_K[k]), "label": found.a.labels[k]} for k in self.lost],
            "gained": [{"network": j, "best": float(self.best_J[j]), "label": found.b.labels[j]} for j in self.gained],
            "changed": [{"a": k, "b": j, "agreement": value} for k, j, value in self.changed],
            "layers": [
                {
                    "layer": layer,
                    "partner": None if i < 0 else int(i),
                    "moved": None if np.isnan(moved) else float(moved),
                }
                for layer, (i, moved) in enumerate(zip(self.partner_M, self.moved_M, strict=True))
            ],
        }

    def plot(self) -> Any:
        """The plotly figure of how far each layer moved.

        >>> import fnet_core as fn
        >>> len(fn.changes("tiny", "tiny").plot().data[0].y)
        2
        """
        return drawn("changes.layers_moved", self)

    def _description(self) -> tuple[str, dict[str, object]]:
        found = self.comparison
        facts: dict[str, object] = {str(number): told for number, told in enumerate(self.sentences(), start=1)}
        return f"Changes from {found.a.model.name} to {found.b.model.name}", facts


def changes_of(found: Comparison) -> Changes:
    """What a comparison says of how its models differ.

    A layer of b is held against the one of a that its neurons match, by the independence test where it was made and
    matched any, else against the one at the same relative depth.
    """
    layers, others = found.layers.heatmap_LJ.shape
    apart = found.independence
    if apart is not None and (apart.matched_J >= 0).any():
        partner = np.asarray(apart.matched_J)
    else:
        partner = np.rint(np.linspace(0, layers - 1, others)).astype(np.int64)
    moved = np.where(partner < 0, np.nan, 1 - found.layers.heatmap_LJ[partner, np.arange(others)])
    return Changes(found, _best(found.matrix_KJ, 1), _best(found.matrix_KJ, 0), partner, moved)


def _best(matrix_KJ: np.ndarray, axis: int) -> np.ndarray:
    strongest = np.nan_to_num(matrix_KJ, nan=-1.0).max(axis=axis)
    return np.where(strongest < 0, np.nan, strongest)


def _below(best: np.ndarray) -> tuple[int, ...]:
    below = np.flatnonzero(np.nan_to_num(best, nan=1.0) < GONE)
    return tuple(below[np.argsort(best[below], kind="stable")].tolist())


def _row(what: str, k: int | None, j: int | None, agreement: float, label: str) -> dict[str, Any]:
    return {"what": what, "network_a": k, "network_b": j, "agreement": float(agreement), "label": label}


def _both(a: str, b: str) -> str:
    return a if a == b else f"{a}  |  {b}"
