"""Every layer as a factor model whose factors are the layer's own functional networks.

Shape legend: L layers, S passages, N MLP neurons of a layer, C attention channels of a layer, K networks, B blocks.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from fnet_core.activations.reading import tokenize
from fnet_core.decomposition.canica import largest_components
from fnet_core.decomposition.layers import all_devices, layer_networks
from fnet_core.errors import RequestError
from fnet_core.models.loading import LoadedModel
from fnet_core.models.running import main_device, running
from fnet_core.progress import Report, silent
from fnet_core.pruning.calibration import Calibration, Calibrator
from fnet_core.pruning.compensation import Factors, layer_factors
from fnet_core.storage import artifacts, memo
from fnet_core.storage.memo import Kind
from fnet_core.texts import Passage

KIND = "layer-factors"
FORMAT = 2
METHOD_VERSION = 3
_PARTS = ("mean_N", "loading_KN", "covariance_KK", "own_N", "start_SN")


@dataclass(frozen=True, eq=False)
class LayerFactors:
    """The factor model of every layer's MLP inputs, but in a mixture, and of attention channels where asked for."""

    mlp_L: tuple[Factors, ...]
    attention_L: tuple[Factors, ...]
    recipe: dict[str, Any] = field(default_factory=dict)
    """What they were computed from; empty in a file of before recipes were kept."""

    def save(self, path: Path) -> None:
        """Write the factors to a safetensors file, whole or not at all."""
        arrays = {
            f"{site}.{layer}.{part}": getattr(factors, part).numpy()
            for site, layers in (("mlp", self.mlp_L), ("attention", self.attention_L))
            for layer, factors in enumerate(layers)
            for part in _PARTS
        }
        layers = len(self.mlp_L or self.attention_L)
        header = {"layers": layers, "heads": bool(self.attention_L), "recipe": self.recipe}
        artifacts.save_artifact(path, KIND, arrays, header, FORMAT)

    @classmethod
    def load(cls, path: Path) -> "LayerFactors":
        """Read saved factors; RequestError when the file is missing, damaged, or of another format."""
        arrays, header = artifacts.load_artifact(path, KIND, FORMAT)

        def layers(site: str) -> tuple[Factors, ...]:
            return tuple(
                Factors(*(torch.from_numpy(arrays[f"{site}.{layer}.{part}"]) for part in _PARTS))
                for layer in range(header["layers"])
            )

        mlp_L = layers("mlp") if f"mlp.0.{_PARTS[0]}" in arrays else ()
        attention_L = layers("attention") if header["heads"] else ()
        return cls(mlp_L, attention_L, header.get("recipe", {}))


FACTORS = Kind(KIND, LayerFactors.load, FORMAT, keyed_since=2, names=frozenset({"model"}))
"""Layer factors in the store."""


def factors_recipe(
    loaded: LoadedModel, passages: Sequence[Passage], components: int, seed: int, heads: bool
) -> dict[str, Any]:
    """Everything that decides the factors of a model's layers on some text, JSON-able."""
    return running(loaded).recipe("torch", "transformers") | {
        "texts_digest": artifacts.digest([[p.name, p.text] for p in passages]),
        "components": components,
        "seed": seed,
        "heads": heads,
        "method_version": METHOD_VERSION,
    }


def find_factors(
    loaded: LoadedModel,
    passages: Sequence[Passage],
    components: int,
    seed: int = 0,
    heads: bool = False,
    report: Report = silent,
) -> LayerFactors:
    """The factors of a model's layers on some text, from the store or computed and saved."""
    devices = all_devices(main_device(loaded.model))

    def compute() -> LayerFactors:
        _, factors = compute_factors(loaded, passages, components, seed, heads, devices, report)
        return factors

    return memo.answered(FACTORS, factors_recipe(loaded, passages, components, seed, heads), compute).answer


def compute_factors(
    loaded: LoadedModel,
    passages: Sequence[Passage],
    components: int,
    seed: int,
    heads: bool,
    devices: Sequence[torch.device],
    report: Report = silent,
) -> tuple[Calibration, LayerFactors]:
    """One pass over the text: its moments, and every layer's factors.

    Raises RequestError when the text is too short for so many components.
    """
    reader = Calibrator(loaded, heads=heads, signals="inputs")
    widths_B = reader.signal_widths
    check_components(loaded, [passages], widths_B, components)
    networks = layer_networks(
        reader.subjects(passages, report), widths_B, components, devices=devices, seed=seed, report=report
    )
    calibration = reader.result()
    moments = (*calibration.mlp_L, *calibration.attention_L)
    found = [layer_factors(m, *each.together()) for m, each in zip(moments, networks, strict=True)]
    layers = len(calibration.mlp_L)
    recipe = factors_recipe(loaded, passages, components, seed, heads)
    return calibration, LayerFactors(tuple(found[:layers]), tuple(found[layers:]), recipe)


def check_components(
    loaded: LoadedModel, groups: Sequence[Sequence[Passage]], widths_B: Sequence[int], components: int
) -> None:
    """`RequestError` before any model runs when the smallest group of texts cannot give so many networks."""
    most = min(
        largest_components([int(tokenize(loaded, p).text_T.sum()) for p in passages], tuple(widths_B), components)
        for passages in groups
    )
    if components > most:
        raise RequestError(
            f"{components} components per layer are more than the smallest group of texts and the layers allow "
            f"({most}); ask for fewer components or groups, or give more text."
        )
