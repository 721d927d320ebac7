"""Edits on a running model: inhibit and amplify by hooks that are taken off again.

Shape legend: L layers, n neurons of one layer at a site.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor

from fnet_core.activations.hooks import Touch, touching
from fnet_core.errors import RequestError
from fnet_core.interventions.edits import Edit
from fnet_core.models.loading import LoadedModel
from fnet_core.models.modules import head_size, site_widths
from fnet_core.networks.atlas import Atlas


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
