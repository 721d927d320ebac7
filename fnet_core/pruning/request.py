"""What a person asks of a pruning plan, before any model or score is looked at."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fnet_core.checks import check_choice, check_range, check_seed
from fnet_core.choices import (
    COMPENSATIONS,
    DEFAULT_COMPENSATION,
    DEFAULT_METHOD,
    LAYER_METHODS,
    METHOD_NAMES,
    PROTECTED,
    SHARES,
    Compensation,
    Share,
)
from fnet_core.errors import RequestError

if TYPE_CHECKING:
    from fnet_core.pruning.anatomy import Anatomy


@dataclass(frozen=True)
class PlanRequest:
    """How much goes, by which method and from where, and what stands in for it; a ratio or a threshold, never both.

    Raises RequestError for what no model could answer.
    """

    method: str = DEFAULT_METHOD
    ratio: float | None = None
    """Share that goes, from 0 to less than 1, lowest scores first."""
    threshold: float | None = None
    """Everything scored at most so much goes."""
    share: Share = "neurons"
    """What the ratio is a share of."""
    protected: tuple[int, int] = PROTECTED
    """Layers at the start and at the end that stay whole."""
    even: bool = False
    """As many neurons from every layer that is not protected; otherwise the method spreads the ratio over layers."""
    heads: bool = False
    """Attention heads go too, in whole key/value groups."""
    compensation: Compensation = DEFAULT_COMPENSATION
    folded: bool = False
    """No projection gets a bias that it did not have: what compensation would add is folded into the kept weights."""

    def __post_init__(self) -> None:
        check_choice(self.method, METHOD_NAMES, "pruning method")
        if (self.ratio is None) == (self.threshold is None):
            raise RequestError("A plan takes either a ratio or a threshold; give one of them.")
        if self.ratio is not None:
            what, remedy = f"A ratio of {self.ratio:g} is", "choose 0 (remove nothing) to less than 1"
            check_range(self.ratio, 0, 1, what, remedy, "[)")
        if self.threshold is not None and not math.isfinite(self.threshold):
            raise RequestError(f"A threshold of {self.threshold} is not a number; choose one such as 3.")
        check_choice(self.share, SHARES, "share")
        first, last = self.protected
        what = f"Protecting {first} first and {last} last layers is"
        check_range(min(first, last), 0, math.inf, what, "choose 0 or more")
        check_choice(self.compensation, COMPENSATIONS, "compensation")

    def check(self, anatomy: Anatomy) -> None:
        """`RequestError` for what no scores of this model could turn into a plan, before any is computed."""
        layers = len(anatomy.widths_L)
        first, last = self.protected
        if first + last >= layers:
            raise RequestError(
                f"Protecting {first} first and {last} last of {layers} layers leaves nothing to prune; protect fewer."
            )
        if not self.of_layers:
            check_units(anatomy, self.heads)

    @property
    def of_layers(self) -> bool:
        """Whether whole layers go; heads, spread and compensation say nothing then."""
        return self.method in LAYER_METHODS


def check_units(anatomy: Anatomy, heads: bool) -> None:
    """RequestError where nothing of a model can go, or `heads` are asked for and none can."""
    if not heads:
        if anatomy.neurons_stay:
            otherwise = "choose a model that is not a mixture" if anatomy.heads_stay else "let attention heads go"
            raise RequestError(f"{anatomy.neurons_stay}; {otherwise}.")
        return
    otherwise = "choose a model that is not a mixture" if anatomy.neurons_stay else "prune MLP neurons alone"
    if anatomy.heads_stay:
        raise RequestError(f"No attention head of {anatomy.model} can go, for {anatomy.heads_stay}; {otherwise}.")
    if all(count == anatomy.heads_per_group for count in anatomy.heads_L):
        raise RequestError(
            f"All heads of a layer of {anatomy.model} share one key and one value, so none can go without all; "
            f"{otherwise}."
        )


def check_scoring(seed: int, components: int, groups: int) -> None:
    """RequestError for numbers that no scores could be computed with."""
    check_seed(seed)
    check_range(components, 1, 512, f"{components} components are", "choose 1 to 512")
    check_range(groups, 1, math.inf, f"{groups} groups of texts are", "choose 1 or more")
