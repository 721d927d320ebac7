"""Fold edits into the weights: an ordinary saved model that behaves as the edited one does."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from fnet_core.errors import RequestError
from fnet_core.interventions.editing import affine, check_edits
from fnet_core.interventions.edits import Edit, save_edits
from fnet_core.models.folder import published_name
from fnet_core.models.loading import LoadedModel, private_copy
from fnet_core.models.made import EDITS
from fnet_core.models.modules import (
    attention_projections,
    check_row,
    head_size,
    mlp_projections,
    site_widths,
    weight_in_place,
)
from fnet_core.models.saving import saving_model
from fnet_core.models.structure import family_of
from fnet_core.progress import Report, silent
from fnet_core.storage.atomic import new_folder

FOLDABLE = ("mlp", "heads")
"""Sites whose activation goes straight into a linear map, which can take the gain over."""


def bake(
    loaded: LoadedModel, edits: Sequence[Edit], folder: Path, recipe: dict[str, Any], report: Report = silent
) -> Path:
    """Save the model with the edits folded into its projections; the loaded model is left as it is.

    The folder gets what `save_pretrained` writes, the tokenizer, and the recipe as `fnet-edits.json`. Raises
    RequestError for a site that cannot be folded, an offset where the projection has no bias, and a folder that
    exists or cannot be written.
    """
    check_edits(loaded, edits)
    check_row(loaded.model, "saving edits in the weights")
    for edit in edits:
        if edit.site not in FOLDABLE:
            fitting = [site for site in FOLDABLE if site in family_of(loaded.model.config).sites]
            instead = f"choose site {' or '.join(fitting)}" if fitting else "no site of this model can be"
            raise RequestError(f"An edit at site {edit.site} cannot be folded into weights; {instead}.")
    folder = new_folder(folder)
    report("reading", 0.0)
    model = private_copy(loaded, report=report)
    fold(model, edits)
    report("saving", 0.0)
    with saving_model(model, loaded.tokenizer, folder) as temporary:
        name = published_name(loaded.name, loaded.path)
        origin = {"model": name, "baked_from": name, "baked_from_digest": loaded.digest}
        save_edits(temporary / EDITS, edits, recipe | origin)
        report("saving", 1.0)
    return folder


@torch.no_grad()
def fold(model: PreTrainedModel, edits: Sequence[Edit]) -> None:
    """Change the model's projections in place so that it computes what the edits would; sites mlp and heads."""
    for site in dict.fromkeys(edit.site for edit in edits):
        projections = (
            [mlp.down for mlp in mlp_projections(model)]
            if site == "mlp"
            else [attention.out for attention in attention_projections(model)]
        )
        chosen = [edit for edit in edits if edit.site == site]
        for layer, (gain, offset) in affine(chosen, site_widths(model, site)).items():
            projection = projections[layer]
            columns = weight_in_place(projection).T
            if site == "heads":
                gain, offset = (t.repeat_interleave(head_size(model)) for t in (gain, offset))
            if (offset != 0).any():
                if projection.bias is None:
                    raise RequestError(
                        f"Layer {layer}'s projection has no bias to hold an offset; use gains, or do not save."
                    )
                projection.bias.add_((columns.double().T @ offset).to(projection.bias.dtype))
            columns.copy_(columns.double() * gain[:, None])
