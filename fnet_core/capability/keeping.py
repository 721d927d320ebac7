"""Keep only the networks: silence every neuron outside them, beside equally many random neurons of each layer.

Source: arXiv 2502.20408, version 1, tables 8 to 10 (the preservation experiment). Shape legend: C capabilities,
M random draws.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fnet_core.capability.battery import CHANCE, Battery
from fnet_core.capability.profiles import profile
from fnet_core.checks import check_range, check_seed
from fnet_core.choices import DEFAULT_THRESHOLD, LESION_DRAWS
from fnet_core.drawing import Described, drawn
from fnet_core.errors import RequestError
from fnet_core.evaluation.request import Yardstick
from fnet_core.evaluation.yardstick import baseline_perplexity
from fnet_core.interventions.controls import MOST_CONTROLS
from fnet_core.interventions.editing import check_atlas, editing
from fnet_core.interventions.edits import Edit
from fnet_core.interventions.measuring import edit_changes, perplexity
from fnet_core.models.loading import LoadedModel
from fnet_core.models.running import Running, running
from fnet_core.networks.atlas import Atlas
from fnet_core.networks.origin import found_in
from fnet_core.progress import Report, part_of, silent
from fnet_core.storage import artifacts, memo
from fnet_core.storage.memo import Kind

KIND = "preservation"
FORMAT = METHOD_VERSION = 1


def key_neurons(atlas: Atlas, networks: int, threshold: float) -> list[np.ndarray]:
    """bool per layer: the key neurons of the first so many networks, those of the largest variance."""
    kept = [np.zeros(width, dtype=bool) for width in atlas.widths_L]
    for network in range(networks):
        for layer, z in atlas.map_rows(network).items():
            kept[layer] |= np.abs(z) > threshold
    return kept


def silencing(atlas: Atlas, kept: Sequence[np.ndarray], name: str) -> Edit:
    """The edit that silences every neuron that is not kept (bool per layer)."""
    gone = tuple((layer, int(i)) for layer, keep in enumerate(kept) for i in np.flatnonzero(~keep))
    return Edit(atlas.site, gone, 0.0, name=name)


def keep_only(atlas: Atlas, networks: int, threshold: float) -> Edit:
    """Silence all but the key neurons of the first so many networks; RequestError if nothing would be left, or go."""
    check_range(networks, 1, len(atlas), f"{networks} networks are", f"this atlas has 1 to {len(atlas)}")
    kept = key_neurons(atlas, networks, threshold)
    if not any(keep.any() for keep in kept):
        raise RequestError(f"No network has a neuron with |z| above {threshold:g}; lower the threshold.")
    return silencing(atlas, kept, f"all but {networks} networks at |z| > {threshold:g}")


def random_kept(kept: Sequence[np.ndarray], count: int, seed: int) -> list[list[np.ndarray]]:
    """`count` random sets, each with as many neurons of every layer as are kept, drawn of all its neurons."""
    check_seed(seed)
    rng = np.random.default_rng(seed)
    return [[rng.permutation(keep) for keep in kept] for _ in range(count)]


@dataclass(frozen=True, eq=False)
class Kept:
    """One number of networks at one threshold: what is left of the model, and of it with random neurons kept."""

    networks: int
    threshold: float
    neurons: int
    perplexity: float
    random_perplexity_M: np.ndarray
    accuracy_C: np.ndarray
    random_accuracy_MC: np.ndarray

    @property
    def accuracy(self) -> float:
        """Mean over the capabilities."""
        return float(np.nanmean(self.accuracy_C))

    @property
    def random_perplexity(self) -> float:
        """Median of the draws."""
        return float(np.median(self.random_perplexity_M))

    @property
    def random_accuracy(self) -> float:
        """Median of the draws' means over the capabilities."""
        return float(np.median(np.nanmean(self.random_accuracy_MC, axis=1)))


