"""What stands in for removed inputs: nothing, their mean, or what the layer's networks say about them.

Shape legend: T tokens, S special tokens before a text, N inputs of one projection (MLP neurons or attention channels),
O its outputs, K networks.

A removed input is replaced by an affine map of the kept ones, offset + (kept @ encode) @ decode, which a smaller
projection takes over exactly: the offset as a bias, the map as a change of the kept columns.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from fnet_core.pruning.calibration import Moments


@dataclass(frozen=True, eq=False)
class Replacement:
    """The affine map of one layer that stands in for its removed inputs."""

    offset_N: Tensor
    """float32; 0 where kept."""
    encode_NK: Tensor | None = None
    """float32; 0 where removed. None: the offset alone."""
    decode_KN: Tensor | None = None
    """float32; 0 where kept."""

    def to(self, device: torch.device) -> "Replacement":
        """The same on another device."""
        encode_NK, decode_KN = (None if part is None else part.to(device) for part in (self.encode_NK, self.decode_KN))
        return Replacement(self.offset_N.to(device), encode_NK, decode_KN)

    @property
    def changes_projection(self) -> bool:
        """False where the removed inputs simply become zero."""
        return self.encode_NK is not None or bool(self.offset_N.any())

    def apply(self, x_TN: Tensor, keep_N: Tensor) -> Tensor:
        """The masked input with its removed part replaced; `x_TN` is left as it is. All on one device."""
        exact_TN = x_TN.float()
        replaced_TN = torch.addcmul(self.offset_N, exact_TN, keep_N.float())
        if self.encode_NK is not None and self.decode_KN is not None:
            replaced_TN += (exact_TN @ self.encode_NK) @ self.decode_KN
        return replaced_TN.to(x_TN.dtype)

    def fold(self, weight_ON: Tensor, keep_N: Tensor) -> tuple[Tensor, Tensor]:
        """The kept columns, (O, kept), and the bias, (O,), that compute the same; both float64."""
        exact_ON = weight_ON.double()
        device = weight_ON.device
        bias_O = exact_ON @ self.offset_N.double().to(device)
        if self.encode_NK is not None and self.decode_KN is not None:
            through_OK = exact_ON @ self.decode_KN.double().to(device).T
            exact_ON = exact_ON + through_OK @ self.encode_NK.double().to(device).T
        return exact_ON[:, keep_N.to(device)], bias_O


def zero_replacement(inputs: int) -> Replacement:
    """Removed inputs become zero."""
    return Replacement(torch.zeros(inputs))


def mean_replacement(mean_N: Tensor, keep_N: Tensor) -> Replacement:
    """Removed inputs become their mean. Source: An et al. 2024, arXiv 2312.11983, equation 7."""
    return Replacement(torch.where(keep_N, 0.0, mean_N.float()))


@dataclass(frozen=True, eq=False)
class Factors:
    """One layer's inputs as a factor model whose factors are its networks: mean + activity @ loading + own noise."""

    mean_N: Tensor
    """float64."""
    loading_KN: Tensor
    """float64: how much of each input one unit of each network's activity brings."""
    covariance_KK: Tensor
    """float64, of the networks' activity."""
    own_N: Tensor
    """float64 variance of each input that the networks do not carry."""
    start_SN: Tensor
    """float64 inputs at the special tokens before a text."""

    @property
    def carried_N(self) -> Tensor:
        """Variance of each input that the networks carry, float64."""
        return (self.loading_KN * (self.covariance_KK @ self.loading_KN)).sum(dim=0)


def layer_factors(moments: Moments, covariance_KK: Tensor, shared_KN: Tensor) -> Factors:
    """The factor model of one layer by least squares of its inputs on the networks' activity, all float64.

    `covariance_KK` is that of the activity, `shared_KN` the covariance of activity and inputs. An input's own variance
    is what the networks leave of it, at least a millionth.
    """
    loading_KN = torch.linalg.solve(covariance_KK, shared_KN)
    carried_N = (loading_KN * shared_KN).sum(dim=0)
    own_N = (moments.variance_N - carried_N).clamp_min(moments.variance_N * 1e-6)
    return Factors(moments.mean_N, loading_KN, covariance_KK, own_N, moments.start_SN)


def network_replacement(factors: Factors, keep_N: Tensor) -> Replacement:
    """Removed inputs become their expectation given the kept ones, in the layer's factor model.

    The posterior mean of the factors given the kept inputs (Bartholomew et al. 2011, equation 3.6 with prior
    covariance), times the removed inputs' loadings. Each special token before a text is one more factor, of variance 1,
    that is 1 there: every later token attends to it, so what stands in for it has to be right.
    """
    loading_KN = torch.cat([factors.loading_KN, factors.start_SN - factors.mean_N])
    prior_KK = torch.block_diag(torch.linalg.inv(factors.covariance_KK), torch.eye(len(factors.start_SN)).double())
    usable = keep_N & (factors.own_N > 0)
    precise_KN = torch.where(usable, loading_KN / factors.own_N.clamp_min(1e-300), 0.0)
    information_KK = precise_KN @ loading_KN.T + prior_KK
    encode_NK = torch.linalg.solve(information_KK, precise_KN).T
    decode_KN = torch.where(keep_N, 0.0, loading_KN)
    offset_N = torch.where(keep_N, 0.0, factors.mean_N) - (factors.mean_N @ encode_NK) @ decode_KN
    return Replacement(offset_N.float(), encode_NK.float(), decode_KN.float())


def networks_gram(factors: Factors, keep_N: Tensor) -> Tensor:
    """The covariance of a layer's inputs by its networks, (N, N) float64, that `network_replacement` rests on.

    Each special token before a text is one more factor there. A kept input that never changes on text says nothing.
    """
    silent_N = keep_N & (factors.own_N == 0)
    spikes_SN = torch.where(silent_N, 0.0, factors.start_SN - factors.mean_N)
    gram_NN = factors.loading_KN.T @ factors.covariance_KK @ factors.loading_KN
    gram_NN.addmm_(spikes_SN.T, spikes_SN)
    gram_NN.diagonal().add_(torch.where(silent_N, 1.0, factors.own_N))
    return gram_NN
