"""How much each neuron or head matters: one number from weights, activations or networks.

Shape legend: O outputs, N inputs (MLP neurons or attention channels) of one projection, K networks, M signals.
"""

from collections.abc import Sequence

from torch import Tensor

from fnet_core.pruning.calibration import Moments
from fnet_core.pruning.compensation import Factors

CARRIED_WEIGHT = 0.5
"""How much of the variance that networks carry counts; 0, 0.5 and 1 (Wanda-sp) were tried, see docs/log.md."""


def wanda_sp(weight_ON: Tensor, moments: Moments) -> Tensor:
    """Summed abs weights times the l2 norm of the input, (N,) float64. Source: An et al. 2024, arXiv 2312.11983."""
    return weight_ON.double().abs().sum(dim=0).cpu() * moments.square_N.sqrt()


def flap(weight_ON: Tensor, moments: Moments) -> Tensor:
    """Variance of the input times its squared weights, (N,) float64, before standardising. Source: arXiv 2312.11983."""
    return weight_ON.double().square().sum(dim=0).cpu() * moments.variance_N


def beyond_networks(weight_ON: Tensor, factors: Factors) -> Tensor:
    """Wanda-sp with what the layer's networks carry of each input counted half, (N,) float64.

    Each special token before a text counts as much as all text, since every token of the text attends to it.
    """
    square_N = factors.own_N + CARRIED_WEIGHT * factors.carried_N + factors.mean_N.square()
    square_N = square_N + factors.start_SN.square().sum(dim=0)
    return weight_ON.double().abs().sum(dim=0).cpu() * square_N.sqrt()


def standardized(scores_N: Tensor) -> Tensor:
    """Scores of one layer with mean 0 and standard deviation 1, so that layers compare; all 0 if they are equal."""
    spread = scores_N.std()
    return (scores_N - scores_N.mean()) / (spread if spread > 0 else 1)


def largest_z(maps_KM: Tensor, neurons: int) -> Tensor:
    """Largest abs(z) over networks and over the signals of each neuron, (N,) float64.

    The M columns are one or more signals of N neurons side by side. Source: Liu et al. 2025, arXiv 2508.05239.
    """
    return maps_KM.abs().unflatten(1, (-1, neurons)).amax(dim=(0, 1)).double()


def magnitude(into: Sequence[Tensor], out_ON: Tensor, size: int) -> Tensor:
    """l2 norm of all weights of each unit, (N / size,) float64.

    `out_ON` reads `size` inputs of every unit; the rows of each matrix of `into` belong to the units in order, in one
    run of equal parts, or in several (gate and up in one matrix).
    """
    units = out_ON.shape[1] // size
    squares = out_ON.double().square().sum(dim=0).unflatten(0, (units, size)).sum(dim=1)
    for weight in into:
        rows = weight.double().square().sum(dim=1)
        blocks = max(1, len(rows) // (units * size))
        squares = squares + rows.unflatten(0, (blocks, units, -1)).sum(dim=(0, 2))
    return squares.sqrt().cpu()


def per_unit(channels_N: Tensor, size: int) -> Tensor:
    """Channel scores summed over runs of `size` channels, (N / size,)."""
    return channels_N.unflatten(0, (-1, size)).sum(dim=1)
