"""A router's probabilities, and the experts that it would choose by others.

Shape legend: T tokens, E experts, K experts per token.
"""

from typing import Any, cast

import torch
from accelerate.utils import align_module_device
from torch import Tensor, nn
from torch.nn import functional as F

from fnet_core.errors import RequestError


def probabilities(router: nn.Module, hidden: Tensor, sigmoid: bool = False) -> Tensor:
    """The softmax over all experts, or the sigmoid, of the logits that the router gives these states, (T, E) float32.

    Computed from the router's weight, for what a router returns depends on the version of transformers: logits, their
    softmax, or what is left of it after the choice.
    """
    with align_module_device(router):
        logits_TE = F.linear(
            hidden.reshape(-1, hidden.shape[-1]), router.get_parameter("weight"), getattr(router, "bias", None)
        )
    return logits_TE.float().sigmoid() if sigmoid else logits_TE.softmax(dim=-1, dtype=torch.float32)


def rerouted(router: nn.Module, output: Any, probabilities_TE: Tensor) -> tuple[Tensor, ...]:
    """The router's output, had its probabilities been these: the most probable experts, weighted as the model does.

    Probabilities below 0 count as 0. Where the model makes the weights of a token's experts sum to 1 it does so here,
    unless all are 0. RequestError where the router returns its choice in another form.
    """
    if isinstance(output, tuple) and len(output) == 2 and output[0].shape == output[1].shape:
        chosen_TK, indices_TK = probabilities_TE.clamp_min(0).topk(cast(int, router.top_k), dim=-1)
        weights_TE = torch.zeros_like(output[0]).scatter_(-1, indices_TK, chosen_TK.to(output[0].dtype))
        return weights_TE, output[1]
    if not (isinstance(output, tuple) and len(output) == 3 and output[1].shape == output[2].shape):
        raise RequestError(
            "This version of transformers routes tokens to experts in a way that cannot be edited; choose site "
            "residual, mlp_out or heads, or install transformers 5."
        )
    logits_TE, weights_TK, _ = output
    chosen_TK, indices_TK = probabilities_TE.clamp_min(0).topk(weights_TK.shape[-1], dim=-1)
    if getattr(router, "norm_topk_prob", True):
        chosen_TK = chosen_TK / chosen_TK.sum(dim=-1, keepdim=True).clamp_min(torch.finfo(chosen_TK.dtype).tiny)
    return logits_TE, chosen_TK.to(weights_TK.dtype), indices_TK
