"""Products of many rows with each other, and how many columns of a large matrix are worked on at a time."""

import torch
from torch import Tensor

COLUMNS_IN_CACHE = 2048
"""Neurons of a passage that are read, worked on and written while they are in the processor's cache."""


def gram(rows_RN: Tensor) -> Tensor:
    """Products of all pairs of rows, (R, R) float64 from float32 products, symmetric.

    On a CPU by numpy, which works out each pair once.
    """
    if rows_RN.device.type == "cpu" and rows_RN.dtype == torch.float32:
        rows = rows_RN.numpy()
        return torch.from_numpy(rows @ rows.T).double()
    first, second = rows_RN.tensor_split(2)
    cross = first @ second.T
    return torch.cat(
        [torch.cat([first @ first.T, cross], dim=1), torch.cat([cross.T, second @ second.T], dim=1)]
    ).double()
