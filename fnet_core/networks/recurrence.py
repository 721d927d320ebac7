"""Do networks come back? The figures of every network of an atlas held against another, or against its own halves.

Shape legend: K networks, D draws.
Source: arXiv 2502.20408 counts a network as recurring where the IoU of key neurons is above 0.2; the chance level is
this project's.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fnet_core.drawing import Described, drawn
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

AGREEMENT = f"maps alike at abs(r) {TRUSTED:g} or more, key neurons alike beyond chance"
"""What recurrence must be in a network that is trusted, in words."""

STABLE = 0.6
"""I_q below which the restarts of one decomposition do not agree, the level at which tedana warns."""

LEVELS = f"in two halves of the text {AGREEMENT}; stability {STABLE:g} or more"
"""What makes a network trusted, in words."""

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
        """bool: the networks whose maps agree at `TRUSTED` or more, and whose maps and key neurons do beyond chance."""
        return (self.correlation_K >= max(TRUSTED, self.correlation_level)) & (self.overlap_K > self.overlap_level)

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
            "trusted": f"{int(self.trusted_K.sum())} networks, {AGREEMENT}",
        }

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """All that is saved of it, beside recipe and labels."""
        return {name: getattr(self, name) for name in ARRAYS}

    def save(self, path: Path) -> None:
        """Write one safetensors file, whole or not at all; RequestError if the disk refuses."""
        header = {"recipe": self.recipe, "labels": list(self.labels)}
        artifacts.save_artifact(path, RECURRENCE, self.arrays, header, FORMAT)

    @classmethod
    def load(cls, path: Path) -> "Recurrence":
        """Read a saved one; RequestError says when it is missing, damaged, or of another format."""
        arrays, header = artifacts.load_artifact(path, RECURRENCE, FORMAT)
        return cls(header["recipe"], tuple(header["labels"]), **{name: arrays[name] for name in ARRAYS})


ARRAYS = ("partner_K", "correlation_K", "overlap_K", "chance_correlation_DK", "chance_overlap_DK")


def mean_interval(values: np.ndarray, draws: int = 2000) -> tuple[float, float]:
    """The 95 % percentile interval of a mean, (n,) values resampled; the same numbers for the same values."""
    rng = np.random.default_rng(0)
    means = values[rng.integers(len(values), size=(draws, len(values)))].mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)