@dataclass(frozen=True, eq=False, repr=False)
class Preservation(Described):
    """Perplexity and capabilities of what is left when all but the networks is silenced."""

    recipe: dict[str, Any]
    capabilities: tuple[str, ...]
    neurons: int
    """Of the whole model at the site."""
    untouched_perplexity: float
    untouched_C: np.ndarray
    """Accuracy of the untouched model in every capability, float64."""
    points: tuple[Kept, ...]

    @property
    def untouched_accuracy(self) -> float:
        """Mean over the capabilities."""
        return float(np.nanmean(self.untouched_C))

    def table(self) -> pd.DataFrame:
        """One row per point, what keeps least first.

        Columns networks, threshold, neurons, share, perplexity, random_perplexity, accuracy, random_accuracy, and the
        accuracy in each capability under its name. `share` is of all neurons; random columns are medians. A perplexity
        that is not finite is infinite.
        """
        rows = [
            {"networks": p.networks, "threshold": p.threshold, "neurons": p.neurons, "share": p.neurons / self.neurons}
            | {name: getattr(p, name) for name in ("perplexity", "random_perplexity", "accuracy", "random_accuracy")}
            | dict(zip(self.capabilities, p.accuracy_C.tolist(), strict=True))
            for p in self.points
        ]
        return pd.DataFrame(rows)

    @property
    def sentence(self) -> str:
        """What the most networks are worth at the highest threshold."""
        best = max(self.points, key=lambda p: (p.networks, p.threshold))
        return (
            f"With {best.networks} networks at |z| > {best.threshold:g} ({best.neurons / self.neurons:.1%} of the "
            f"neurons) perplexity is {best.perplexity:.4g}; {best.random_perplexity:.4g} with as many random neurons, "
            f"{self.untouched_perplexity:.4g} untouched. Mean accuracy is {best.accuracy:.2f}; "
            f"{best.random_accuracy:.2f} with random neurons, {self.untouched_accuracy:.2f} untouched, {CHANCE:g} by "
            "chance."
        )

    def summary(self) -> dict[str, Any]:
        """The JSON object of the command line; a perplexity that is not finite is null."""
        rows = self.table().replace(np.inf, np.nan).astype(object)
        finite = np.isfinite(self.untouched_perplexity)
        return {
            "model": self.recipe["model"],
            "untouched": {
                "perplexity": self.untouched_perplexity if finite else None,
                "accuracy": self.untouched_accuracy,
            },
            "points": rows.where(rows.notna(), None).to_dict("records"),
            "recipe": self.recipe,
        }

    def plot(self) -> Any:
        """The plotly figure of perplexity and mean accuracy against the share of neurons that is kept.

        >>> import fnet_core as fn
        >>> atlas = fn.find_atlas("tiny", components=4)
        >>> kept = fn.keep_only("tiny", atlas, "It rained all day.", thresholds=[2.0], items=4, only=["sums"], draws=1)
        >>> [trace.name for trace in kept.plot().data][:2]
        ['networks', 'random neurons']
        """
        return drawn("capabilities.preservation", self)

    def _description(self) -> tuple[str, dict[str, object]]:
        return f"What the networks of {self.recipe['model']} keep alone", {"the most kept": self.sentence}

    def save(self, path: Path) -> None:
        """Write one safetensors file, whole or not at all; RequestError if the disk refuses."""
        arrays = {name: np.array([getattr(p, name) for p in self.points]) for name in _ARRAYS}
        arrays |= {"untouched_C": self.untouched_C, "untouched_perplexity": np.array([self.untouched_perplexity])}
        header = {"recipe": self.recipe, "capabilities": list(self.capabilities), "neurons": self.neurons}
        artifacts.save_artifact(path, KIND, arrays, header, FORMAT)

    @classmethod
    def load(cls, path: Path) -> "Preservation":
        """Read a saved one; RequestError when it is missing, damaged, or of another format."""
        arrays, header = artifacts.load_artifact(path, KIND, FORMAT)
        numbers = zip(*(arrays[name].tolist() for name in _ARRAYS[:4]), strict=True)
        rest = zip(*(arrays[name] for name in _ARRAYS[4:]), strict=True)
        points = tuple(Kept(*a, *b) for a, b in zip(numbers, rest, strict=True))
        untouched = float(arrays["untouched_perplexity"][0])
        capabilities = tuple(header["capabilities"])
        return cls(header["recipe"], capabilities, header["neurons"], untouched, arrays["untouched_C"], points)


_ARRAYS = ("networks", "threshold", "neurons", "perplexity", "random_perplexity_M", "accuracy_C", "random_accuracy_MC")

PRESERVATIONS = Kind(KIND, Preservation.load, FORMAT, keyed_since=1, names=frozenset({"model", "asked"}))
"""Preservation curves in the store."""


