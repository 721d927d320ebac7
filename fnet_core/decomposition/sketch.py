"""The leading correlations of many signals from one look at each subject, without the matrix of all pairs.

Shape legend: T tokens, N signals, P probes, K directions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

from fnet_core.decomposition.products import eigenvectors
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


@dataclass(frozen=True, eq=False)
class Probes:
    """What a sketch looks at subjects with: directions of scaled signals, and the scale of each signal."""

    directions_NP: Tensor
    """float32, orthonormal columns."""
    scale_N: Tensor
    """float32, about one over a signal's spread."""


class CorrelationSketch:
    """Products of the correlations with a few probes, which hold their leading part (Nyström approximation).

    Each subject is centred on its own mean, as CanICA does, and looked at once. The probes are the leading directions
    of the first subjects, found by subspace iteration, unless they are given: those of other text on the same signals
    spare three looks at each of the first subjects. Source: Tropp et al. 2017, "Fixed-rank approximation of a
    positive-semidefinite matrix from streaming data"; Halko et al. 2011, algorithm 4.4.
    """

    def __init__(self, components: int, seed: int, probes: Probes | None = None) -> None:
        self._components = components
        self._seed = seed
        self._held: list[Tensor] = []
        self._tokens = 0
        self._probes = probes
        if probes is not None:
            self._look_with(probes)

    @property
    def probes(self) -> Probes | None:
        """What it looks with; None until that many subjects were seen that it could be made."""
        return self._probes

    def add(self, signals_TN: Tensor) -> None:
        """Look at one subject, (T, N) float32, which is left as it is and must stay so."""
        if self._probes is not None:
            self._look(signals_TN - signals_TN.mean(dim=0))
            return
        self._held.append(signals_TN)
        if len(self._held) == HELD_SUBJECTS:
            self._begin()

    def result(self) -> Correlations:
        """The correlations of everything seen so far."""
        if self._probes is None:
            self._begin()
        probes = self._probes
        assert probes is not None
        scale_N = probes.scale_N.double()
        products_NP = self._products_NP.double() * scale_N[:, None]
        squares_N = self._squares_N * scale_N.square()
        seen_PP = probes.directions_NP.double().T @ products_NP
        values_P, vectors_PP = _eigen((seen_PP + seen_PP.T) / 2)
        root_PN = (vectors_PP / values_P.sqrt()).T @ products_NP.T
        varies_N = squares_N > squares_N.max() * 1e-12
        root_PN *= torch.where(varies_N, squares_N.clamp_min(1e-300).rsqrt(), 0.0)
        _, turn_PP = _eigen(root_PN @ root_PN.T)
        return Correlations(turn_PP.T @ root_PN, (self._squares_N / self._tokens).sqrt())

    def _begin(self) -> None:
        """Make the probes of the held subjects, then look at these."""
        centred = [held - held.mean(dim=0) for held in self._held]
        square_N = reduce(torch.add, (held.square().sum(dim=0) for held in centred))
        spread_N = (square_N / sum(map(len, centred))).sqrt()
        least = (_LEAST_SPREAD * spread_N.median()).clamp_min(torch.finfo(spread_N.dtype).tiny)
        scale_N = spread_N.clamp_min(least).reciprocal()
        self._probes = Probes(self._turned(centred, scale_N), scale_N)
        self._look_with(self._probes)
        self._held.clear()
        for held in centred:
            self._look(held)

    def _turned(self, centred: Sequence[Tensor], scale_N: Tensor) -> Tensor:
        """Orthonormal, (N, P) float32, near the leading directions of these subjects."""
        signals = len(scale_N)
        generator = torch.Generator().manual_seed(self._seed)
        probes_NP = torch.randn(signals, min(PROBE_FACTOR * self._components, signals), generator=generator)
        probes_NP = probes_NP.to(scale_N.device)
        for _ in range(TURNS):
            scaled_NP = probes_NP * scale_N[:, None]
            turned_NP = reduce(torch.add, (held.T @ (held @ scaled_NP) for held in centred)) * scale_N[:, None]
            exact_NP = turned_NP.double()
            values_P, vectors_PP = _eigen(exact_NP.T @ exact_NP, _TURNED_TOLERANCE)
            probes_NP = (exact_NP @ (vectors_PP / values_P.sqrt())).float()
        return probes_NP

    def _look_with(self, probes: Probes) -> None:
        self._scaled_NP = probes.directions_NP * probes.scale_N[:, None]
        self._products_NP = torch.zeros_like(self._scaled_NP)
        self._squares_N = torch.zeros_like(probes.scale_N, dtype=torch.float64)

    def _look(self, centred_TN: Tensor) -> None:
        """Add one subject, centred, which is spent then; the scale of signals stands in the probes."""
        self._products_NP.addmm_(centred_TN.T, centred_TN @ self._scaled_NP)
        self._squares_N += centred_TN.square_().sum(dim=0).double()
        self._tokens += len(centred_TN)


def _eigen(symmetric_PP: Tensor, tolerance: float = _RANK_TOLERANCE) -> tuple[Tensor, Tensor]:
    """Eigenvalues and eigenvectors (columns) that are more than rounding, strongest first."""
    values_P, vectors_PP = eigenvectors(symmetric_PP)
    kept = values_P > values_P[-1:].clamp_min(1e-30) * tolerance
    return values_P[kept].flip(0), vectors_PP[:, kept].flip(1)
