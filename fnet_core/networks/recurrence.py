"""Do networks come back? Two atlases held against each other and against chance, and an atlas against its own halves.

Shape legend: K, J networks of the one and the other atlas, N neurons of all layers side by side, L layers, D draws.
Source: arXiv 2502.20408 counts a network as recurring where the IoU of key neurons is above 0.2; the chance level is
this project's.
"""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fnet_core.choices import DEFAULT_THRESHOLD
from fnet_core.drawing import Described, drawn
from fnet_core.errors import RequestError
from fnet_core.networks.atlas import Atlas
from fnet_core.networks.matching import map_correlation, mask_overlap, partners, taken
from fnet_core.storage import artifacts

RECURRENCE = "recurrence"
FORMAT = 1

RECURRING = 0.2
"""The IoU of key neurons above which the publication counts a network as recurring."""

TRUSTED = 0.8
"""The abs(r) between halves from which a network is trusted.

Of 15 such networks of both starters 14 came back in wholly other passages at 0.8 or more, of the 49 below it 25
(`python -m benchmarks.recurrence`, docs/log.md).
"""

CHANCE_DRAWS = 20
"""Times that the neurons of the other atlas are shuffled within their layers."""

_QUANTILE = 0.95


@dataclass(frozen=True, eq=False, repr=False)
class Recurrence(Described):
    """How well each network of one atlas comes back elsewhere, with what shuffled neurons would give."""

    recipe: dict[str, Any]
    """What was held against what, at which threshold, with which seed."""
    labels: tuple[str, ...]
    partner_K: np.ndarray
    """int64, each network's partner in the other atlas; -1 for none."""
    correlation_K: np.ndarray
    """float64 abs Pearson r of the two maps."""
    overlap_K: np.ndarray
    """float64 IoU of the two sets of key neurons."""
    chance_correlation_DK: np.ndarray
    """The same where the other atlas's neurons are shuffled within layers, matched anew in each draw."""
    chance_overlap_DK: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def correlation_level(self) -> float:
        """The correlation that the best of all networks stays below in 95 of 100 shuffles."""
        return float(np.quantile(self.chance_correlation_DK.max(axis=1), _QUANTILE))

    @property
    def overlap_level(self) -> float:
        """The IoU that the best of all networks stays below in 95 of 100 shuffles."""
        return float(np.quantile(self.chance_overlap_DK.max(axis=1), _QUANTILE))

    @property
    def trusted_K(self) -> np.ndarray:
        """bool: the networks whose maps agree at `TRUSTED` or more, and beyond chance."""
        return self.correlation_K >= max(TRUSTED, self.correlation_level)

    def bar(self, level: float = RECURRING) -> float:
        """The IoU above which a network counts as recurring: `level`, or the level of chance where that is higher."""
        return max(level, self.overlap_level)

    def recurring(self, level: float = RECURRING) -> int:
        """Networks with an IoU above `level` and above chance."""
        return int((self.overlap_K > self.bar(level)).sum())

    def recurring_by_chance(self, level: float = RECURRING) -> float:
        """Networks that a shuffle has above the same bar, on average."""
        return float((self.chance_overlap_DK > self.bar(level)).sum(axis=1).mean())

    def table(self) -> pd.DataFrame:
        """One row per network: network, label, partner, correlation, overlap, recurring, trusted."""
        return pd.DataFrame(
            {
                "network": np.arange(len(self)),
                "label": self.labels,
                "partner": self.partner_K,
                "correlation": self.correlation_K,
                "overlap": self.overlap_K,
                "recurring": self.overlap_K > self.bar(),
                "trusted": self.trusted_K,
            }
        )

    def summary(self) -> dict[str, Any]:
        """The JSON object that the command line prints."""
        return {
            "networks": self.table().to_dict("records"),
            "mean_correlation": float(self.correlation_K.mean()),
            "mean_overlap": float(self.overlap_K.mean()),
            "chance_correlation": float(self.chance_correlation_DK.mean()),
            "chance_overlap": float(self.chance_overlap_DK.mean()),
            "correlation_level": self.correlation_level,
            "overlap_level": self.overlap_level,
            "recurring": self.recurring(),
            "recurring_by_chance": self.recurring_by_chance(),
            "trusted": int(self.trusted_K.sum()),
            "recipe": self.recipe,
        }

    def plot(self) -> Any:
        """The plotly figure of every network's correlation and IoU beside chance.

        >>> import fnet_core as fn
        >>> [trace.name for trace in fn.recur("tiny", components=4).plot().data]
        ['maps', 'key neurons']
        """
        return drawn("recurrence.coming_back", self)

    def _description(self) -> tuple[str, dict[str, object]]:
        return self.recipe["title"], {
            "maps agree": f"abs(r) {self.correlation_K.mean():.2f}; shuffled {self.chance_correlation_DK.mean():.2f}",
            "key neurons agree": f"IoU {self.overlap_K.mean():.2f}; shuffled {self.chance_overlap_DK.mean():.2f}",
            "recurring": f"{self.recurring()} of {len(self)} networks with an IoU above {self.bar():.2g}; "
            f"by chance {self.recurring_by_chance():.1f}",
            "trusted": f"{int(self.trusted_K.sum())} networks, abs(r) of {TRUSTED:g} or more",
        }

    def save(self, path: Path) -> None:
        """Write one safetensors file, whole or not at all; RequestError if the disk refuses."""
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        artifacts.save_artifact(path, RECURRENCE, arrays, {"recipe": self.recipe, "labels": list(self.labels)}, FORMAT)

    @classmethod
    def load(cls, path: Path) -> "Recurrence":
        """Read a saved one; RequestError says when it is missing, damaged, or of another format."""
        arrays, header = artifacts.load_artifact(path, RECURRENCE, FORMAT)
        return cls(header["recipe"], tuple(header["labels"]), **{name: arrays[name] for name in _ARRAYS})


