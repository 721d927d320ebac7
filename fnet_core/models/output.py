"""The end of a language model: the norm before its unembedding, norms behind MLPs, and what they do to a direction."""

import re

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from fnet_core.errors import RequestError
from fnet_core.models.loading import LoadedModel
from fnet_core.models.modules import Projection, decoder_layers
from fnet_core.models.structure import family_of

_FINAL = re.compile(r"norm|ln_f|norm_f|final_?(layer_?)?norm")
"""What architectures call the norm that stands beside their decoder layers, after the last of them."""


def unembedding(loaded: LoadedModel) -> Projection:
    """The projection from the residual stream to logits; RequestError where there is none of the stream's width."""
    head = loaded.model.get_output_embeddings()
    width = loaded.model.config.hidden_size
    if not isinstance(head, nn.Linear) or head.weight.shape[1] != width:
        raise RequestError(
            f"{loaded.name} has no projection from its {width:,} dimensions to tokens, so there is no direct effect on "
            "them; choose another model."
        )
    return head


def final_norm(model: PreTrainedModel) -> nn.Module | None:
    """The norm between the last decoder layer and the unembedding; None where none is found."""
    owner, _, _ = family_of(model.config).layers.rpartition(".")
    beside = model.get_submodule(owner).named_children()
    return next((module for name, module in beside if _FINAL.fullmatch(name)), None)


def norm_behind_mlp(model: PreTrainedModel) -> list[nn.Module]:
    """The norm of every layer through which the MLP's output goes before it is added; empty where there is none."""
    family = family_of(model.config)
    if not family.down or family.down.startswith(family.mlp_out):
        return []
    return [layer.get_submodule(family.mlp_out) for layer in decoder_layers(model)]


@torch.no_grad()
def norm_gain(norm: nn.Module, width: int) -> tuple[Tensor, bool]:
    """What a norm multiplies each dimension by while its scale is 1, (D,) float32, and whether it takes the mean away.

    Read off the module itself, so that it holds for every kind: two inputs of scale 1 and mean 0 with opposite signs,
    and two constant ones.
    """
    parameter = next(norm.parameters(), torch.zeros(()))
    sign_D = torch.ones(width, device=parameter.device, dtype=parameter.dtype)
    sign_D[1::2] = -1.0
    gain_D = ((norm(sign_D) - norm(-sign_D)) / 2 * sign_D).float()
    ones_D = torch.ones_like(sign_D)
    of_constant_D = ((norm(ones_D) - norm(-ones_D)) / 2).float()
    return gain_D, bool(of_constant_D.abs().max() < 0.5 * gain_D.abs().max())
