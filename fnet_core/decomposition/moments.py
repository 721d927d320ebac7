"""Fourth moments of white data: all that FastICA with the cubic contrast asks of them.

Shape legend: B independent problems, R restarts of each, K components, N samples, P pairs of components.
"""

import torch
from torch import Tensor

from fnet_core.decomposition.products import COLUMNS_IN_CACHE, gram

_TURNS = 30
"""Updates that a restart is expected to take."""


def fewer_operations(components: int, samples: int, restarts: int) -> bool:
    """Whether making the moments once and updating from them takes fewer operations than updates from the data."""
    square_of_pairs = (components * (components + 1) // 2) ** 2
    rows = components * restarts
    once = 1.5 * square_of_pairs * samples
    return once + _TURNS * 2 * square_of_pairs * rows < _TURNS * 4 * components * samples * rows


class FourthMoments:
    """E[x_i x_j x_k x_l] of white data, made in one look at them; an update costs the same however many they are."""

    def __init__(self, x_BKN: Tensor) -> None:
        batch, components, samples = x_BKN.shape
        device = x_BKN.device
        self._first, self._second = torch.triu_indices(components, components, device=device)
        pairs = len(self._first)
        self._place_KK = torch.empty(components, components, dtype=torch.int64, device=device)
        self._place_KK[self._first, self._second] = torch.arange(pairs, device=device)
        self._place_KK[self._second, self._first] = torch.arange(pairs, device=device)
        table_BPP = torch.zeros(batch, pairs, pairs, dtype=torch.float64, device=device)
        for table_PP, x_KN in zip(table_BPP, x_BKN, strict=True):
            for part in x_KN.split(COLUMNS_IN_CACHE, dim=1):
                table_PP += gram(part[self._first].mul_(part[self._second]))
        both_ways_P1 = torch.where(self._first == self._second, 1.0, 2.0)[:, None]
        self._table_BPP = table_BPP.mul_(both_ways_P1 / samples).to(x_BKN.dtype)

    def step(self, problems: Tensor, w_BRKK: Tensor) -> Tensor:
        """The cubic fixed-point update of these problems before decorrelation, E[(wx)^3 x] - 3 w, for unit rows w."""
        batch, restarts, components, _ = w_BRKK.shape
        rows = w_BRKK.reshape(batch, restarts * components, components)
        squares = rows[..., self._first] * rows[..., self._second]
        seen = (squares @ self._table_BPP[problems])[..., self._place_KK]
        cubes = (seen @ rows.unsqueeze(-1)).squeeze(-1)
        return (cubes - 3 * rows).reshape(w_BRKK.shape)
