"""Removed inputs by least squares on the kept ones, as strongly held back as passages that were not fitted ask for.

Shape legend: N inputs of one projection, K of them kept, R removed, O outputs, S special tokens before a text.
Source: the reconstruction of OSSCAR (arXiv 2403.12983) and SlimGPT (arXiv 2412.18110), with an intercept.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from fnet_core.errors import RequestError
from fnet_core.models.loading import LoadedModel
from fnet_core.models.modules import attention_projections, mlp_projections, weight_of
from fnet_core.progress import Report, silent
from fnet_core.pruning.compensation import Replacement
from fnet_core.pruning.gram import BlockScatter, merged, read_scatters
from fnet_core.texts import Passage

VERSION = 1
"""Raised when the least-squares stand-in is computed otherwise."""
STRENGTHS = (1e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 10.0)
"""What is tried: the penalty of each kept input as a share of its variance."""
HELD_OUT = 4
"""One calibration passage of so many is held out."""


def ridge_replacements(
    loaded: LoadedModel,
    keep_mlp: Sequence[Tensor],
    keep_attention: Sequence[Tensor],
    passages: Sequence[Passage],
    report: Report = silent,
) -> tuple[list[Replacement | None], list[Replacement | None]]:
    """The least-squares replacement of every layer's MLP and attention; RequestError as `replacements`."""
    return replacements(loaded, keep_mlp, keep_attention, passages, ridge_replacement, report)


def replacements(
    loaded: LoadedModel,
    keep_mlp: Sequence[Tensor],
    keep_attention: Sequence[Tensor],
    passages: Sequence[Passage],
    one: Callable[[BlockScatter, Tensor, Tensor], Replacement],
    report: Report = silent,
) -> tuple[list[Replacement | None], list[Replacement | None]]:
    """What `one` makes of each layer's scatter, weights (O, N) and keep-mask, MLPs and attention; None where all stay.

    Raises RequestError for fewer than two passages, and for text that cannot be read.
    """
    if len(passages) < 2:
        raise RequestError(
            "Least squares chooses its strength on calibration passages that it was not fitted to, and there is one "
            "passage; give two or more. A few thousand tokens are enough."
        )
    heads = not all(keep.all() for keep in keep_attention)
    projections = [mlp.down for mlp in mlp_projections(loaded.model)]
    keeps = [*keep_mlp[: len(projections)], *(keep_attention if heads else ())]
    layers = len(projections)
    projections += [attention.out for attention in attention_projections(loaded.model)] if heads else []
    blocks = [block for block, keep in enumerate(keeps) if not keep.all()]
    found: list[Replacement | None] = [None] * len(keeps)
    for number, block in enumerate(read_scatters(loaded, fitted_and_held(passages), blocks, heads, report)):
        report("compensating", number / len(blocks))
        weight_ON = weight_of(projections[block.block]).double().cpu()
        found[block.block] = one(block, weight_ON, keeps[block.block])
    report("compensating", 1.0)
    return found[:layers], found[layers:]


def fitted_and_held(passages: Sequence[Passage]) -> tuple[list[Passage], list[Passage]]:
    """The passages to fit, and those that are held out: the last, and every fourth before it."""
    held = range(len(passages) - 1, -1, -HELD_OUT)
    return [p for i, p in enumerate(passages) if i not in held], [passages[i] for i in held]


def ridge_replacement(found: BlockScatter, weight_ON: Tensor, keep_N: Tensor) -> Replacement:
    """The least-squares replacement of one block, of the strength that the held-out part is best restored with.

    The strength is chosen between a fit to the first part of the text and the second; the replacement is fitted to
    both.
    """
    strength, _ = best_strength(found, weight_ON, keep_N)
    both = merged(found.parts)
    gram_NN = penalised(both.covariance(), both.mean_N, found.start_SN, strength)
    return expected_replacement(both.mean_N, gram_NN, keep_N)


def best_strength(found: BlockScatter, weight_ON: Tensor, keep_N: Tensor) -> tuple[float, float]:
    """The penalty among `STRENGTHS` that loses least of the held-out part when fitted to the other, and that loss."""
    fitted, _ = found.parts
    seen_NN, lost = fitted.covariance(), held_out_loss(found, weight_ON, keep_N)
    losses = [lost(penalised(seen_NN, fitted.mean_N, found.start_SN, strength)) for strength in STRENGTHS]
    return STRENGTHS[losses.index(min(losses))], min(losses)


