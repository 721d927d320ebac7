"""Which network does what: every network changed alone, every capability measured, beside matched random lesions.

Shape legend: K networks, C capabilities, I items, M random draws.

A cell of the matrix is a network and a capability. Its p says whether the capability suffers (or, amplified, gains)
more than in the untouched model and than in every matched random lesion: the largest of the exact sign tests over the
items, so that one draw that does as much is enough to clear the network. A network that changes nothing beyond the
untouched model at 5 % needs no draws: whatever they gave, its p would not be smaller. p-values are adjusted over the
whole matrix by Benjamini and Hochberg.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fnet_core.capability import statistics
from fnet_core.capability.battery import Battery, title
from fnet_core.capability.profiles import Profile, profile
from fnet_core.checks import check_range
from fnet_core.choices import DEFAULT_THRESHOLD, LESION_DRAWS
from fnet_core.drawing import Described, drawn
from fnet_core.errors import RequestError
from fnet_core.interventions.controls import MOST_CONTROLS, NoControlError, random_controls
from fnet_core.interventions.editing import check_atlas, editing
from fnet_core.interventions.edits import Edit, edit_networks
from fnet_core.interventions.measuring import edit_changes
from fnet_core.models.loading import LoadedModel
from fnet_core.models.modules import site_widths
from fnet_core.models.running import Running, running
from fnet_core.networks.atlas import Atlas
from fnet_core.networks.origin import found_in
from fnet_core.progress import Report, part_of, silent
from fnet_core.storage import artifacts, memo
from fnet_core.storage.memo import Kind

KIND = "lesions"
FORMAT = METHOD_VERSION = 1


@dataclass(frozen=True, eq=False, repr=False)
class LesionMatrix(Described):
    """Answers of the untouched model, with each network changed alone, and with as many random neurons changed."""

    recipe: dict[str, Any]
    """What decides it, with the gain and the threshold."""
    networks: tuple[int, ...]
    """The numbers of the K networks with key neurons; while it is measured, of those that are done."""
    labels: tuple[str, ...]
    key_neurons: tuple[int, ...]
    capabilities: tuple[str, ...]
    capability_I: np.ndarray
    """int16."""
    untouched_I: np.ndarray
    """Answers, float32: see `statistics`."""
    changed_KI: np.ndarray
    """float32."""
    random_KMI: np.ndarray
    """float32; NaN where no draw is needed, and where none of that size can be made."""
    possible_K: np.ndarray
    """bool: False where the layers have too few other neurons for a draw; such a network has no p."""
    total: int
    """Networks to measure; more than K while it is measured."""

    @property
    def gain(self) -> float:
        return self.recipe["gain"]

    @property
    def amplified(self) -> bool:
        """Whether gains are looked for, not losses."""
        return self.gain > 1

    @property
    def done(self) -> bool:
        return len(self.networks) == self.total

    @property
    def untouched_C(self) -> np.ndarray:
        """Accuracy of the untouched model, float64."""
        return self._mean(self.untouched_I)

    @cached_property
    def accuracy_KC(self) -> np.ndarray:
        """Accuracy with each network changed, float64."""
        return self._mean(self.changed_KI)

    @cached_property
    def random_KC(self) -> np.ndarray:
        """Median accuracy of the random lesions, float64; NaN without any."""
        return np.median(self._mean(self.random_KMI), axis=1)

    @cached_property
    def change_KC(self) -> np.ndarray:
        """Accuracy less that of the untouched model, float64."""
        return self.accuracy_KC - self.untouched_C

    @cached_property
    def interval_KC(self) -> tuple[np.ndarray, np.ndarray]:
        """The 95 % interval of `change_KC`, paired item by item: low and high."""
        return statistics.paired_interval(self.changed_KI, self.untouched_I, self.capability_I, len(self.capabilities))

    @cached_property
    def p_KC(self) -> np.ndarray:
        """One-sided p of a loss (a gain, if amplified) beyond untouched and all draws; NaN where none can be made."""
        p = self._p(self.changed_KI, self.untouched_I)
        measured_K = np.isfinite(self.random_KMI).any(axis=(1, 2))
        for draw in range(self.random_KMI.shape[1]):
            beyond = self._p(self.changed_KI, self.random_KMI[:, draw])
            p = np.where(measured_K[:, None], np.maximum(p, beyond), p)
        return np.where(self.possible_K[:, None], p, np.nan)

    @cached_property
    def q_KC(self) -> np.ndarray:
        """`p_KC` adjusted for all cells: the share of false discoveries at which a cell is one."""
        return statistics.controlled(self.p_KC)

    @property
    def surviving_KC(self) -> np.ndarray:
        """bool: the cells with at most 5 % false discoveries among them."""
        return np.nan_to_num(self.q_KC, nan=1.0) < statistics.LEVEL

    @property
    def spared_KC(self) -> np.ndarray:
        """bool: cells whose loss against the untouched model is at most 0.1, and none at 5 % unadjusted."""
        small = self.change_KC >= -statistics.SPARED_LOSS
        return small & (self._p(self.changed_KI, self.untouched_I) >= statistics.LEVEL)

    def _mean(self, answers: np.ndarray) -> np.ndarray:
        return statistics.means(answers, self.capability_I, len(self.capabilities))

    def _p(self, changed: np.ndarray, reference: np.ndarray) -> np.ndarray:
        first, second = (reference, changed) if self.amplified else (changed, reference)
        return statistics.harm(first, second, self.capability_I, len(self.capabilities))

    def worse_p(self, network: int, other: int, capability: int) -> float:
        """p that a capability is worse with row `network` changed than with row `other`, on the same items."""
        rows = self.changed_KI[network], self.changed_KI[other]
        return float(statistics.harm(*rows, self.capability_I, len(self.capabilities))[capability])

    def table(self) -> pd.DataFrame:
        """One row per cell, the surest first.

        Columns network, label, key_neurons, capability, title, untouched, changed, random (the median), change, low and
        high (95 %, of the change), p, q, survives.
        """
        low, high = self.interval_KC
        rows = [
            (
                *(self.networks[k], self.labels[k], self.key_neurons[k], name, title(name)),
                *(self.untouched_C[c], self.accuracy_KC[k, c], self.random_KC[k, c], self.change_KC[k, c]),
                *(low[k, c], high[k, c], self.p_KC[k, c], self.q_KC[k, c], bool(self.surviving_KC[k, c])),
            )
            for k in range(len(self.networks))
            for c, name in enumerate(self.capabilities)
        ]
        columns = ["network", "label", "key_neurons", "capability", "title", "untouched", "changed", "random", "change"]
        table = pd.DataFrame(rows, columns=[*columns, "low", "high", "p", "q", "survives"])
        table["size"] = -table["change"].abs()
        return table.sort_values(["q", "size"], kind="stable").drop(columns="size").reset_index(drop=True)

    def summary(self) -> dict[str, Any]:
        """The matrix as JSON; what is not a number is null."""
        cells = self.table().astype(object)
        return {
            "model": self.recipe["model"],
            "gain": self.gain,
            "threshold": self.recipe["threshold"],
            "networks": len(self.networks),
            "cells": cells.where(cells.notna(), None).to_dict("records"),
            "surviving": int(self.surviving_KC.sum()),
            "recipe": self.recipe,
        }

    def plot(self) -> Any:
        """The plotly figure of the matrix: what every network's change does to every capability.

        >>> import fnet_core as fn
        >>> atlas = fn.find_atlas("tiny", components=4)
        >>> found = fn.lesions("tiny", atlas, threshold=2.0, items=4, only=["sums", "tense"], draws=1)
        >>> found.plot().data[0].type
        'heatmap'
        """
        return drawn("capabilities.matrix", self)

    def _description(self) -> tuple[str, dict[str, object]]:
        cells = int(np.isfinite(self.p_KC).sum())
        return f"{len(self.networks)} networks of {self.recipe['model']} at gain {self.gain:g}", {
            "cells": f"{len(self.networks)} x {len(self.capabilities)} capabilities, {cells} beside random lesions",
            "beyond random": f"{int(self.surviving_KC.sum())} at a false-discovery rate of {statistics.LEVEL:.0%}",
        }

    def save(self, path: Path) -> None:
        """Write one safetensors file, whole or not at all; RequestError if the disk refuses."""
        names = ("networks", "labels", "key_neurons", "capabilities")
        header = {"recipe": self.recipe, "total": self.total} | {name: list(getattr(self, name)) for name in names}
        artifacts.save_artifact(path, KIND, {name: getattr(self, name) for name in _ARRAYS}, header, FORMAT)

    @classmethod
    def load(cls, path: Path) -> "LesionMatrix":
        """Read a saved one; RequestError when it is missing, damaged, or of another format."""
        arrays, header = artifacts.load_artifact(path, KIND, FORMAT)
        names = ("networks", "labels", "key_neurons", "capabilities")
        fields: dict[str, Any] = {name: tuple(header[name]) for name in names}
        fields |= {name: arrays[name] for name in _ARRAYS}
        return cls(recipe=header["recipe"], total=header["total"], **fields)


_ARRAYS = ("capability_I", "untouched_I", "changed_KI", "random_KMI", "possible_K")

LESIONS = Kind(KIND, LesionMatrix.load, FORMAT, keyed_since=1, names=frozenset({"model", "asked", "threshold"}))
"""Lesion matrices in the store."""


@dataclass(frozen=True)
class LesionRequest:
    """What is done to every network of an atlas: its key neurons beyond the threshold, multiplied by the gain."""

    threshold: float = DEFAULT_THRESHOLD
    gain: float = 0.0
    draws: int = LESION_DRAWS
    seed: int = 0

    def __post_init__(self) -> None:
        check_range(self.draws, 1, MOST_CONTROLS, f"{self.draws} random lesions are", f"choose 1 to {MOST_CONTROLS}")
        if self.gain == 1:
            raise RequestError("A gain of 1 changes nothing; choose 0 (inhibit), or above 1 (amplify).")

    def edits(self, atlas: Atlas) -> dict[int, Edit]:
        """The edit of each network that has key neurons; `RequestError` if none has."""
        some = np.flatnonzero(atlas.key_counts(self.threshold).sum(axis=1))
        if not len(some):
            raise RequestError(f"No network has a neuron with |z| above {self.threshold:g}; lower the threshold.")
        return {int(k): edit_networks(atlas, [int(k)], self.threshold, gain=self.gain) for k in some}

    def recipe(self, model: Running, battery: Battery, edits: dict[int, Edit]) -> dict[str, Any]:
        """Everything that decides the matrix, JSON-able."""
        return model.recipe("torch", "transformers", "scipy") | {
            "battery": battery.digest,
            "asked": battery.asked,
            "edits": edits_digest(edits),
            "gain": self.gain,
            "threshold": self.threshold,
            "draws": self.draws,
            "seed": self.seed,
            "method_version": METHOD_VERSION,
        }


def edits_digest(edits: dict[int, Edit]) -> str:
    """What tells one set of lesions from another."""
    return artifacts.digest([[k, edit_changes([edit])] for k, edit in edits.items()])


def lesion_recipe(atlas: Atlas, battery: Battery, request: LesionRequest) -> dict[str, Any] | None:
    """What the matrix is kept by, for the model as it ran when the atlas was found; None where that is not known."""
    model = found_in(atlas)
    return request.recipe(model, battery, request.edits(atlas)) if model else None


def lesions(
    loaded: LoadedModel,
    atlas: Atlas,
    battery: Battery,
    request: LesionRequest,
    report: Report = silent,
    publish: Callable[[LesionMatrix], None] = lambda matrix: None,
) -> LesionMatrix:
    """Every network changed alone, beside `draws` random sets of as many neurons in the same layers where it does harm.

    What was measured before, in a cancelled matrix too, is read from the store. `publish` gets the matrix so far, after
    each network; `report` gets the stages "untouched" and "lesions". Raises RequestError for another model's atlas.
    """
    check_atlas(loaded, atlas)
    edits = request.edits(atlas)
    recipe = request.recipe(running(loaded), battery, edits)
    if kept := memo.known(LESIONS, recipe):
        return kept
    counts_K = atlas.key_counts(request.threshold).sum(axis=1)
    widths_L = site_widths(loaded.model, atlas.site)
    base = profile(loaded, battery, report=part_of(report, 0, 1, "untouched"))
    changed, random, possible = [], [], []
    matrix = None
    for number, (_, edit) in enumerate(edits.items()):
        own = part_of(report, number, len(edits), "lesions")
        changed.append(_answers(loaded, battery, (edit,), part_of(own, 0, 1 + request.draws)))
        try:
            sets = random_controls([edit], widths_L, request.draws, request.seed)
        except NoControlError:
            sets = []
        possible.append(bool(sets))
        if not _does_something(request, changed[-1], base):
            sets = []
        runs = [
            _answers(loaded, battery, each, part_of(own, i, 1 + request.draws)) for i, each in enumerate(sets, start=1)
        ]
        random.append(np.stack(runs or [np.full_like(changed[-1], np.nan)] * request.draws))
        done = tuple(edits)[: number + 1]
        matrix = LesionMatrix(
            recipe=recipe,
            networks=done,
            labels=tuple(atlas.labels[k] for k in done),
            key_neurons=tuple(int(counts_K[k]) for k in done),
            capabilities=base.capabilities,
            capability_I=base.capability_I,
            untouched_I=base.answers_I,
            changed_KI=np.stack(changed),
            random_KMI=np.stack(random),
            possible_K=np.array(possible),
            total=len(edits),
        )
        publish(matrix)
    assert matrix is not None
    memo.keep(LESIONS, recipe, matrix)
    return matrix


def _does_something(request: LesionRequest, changed_I: np.ndarray, base: Profile) -> bool:
    """Whether a capability changes beyond the untouched model, in the direction that is looked for."""
    first, second = (base.answers_I, changed_I) if request.gain > 1 else (changed_I, base.answers_I)
    p_C = statistics.harm(first, second, base.capability_I, len(base.capabilities))
    return bool((p_C < statistics.LEVEL).any())


def _answers(loaded: LoadedModel, battery: Battery, edits: Sequence[Edit], report: Report) -> np.ndarray:
    """The answers under edits, (I,) float32."""
    return profile(loaded, battery, edit_changes(edits), partial(editing, loaded, edits), report).answers_I
