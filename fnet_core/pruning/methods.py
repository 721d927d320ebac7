"""The methods of pruning: what each is, where it comes from, what it reads, how it spreads a ratio over layers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from fnet_core.pruning import units
from fnet_core.pruning.calibration import Signals
from fnet_core.pruning.units import Seen, Units

Spread = Literal["layer", "model"]


@dataclass(frozen=True)
class Method:
    """One way to score: what it is, where it comes from, what it reads, and how it spreads a ratio over layers."""

    title: str
    explanation: str
    source: str
    signals: Signals | Literal["gram", "stream", "stream networks"] | None
    """What it needs to see of the calibration text beside the moments, "gram" being how all inputs of a projection vary
    together, "stream" the residual stream between layers in place of the moments, alone or with its networks; None for
    a method that needs no text."""
    allocation: Spread
    """"layer": the same share from every layer; "model": wherever scores are low."""
    units: Callable[[Seen], Units]
    """What turns the things seen into scores."""
    seeded: bool = False
    """Whether the seed changes the scores."""

    @property
    def of_layers(self) -> bool:
        """Whether it scores whole layers; their scores stand where those of one neuron of each would."""
        return self.units in (units.by_influence, units.by_coverage, units.by_layer_chance)

    @property
    def reads_text(self) -> bool:
        """Whether the scores rest on a calibration text, and come with the mean inputs on it."""
        return self.signals is not None


METHODS: dict[str, Method] = {
    "networks": Method(
        "Network-aware (FNet)",
        "The size of a neuron's signal, of which the part that its layer's networks carry counts half, times the sum "
        "of its output weights: what networks carry, the neurons that stay can in part restore. A start token before "
        "the text counts as much as the text, since every token attends to it.",
        "this project; networks after arXiv 2508.05239, weighting after arXiv 2312.11983",
        "inputs",
        "layer",
        units.by_networks,
        seeded=True,
    ),
    "fn": Method(
        "Networks, as published",
        "A neuron counts as much as its largest abs(z) in any network of its layer, over several groups of texts.",
        "Liu et al. 2025, arXiv 2508.05239",
        "published",
        "layer",
        units.by_largest_z,
        seeded=True,
    ),
    "wanda-sp": Method(
        "Wanda-sp",
        "The size of a neuron's signal times the sum of its output weights.",
        "An et al. 2024, arXiv 2312.11983",
        "none",
        "layer",
        units.by_wanda_sp,
    ),
    "flap": Method(
        "FLAP",
        "How much a neuron's signal varies times its squared output weights, compared across layers.",
        "An et al. 2024, arXiv 2312.11983",
        "none",
        "model",
        units.by_flap,
    ),
    "obs": Method(
        "Optimal brain surgeon",
        "Neurons go one by one, each the one whose loss changes the layer's output least once the weights of all that "
        "stay make up for it. It counts on that, so it goes with least squares as compensation.",
        "Hassibi and Stork 1993; whole neurons as in arXiv 2302.04089 and 2412.18110",
        "gram",
        "layer",
        units.by_surgeon,
    ),
    "obs-networks": Method(
        "Surgeon on networks (FNet)",
        "As the optimal brain surgeon, but what neurons have in common is what their layer's networks carry, and the "
        "rest of each varies on its own: little text tells that, where all pairs of neurons ask for much.",
        "this project; networks after arXiv 2508.05239, the surgeon after Hassibi and Stork 1993",
        "inputs",
        "layer",
        units.by_network_surgeon,
        seeded=True,
    ),
    "magnitude": Method(
        "Magnitude", "The norm of a neuron's weights; looks at no text.", "control", None, "layer", units.by_magnitude
    ),
    "random": Method(
        "Random",
        "A seeded draw: what removing any neurons at all costs.",
        "control",
        None,
        "layer",
        units.by_chance,
        seeded=True,
    ),
    "layer-networks": Method(
        "Whole layers, by networks",
        "How much a layer changes the maps of the residual stream's functional networks from before it to after it; "
        "the layers that leave them as they are go, whole.",
        "this project; networks after arXiv 2508.05239",
        "stream networks",
        "model",
        units.by_coverage,
        seeded=True,
    ),
    "block-influence": Method(
        "Whole layers, by influence",
        "How far what leaves a layer points away from what enters it, over the tokens of the text.",
        "ShortGPT, Men et al. 2024, arXiv 2403.03853",
        "stream",
        "model",
        units.by_influence,
    ),
    "layer-random": Method(
        "Whole layers, at random",
        "A seeded draw of layers: what removing any at all costs.",
        "control",
        None,
        "model",
        units.by_layer_chance,
        seeded=True,
    ),
}
"""Every method by the name the command line knows it by."""

MEANS_METHOD = next(name for name, method in METHODS.items() if method.signals == "none")
"""The method whose scores come with the mean inputs at the least cost: all it reads are the moments of the text."""
