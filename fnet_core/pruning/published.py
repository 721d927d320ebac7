"""The published criterion as its paper ran it, as one recipe. Source: Liu et al. 2025, arXiv 2508.05239.

`fn` with 128 networks per layer, runs of about 40 texts each, everything within abs(z) 6.03 gone from all layers but
the first three and last two, and the mean inputs of the already pruned model as a bias.
"""

from typing import Any

from fnet_core.choices import PROTECTED, PUBLISHED_RUN, PUBLISHED_THRESHOLD
from fnet_core.pruning.request import PlanRequest

CHOICES: dict[str, Any] = {"method": "fn", "compensation": "bias-sequential", "protected": PROTECTED}


def published_plan(ratio: float | None = None, **choices: Any) -> PlanRequest:
    """The plan of the recipe, by its threshold unless a ratio or another one is given; choices named otherwise win.

    Raises RequestError as `PlanRequest`.
    """
    if ratio is None:
        choices = {"threshold": PUBLISHED_THRESHOLD} | choices
    return PlanRequest(ratio=ratio, **CHOICES | choices)


def published_groups(passages: int) -> int:
    """Runs that so many texts make, of about as many texts as the paper's."""
    return max(1, round(passages / PUBLISHED_RUN))
