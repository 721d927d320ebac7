"""Scores to prune by: a method's number for every MLP neuron and every head group, from one pass over text.

Shape legend: L layers, N MLP neurons of a layer, C attention channels of a layer, G key/value groups of a layer.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fnet_core.activations.fitting import fitted, reader_of
from fnet_core.checks import check_choice
from fnet_core.choices import LEAST_SQUARES
from fnet_core.decomposition.layers import all_devices, layer_networks
from fnet_core.decomposition.sketch import Probes
from fnet_core.errors import RequestError
from fnet_core.models.loading import LoadedModel
from fnet_core.models.modules import mlp_widths
from fnet_core.models.running import main_device, running
from fnet_core.progress import Report, silent
from fnet_core.pruning import criteria
from fnet_core.pruning.anatomy import anatomy
from fnet_core.pruning.calibration import Calibration, Calibrator
from fnet_core.pruning.factors import FACTORS, check_components, compute_factors
from fnet_core.pruning.gram import scarcity
from fnet_core.pruning.methods import METHODS, Spread
from fnet_core.pruning.request import PlanRequest, check_scoring, check_units
from fnet_core.pruning.stream import see_stream
from fnet_core.pruning.surgeon import removal_errors
from fnet_core.pruning.units import LargestZ, Seen
from fnet_core.storage import artifacts, memo
from fnet_core.storage.memo import Kind
from fnet_core.texts import Passage

KIND = "prune-scores"
FORMAT = 1
METHOD_VERSION = 5


@dataclass(frozen=True)
class ScoreRequest:
    """What decides scores beside the model and the method."""

    passages: tuple[Passage, ...]
    heads: bool = False
    seed: int = 0
    components: int = 32
    """Networks per layer and group of texts, where a method finds networks."""
    groups: int = 4
    """Groups of texts that are decomposed on their own and united (`fn`); no more than there are passages."""
    cut: str = ""
    """How many passages became how many and why, as a sentence for people; empty where none was cut."""

    def __post_init__(self) -> None:
        check_scoring(self.seed, self.components, self.groups)
        if not self.passages:
            raise RequestError("There is no calibration text; give at least one passage.")

    @property
    def used_groups(self) -> int:
        """Groups of texts that have a passage."""
        return min(self.groups, len(self.passages))

    @property
    def texts_digest(self) -> str:
        """What tells one calibration text from another."""
        return artifacts.digest([[p.name, p.text] for p in self.passages])

    def fitted(self, loaded: LoadedModel) -> "ScoreRequest":
        """The same request, its passages cut where they are past the model's context."""
        found = fitted(self.passages, [reader_of(loaded)], context_only=True)
        return replace(self, passages=found.passages, cut=self.cut or found.note)

    def with_heads(self, heads: bool) -> "ScoreRequest":
        """The same request, with or without heads."""
        return replace(self, heads=heads)

    def recipe(self, loaded: LoadedModel, method: str) -> dict[str, Any]:
        """Everything that decides the scores of one method, JSON-able."""
        recipe = running(loaded).recipe("torch", "transformers") | {
            "method": method,
            "heads": self.heads and not METHODS[method].of_layers,
            "method_version": METHOD_VERSION,
        }
        if METHODS[method].seeded:
            recipe |= {"seed": self.seed}
        if METHODS[method].reads_text:
            recipe |= {
                "texts_digest": self.texts_digest,
                "texts": sorted({p.source for p in self.passages}),
                "passages": len(self.passages),
            }
        if METHODS[method].signals in ("inputs", "published", "stream networks"):
            recipe |= {"components": self.components}
        if METHODS[method].signals == "published":
            recipe |= {"groups": self.used_groups, "probes": "of the first group", "damped": True}
        return recipe


