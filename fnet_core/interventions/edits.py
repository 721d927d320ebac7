"""Inhibit and amplify: change chosen neurons while a model runs, beside random neurons changed alike.

Shape legend: L layers, n neurons of one layer at a site.
Source: Liu et al. 2025, arXiv 2502.20408 (gain 0 masks a network's neurons; the published code adds an offset).
"""

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fnet_core.activations.hooks import Touch, touching
from fnet_core.checks import check_choice, check_range
from fnet_core.choices import SITES, Site
from fnet_core.errors import RequestError
from fnet_core.models.loading import LoadedModel
from fnet_core.models.modules import head_size, site_widths
from fnet_core.networks.atlas import Atlas
from fnet_core.storage import artifacts

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
        remedy = f"choose 0 (inhibit) to {LARGEST_GAIN:g}, 1 leaves unchanged"
        check_range(self.gain, 0, LARGEST_GAIN, f"A gain of {self.gain} is", remedy)
        if not math.isfinite(self.offset):
            raise RequestError(f"An offset of {self.offset} is not a number; choose 0 for none.")
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
    def from_dict(cls, fields: dict[str, Any]) -> "Edit":
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


def check_atlas(loaded: LoadedModel, atlas: Atlas) -> None:
    """`RequestError` unless the atlas was found in this very model."""
    check_recipe(loaded, atlas.recipe)


def check_recipe(loaded: LoadedModel, recipe: dict[str, Any]) -> None:
    """`RequestError` if an atlas's recipe, which is saved with its edits too, names another model."""
    digest = recipe.get("model_digest", loaded.digest)
    if digest != loaded.digest:
        raise RequestError(
            f"The atlas was found in {recipe.get('model', 'another model')} ({digest[:12]}) and the model is "
            f"{loaded.name} ({loaded.digest[:12]}); find the networks of this model first."
        )


def check_edits(loaded: LoadedModel, edits: Sequence[Edit]) -> None:
    """`RequestError` if an edit names a layer or a neuron that the model does not have."""
    for edit in edits:
        widths_L = site_widths(loaded.model, edit.site)
        for layer, index in edit.neurons:
            if not 0 <= layer < len(widths_L):
                raise RequestError(f"{loaded.name} has no layer {layer}; it has 0 to {len(widths_L) - 1}.")
            if not 0 <= index < widths_L[layer]:
                raise RequestError(
                    f"Layer {layer} of {loaded.name} has no neuron {index} at site {edit.site}; it has 0 to "
                    f"{widths_L[layer] - 1}."
                )


def affine(edits: Sequence[Edit], widths_L: Sequence[int]) -> dict[int, tuple[Tensor, Tensor]]:
    """Edits of one site, in order, as one (gain, offset) pair of float64 (n,) tensors per layer they change.

    Layers that the edits leave unchanged are left out, so that they stay bit for bit what they were.
    """
    merged: dict[int, tuple[Tensor, Tensor]] = {}
    for edit in edits:
        for layer, indices in edit.by_layer().items():
            width = widths_L[layer]
            gain, offset = merged.setdefault(
                layer, (torch.ones(width, dtype=torch.float64), torch.zeros(width, dtype=torch.float64))
            )
            gain[indices] *= edit.gain
            offset[indices] = offset[indices] * edit.gain + edit.offset
    return {layer: (g, o) for layer, (g, o) in merged.items() if (g != 1).any() or (o != 0).any()}


@contextmanager
def editing(loaded: LoadedModel, edits: Sequence[Edit]) -> Iterator[None]:
    """Run the model with the edits applied while the context is open; contexts nest, and leaving restores.

    Works on dispatched and offloaded models and during generation. Raises RequestError for a neuron that the
    model does not have.
    """
    check_edits(loaded, edits)
    size = head_size(loaded.model)
    with ExitStack() as stack:
        for site in dict.fromkeys(edit.site for edit in edits):
            changes = affine([e for e in edits if e.site == site], site_widths(loaded.model, site))
            stack.enter_context(touching(loaded.model, site, affine_touch(changes, size if site == "heads" else 1)))
        yield


def affine_touch(changes: dict[int, tuple[Tensor, Tensor]], repeat: int = 1) -> Touch:
    """A touch that makes each changed layer's activation gain x activation + offset.

    `changes` are (gain, offset) pairs of float64 tensors as `affine` gives them; each of their values stands for
    `repeat` neighbouring channels.
    """
    ready: dict[int, tuple[Tensor, Tensor]] = {}

    def touch(layer: int, x: Tensor) -> Tensor | None:
        if layer not in changes:
            return None
        exact = torch.promote_types(x.dtype, torch.float32)
        if layer not in ready:
            gain, offset = (t.repeat_interleave(repeat) for t in changes[layer])
            ready[layer] = gain.to(x.device, exact), offset.to(x.device, exact)
        gain, offset = ready[layer]
        return torch.addcmul(offset, x.to(exact), gain).to(x.dtype)

    return touch


KIND = "fnet-edits"
FORMAT = 1


def edits_text(edits: Sequence[Edit], recipe: dict[str, Any]) -> str:
    """Edits and the recipe of the atlas they come from, as the JSON text that `parse_edits` reads."""
    content = {"kind": KIND, "format": FORMAT, "recipe": recipe, "edits": [edit.to_dict() for edit in edits]}
    return json.dumps(content, indent=1, ensure_ascii=False)


def save_edits(path: Path, edits: Sequence[Edit], recipe: dict[str, Any]) -> None:
    """Write what `edits_text` gives to a file, whole or not at all."""
    with artifacts.atomic_file(path) as temporary:
        temporary.write_text(edits_text(edits, recipe), "utf-8")


def parse_edits(text: str) -> tuple[tuple[Edit, ...], dict[str, Any]]:
    """Edits and recipe of a saved file's content; `RequestError` if it is damaged or of another format."""
    try:
        content = json.loads(text)
        if content["kind"] != KIND:
            raise KeyError
        found, saved, recipe = content["format"], content["edits"], content["recipe"]
        if not (isinstance(saved, list) and isinstance(recipe, dict)):
            raise TypeError
    except (json.JSONDecodeError, RecursionError, KeyError, TypeError) as error:
        raise RequestError("This is not a file of saved edits; load one that FNet saved.") from error
    if found != FORMAT:
        raise RequestError(f"These edits are of format {found} and this version reads {FORMAT}; save them again.")
    return tuple(Edit.from_dict(fields) for fields in saved), recipe