def held_out_loss(found: BlockScatter, weight_ON: Tensor, keep_N: Tensor) -> Callable[[Tensor], float]:
    """What a Gram matrix that was fitted to the first part of the text loses of the second, as `lost_share` says."""
    fitted, held = found.parts
    unseen_NN, spikes_SN = held.covariance(about_N=fitted.mean_N), found.start_SN - fitted.mean_N
    weight_OR = weight_ON[:, ~keep_N]
    return lambda gram_NN: lost_share(coefficients(gram_NN, keep_N), unseen_NN, spikes_SN, weight_OR, keep_N)


def penalised(covariance_NN: Tensor, mean_N: Tensor, start_SN: Tensor, strength: float) -> Tensor:
    """The Gram matrix that ridge regression solves with, (N, N) float64.

    A special token before a text counts as much as all text, as it does in `network_replacement`. The penalty is in the
    unit of each input, so that inputs that say the same in other units are treated alike; an input that never changes
    gets enough of it to be solved for.
    """
    variance_N = covariance_NN.diagonal()
    spikes_SN = start_SN - mean_N
    gram_NN = covariance_NN + spikes_SN.T @ spikes_SN
    floor = 1e-9 * max(float(gram_NN.diagonal().mean()), 1e-30)
    gram_NN.diagonal().add_((strength * variance_N).clamp_min(floor))
    return gram_NN


def coefficients(gram_NN: Tensor, keep_N: Tensor) -> Tensor:
    """What each kept input says about each removed one, (K, R) float64, by the normal equations."""
    kept_NR = gram_NN[:, ~keep_N]
    factor_KK = torch.linalg.cholesky(gram_NN[keep_N][:, keep_N])
    return torch.cholesky_solve(kept_NR[keep_N], factor_KK)


def lost_share(
    coefficients_KR: Tensor, covariance_NN: Tensor, spikes_SN: Tensor, weight_OR: Tensor, keep_N: Tensor
) -> float:
    """Squared output error over what the removed inputs bring to the output; on text, and as much for each start token.

    `covariance_NN` is about the mean of the fit, as `spikes_SN` are.
    """
    kept_NK, removed_NR = covariance_NN[:, keep_N], covariance_NN[:, ~keep_N]
    weight_RR = weight_OR.T @ weight_OR
    shared_KR = removed_NR[keep_N]
    left_RR = removed_NR[~keep_N] - shared_KR.T @ coefficients_KR
    left_RR -= coefficients_KR.T @ (shared_KR - kept_NK[keep_N] @ coefficients_KR)
    lost = float((weight_RR * left_RR).sum()) / max(float((weight_RR * removed_NR[~keep_N]).sum()), 1e-300)
    for spike_N in spikes_SN:
        brought_O = weight_OR @ spike_N[~keep_N]
        left_O = brought_O - weight_OR @ (spike_N[keep_N] @ coefficients_KR)
        lost += float(left_O.square().sum()) / max(float(brought_O.square().sum()), 1e-300)
    return lost


def expected_replacement(mean_N: Tensor, gram_NN: Tensor, keep_N: Tensor) -> Replacement:
    """Removed inputs become their expectation given the kept ones, where `gram_NN` is the covariance of all."""
    coefficients_KR = coefficients(gram_NN, keep_N)
    inputs, removed = len(keep_N), coefficients_KR.shape[1]
    encode_NR = torch.zeros(inputs, removed, dtype=torch.float64)
    encode_NR[keep_N] = coefficients_KR
    decode_RN = torch.zeros(removed, inputs)
    decode_RN[torch.arange(removed), (~keep_N).nonzero().flatten()] = 1
    offset_N = torch.zeros(inputs, dtype=torch.float64)
    offset_N[~keep_N] = mean_N[~keep_N] - mean_N[keep_N] @ coefficients_KR
    return Replacement(offset_N.float(), encode_NR.float(), decode_RN)
