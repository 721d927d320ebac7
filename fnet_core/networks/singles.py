"""Recurrence as it was published: the networks of all texts against those that one text alone gives.

Shape legend: S passages, K networks of the atlas, N neurons of a block of layers side by side, D draws.
Source: arXiv 2502.20408, version 1, Tables 1 to 3: a network counts as found in a text where the IoU of its key neurons
with those of one of the text's own networks is above 0.2. One-to-one matching and the chance level are this project's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from fnet_core.activations.reading import read_subjects
from fnet_core.choices import DEFAULT_THRESHOLD
from fnet_core.decomposition.canica import leading_directions, separate, standardize
from fnet_core.drawing import Described
from fnet_core.errors import RequestError
from fnet_core.models.loading import LoadedModel
from fnet_core.networks.atlas import Atlas
from fnet_core.networks.blocks import layer_blocks
from fnet_core.networks.matching import mask_overlap, partners, taken
from fnet_core.networks.recurrence import CHANCE_DRAWS, RECURRING
from fnet_core.networks.request import check_single
from fnet_core.progress import Report, part_of, silent
from fnet_core.storage import artifacts, memo
from fnet_core.storage.memo import Kind

SINGLES = "singles"
FORMAT = 1


@dataclass(frozen=True, eq=False, repr=False)
class Singles(Described):
    """In which passages, each decomposed alone, each network of an atlas is found, with what shuffled neurons give."""

    recipe: dict[str, Any]
    labels: tuple[str, ...]
    passages: tuple[str, ...]
    """Names of the passages that were decomposed."""
    overlap_SK: np.ndarray
    """float64 IoU of each network's key neurons with those of its partner in the passage; 0 for none."""
    chance_overlap_SDK: np.ndarray
    """The same where the passage's neurons are shuffled within layers, matched anew in each draw."""

    @property
    def found_SK(self) -> np.ndarray:
        """bool: IoU above `RECURRING`."""
        return self.overlap_SK > RECURRING

    @property
    def per_passage(self) -> float:
        """Networks of the atlas that one passage has, on average."""
        return float(self.found_SK.sum(axis=1).mean())

    @property
    def per_passage_by_chance(self) -> float:
        """The same with shuffled neurons."""
        return float((self.chance_overlap_SDK > RECURRING).sum(axis=2).mean())

    def table(self) -> pd.DataFrame:
        """One row per network: network, label, passages (in which it is found), overlap (mean IoU over all)."""
        return pd.DataFrame(
            {
                "network": np.arange(len(self.labels)),
                "label": self.labels,
                "passages": self.found_SK.sum(axis=0),
                "overlap": self.overlap_SK.mean(axis=0),
            }
        )

    def summary(self) -> dict[str, Any]:
        """The JSON object that the command line prints."""
        return {
            "networks": self.table().to_dict("records"),
            "passages": list(self.passages),
            "per_passage": self.per_passage,
            "per_passage_by_chance": self.per_passage_by_chance,
            "mean_overlap": float(self.overlap_SK.mean()),
            "chance_overlap": float(self.chance_overlap_SDK.mean()),
            "recipe": self.recipe,
        }

    def _description(self) -> tuple[str, dict[str, object]]:
        return self.recipe["title"], {
            "found": f"{self.per_passage:.1f} of {len(self.labels)} networks in a passage; shuffled "
            f"{self.per_passage_by_chance:.1f}",
            "passages": len(self.passages),
        }

    def save(self, path: Path) -> None:
        """Write one safetensors file, whole or not at all; RequestError if the disk refuses."""
        header = {"recipe": self.recipe, "labels": list(self.labels), "passages": list(self.passages)}
        arrays = {"overlap": self.overlap_SK, "chance_overlap": self.chance_overlap_SDK}
        artifacts.save_artifact(path, SINGLES, arrays, header, FORMAT)

    @classmethod
    def load(cls, path: Path) -> "Singles":
        """Read a saved one; RequestError says when it is missing, damaged, or of another format."""
        arrays, header = artifacts.load_artifact(path, SINGLES, FORMAT)
        labels, passages = tuple(header["labels"]), tuple(header["passages"])
        return cls(header["recipe"], labels, passages, arrays["overlap"], arrays["chance_overlap"])


KEPT = Kind(SINGLES, Singles.load, FORMAT, keyed_since=1, names=frozenset({"title", "model"}))
"""What single passages gave, in the store."""