@dataclass(frozen=True, eq=False)
class Scores:
    """A method's scores, the higher the more it wants to keep, and the mean inputs that a bias can stand in for."""

    method: str
    allocation: Spread
    mlp: tuple[np.ndarray, ...]
    """(N,) float64 per layer; empty for a mixture of experts. (1,) per layer by a method that scores whole layers."""
    heads: tuple[np.ndarray, ...]
    """(G,) float64 per layer; empty where heads were not scored."""
    mean_mlp: tuple[np.ndarray, ...]
    """(N,) float32 mean input of each down-projection; empty for a method that reads no text."""
    mean_attention: tuple[np.ndarray, ...]
    """(C,) float32 mean input of each attention output projection; empty likewise."""
    recipe: dict[str, Any]

    @property
    def range_mlp(self) -> tuple[float, float, float]:
        """Lowest, middle and highest score of all MLP neurons; of all head groups where there are none."""
        low, middle, high = np.quantile(np.concatenate(self.mlp or self.heads), (0, 0.5, 1))
        return float(low), float(middle), float(high)

    def save(self, path: Path) -> None:
        """Write the scores to a safetensors file, whole or not at all."""
        groups = {name: getattr(self, name) for name in ("mlp", "heads", "mean_mlp", "mean_attention")}
        arrays = {f"{name}.{i}": array for name, layers in groups.items() for i, array in enumerate(layers)}
        header = {"recipe": self.recipe, "allocation": self.allocation, "method": self.method}
        artifacts.save_artifact(path, KIND, arrays, header, FORMAT)

    @classmethod
    def load(cls, path: Path) -> "Scores":
        """Read saved scores; RequestError when the file is missing, damaged, or of another format."""
        arrays, header = artifacts.load_artifact(path, KIND, FORMAT)

        return cls(
            method=header["method"],
            allocation=header["allocation"],
            mlp=artifacts.series(arrays, "mlp"),
            heads=artifacts.series(arrays, "heads"),
            mean_mlp=artifacts.series(arrays, "mean_mlp"),
            mean_attention=artifacts.series(arrays, "mean_attention"),
            recipe=header["recipe"],
        )


_STREAM = {"stream", "stream networks"}
"""What methods see that score whole layers."""

SCORES = Kind(KIND, Scores.load, FORMAT, keyed_since=1, names=frozenset({"model"}))
"""Scores in the store."""


def find_scores(
    loaded: LoadedModel,
    methods: Sequence[str],
    request: ScoreRequest,
    report: Report = silent,
    devices: Sequence[torch.device] | None = None,
) -> dict[str, Scores]:
    """The scores of several methods, from the store or computed in as few passes over the text as they allow.

    Methods that need the moments alone share one pass with one that also decomposes signals. `devices` share the
    layers' ICA; all accelerators by default. Raises RequestError for an unknown method, where nothing
    of a mixture can go, and for text that cannot be read or is too short for the components; nothing is saved half.
    """
    for method in methods:
        check_choice(method, METHODS, "pruning method")
    sizes = anatomy(loaded)
    if sizes.neurons_stay and not all(METHODS[method].of_layers for method in methods):
        check_units(sizes, request.heads)
    request = request.fitted(loaded)
    recipes = {method: request.recipe(loaded, method) for method in methods}
    found = {method: memo.known(SCORES, recipe) for method, recipe in recipes.items()}
    missing = [method for method in methods if found[method] is None]
    if missing:
        for method, scores in _computed(loaded, missing, request, report, devices).items():
            memo.keep(SCORES, recipes[method], scores)
            found[method] = scores
    return {method: scores for method, scores in found.items() if scores is not None}


def scarce_text(loaded: LoadedModel, asked: PlanRequest, request: ScoreRequest) -> str:
    """The sentence on too little text where a plan rests on how a layer's inputs vary together; empty otherwise."""
    if asked.of_layers or (asked.compensation not in LEAST_SQUARES and METHODS[asked.method].signals != "gram"):
        return ""
    return scarcity(loaded, request.passages, asked.heads)


def known_scores(loaded: LoadedModel, method: str, request: ScoreRequest) -> Scores | None:
    """The scores if they were computed before."""
    return memo.known(SCORES, request.fitted(loaded).recipe(loaded, method))


