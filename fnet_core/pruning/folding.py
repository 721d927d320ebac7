"""A bias that compensation asks for, folded into the kept weights: a projection without a bias stays without one.

Shape legend: N inputs of one projection, K networks, S special tokens before a text, F factors.

A bias is a constant times a vector, and a constant can be read off the kept inputs: by the weights a_N whose sum with
them is nearest to 1, at every token of the text and at the tokens before it. What it reads wrong, the bias gets wrong.
"""

import torch
from torch import Tensor

from fnet_core.pruning.compensation import Factors, Replacement

FOLDING_VERSION = 1
"""Raised when a bias is folded in otherwise."""


def constant_reader(factors: Factors, keep_N: Tensor) -> Tensor:
    """The weights a_N, float64, 0 where removed, with which the kept inputs sum to nearly 1.

    Least squares without an intercept in the layer's factor model: one factor of variance 1 is the mean of the text,
    and one each special token before it, beside the networks. With M the second moment of the kept inputs and m the
    sum of the former, a = M^-1 m, by Woodbury's identity for M = own noise + factors.
    """
    constant_FN = torch.cat([factors.mean_N[None], factors.start_SN])
    rows_FN = torch.cat([factors.loading_KN, constant_FN])
    prior_FF = torch.block_diag(
        torch.linalg.inv(factors.covariance_KK), torch.eye(len(constant_FN), dtype=torch.float64)
    )
    usable_N = keep_N & (factors.own_N > 0)
    precise_FN = torch.where(usable_N, rows_FN / factors.own_N.clamp_min(1e-300), 0.0)
    information_FF = precise_FN @ rows_FN.T + prior_FF
    wanted_F = torch.zeros(len(rows_FN), dtype=torch.float64)
    wanted_F[-len(constant_FN) :] = 1.0
    return torch.linalg.solve(information_FF, precise_FN).T @ wanted_F


def fold_offset(replacement: Replacement, factors: Factors, keep_N: Tensor) -> Replacement:
    """The replacement with its constant part read off the kept inputs, so that it adds no bias."""
    reader_N1 = constant_reader(factors, keep_N)[:, None].float()
    offset_1N = replacement.offset_N[None]
    if replacement.encode_NK is None or replacement.decode_KN is None:
        return Replacement(torch.zeros_like(replacement.offset_N), reader_N1, offset_1N)
    encode_NK = torch.cat([replacement.encode_NK, reader_N1], dim=1)
    return Replacement(torch.zeros_like(replacement.offset_N), encode_NK, torch.cat([replacement.decode_KN, offset_1N]))
