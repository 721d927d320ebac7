"""The leading correlations of many signals from one look at each subject, without the matrix of all pairs.

Shape legend: T tokens, N signals, P probes, K directions.
"""

from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

from fnet_core.errors import RequestError

PROBE_FACTOR = 3
"""Probes for every direction that is wanted."""

HELD_SUBJECTS = 4
"""Subjects from which the probes are made, kept in memory until then."""

TURNS = 2
"""Times that random probes are turned towards the leading directions of the held subjects."""

_RANK_TOLERANCE = 1e-6
"""Eigenvalues below this share of the largest are rounding noise of float32 sums, not directions."""

_TURNED_TOLERANCE = 1e-13
"""The same for products that are summed in float64."""

_LEAST_SPREAD = 0.1
"""A signal's spread in the held subjects counts as at least this share of the median, so that one that wakes up later
does not drown the others."""


@dataclass(frozen=True, eq=False)
class Correlations:
    """Correlations as `root.T @ root`, to the accuracy of the sketch, and each signal's spread."""

    root_PN: Tensor
    """float64; rows orthogonal, strongest first; 0 where a signal is constant."""
    spread_N: Tensor
    """float64 standard deviation about the subjects' own means."""

    def leading(self, count: int) -> Tensor:
        """The leading eigenvectors, (K, N) float64 with unit norm; RequestError if there are fewer."""
        if len(self.root_PN) < count:
            raise RequestError(
                f"The texts allow at most {len(self.root_PN)} components and {count} were asked for; ask for fewer "
                "components or give more text."
            )
        return self.root_PN[:count] / self.root_PN[:count].norm(dim=1, keepdim=True)


class CorrelationSketch:
    """Products of the correlations with a few probes, which hold their leading part (Nyström approximation).

    Each subject is centred on its own mean, as CanICA does, and looked at once. The probes are the leading directions
    of the first subjects, found by subspace iteration. Source: Tropp et al. 2017, "Fixed-rank approximation of a
    positive-semidefinite matrix from streaming data"; Halko et al. 2011, algorithm 4.4.
    """

    def __init__(self, components: int, seed: int) -> None:
        self._components = components
        self._seed = seed
        self._held: list[Tensor] = []
        self._probes_NP: Tensor
        self._begun = False

    def add(self, signals_TN: Tensor) -> None:
        """Look at one subject, (T, N) float32, which is left as it is and must stay so."""
        if self._begun:
            self._look(signals_TN)
            return
        self._held.append(signals_TN)
        if len(self._held) == HELD_SUBJECTS:
            self._begin()

    def result(self) -> Correlations:
        """The correlations of everything seen so far."""
        if not self._begun:
            self._begin()
        products_NP = self._products_NP.double()
        seen_PP = self._probes_NP.double().T @ products_NP
        values_P, vectors_PP = _eigen((seen_PP + seen_PP.T) / 2)
        root_PN = (vectors_PP / values_P.sqrt()).T @ products_NP.T
        varies_N = self._squares_N > self._squares_N.max() * 1e-12
        root_PN *= torch.where(varies_N, self._squares_N.clamp_min(1e-300).rsqrt(), 0.0)
        _, turn_PP = _eigen(root_PN @ root_PN.T)
        return Correlations(turn_PP.T @ root_PN, (self._squares_N / self._tokens).sqrt() / self._scale_N.double())

    def _begin(self) -> None:
        """Make the probes of the held subjects, then look at these."""
        first = self._held[0]
        square_N = reduce(torch.add, ((held - held.mean(dim=0)).square().sum(dim=0) for held in self._held))
        spread_N = (square_N / sum(map(len, self._held))).sqrt()
        least = (_LEAST_SPREAD * spread_N.median()).clamp_min(torch.finfo(spread_N.dtype).tiny)
        self._scale_N = spread_N.clamp_min(least).reciprocal()
        self._tokens = 0
        self._squares_N = torch.zeros(first.shape[1], dtype=torch.float64, device=first.device)
        self._probes_NP = self._probes()
        self._products_NP = torch.zeros_like(self._probes_NP)
        self._begun = True
        for held in self._held:
            self._look(held)
        self._held.clear()

    def _probes(self) -> Tensor:
        """Orthonormal, (N, P) float32, near the leading directions of the held subjects."""
        signals = self._held[0].shape[1]
        generator = torch.Generator().manual_seed(self._seed)
        probes_NP = torch.randn(signals, min(PROBE_FACTOR * self._components, signals), generator=generator)
        probes_NP = probes_NP.to(self._held[0].device)
        z = [self._scaled(held) for held in self._held]
        for _ in range(TURNS):
            turned_NP = reduce(torch.add, (z_TN.T @ (z_TN @ probes_NP) for z_TN in z)).double()
            values_P, vectors_PP = _eigen(turned_NP.T @ turned_NP, _TURNED_TOLERANCE)
            probes_NP = (turned_NP @ (vectors_PP / values_P.sqrt())).float()
        return probes_NP

    def _scaled(self, signals_TN: Tensor) -> Tensor:
        return (signals_TN - signals_TN.mean(dim=0)).mul_(self._scale_N)

    def _look(self, signals_TN: Tensor) -> None:
        z_TN = self._scaled(signals_TN)
        self._products_NP.addmm_(z_TN.T, z_TN @ self._probes_NP)
        self._squares_N += z_TN.square_().sum(dim=0).double()
        self._tokens += len(z_TN)


def _eigen(symmetric_PP: Tensor, tolerance: float = _RANK_TOLERANCE) -> tuple[Tensor, Tensor]:
    """Eigenvalues and eigenvectors (columns) that are more than rounding, strongest first."""
    values_P, vectors_PP = torch.linalg.eigh(symmetric_PP)
    kept = values_P > values_P[-1:].clamp_min(1e-30) * tolerance
    return values_P[kept].flip(0), vectors_PP[:, kept].flip(1)
