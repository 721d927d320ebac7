"""Edits: which neurons are multiplied and moved, from networks or from a file; no model is needed for that.

Source: Liu et al. 2025, arXiv 2502.20408 (gain 0 masks a network's neurons; the published code adds an offset).
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fnet_core.checks import check_choice, check_range
from fnet_core.choices import SITES, Site
from fnet_core.errors import RequestError
from fnet_core.storage import artifacts
from fnet_core.storage.sealed import sealed, unsealed

if TYPE_CHECKING:
    from fnet_core.networks.atlas import Atlas

KIND = "fnet-edits"
FORMAT = 1

LARGEST_GAIN = 100.0


@dataclass(frozen=True)
class Edit:
    """Neurons of one site and what happens to them: activation x gain + offset."""

    site: Site
    neurons: tuple[tuple[int, int], ...]
    """(layer, index), sorted, each once."""
    gain: float = 1.0
    offset: float = 0.0
    name: str = ""

    def __post_init__(self) -> None:
        check_choice(self.site, SITES, "site")
        check_change(self.gain, self.offset)
        object.__setattr__(self, "neurons", tuple(sorted({(int(layer), int(i)) for layer, i in self.neurons})))

    def by_layer(self) -> dict[int, np.ndarray]:
        """Neuron indices of each layer, int64, sorted."""
        layers: dict[int, list[int]] = {}
        for layer, index in self.neurons:
            layers.setdefault(layer, []).append(index)
        return {layer: np.array(indices) for layer, indices in layers.items()}

    def to_dict(self) -> dict[str, Any]:
        """The edit as plain JSON values."""
        return {
            "site": self.site,
            "neurons": [list(pair) for pair in self.neurons],
            "gain": self.gain,
            "offset": self.offset,
            "name": self.name,
        }

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Edit:
        """The edit that `to_dict` described; `RequestError` if the fields do not describe one."""
        try:
            pairs = tuple((int(layer), int(index)) for layer, index in fields["neurons"])
            return cls(
                fields["site"], pairs, float(fields["gain"]), float(fields["offset"]), str(fields.get("name", ""))
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            if isinstance(error, RequestError):
                raise
            raise RequestError("This is not a saved edit; load a file that FNet saved.") from error


def check_change(gain: float = 1.0, offset: float = 0.0) -> None:
    """RequestError for a gain or an offset that no edit has."""
    remedy = f"choose 0 (inhibit) to {LARGEST_GAIN:g}, 1 leaves unchanged"
    check_range(gain, 0, LARGEST_GAIN, f"A gain of {gain} is", remedy)
    if not math.isfinite(offset):
        raise RequestError(f"An offset of {offset} is not a number; choose 0 for none.")


def edit_networks(
    atlas: Atlas, networks: Sequence[int], threshold: float, *, gain: float = 1.0, offset: float = 0.0
) -> Edit:
    """Change the key neurons of one network, or of the union of several; `RequestError` if there are none."""
    neurons = {
        (int(layer), int(index))
        for network in networks
        for layer, z in atlas.map_rows(network).items()
        for index in np.flatnonzero(np.abs(z) > threshold)
    }
    names = ", ".join(str(network) for network in networks)
    if not neurons:
        raise RequestError(f"Network {names} has no neuron with |z| above {threshold:g}; lower the threshold.")
    label = f"network {names} ({atlas.labels[networks[0]]})" if len(networks) == 1 else f"networks {names}"
    return Edit(atlas.site, tuple(neurons), gain, offset, label)


def edits_text(edits: Sequence[Edit], recipe: dict[str, Any]) -> str:
    """Edits and the recipe of the atlas they come from, as the JSON text that `parse_edits` reads."""
    content = {"kind": KIND, "format": FORMAT, "recipe": recipe, "edits": [edit.to_dict() for edit in edits]}
    return json.dumps(sealed(content), indent=1, ensure_ascii=False)


def save_edits(path: Path, edits: Sequence[Edit], recipe: dict[str, Any]) -> None:
    """Write what `edits_text` gives to a file, whole or not at all."""
    with artifacts.atomic_file(path) as temporary:
        temporary.write_text(edits_text(edits, recipe), "utf-8")


def parse_edits(text: str) -> tuple[tuple[Edit, ...], dict[str, Any]]:
    """Edits and recipe of a saved file's content; `RequestError` if it is damaged, changed, or of another format."""
    try:
        content = json.loads(text)
        if content["kind"] != KIND:
            raise KeyError
        found, saved, recipe = content["format"], content["edits"], content["recipe"]
        named = [recipe[name] for name in ("model", "model_digest") if name in recipe]
        if not (isinstance(saved, list) and isinstance(recipe, dict) and all(isinstance(n, str) for n in named)):
            raise TypeError
        unsealed(content, "This file of edits")
    except (json.JSONDecodeError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise RequestError("This is not a file of saved edits; load one that FNet saved.") from error
    if found != FORMAT:
        raise RequestError(f"These edits are of format {found} and this version reads {FORMAT}; save them again.")
    return tuple(Edit.from_dict(fields) for fields in saved), recipe
