"""What was measured of the independence test on models of which it is known whether they were trained apart."""

import json
import math
from dataclasses import dataclass
from functools import cache
from typing import Any

from fnet_core.assets import ASSETS
from fnet_core.checks import check_range, check_seed
from fnet_core.lineage.signatures import Form

CALIBRATION_FILE = ASSETS / "independence_calibration.json"
"""Written by `python -m benchmarks.independence --write`."""

LEVELS = (1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 0.0005, 0.0002, 0.0001)
"""Where the calibration curves are known."""

_TWENTIETH = 4
"""The level of 5 %."""

CONTRADICTED = 1e-6
"""From this p of the formula down, a hundredth of the smallest that any pair trained apart had here, it is contradicted
that two models were trained apart. Copies lie many orders of magnitude below."""


LEAST_NEURONS = 24
"""The fewest neurons of a layer with which the z of an independence test is near enough to normal."""


def check_test(neurons: int, seed: int) -> None:
    """RequestError for fewer neurons than an independence test needs, or a negative seed."""
    remedy = f"choose {LEAST_NEURONS} or more, such as 256"
    check_range(neurons, LEAST_NEURONS, math.inf, f"{neurons} neurons are", remedy)
    check_seed(seed)


@dataclass(frozen=True)
class Calibration:
    """The independence test on small models trained here, of one form."""

    models: int
    """Trained apart."""
    pairs: int
    """All pairs of them."""
    layer_pairs: int
    derived: int
    """Pairs of which one model was made from the other."""
    missed: int
    """Of these, how many had a p that some pair trained apart could have."""
    smallest: float
    """The smallest p of the formula that a pair trained apart had."""
    below_layers: tuple[float, ...]
    """The share of pairs of layers trained apart with a p at or below each of `LEVELS`."""
    below_pairs: tuple[float, ...]
    """The same of pairs of models, Bonferroni's p."""

    @property
    def floor(self) -> float:
        """The smallest p that so many pairs can support, whatever a formula says."""
        return 1 / (self.pairs + 1)

    def p_of(self, nominal: float) -> float:
        """The p of a pair of models whose formula gives `nominal`: no smaller than that, nor than what was measured.

        Measured is how many of the pairs trained apart had so small a one, this pair counted among them (a conformal
        p-value), at the next of `LEVELS` above.
        """
        if nominal < self.smallest:
            return max(nominal, self.floor)
        at = max(i for i, level in enumerate(LEVELS) if level >= min(nominal, 1.0))
        return max(nominal, (1 + round(self.pairs * self.below_pairs[at])) / (self.pairs + 1))

    @property
    def sentence(self) -> str:
        """What was measured and what it supports."""
        return (
            f"Measured on all {self.pairs:,} pairs of {self.models} small models trained apart (several architectures, "
            f"widths, texts and lengths of training), {self.layer_pairs:,} pairs of layers: "
            f"{self.below_layers[_TWENTIETH]:.1%} of the layers' p and {self.below_pairs[_TWENTIETH]:.1%} of the "
            f"models' p are below {LEVELS[_TWENTIETH]:.1%}. So many pairs support no p below {self.floor:.2g}. Of "
            f"{self.derived} derived pairs the test missed {self.missed}."
        )


@cache
def calibration_of(form: Form) -> Calibration:
    """The calibration of models with or without a gate."""
    content: dict[str, Any] = json.loads(CALIBRATION_FILE.read_text("utf-8"))[form]
    fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in content.items()
    }
    return Calibration(**fields)