@dataclass(frozen=True)
class KeepRequest:
    """Which numbers of networks are kept, largest variance first, at which thresholds."""

    networks: tuple[int, ...]
    thresholds: tuple[float, ...] = (DEFAULT_THRESHOLD,)
    draws: int = LESION_DRAWS
    seed: int = 0

    def __post_init__(self) -> None:
        check_range(self.draws, 1, MOST_CONTROLS, f"{self.draws} random sets are", f"choose 1 to {MOST_CONTROLS}")
        if not (self.networks and self.thresholds):
            raise RequestError("Nothing is to be kept; name at least one number of networks and one threshold.")

    def edits(self, atlas: Atlas) -> dict[tuple[int, float], Edit]:
        """What silences all else, for every number at every threshold, those that keep least first."""
        cells = [(k, z) for z in sorted(set(self.thresholds), reverse=True) for k in sorted(set(self.networks))]
        return {(k, z): keep_only(atlas, k, z) for k, z in cells}

    def recipe(
        self, model: Running, battery: Battery, yardstick: Yardstick, edits: dict[tuple[int, float], Edit]
    ) -> dict[str, Any]:
        """Everything that decides the curve, JSON-able."""
        return model.recipe("torch", "transformers") | {
            "battery": battery.digest,
            "asked": battery.asked,
            "yardstick": yardstick.to_dict(),
            "edits": artifacts.digest([[*cell, edit_changes([edit])] for cell, edit in edits.items()]),
            "draws": self.draws,
            "seed": self.seed,
            "method_version": METHOD_VERSION,
        }


def steps(atlas: Atlas) -> tuple[int, ...]:
    """A quarter, half and all of the networks of an atlas."""
    return tuple(sorted({max(1, len(atlas) // 4), max(1, len(atlas) // 2), len(atlas)}))


def keep_recipe(atlas: Atlas, battery: Battery, yardstick: Yardstick, request: KeepRequest) -> dict[str, Any] | None:
    """What the curve is kept by, for the model as it ran when the atlas was found; None where that is not known."""
    model = found_in(atlas)
    return request.recipe(model, battery, yardstick, request.edits(atlas)) if model else None


def preserve(
    loaded: LoadedModel,
    atlas: Atlas,
    battery: Battery,
    yardstick: Yardstick,
    request: KeepRequest,
    report: Report = silent,
    publish: Callable[[Preservation], None] = lambda found: None,
) -> Preservation:
    """Perplexity and capabilities of what is kept, for every point beside `draws` random sets; the rest is silenced.

    What was measured before is read from the store; `publish` gets the points so far. Raises RequestError for the atlas
    of another model, and a point at which no neuron is kept.
    """
    check_atlas(loaded, atlas)
    edits = request.edits(atlas)
    recipe = request.recipe(running(loaded), battery, yardstick, edits)
    if kept := memo.known(PRESERVATIONS, recipe):
        return kept
    base = profile(loaded, battery, report=part_of(report, 0, 1, "untouched"))
    untouched = baseline_perplexity(loaded, yardstick, part_of(report, 0, 1, "untouched"))
    points: tuple[Kept, ...] = ()
    for number, ((networks, threshold), edit) in enumerate(edits.items()):
        own = part_of(report, number, len(edits), "keeping")
        keep = key_neurons(atlas, networks, threshold)
        others = [silencing(atlas, each, "random neurons") for each in random_kept(keep, request.draws, request.seed)]
        runs = []
        for i, each in enumerate([edit, *others]):
            part = part_of(own, i, 1 + len(others))
            changed = profile(
                loaded, battery, edit_changes([each]), partial(editing, loaded, [each]), part_of(part, 0, 2)
            )
            runs.append((perplexity(loaded, yardstick, [each], part_of(part, 1, 2)).value, changed.accuracy_C))
        (value, accuracy_C), *drawn_runs = runs
        random_perplexity, random_accuracy = zip(*drawn_runs, strict=True)
        kept_neurons = int(sum(layer.sum() for layer in keep))
        values_M, accuracies_MC = np.array(random_perplexity), np.array(random_accuracy)
        points += (Kept(networks, threshold, kept_neurons, value, values_M, accuracy_C, accuracies_MC),)
        found = Preservation(recipe, base.capabilities, sum(atlas.widths_L), untouched.value, base.accuracy_C, points)
        publish(found)
    memo.keep(PRESERVATIONS, recipe, found)
    return found