def in_singles(
    loaded: LoadedModel,
    whole: Atlas,
    count: int,
    threshold: float = DEFAULT_THRESHOLD,
    report: Report = silent,
) -> Singles:
    """In which of `count` passages of an atlas, evenly spread and each decomposed alone, each of its networks is found.

    Answered from the store where it was asked before. Raises RequestError for more passages than the atlas has, one
    too short for so many networks, and the atlas of another model than the loaded one.
    """
    check_single(count, whole.passages)
    if whole.recipe["model_digest"] != loaded.digest:
        raise RequestError(f"This atlas was found in another model than {loaded.name}; load the one it was found in.")
    chosen = [whole.passages[i * len(whole.passages) // count] for i in range(count)]
    recipe = memo.stamped(
        {
            "title": f"Networks of {whole.model_name} at site {whole.site} in each of {count} passages alone",
            "model": whole.model_name,
            "atlas": whole.key,
            "count": count,
            "threshold": threshold,
            "draws": CHANCE_DRAWS,
            "seed": 0,
            "method_version": 1,
        }
    )

    def compute() -> Singles:
        blocks = layer_blocks(whole.scope, whole.layer_count)
        ends = [sum(whole.widths_L[: layers.stop]) for layers in blocks]
        starts = [sum(whole.widths_L[: layers.start]) for layers in blocks]
        subjects = read_subjects(loaded, chosen, whole.site, write=standardize, reuse=True)
        rows = []
        for number, subject in enumerate(subjects):
            groups = [subject.activations_TN[:, start:end] for start, end in zip(starts, ends, strict=True)]
            maps = decomposed(groups, whole.recipe, part_of(report, number, count, "decomposing single passages"))
            rows.append(overlap_with_chance(whole.maps, maps, blocks, whole.widths_L, threshold, CHANCE_DRAWS, 0))
        overlap, chance = zip(*rows, strict=True)
        names = tuple(passage.name for passage in chosen)
        return Singles(recipe, whole.labels, names, np.array(overlap), np.array(chance))

    return memo.answered(KEPT, recipe, compute).answer


def decomposed(blocks: Sequence[Tensor], recipe: dict[str, Any], report: Report = silent) -> list[np.ndarray]:
    """The networks of one passage alone, (K, N) z-values for each block of z-scored activations, (T, N).

    Its K strongest directions are separated as an atlas's are, with the components, seed, restarts and contrast of
    `recipe`. Raises RequestError for a passage with fewer directions.
    """
    components = recipe["components"]
    groups = [leading_directions(z_TN, components) for z_TN in blocks]
    if (fewest := min(map(len, groups))) < components:
        raise RequestError(
            f"A passage alone allows at most {fewest} networks and this atlas has {components}; ask for fewer "
            "components."
        )
    found = separate(groups, recipe["seed"], recipe["restarts"], recipe["contrast"], report)
    return [maps_KN.cpu().numpy() for maps_KN, _, _ in found]


def overlap_with_chance(
    whole: Sequence[np.ndarray],
    single: Sequence[np.ndarray],
    blocks: Sequence[range],
    widths_L: Sequence[int],
    threshold: float,
    draws: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """The IoU of each network's key neurons with those of its partner, (K,) float64, and with shuffled ones, (D, K).

    `whole` and `single` hold (K, N) maps for each of the `blocks` of layers. Partners are those that make the sum of
    IoUs largest, one to one; neurons are shuffled within their layers.
    """
    rng = np.random.default_rng(seed)
    own: list[np.ndarray] = []
    by_chance: list[np.ndarray] = []
    for a_KN, b_KN, layers in zip(whole, single, blocks, strict=True):
        masks = np.abs(a_KN) > threshold, np.abs(b_KN) > threshold
        own.append(_best(*masks))
        edges = np.cumsum([0, *(widths_L[layer] for layer in layers)])
        shuffled = []
        for _ in range(draws):
            order_N = np.concatenate([first + rng.permutation(last - first) for first, last in pairwise(edges)])
            shuffled.append(_best(masks[0], masks[1][:, order_N]))
        by_chance.append(np.array(shuffled))
    return np.concatenate(own), np.concatenate(by_chance, axis=1)


def _best(a_KN: np.ndarray, b_KN: np.ndarray) -> np.ndarray:
    overlap_KK = mask_overlap(a_KN, b_KN)
    return taken(overlap_KK, partners(overlap_KK))
