"""Products of many rows with each other, their eigenvectors, and how many columns of a matrix are worked on at once."""

import numpy as np
import torch
from torch import Tensor

COLUMNS_IN_CACHE = 2048
"""Neurons of a passage that are read, worked on and written while they are in the processor's cache."""


LONG_ROWS = 8192
"""From so many columns on, working out each pair of rows once is worth a change from torch's threads to numpy's."""


def gram(rows_RN: Tensor) -> Tensor:
    """Products of all pairs of rows, (R, R) float64 from float32 products, symmetric.

    Long rows on a CPU by numpy, which works out each pair once.
    """
    if rows_RN.device.type == "cpu" and rows_RN.dtype == torch.float32 and rows_RN.shape[1] >= LONG_ROWS:
        rows = rows_RN.numpy()
        return torch.from_numpy(rows @ rows.T).double()
    first, second = rows_RN.tensor_split(2)
    cross = first @ second.T
    return torch.cat(
        [torch.cat([first @ first.T, cross], dim=1), torch.cat([cross.T, second @ second.T], dim=1)]
    ).double()


def eigenvectors(symmetric: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues, rising, and eigenvectors as columns of symmetric matrices, (..., R, R) float64 in and out.

    On a CPU by numpy: torch's library wakes its threads thousands of times for one small matrix, and takes three times
    as long where threads that wait sleep (`fnet_core.threads`).
    """
    if symmetric.device.type != "cpu":
        return torch.linalg.eigh(symmetric)
    values, vectors = np.linalg.eigh(symmetric.numpy())
    return torch.from_numpy(values), torch.from_numpy(vectors)
