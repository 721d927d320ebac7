"""The order in which a layer's inputs go by an optimal brain surgeon, and what the layer's output loses by then.

Shape legend: N inputs of one projection, K of them still there, O outputs, B steps of a block, U units
of S inputs each.
Source: Hassibi and Stork 1993, for whole inputs as in ZipLM (arXiv 2302.04089) and SlimGPT (arXiv 2412.18110).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fnet_core.models.loading import LoadedModel
from fnet_core.models.modules import attention_projections, head_size, heads_per_group, mlp_projections, weight_of
from fnet_core.progress import Report, silent
from fnet_core.pruning.calibration import Calibration, Moments
from fnet_core.pruning.compensation import Factors, networks_gram
from fnet_core.pruning.gram import read_scatters
from fnet_core.pruning.least_squares import penalised
from fnet_core.texts import Passage

DAMPING = 0.1
"""Penalty of each input as a share of its variance; see docs/log.md."""
BLOCK = 64
"""Removals between two updates of the whole inverse; what they change in between is worked out where it is needed."""


@dataclass(frozen=True, eq=False)
class RemovalErrors:
    """Per layer, the output error once a unit and all before it are gone, float64, larger the later it goes."""

    mlp_L: list[Tensor]
    """(N,) for MLP neurons."""
    attention_L: list[Tensor]
    """(G,) for key/value groups; empty where heads were not asked for."""


def removal_errors(
    loaded: LoadedModel, passages: Sequence[Passage], heads: bool, report: Report = silent
) -> tuple[Calibration, RemovalErrors]:
    """The moments of a text, and the removal errors of every layer on it; RequestError for text that cannot be read."""
    projections = [mlp.down for mlp in mlp_projections(loaded.model)]
    layers = len(projections)
    projections += [attention.out for attention in attention_projections(loaded.model)] if heads else []
    size = head_size(loaded.model) * heads_per_group(loaded.model) if heads else 1
    moments, errors = [], []
    for found in read_scatters(loaded, (passages,), range(len(projections)), heads, report):
        report("scoring", found.block / len(projections))
        (scatter,) = found.parts
        covariance_NN = scatter.covariance()
        moments.append(Moments(scatter.mean_N, covariance_NN.diagonal().clone(), found.start_SN))
        gram_NN = penalised(covariance_NN, scatter.mean_N, found.start_SN, DAMPING)
        weight_ON = weight_of(projections[found.block]).double().cpu()
        one_by_one = found.block < layers
        errors.append(input_errors(weight_ON, gram_NN) if one_by_one else unit_errors(weight_ON, gram_NN, size))
    calibration = Calibration(scatter.tokens, tuple(moments[:layers]), tuple(moments[layers:]))
    return calibration, RemovalErrors(errors[:layers], errors[layers:])


def network_errors(weight_ON: Tensor, factors: Factors, size: int = 1) -> Tensor:
    """The errors of units of `size` inputs, (N / size,) float64, where all that inputs share is by their networks.

    An input that never changes gets a billionth of the mean variance, so that there is an inverse.
    """
    gram_NN = networks_gram(factors, torch.zeros(len(factors.own_N), dtype=torch.bool))
    floor = 1e-9 * max(float(gram_NN.diagonal().mean()), 1e-30)
    gram_NN.diagonal().add_(torch.where(factors.own_N > 0, 0.0, floor))
    weight_ON = weight_ON.double().cpu()
    return input_errors(weight_ON, gram_NN) if size == 1 else unit_errors(weight_ON, gram_NN, size)


def input_errors(weight_ON: Tensor, gram_NN: Tensor) -> Tensor:
    """Squared output error, (N,) float64, once each input and those before it are gone and the rest made up for them.

    The input whose removal costs least goes next, the weights of the rest and the inverse of their Gram matrix are
    updated. Exact: within a block of steps the updates are products of few columns, of which each step works out the
    one row and column that it needs.
    """
    inverse_KK = torch.linalg.inv(gram_NN)
    weight_KO = weight_ON.double().T.contiguous()
    left_K = torch.arange(len(gram_NN))
    errors_N = torch.zeros(len(gram_NN), dtype=torch.float64)
    error = 0.0
    while len(left_K):
        steps = min(BLOCK, len(left_K))
        inverse_KB = torch.zeros(len(left_K), steps, dtype=torch.float64)
        weight_BO = torch.zeros(steps, weight_KO.shape[1], dtype=torch.float64)
        diagonal_K, norm_K = inverse_KK.diagonal().clone(), weight_KO.square().sum(dim=1)
        gone_K = torch.zeros(len(left_K), dtype=torch.bool)
        for b in range(steps):
            pick = int((norm_K / diagonal_K).masked_fill_(gone_K, torch.inf).argmin())
            before_B = inverse_KB[pick, :b]
            column_K = inverse_KK[pick] - inverse_KB[:, :b] @ before_B
            root = column_K[pick].sqrt()
            column_K /= root
            moved_O = (weight_KO[pick] - before_B @ weight_BO[:b]) / root
            with_moved_K = weight_KO @ moved_O - inverse_KB[:, :b] @ (weight_BO[:b] @ moved_O)
            cost = moved_O @ moved_O
            norm_K = (norm_K - 2 * column_K * with_moved_K + column_K.square() * cost).clamp_min_(0)
            diagonal_K -= column_K.square()
            inverse_KB[:, b], weight_BO[b], gone_K[pick] = column_K, moved_O, True
            error += float(cost)
            errors_N[left_K[pick]] = error
        stay_K = ~gone_K
        left_K, inverse_KB = left_K[stay_K], inverse_KB[stay_K]
        inverse_KK = inverse_KK[stay_K][:, stay_K] - inverse_KB @ inverse_KB.T
        weight_KO = weight_KO[stay_K] - inverse_KB @ weight_BO
    return errors_N


def unit_errors(weight_ON: Tensor, gram_NN: Tensor, size: int) -> Tensor:
    """The same for units of `size` inputs each that go together, (N / size,) float64; updated step by step."""
    inverse_NN, weight_ON = torch.linalg.inv(gram_NN), weight_ON.double().clone()
    units = len(gram_NN) // size
    left = list(range(units))
    errors_U = torch.zeros(units, dtype=torch.float64)
    error = 0.0
    while left:
        costs = []
        for unit in left:
            own = slice(unit * size, (unit + 1) * size)
            costs.append(float((weight_ON[:, own] @ torch.linalg.inv(inverse_NN[own, own]) * weight_ON[:, own]).sum()))
        unit = left.pop(costs.index(min(costs)))
        own = slice(unit * size, (unit + 1) * size)
        spread_SN = torch.linalg.solve(inverse_NN[own, own], inverse_NN[own])
        weight_ON -= weight_ON[:, own] @ spread_SN
        inverse_NN -= inverse_NN[:, own] @ spread_SN
        error += min(costs)
        errors_U[unit] = error
    return errors_U
