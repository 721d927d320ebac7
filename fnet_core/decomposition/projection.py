"""The second visit to the subjects: what each network does at every token, and how much of the variance it carries.

Shape legend: T tokens, N neurons, K networks, S subjects, B blocks of neurons.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fnet_core.decomposition.products import COLUMNS_IN_CACHE, eigenvectors
from fnet_core.decomposition.spill import Spill
from fnet_core.progress import Report

SHARE_ROUNDING = 1e-4
"""Shares of variance that sum to more than 1 by no more than this do so by rounding."""


@dataclass(frozen=True)
class Networks:
    """The functional networks of one group of subjects over one block of neurons."""

    maps_KN: Tensor
    """float32 z-values over neurons, the larger tail positive, strongest network first."""
    time_courses: tuple[Tensor, ...]
    """(T, K) float32 per subject, in standard deviations of a neuron's activity."""
    variance_K: Tensor
    """Share of the variance of the z-scored activations that each network carries; all of them sum to 1 at most."""
    recurrence_SK: Tensor
    """The same share within each subject."""
    stability_K: Tensor
    """ICASSO's I_q: 1 when every restart finds the network, near 0 when none repeats it. Needs two restarts or more."""
    converged: float
    """Share of restarts that reached the tolerance."""
    halves: tuple[Tensor, Tensor] | None = None
    """Maps as `maps_KN` found in the even and in the odd subjects alone, where that was asked for and can be done."""


@dataclass(frozen=True)
class Separated:
    """One block's networks before the second visit, in no order."""

    maps_KN: Tensor
    """float32 z-values over neurons, the larger tail positive."""
    stability_K: Tensor
    converged: float
    halves: tuple[Tensor, Tensor] | None
    """As in `Networks`."""


def projected(
    spill: Spill, cuts: Sequence[slice], varying_SB: Tensor, found: Sequence[Separated], report: Report
) -> list[Networks]:
    """The networks of each block with time courses on the maps' pseudo-inverse, strongest first; `varying_SB` counts
    the neurons that vary.
    """
    maps = [own.maps_KN for own in found]
    inverses = [torch.linalg.pinv(m.double()).float() for m in maps]
    power = [m.double().square().sum(dim=1).cpu() for m in maps]
    courses: list[list[Tensor]] = [[] for _ in maps]
    carried: list[list[Tensor]] = [[] for _ in maps]
    for i, z_TN in enumerate(spill.halves()):
        report("projecting", i / len(spill))
        z_TN = z_TN.to(maps[0].device)
        for b, cut in enumerate(cuts):
            course_TK = _on_inverse(z_TN[:, cut], inverses[b]).cpu()
            courses[b].append(course_TK)
            carried[b].append(course_TK.double().square().sum(dim=0) * power[b])
    tokens_S = torch.tensor([len(course_TK) for course_TK in courses[0]])
    results = []
    for b, maps_KN in enumerate(maps):
        carried_SK = torch.stack(carried[b])
        total_S = (tokens_S * varying_SB[:, b]).clamp_min(1e-30)
        if (carried_SK.sum(dim=1) > total_S * (1 + SHARE_ROUNDING)).any():
            courses[b] = untangled(courses[b], maps_KN)
            carried_SK = torch.stack([c.double().square().sum(dim=0) * power[b] for c in courses[b]])
        variance_K = carried_SK.sum(dim=0) / total_S.sum()
        order = variance_K.argsort(descending=True, stable=True)
        results.append(
            Networks(
                maps_KN.cpu()[order],
                tuple(c[:, order] for c in courses[b]),
                variance_K[order].float(),
                (carried_SK / total_S[:, None])[:, order].float(),
                found[b].stability_K[order].float(),
                found[b].converged,
                found[b].halves,
            )
        )
    report("projecting", 1.0)
    return results


def _on_inverse(z_TN: Tensor, inverse_NK: Tensor) -> Tensor:
    """Float16 z-scores times a float32 matrix, (T, K) float32, without a float32 copy of all of them."""
    course_TK = inverse_NK.new_zeros(len(z_TN), inverse_NK.shape[1])
    parts = zip(z_TN.split(COLUMNS_IN_CACHE, dim=1), inverse_NK.split(COLUMNS_IN_CACHE), strict=True)
    for part_TN, part_NK in parts:
        course_TK.addmm_(part_TN.float(), part_NK)
    return course_TK


def untangled(courses: Sequence[Tensor], maps_KN: Tensor) -> list[Tensor]:
    """The courses, (T, K) float32 per subject, on the orthonormal set that lies nearest to the maps.

    Where maps are nearly copies of each other, courses on their pseudo-inverse are huge and cancel, and the shares of
    variance count the same activity many times. On the nearest orthonormal set (Löwdin 1950; as measure of importance
    Gibson 1962, Johnson 2000) each share is at least 0 and all of them sum to what the maps explain together.
    """
    maps_KN = maps_KN.double().cpu()
    length_K = maps_KN.norm(dim=1)
    unit_KN = maps_KN / length_K[:, None]
    values, vectors = eigenvectors(unit_KN @ unit_KN.T)
    root_KK = (vectors * values.clamp_min(0).sqrt()) @ vectors.T
    turn_KK = length_K[:, None] * root_KK / length_K
    return [(course_TK.double() @ turn_KK).float() for course_TK in courses]
