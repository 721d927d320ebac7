"""What stands in for the removed inputs of every layer, by each kind of compensation, on calibration text."""

from collections.abc import Sequence

import torch
from torch import Tensor

from fnet_core.choices import Compensation
from fnet_core.models.loading import LoadedModel
from fnet_core.progress import Report
from fnet_core.pruning.blending import blend_replacements
from fnet_core.pruning.compensation import Replacement, mean_replacement, network_replacement, zero_replacement
from fnet_core.pruning.factors import find_factors
from fnet_core.pruning.least_squares import ridge_replacements
from fnet_core.pruning.methods import MEANS_METHOD
from fnet_core.pruning.scores import ScoreRequest, find_scores
from fnet_core.pruning.sequential import sequential_replacements

StandIns = tuple[Sequence[Replacement | None], Sequence[Replacement | None]]
"""Of the MLPs and of the attention, layer by layer; empty where a model has no such sites or none was asked for."""


def stand_ins(
    loaded: LoadedModel,
    compensation: Compensation,
    request: ScoreRequest,
    keep_mlp: Sequence[Tensor],
    keep_attention: Sequence[Tensor],
    report: Report,
) -> StandIns:
    """The replacements by one kind of compensation, for the keep-masks (N,) and (C,) bool of each layer.

    Raises RequestError for text that cannot be read, or too little of it.
    """
    passages, heads = request.passages, not all(keep.all() for keep in keep_attention)
    keeps = keep_mlp, keep_attention
    if compensation == "none":
        mlp, attention = ([zero_replacement(len(keep)) for keep in each] for each in keeps)
        return mlp, attention
    if compensation == "bias-sequential":
        return sequential_replacements(loaded, *keeps, passages, report)
    if compensation == "ridge":
        return ridge_replacements(loaded, *keeps, passages, report)
    if compensation == "bias":
        asked = request.with_heads(request.heads or heads)
        means = find_scores(loaded, [MEANS_METHOD], asked, report)[MEANS_METHOD]
        return (
            [
                mean_replacement(torch.from_numpy(m), keep)
                for m, keep in zip(means.mean_mlp, keep_mlp, strict=bool(means.mean_mlp))
            ],
            [
                mean_replacement(torch.from_numpy(m), keep)
                for m, keep in zip(means.mean_attention, keep_attention, strict=heads)
            ],
        )
    factors = find_factors(loaded, passages, request.components, request.seed, heads, report)
    if compensation == "blend":
        return blend_replacements(loaded, *keeps, passages, factors, report)
    return (
        [network_replacement(f, keep) for f, keep in zip(factors.mlp_L, keep_mlp, strict=bool(factors.mlp_L))],
        [network_replacement(f, keep) for f, keep in zip(factors.attention_L, keep_attention, strict=heads)],
    )
