"""The methods of pruning: what each is, where it comes from, what it reads, how it spreads a ratio over layers."""

from dataclasses import dataclass
from typing import Literal

from fnet_core.pruning.calibration import Signals

Spread = Literal["layer", "model"]


@dataclass(frozen=True)
class Method:
    """One way to score: what it is, where it comes from, what it reads, and how it spreads a ratio over layers."""

    title: str
    explanation: str
    source: str
    signals: Signals | None
    """What it needs to see of the calibration text beside the moments; None for a method that needs no text."""
    allocation: Spread
    """"layer": the same share from every layer; "model": wherever scores are low."""
    seeded: bool = False
    """Whether the seed changes the scores."""


METHODS: dict[str, Method] = {
    "networks": Method(
        "Network-aware (FNet)",
        "The size of a neuron's signal, of which the part that its layer's networks carry counts half, times the sum "
        "of its output weights: what networks carry, the neurons that stay can in part restore. A start token before "
        "the text counts as much as the text, since every token attends to it.",
        "this project; networks after arXiv 2508.05239, weighting after arXiv 2312.11983",
        "inputs",
        "layer",
        seeded=True,
    ),
    "fn": Method(
        "Networks, as published",
        "A neuron counts as much as its largest abs(z) in any network of its layer, over several groups of texts.",
        "Liu et al. 2025, arXiv 2508.05239",
        "published",
        "layer",
        seeded=True,
    ),
    "wanda-sp": Method(
        "Wanda-sp",
        "The size of a neuron's signal times the sum of its output weights.",
        "An et al. 2024, arXiv 2312.11983",
        "none",
        "layer",
    ),
    "flap": Method(
        "FLAP",
        "How much a neuron's signal varies times its squared output weights, compared across layers.",
        "An et al. 2024, arXiv 2312.11983",
        "none",
        "model",
    ),
    "magnitude": Method("Magnitude", "The norm of a neuron's weights; looks at no text.", "control", None, "layer"),
    "random": Method(
        "Random", "A seeded draw: what removing any neurons at all costs.", "control", None, "layer", seeded=True
    ),
}
"""Every method by the name the command line knows it by."""
