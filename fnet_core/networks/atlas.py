"""The atlas: all functional networks of one model at one site, with what is needed to reproduce them.

Shape legend: S passages, T tokens of one passage, L layers, N neurons of all layers side by side, K networks.
"""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fnet_core.checks import position
from fnet_core.choices import DEFAULT_THRESHOLD, Scope, Site
from fnet_core.drawing import Described, drawn
from fnet_core.errors import RequestError
from fnet_core.networks import annotations as people
from fnet_core.networks import telling
from fnet_core.networks.annotations import Annotations
from fnet_core.networks.atlas_check import DAMAGE, is_whole
from fnet_core.networks.blocks import layer_blocks
from fnet_core.networks.recurrence import ARRAYS, STABLE, Recurrence
from fnet_core.storage import artifacts
from fnet_core.storage.memo import Kind
from fnet_core.texts import Passage

KIND = "atlas"
FORMAT = 1


@dataclass(frozen=True, eq=False, repr=False)
class Atlas(Described):
    """Spatial maps, time courses, labels and recipe of one model's networks; frozen, saved without pickle."""

    recipe: dict[str, Any]
    """Everything that decides the result: model, texts, parameters, seed, versions."""
    passages: tuple[Passage, ...]
    widths_L: tuple[int, ...]
    """Neurons per layer."""
    maps: tuple[np.ndarray, ...]
    """One (K, N) block for scope "model", otherwise one (K, neurons of its layers) block per layer or window."""
    courses: tuple[np.ndarray, ...]
    """Per passage, (T, networks) float32: standard deviations of a neuron's activity, summed over the map."""
    offsets: tuple[np.ndarray, ...]
    """Per passage, (T, 2): start and end character of each token."""
    variance_K: np.ndarray
    """Share, 0 to 1, of the variance of z-scored activity (of the block's layers, unless scope is "model")."""
    recurrence_SK: np.ndarray
    """The same share in each passage: does the network come back in every text?"""
    stability_K: np.ndarray
    """ICASSO's I_q, at most 1."""
    labels: tuple[str, ...]
    converged: float
    """Share of ICA restarts that reached the tolerance."""
    halves: Recurrence | None = None
    """How well each network comes back in two halves of the passages; None where that was not computed."""
    seconds: dict[str, float] = field(default_factory=dict)
    peak_memory_bytes: int = 0
    annotations: Annotations = field(default_factory=dict)
    """What a person said of networks; `annotations.annotated` adds what is kept on this machine."""

    @property
    def site(self) -> Site:
        return self.recipe["site"]

    @property
    def scope(self) -> Scope:
        return self.recipe["scope"]

    @property
    def model_name(self) -> str:
        return self.recipe["model"]

    @property
    def key(self) -> str:
        """The atlas's name in the store."""
        return ATLASES.key(self.recipe)

    @property
    def provisional(self) -> tuple[int, int] | None:
        """Of an atlas found on the way to a whole one: passages read by then, and passages asked for."""
        asked = self.recipe.get("provisional")
        return None if asked is None else (len(self.passages), asked)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def named(self) -> tuple[str, ...]:
        """The networks' labels: a person's where there is one, otherwise the automatic one."""
        said = self.annotations
        return tuple(said[k].label or label if k in said else label for k, label in enumerate(self.labels))

    @property
    def layer_count(self) -> int:
        return len(self.widths_L)

    @property
    def tokens(self) -> int:
        """Tokens of text that the networks were found on."""
        return sum(len(course) for course in self.courses)

    @cached_property
    def _starts_L(self) -> np.ndarray:
        return np.concatenate([[0], np.cumsum(self.widths_L)])

    @cached_property
    def _place_K(self) -> list[tuple[int, int]]:
        """Block and row of each network."""
        return [(block, row) for block, maps in enumerate(self.maps) for row in range(len(maps))]

    def _layers_of_block(self, block: int) -> range:
        return layer_blocks(self.scope, self.layer_count)[block]

    @property
    def trusted_K(self) -> np.ndarray | None:
        """bool: come back in both halves of the passages, and are found by all restarts; None where not computed."""
        return None if self.halves is None else self.trusted_by(self.halves)

    def trusted_by(self, found: Recurrence) -> np.ndarray:
        """The networks that come back by `found` and that all restarts agree on, bool (K,)."""
        return found.trusted_K & (self.stability_K >= STABLE)

    def layers_of(self, network: int) -> range:
        """The layers a network may run across: all, its own for scope "layer", those of its window."""
        return self._layers_of_block(self._place(network)[0])

    def _place(self, network: int) -> tuple[int, int]:
        if not 0 <= network < len(self):
            raise RequestError(
                f"There is no network {network}; this atlas of {self.model_name} has 0 to {len(self) - 1}."
            )
        return self._place_K[network]

    def maps_of_layer(self, layer: int) -> tuple[np.ndarray, np.ndarray]:
        """The networks that may hold neurons of a layer, (K,) int64, and their z-values there, (K, N) float32."""
        networks, z, first = [], [], 0
        for maps_KN, layers in zip(self.maps, layer_blocks(self.scope, self.layer_count), strict=True):
            if layer in layers:
                start = self._starts_L[layer] - self._starts_L[layers.start]
                networks.append(np.arange(first, first + len(maps_KN)))
                z.append(maps_KN[:, start : start + self.widths_L[layer]])
            first += len(maps_KN)
        return np.concatenate(networks), np.concatenate(z)

    def map_rows(self, network: int) -> dict[int, np.ndarray]:
        """A network's z-values by layer, (neurons of the layer,) float32 each; RequestError if unknown."""
        block, row = self._place(network)
        layers = self._layers_of_block(block)
        cuts = np.cumsum([self.widths_L[layer] for layer in layers])[:-1]
        return dict(zip(layers, np.split(self.maps[block][row], cuts), strict=True))

    def map_grid(self, network: int) -> np.ndarray:
        """A network's map as (L, widest layer) float32; NaN where it has no neuron."""
        grid = np.full((self.layer_count, max(self.widths_L)), np.nan, dtype=np.float32)
        for layer, z in self.map_rows(network).items():
            grid[layer, : len(z)] = z
        return grid

    @cached_property
    def _counted(self) -> dict[float, np.ndarray]:
        """What `key_counts` gave for the last thresholds: every map is gone through for it."""
        return {}

    def key_counts(self, threshold: float) -> np.ndarray:
        """Neurons with abs(z) above the threshold per network and layer, (K, L) int64."""
        known = self._counted.get(threshold)
        if known is None:
            for oldest in list(self._counted)[:-7]:
                self._counted.pop(oldest, None)
            known = self._counted[threshold] = self._count(threshold)
        return known.copy()

    def _count(self, threshold: float) -> np.ndarray:
        counts = np.zeros((len(self), self.layer_count), dtype=np.int64)
        first = 0
        for block, maps_KN in enumerate(self.maps):
            layers = self._layers_of_block(block)
            starts = self._starts_L[layers.start : layers.stop] - self._starts_L[layers.start]
            above = np.abs(maps_KN) > threshold
            counts[first : first + len(maps_KN), layers.start : layers.stop] = np.add.reduceat(
                above, starts, axis=1, dtype=np.int64
            )
            first += len(maps_KN)
        return counts

    def key_neurons(self, network: int, threshold: float) -> pd.DataFrame:
        """A network's key neurons, strongest first: columns network, label, layer, neuron, z."""
        rows = self.map_rows(network)
        found = [
            pd.DataFrame({"layer": layer, "neuron": np.flatnonzero(above), "z": z[above]})
            for layer, z in rows.items()
            for above in [np.abs(z) > threshold]
        ]
        table = pd.concat(found, ignore_index=True)
        table = table.iloc[np.argsort(-table["z"].abs().to_numpy(), kind="stable")].reset_index(drop=True)
        table.insert(0, "network", network)
        table.insert(1, "label", self.named[network])
        return table

    def all_key_neurons(self, threshold: float) -> pd.DataFrame:
        """The key neurons of every network, network by network, in the columns of `key_neurons`."""
        return pd.concat([self.key_neurons(k, threshold) for k in range(len(self))], ignore_index=True)

    def table(self, threshold: float) -> pd.DataFrame:
        """One row per network: network, label, variance, stability, key_neurons, layers, first_layer, last_layer.

        `variance` is a share (0 to 1); `layers` counts the layers that hold key neurons, and first and last
        name them (-1 where there are none). Where the halves were computed, recurrence and trusted follow stability;
        where a person said something of a network, verdict and note end the table.
        """
        counts_KL = self.key_counts(threshold)
        some = counts_KL > 0
        table = pd.DataFrame(
            {
                "network": np.arange(len(self)),
                "label": self.named,
                "variance": self.variance_K,
                "stability": self.stability_K,
                "key_neurons": counts_KL.sum(axis=1),
                "layers": some.sum(axis=1),
                "first_layer": np.where(some.any(axis=1), some.argmax(axis=1), -1),
                "last_layer": np.where(some.any(axis=1), self.layer_count - 1 - some[:, ::-1].argmax(axis=1), -1),
            }
        )
        if self.halves is not None:
            table.insert(4, "recurrence", self.halves.correlation_K)
            table.insert(5, "trusted", self.trusted_K)
        if self.annotations:
            said = [self.annotations.get(network, people.Annotation()) for network in range(len(self))]
            table["verdict"], table["note"] = [each.verdict for each in said], [each.note for each in said]
        return table

    def parcellation(self, threshold: float) -> np.ndarray:
        """Every neuron's strongest network, (L, widest layer) int64; -1 where no abs(z) passes the threshold."""
        grid = np.full((self.layer_count, max(self.widths_L)), -1, dtype=np.int64)
        for layer, width in enumerate(self.widths_L):
            networks, z_KN = self.maps_of_layer(layer)
            size_KN = np.abs(z_KN)
            grid[layer, :width] = np.where(size_KN.max(axis=0) > threshold, networks[size_KN.argmax(axis=0)], -1)
        return grid

    def connectivity(self) -> np.ndarray:
        """Pearson correlation of time courses within passages, averaged over them, (K, K) float64.

        A network that is silent in a passage is left out there; NaN if it is silent in all of them.
        """
        total = np.zeros((len(self), len(self)))
        seen = np.zeros_like(total)
        for course_TK in self.courses:
            centred = course_TK - course_TK.mean(axis=0, dtype=np.float64)
            norm = np.linalg.norm(centred, axis=0)
            unit = np.divide(centred, norm, out=np.zeros_like(centred), where=norm > 0)
            total += unit.T @ unit
            seen += np.outer(norm > 0, norm > 0)
        return np.divide(total, seen, out=np.full_like(total, np.nan), where=seen > 0)

    def course_scale(self, network: int) -> float:
        """The standard deviation of a network's time course over all tokens, to show it in those units."""
        self._place(network)
        return float(np.concatenate([course[:, network] for course in self.courses]).std()) or 1.0

    def summary(self, threshold: float = DEFAULT_THRESHOLD) -> dict[str, Any]:
        """The JSON object that the command line prints, without the artifact's path."""
        return telling.summary_of(self, threshold)

    def plot_map(self, network: int, threshold: float = DEFAULT_THRESHOLD) -> Any:
        """The plotly figure of a network's z-values, layers x neurons; IndexError for a network it does not have.

        >>> import fnet_core as fn
        >>> atlas = fn.find_atlas("tiny", components=4)
        >>> atlas.plot_map(0, threshold=2.0).data[0].type
        'heatmap'
        """
        return drawn("networks.network_map", self, self._existing(network), threshold)

    def plot_layers(self, network: int, threshold: float = DEFAULT_THRESHOLD) -> Any:
        """The plotly figure of how many key neurons a network has in each layer; IndexError as `plot_map`.

        >>> import fnet_core as fn
        >>> atlas = fn.find_atlas("tiny", components=4)
        >>> len(atlas.plot_layers(0, threshold=2.0).data[0].y)
        2
        """
        return drawn("networks.layer_profile", self, self._existing(network), threshold)

    def plot_time_course(self, network: int, passage: int = 0) -> Any:
        """The plotly figure of a network's activity over one passage; IndexError as `plot_map`, or for a passage.

        >>> import fnet_core as fn
        >>> atlas = fn.find_atlas("tiny", components=4)
        >>> bool(atlas.plot_time_course(0, passage=1).data)
        True
        """
        passage = position(passage, len(self.passages), "this atlas", "passage")
        return drawn("networks.time_course", self, self._existing(network), passage)

    def plot_scan(self, threshold: float = DEFAULT_THRESHOLD, network: int | None = None) -> Any:
        """The plotly figure of every layer's neurons grouped by the network that owns them; IndexError as `plot_map`.

        With `network` the others step back to grey.

        >>> import fnet_core as fn
        >>> atlas = fn.find_atlas("tiny", components=4)
        >>> atlas.plot_scan(threshold=2.0).data[0].type
        'bar'
        """
        return drawn("scan.scan", self, threshold, None if network is None else self._existing(network))

    def plot_networks(self, threshold: float = DEFAULT_THRESHOLD) -> Any:
        """The plotly figure of all networks at once: every neuron in the colour of its strongest network.

        >>> import fnet_core as fn
        >>> atlas = fn.find_atlas("tiny", components=4)
        >>> atlas.plot_networks(threshold=2.0).data[0].type
        'heatmap'
        """
        return drawn("networks.parcellation", self, threshold)

    def _existing(self, network: int) -> int:
        return position(network, len(self), "this atlas", "network")

    def _description(self) -> tuple[str, dict[str, object]]:
        return f"Atlas of {self.model_name} at site {self.site}", telling.facts_of(self)

    def save(self, path: Path) -> None:
        """Write the atlas as one safetensors file, whole or not at all; RequestError if the disk refuses."""
        arrays = {f"maps.{i}": maps for i, maps in enumerate(self.maps)}
        for i, (course, offsets) in enumerate(zip(self.courses, self.offsets, strict=True)):
            arrays[f"course.{i}"], arrays[f"offsets.{i}"] = course, offsets
        arrays |= {
            "variance": self.variance_K,
            "recurrence": self.recurrence_SK,
            "stability": self.stability_K,
        }
        header = {
            "recipe": self.recipe,
            "passages": [[p.name, p.text, p.source] for p in self.passages],
            "widths": list(self.widths_L),
            "labels": list(self.labels),
            "converged": self.converged,
            "seconds": self.seconds,
            "peak_memory_bytes": self.peak_memory_bytes,
        }
        if self.halves is not None:
            arrays |= {f"halves.{name}": array for name, array in self.halves.arrays.items()}
            header["halves"] = self.halves.recipe
        if said := people.as_json(self.annotations):
            header["annotations"] = said
        artifacts.save_artifact(path, KIND, arrays, header, FORMAT)

    @classmethod
    def load(cls, path: Path) -> "Atlas":
        """Read a saved atlas; RequestError says when it is missing, damaged, or of another format."""
        arrays, header = artifacts.load_artifact(path, KIND, FORMAT)
        try:
            whole = is_whole(arrays, header)
        except DAMAGE:
            whole = False
        if not whole:
            raise RequestError(f"{path} is no whole atlas: parts are missing or do not fit; make it again.")
        labels = tuple(header["labels"])
        return cls(
            recipe=header["recipe"],
            passages=tuple(Passage(*fields) for fields in header["passages"]),
            widths_L=tuple(header["widths"]),
            maps=tuple(maps.astype(np.float32, copy=False) for maps in artifacts.series(arrays, "maps")),
            courses=artifacts.series(arrays, "course"),
            offsets=artifacts.series(arrays, "offsets"),
            variance_K=arrays["variance"],
            recurrence_SK=arrays["recurrence"],
            stability_K=arrays["stability"],
            labels=labels,
            converged=header["converged"],
            halves=Recurrence(header["halves"], labels, **{name: arrays[f"halves.{name}"] for name in ARRAYS})
            if "halves" in header
            else None,
            seconds=header["seconds"],
            peak_memory_bytes=header["peak_memory_bytes"],
            annotations=people.from_json(header.get("annotations", {})),
        )


SHARES_SUM = 1.001
"""The most that shares of variance may sum to, rounding included."""


def _kept(path: Path) -> Atlas:
    """A stored atlas; RequestError for one of a method that counted the same activity many times."""
    atlas = Atlas.load(path)
    edges = np.cumsum([len(maps) for maps in atlas.maps])[:-1]
    of_all = (share_K.sum() for share_K in np.split(atlas.variance_K, edges))
    if max(*of_all, 0.0) > SHARES_SUM:
        raise RequestError("its shares of variance sum to more than the whole")
    return atlas


ATLASES = Kind(KIND, _kept, FORMAT, keyed_since=1, names=frozenset({"model", "texts", "cut", "enough", "threads"}))
"""Atlases in the store."""