_ARRAYS = ("partner_K", "correlation_K", "overlap_K", "chance_correlation_DK", "chance_overlap_DK")


def compare_atlases(
    a: Atlas, b: Atlas, threshold: float = DEFAULT_THRESHOLD, *, draws: int = CHANCE_DRAWS, seed: int = 0
) -> Recurrence:
    """How well the networks of `a` come back in `b`, matched one to one by their maps.

    Both must have the same neurons in the same layers; RequestError says which shape differs. Other texts, seeds,
    scopes and sites of the same width may be compared, and an edited copy.
    """
    _same_shape(a, b)
    a_KN, b_JN = _spread(a), _spread(b)
    found = _held_against(a_KN, b_JN, b.widths_L, threshold, draws, seed)
    recipe = {
        "title": f"Networks of {_name(a)} in {_name(b)}",
        "a": a.recipe,
        "b": b.recipe,
        "threshold": threshold,
        "draws": draws,
        "seed": seed,
    }
    return Recurrence(recipe, a.labels, *found)


def in_halves(
    whole: Atlas, halves: tuple[Atlas, Atlas], recipe: dict[str, Any], threshold: float, draws: int, seed: int
) -> Recurrence:
    """How well two atlases of disjoint texts agree on each network of an atlas of all these texts.

    Each network has one partner in each half; its figures are those of the two partners, which share no text.
    """
    first, second = (_spread(half) for half in halves)
    at_K = partners(map_correlation(_spread(whole), first))
    if (at_K < 0).any():
        raise RequestError("One half of the texts gave fewer networks than all of them; ask for fewer components.")
    to_K = partners(map_correlation(_spread(whole), second))
    found = _held_against(first[at_K], second, whole.widths_L, threshold, draws, seed, to_K)
    return Recurrence(recipe, whole.labels, *found)


def _held_against(
    a_KN: np.ndarray,
    b_JN: np.ndarray,
    widths_L: tuple[int, ...],
    threshold: float,
    draws: int,
    seed: int,
    partner_K: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Partners, correlations, overlaps, and both again for shuffled neurons of b."""
    r_KJ = map_correlation(a_KN, b_JN)
    partner_K = partners(r_KJ) if partner_K is None else partner_K
    mask_KN, mask_JN = np.abs(a_KN) > threshold, np.abs(b_JN) > threshold
    overlap_K = taken(mask_overlap(mask_KN, mask_JN), partner_K)
    chance_r, chance_overlap = [], []
    rng = np.random.default_rng(seed)
    edges = np.cumsum((0, *widths_L))
    for _ in range(draws):
        order_N = np.concatenate([start + rng.permutation(end - start) for start, end in pairwise(edges)])
        shuffled_KJ = map_correlation(a_KN, b_JN[:, order_N])
        matched_K = partners(shuffled_KJ)
        chance_r.append(taken(shuffled_KJ, matched_K))
        chance_overlap.append(taken(mask_overlap(mask_KN, mask_JN[:, order_N]), matched_K))
    return partner_K, taken(r_KJ, partner_K), overlap_K, np.array(chance_r), np.array(chance_overlap)


def _same_shape(a: Atlas, b: Atlas) -> None:
    if a.layer_count != b.layer_count:
        raise RequestError(
            f"{_name(a)} has {a.layer_count} layers and {_name(b)} has {b.layer_count}; their networks have no common "
            "neurons. Compare their fingerprints instead."
        )
    for layer, (one, other) in enumerate(zip(a.widths_L, b.widths_L, strict=True)):
        if one != other:
            raise RequestError(
                f"Layer {layer} has {one:,} neurons in {_name(a)} and {other:,} in {_name(b)}; their networks have no "
                "common neurons. Compare their fingerprints instead."
            )


def _name(atlas: Atlas) -> str:
    return f"{atlas.model_name} at site {atlas.site}"


def _spread(atlas: Atlas) -> np.ndarray:
    """All maps over all neurons, (K, N) float32; 0 where a network of one layer has no neuron."""
    if len(atlas.maps) == 1:
        return atlas.maps[0]
    rows = np.zeros((len(atlas), sum(atlas.widths_L)), dtype=np.float32)
    row = column = 0
    for maps_KN in atlas.maps:
        rows[row : row + maps_KN.shape[0], column : column + maps_KN.shape[1]] = maps_KN
        row, column = row + maps_KN.shape[0], column + maps_KN.shape[1]
    return rows