def _computed(
    loaded: LoadedModel,
    methods: Sequence[str],
    request: ScoreRequest,
    report: Report,
    devices: Sequence[torch.device] | None,
) -> dict[str, Scores]:
    devices = devices or all_devices(main_device(loaded.model))
    kinds = {METHODS[method].signals for method in methods} - {None}
    calibration = largest = factors = errors = None
    if "inputs" in kinds:
        settings = (request.passages, request.components, request.seed, request.heads)
        calibration, factors = compute_factors(loaded, *settings, devices, report)
        memo.keep(FACTORS, factors.recipe, factors)
    if "published" in kinds:
        calibration, largest = _published(loaded, request, report, devices)
    if "gram" in kinds:
        calibration, errors = removal_errors(loaded, request.passages, request.heads, report)
    stream = None
    if kinds & _STREAM:
        components = request.components if "stream networks" in kinds else None
        stream = see_stream(loaded, request.passages, components, request.seed, report)
    if kinds - _STREAM == {"none"}:
        reader = Calibrator(loaded, heads=request.heads)
        for _ in reader.subjects(request.passages, report):
            pass
        calibration = reader.result()
    report("scoring", 0.0)
    seen = Seen(loaded, request.heads, request.seed, calibration, largest, factors, errors, stream)
    found = {}
    for method in methods:
        mlp, heads = METHODS[method].units(seen)
        moments = calibration if METHODS[method].reads_text and not METHODS[method].of_layers else None
        found[method] = Scores(
            method=method,
            allocation=METHODS[method].allocation,
            mlp=mlp,
            heads=heads if request.heads else (),
            mean_mlp=tuple(m.mean_N.float().numpy() for m in moments.mlp_L) if moments else (),
            mean_attention=tuple(m.mean_N.float().numpy() for m in moments.attention_L) if moments else (),
            recipe=request.recipe(loaded, method),
        )
    report("scoring", 1.0)
    return found


def _published(
    loaded: LoadedModel, request: ScoreRequest, report: Report, devices: Sequence[torch.device]
) -> tuple[Calibration, LargestZ]:
    """Moments and largest abs(z): one ICA per layer and group of texts (arXiv 2508.05239).

    What the first group's signals were looked at with serves the other groups too. Steps of the ICA are damped, for
    without that every second layer of a starter takes all updates there are and has not converged then.
    """
    reader = Calibrator(loaded, heads=request.heads, signals="published")
    widths_L, attention_widths_L = mlp_widths(loaded.model), reader.attention_widths
    members = [request.passages[group :: request.used_groups] for group in range(request.used_groups)]
    check_components(loaded, members, reader.signal_widths, request.components)
    mlp_L = [torch.zeros(width, dtype=torch.float64) for width in widths_L]
    attention_L = [torch.zeros(width, dtype=torch.float64) for width in attention_widths_L]
    probes: list[Probes] | None = None
    for group, passages in enumerate(members):

        def part(stage: str, fraction: float, group=group) -> None:
            report(stage, (group + fraction) / request.used_groups)

        found = layer_networks(
            reader.subjects(passages, part),
            reader.signal_widths,
            request.components,
            devices=devices,
            seed=request.seed + group,
            probes=probes,
            damped=True,
            report=part,
        )
        probes = probes or [networks.probes for networks in found]
        for layer, networks in enumerate(found):
            z_N = networks.maps_KN
            neurons = 2 * widths_L[layer] if widths_L else 0
            if neurons:
                mlp_L[layer] = torch.maximum(mlp_L[layer], criteria.largest_z(z_N[:, :neurons], widths_L[layer]))
            if attention_L:
                channels = criteria.largest_z(z_N[:, neurons:], attention_widths_L[layer])
                attention_L[layer] = torch.maximum(attention_L[layer], channels)
    return reader.result(), LargestZ(mlp_L, attention_L)
