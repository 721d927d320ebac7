"""The measured covariance of a layer's inputs, shrunk towards the factor model of the layer's functional networks.

Shape legend: N inputs of one projection, O outputs, K networks, S special tokens before a text.
Source: shrinkage towards a structured target (Ledoit and Wolf 2003), here networks plus what each input has of its own.

What the networks explain stays; of what the inputs have in common beyond that, a share is believed. At 0 that is the
compensation by networks, at 1 least squares on all kept inputs.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from fnet_core.models.loading import LoadedModel
from fnet_core.progress import Report, silent
from fnet_core.pruning.calibration import Moments
from fnet_core.pruning.compensation import Factors, Replacement, layer_factors, networks_gram
from fnet_core.pruning.factors import LayerFactors
from fnet_core.pruning.gram import BlockScatter, Scatter, merged
from fnet_core.pruning.least_squares import (
    STRENGTHS,
    best_strength,
    expected_replacement,
    held_out_loss,
    penalised,
    replacements,
)
from fnet_core.texts import Passage

VERSION = 1
"""Raised when the blended stand-in is computed otherwise."""
SHARES = (0.0, 0.25, 0.5, 0.75, 0.9, 1.0)
"""What is tried of the measured covariance; the rest is the networks'."""


def blend_replacements(
    loaded: LoadedModel,
    keep_mlp: Sequence[Tensor],
    keep_attention: Sequence[Tensor],
    passages: Sequence[Passage],
    factors: LayerFactors,
    report: Report = silent,
) -> tuple[list[Replacement | None], list[Replacement | None]]:
    """The blended replacement of every layer's MLP and attention; RequestError as `replacements`."""
    models_B = (*factors.mlp_L, *factors.attention_L)

    def one(found: BlockScatter, weight_ON: Tensor, keep_N: Tensor) -> Replacement:
        return blend_replacement(found, models_B[found.block], weight_ON, keep_N)

    return replacements(loaded, keep_mlp, keep_attention, passages, one, report)


def blend_replacement(found: BlockScatter, factors: Factors, weight_ON: Tensor, keep_N: Tensor) -> Replacement:
    """The replacement of one block by the share that the held-out part is best restored with, fitted to all text."""
    share, strength = best_share(found, factors, weight_ON, keep_N)
    both = merged(found.parts)
    return expected_replacement(both.mean_N, blended(both, factors, keep_N, share, strength), keep_N)


def best_share(found: BlockScatter, factors: Factors, weight_ON: Tensor, keep_N: Tensor) -> tuple[float, float]:
    """The share of the measured covariance, and the penalty on it, that lose least of the held-out part.

    The penalty is the one that least squares alone would take, or hardly any, since the networks hold back too.
    `factors` are of all text; their loadings are fitted to the first part alone before the second judges them.
    """
    fitted, _ = found.parts
    lost, own = held_out_loss(found, weight_ON, keep_N), refitted(factors, fitted)
    penalty, least = best_strength(found, weight_ON, keep_N)
    best = 1.0, penalty
    for share in SHARES[:-1]:
        for strength in (penalty,) if share == 0 else dict.fromkeys((STRENGTHS[0], penalty)):
            loss = lost(blended(fitted, own, keep_N, share, strength))
            if loss < least:
                least, best = loss, (share, strength)
    return best


def refitted(factors: Factors, scatter: Scatter) -> Factors:
    """The factor model of other text with the same networks: their activity is read off in the same way."""
    covariance_NN = scatter.covariance()
    precise_KN = torch.where(factors.own_N > 0, factors.loading_KN / factors.own_N.clamp_min(1e-300), 0.0)
    shared_KN = precise_KN @ covariance_NN
    covariance_KK = shared_KN @ precise_KN.T
    covariance_KK.diagonal().mul_(1 + 1e-9).add_(1e-300)
    moments = Moments(scatter.mean_N, covariance_NN.diagonal().clone(), factors.start_SN)
    return layer_factors(moments, covariance_KK, shared_KN)


def blended(scatter: Scatter, factors: Factors, keep_N: Tensor, share: float, strength: float) -> Tensor:
    """The Gram matrix that is solved with, (N, N) float64: the networks' at share 0, that of least squares at 1.

    `strength` is the penalty of least squares on the measured part.
    """
    measured_NN = penalised(scatter.covariance(), scatter.mean_N, factors.start_SN, strength)
    return networks_gram(factors, keep_N).lerp_(measured_NN, share)
