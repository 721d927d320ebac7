"""CanICA, the group ICA of brain imaging, on the activations of a language model.

Shape legend: T tokens, N neurons, K networks, k directions of one subject, R restarts, S subjects.
Sources: Varoquaux et al. 2010 (CanICA: subject reduction, group canonical correlation, ICA over space);
Himberg and Hyvärinen 2004 (ICASSO: clustering of restarts, centrotypes, stability index).
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate

import torch
from scipy.cluster.hierarchy import cut_tree, linkage
from scipy.spatial.distance import squareform
from torch import Tensor

from fnet_core.choices import Contrast
from fnet_core.decomposition.ica import fastica, random_starts, whiten
from fnet_core.decomposition.products import COLUMNS_IN_CACHE, eigenvectors, gram
from fnet_core.decomposition.projection import Networks, Separated, projected
from fnet_core.decomposition.spill import Spill
from fnet_core.errors import RequestError
from fnet_core.profiling import Stopwatch
from fnet_core.progress import Report, part_of, silent

SKETCH_FACTOR = 4
"""The group step carries this many times K directions while subjects arrive."""

Enough = Callable[[int, Sequence[Separated]], bool]
"""Called with the number of subjects so far and the networks of each block in them; True when no more are wanted."""

_PER_SUBJECT = 2
"""How many times K directions are taken of one subject."""

_RANK_TOLERANCE = 1e-5
"""Eigenvalues below this share of the largest are rounding noise of float32 products, not directions."""


SoFar = Callable[[int, Report], list[Networks]]
"""Called with a number of restarts and a report; returns the networks of the subjects seen so far."""

Early = Callable[[int, SoFar], None]
"""Called after each subject with how many there are by now, and a way to see what they give."""


def standardize(activations_TN: Tensor, out_TN: Tensor | None = None) -> Tensor:
    """Z-score each neuron over tokens, (T, N) float32, into `out_TN` if given; a constant neuron becomes 0."""
    z_TN = torch.empty_like(activations_TN) if out_TN is None else out_TN
    parts = activations_TN.split(COLUMNS_IN_CACHE, dim=1)
    for part, z in zip(parts, z_TN.split(COLUMNS_IN_CACHE, dim=1), strict=True):
        mean = part.mean(dim=0, dtype=z.dtype)
        centred = (part - mean).to(z.dtype)
        spread = (centred.square().sum(dim=0) / len(z)).sqrt()
        varies = spread > 1e-6 * mean.abs() + torch.finfo(spread.dtype).tiny
        torch.mul(centred, torch.where(varies, spread.reciprocal(), 0), out=z)
    return z_TN


def _varies(z_TN: Tensor) -> Tensor:
    """Which z-scored neurons vary, (N,) bool: a constant one is 0 at every token."""
    varies_N = z_TN[0] != 0
    unsure = (~varies_N).nonzero().flatten()
    varies_N[unsure] = (z_TN[:, unsure] != 0).any(dim=0)
    return varies_N


def _leading(products: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Eigenvectors (columns) and singular values of the leading directions that carry variance."""
    values, vectors = eigenvectors(products)
    keep = values > values[-1].clamp_min(1e-30) * _RANK_TOLERANCE
    keep[: max(0, len(values) - count)] = False
    order = keep.nonzero().flatten().flip(0)
    return vectors[:, order], values[order].sqrt()


def leading_directions(rows_RN: Tensor, count: int, out_kN: Tensor | None = None) -> Tensor:
    """The leading right singular vectors of a matrix, strongest first, unit norm.

    (count, N), or fewer where fewer carry variance, into the first rows of `out_kN` if given. Works on the
    smaller Gram side.
    """
    rows, columns = rows_RN.shape
    if rows > columns:
        vectors, _ = _leading(gram(rows_RN.T), count)
        mix = vectors.T
        directions = mix.to(rows_RN.dtype)
        return directions if out_kN is None else out_kN[: len(mix)].copy_(directions)
    vectors, singular = _leading(gram(rows_RN), count)
    mix = (vectors / singular).T.to(rows_RN.dtype)
    return torch.matmul(mix, rows_RN, out=None if out_kN is None else out_kN[: len(mix)])


@dataclass(frozen=True)
class Reduced:
    """What is needed of one subject whose directions were taken elsewhere, block by block."""

    z_TN: Tensor
    """Float16 on the CPU, as it is kept between the two visits."""
    directions: tuple[Tensor, ...]
    """Float32, (k, the block's neurons) each, as `leading_directions` gives them."""
    varies: tuple[Tensor, ...]
    """bool, per neuron of the block."""


def reduced(z_TN: Tensor, widths: Sequence[int], starts: Sequence[int], components: int) -> Reduced:
    """What `canica` takes of a subject, (T, N) float32, for blocks that begin at `starts`; on the CPU."""
    blocks = [z_TN[:, start : start + width] for start, width in zip(starts, widths, strict=True)]
    return Reduced(
        z_TN.half().cpu(),
        tuple(leading_directions(block, _PER_SUBJECT * components).cpu() for block in blocks),
        tuple(_varies(block).cpu() for block in blocks),
    )


class GroupBasis:
    """The directions that subjects share, merged as they arrive so that memory does not grow with text.

    Holds a sketch of the stacked directions: orthogonal rows of shrinking norm, `SKETCH_FACTOR` x K of
    them, beside room for one subject.
    """

    def __init__(self, components: int, neurons: int, device: torch.device, block: str = "the model") -> None:
        self.components = components
        self._block = block
        self._alive = torch.zeros(neurons, dtype=torch.bool, device=device)
        self._limit = SKETCH_FACTOR * components
        self._per_subject = _PER_SUBJECT * components
        self._sketch = torch.empty(self._limit + self._per_subject, neurons, device=device)
        self._singular = torch.empty(0, dtype=torch.float64, device=device)
        self._subjects = 0

    def add(self, z_TN: Tensor, half: "GroupBasis | None" = None) -> int:
        """Reduce one subject to its leading unit-norm directions and merge them; how many of its neurons vary.

        `half` merges the same directions, for it stands for a half of the subjects.
        """
        new = leading_directions(z_TN, self._per_subject, self._sketch[len(self._singular) :])
        return self._take(new, _varies(z_TN), half)

    def add_reduced(self, directions_kN: Tensor, varies_N: Tensor, half: "GroupBasis | None" = None) -> int:
        """Merge one subject's directions that were taken elsewhere; the rest as `add`."""
        held = len(self._singular)
        new = self._sketch[held : held + len(directions_kN)].copy_(directions_kN)
        return self._take(new, varies_N.to(new.device), half)

    def _take(self, new: Tensor, varies_N: Tensor, half: "GroupBasis | None") -> int:
        """Merge the directions that were written behind the sketch."""
        if half is not None:
            behind = len(half._singular)
            half._sketch[behind : behind + len(new)] = new
            half._merge(len(new), varies_N)
        self._merge(len(new), varies_N)
        return int(varies_N.sum())

    def _merge(self, count: int, varies_N: Tensor) -> None:
        """Merge the `count` directions that stand behind the sketch, in place."""
        held = len(self._singular)
        self._subjects += count > 0
        self._alive |= varies_N
        rows = self._sketch[: held + count]
        if len(rows):
            products = torch.eye(len(rows), dtype=torch.float64, device=rows.device)
            products[:held, :held] = torch.diag(self._singular.square())
            cross = (rows[:held] @ rows[held:].T).double()
            products[:held, held:], products[held:, :held] = cross, cross.T
            vectors, self._singular = _leading(products, self._limit)
            mix = vectors.T.to(rows.dtype)
            for part in rows.split(COLUMNS_IN_CACHE, dim=1):
                part[: len(mix)] = mix @ part

    def result(self) -> Tensor:
        """The leading K directions of all subjects, (K, N) with unit norm; RequestError if there are fewer."""
        alive, neurons = int(self._alive.sum()), len(self._alive)
        if alive < self.components <= neurons:
            raise RequestError(
                f"{alive} of the {neurons} neurons of {self._block} change over the texts, too few for "
                f"{self.components} components: the others always give the same value, as in a layer that is dead. "
                "Ask for fewer components, choose scope model or another site, or take a model without dead layers."
            )
        if len(self._singular) < self.components:
            raise RequestError(
                f"The texts allow at most {len(self._singular)} components and {self.components} were asked "
                "for; ask for fewer components or give more text."
            )
        held = len(self._singular)
        # the directions of one subject alone are all of norm 1, and come out of the merge weakest first
        strongest = torch.arange(held).flip(0) if self._subjects == 1 else torch.arange(held)
        strongest = strongest[: self.components].to(self._sketch.device)
        return self._sketch[strongest] / self._singular[strongest, None].to(self._sketch.dtype)


def cluster_restarts(unmixing_RKK: Tensor) -> tuple[Tensor, Tensor]:
    """One unmixing row per network out of R restarts, with its stability: (K, K) and (K,).

    The R x K rows are clustered by abs correlation (their dot product, since the data are white) with
    average linkage; each network is its cluster's centrotype and I_q the mean similarity inside the
    cluster less that to the rows outside.
    """
    restarts, components, _ = unmixing_RKK.shape
    rows = unmixing_RKK.reshape(-1, components)
    similarity = (rows @ rows.T).abs().clamp(max=1).cpu()
    if restarts == 1:
        between_K = (similarity.sum(dim=1) - similarity.diagonal()) / max(components - 1, 1)
        return rows, similarity.diagonal() - between_K
    if components == 1:
        cluster = torch.zeros(restarts, dtype=torch.int64)
    else:
        apart = squareform((1 - similarity).numpy(), checks=False)
        cluster = torch.from_numpy(cut_tree(linkage(apart, "average"), [components]).ravel())
    chosen, stability = [], []
    for label in range(components):
        inside = cluster == label
        within = similarity[inside][:, inside]
        between = similarity[inside][:, ~inside]
        member = within.sum(dim=1).argmax()
        chosen.append(int(inside.nonzero().flatten()[member]))
        stability.append(float(within.mean() - (between.mean() if between.numel() else 0.0)))
    return rows[chosen], torch.tensor(stability)


def oriented_z(maps_KN: Tensor) -> Tensor:
    """Z-score each map over neurons and turn it so that its larger tail is positive."""
    z = (maps_KN - maps_KN.mean(dim=1, keepdim=True)) / maps_KN.std(dim=1, keepdim=True, correction=0)
    tail = z.pow(3).sum(dim=1, keepdim=True)
    return torch.where(tail < 0, -z, z)


def _skewed_upward(directions_KN: Tensor) -> Tensor:
    """Directions turned so that their skewness is positive, which does not depend on the order of neurons."""
    skew_K1 = directions_KN.pow(3).sum(dim=1, keepdim=True)
    return torch.where(skew_K1 < 0, -directions_KN, directions_KN)


def separate(
    groups: Sequence[Tensor], seed: int, restarts: int, contrast: Contrast, report: Report, damped: bool = False
) -> list[tuple[Tensor, Tensor, float]]:
    """Maps, stability and share of converged restarts of each block's (K, N) group directions, in order.

    Blocks of one width are separated as one batch, each from the same starts; `damped` as in `fastica`.
    """
    found: dict[int, tuple[Tensor, Tensor, float]] = {}
    widths = [group_KN.shape[1] for group_KN in groups]
    for width in dict.fromkeys(widths):
        alike = [i for i, w in enumerate(widths) if w == width]
        begun, share = len(found) / len(groups), len(alike) / len(groups)
        white_BKN = whiten(torch.stack([_skewed_upward(groups[i].double()) for i in alike]))
        starts = random_starts(1, restarts, white_BKN.shape[1], seed).expand(len(alike), -1, -1, -1)
        result = fastica(
            white_BKN,
            starts,
            contrast,
            on_iteration=lambda n, begun=begun, share=share: report("separating", begun + share * n / (n + 20)),
            damped=damped,
        )
        for row, i in enumerate(alike):
            unmixing_KK, stability_K = cluster_restarts(result.unmixing_BRKK[row])
            maps_KN = oriented_z(unmixing_KK @ white_BKN[row]).float()
            found[i] = maps_KN, stability_K, float(result.converged_BR[row].double().mean())
    return [found[i] for i in range(len(groups))]


def canica(
    subjects: Iterable[Tensor | Reduced],
    widths: Sequence[int],
    components: int,
    *,
    seed: int = 0,
    restarts: int = 10,
    contrast: Contrast = "cube",
    standardized: bool = False,
    starts: Sequence[int] | None = None,
    names: Sequence[str] | None = None,
    halves: bool = False,
    early: Early | None = None,
    looks: Collection[int] = (),
    enough: Enough | None = None,
    report: Report = silent,
    clock: Stopwatch | None = None,
) -> list[Networks]:
    """The functional networks of each block of neurons, found across subjects.

    `subjects` yields (T, N) float32 activations, one at a time, z-scored already if `standardized`, or what another
    machine took of them, which gives the same to the bit where that machine rounds alike; `widths` are those
    of the blocks of neurons that are decomposed on their own (one block of all neurons, one per layer, or windows),
    side by side unless `starts` says where each begins; `names` is what messages call them. With `halves` every second
    subject is decomposed on its own as well, and so are the others, from the same reading. `early` may look at what the
    subjects give so far after each of them, which changes nothing. Once as many subjects as stand in `looks` were read,
    `enough` is shown what they give, halves included, and the networks are those of the subjects that were read when it
    said so, to the bit. Returns one `Networks` per block. Same seed, same machine: same bits. Raises RequestError when
    the data hold fewer than `components` directions.
    """
    clock = clock or Stopwatch()
    starts = list(accumulate(widths, initial=0))[:-1] if starts is None else starts
    cuts = [slice(start, start + width) for start, width in zip(starts, widths, strict=True)]
    names = names or ([f"layer {i}" for i in range(len(widths))] if len(widths) > 1 else ["the model"])
    bases: list[GroupBasis] = []
    half_bases: list[list[GroupBasis]] = []
    varying: list[list[int]] = []
    found: list[Separated] | None = None
    buffer = torch.empty(0)

    def separated(report: Report) -> list[Separated]:
        with clock.stage("separating"):
            groups = [[basis.result() for basis in bases], *_enough(half_bases)]
            parts = [
                separate(group, seed, restarts, contrast, part_of(report, part, len(groups)))
                for part, group in enumerate(groups)
            ]
        return [
            Separated(maps_KN, stability_K, converged, (rest[0][0].cpu(), rest[1][0].cpu()) if rest else None)
            for (maps_KN, stability_K, converged), *rest in zip(*parts, strict=True)
        ]

    def so_far(restarts: int, report: Report) -> list[Networks]:
        first = separate([basis.result() for basis in bases], seed, restarts, contrast, report)
        early_on = [Separated(*own, None) for own in first]
        return projected(spill, cuts, torch.tensor(varying), early_on, report)

    with Spill() as spill:
        iterator = iter(subjects)
        while True:
            with clock.stage("capturing"):
                activations_TN = next(iterator, None)
            if activations_TN is None:
                break
            with clock.stage("reducing"):
                if not bases:
                    first = activations_TN.directions[0] if isinstance(activations_TN, Reduced) else activations_TN
                    device = first.device
                    bases, *half_bases = (
                        [GroupBasis(components, w, device, name) for w, name in zip(widths, names, strict=True)]
                        for _ in range(3 if halves else 1)
                    )
                half = half_bases[len(spill) % 2] if half_bases else [None] * len(bases)
                if isinstance(activations_TN, Reduced):
                    z_TN = activations_TN.z_TN
                    known = zip(bases, activations_TN.directions, activations_TN.varies, half, strict=True)
                    varying.append([basis.add_reduced(k, varies, own) for basis, k, varies, own in known])
                else:
                    z_TN = activations_TN
                    if not standardized:
                        if buffer.numel() < activations_TN.numel():
                            buffer = torch.empty_like(activations_TN).flatten()
                        z_TN = standardize(activations_TN, buffer[: activations_TN.numel()].view(activations_TN.shape))
                    blocks = zip(bases, cuts, half, strict=True)
                    varying.append([basis.add(z_TN[:, cut], own) for basis, cut, own in blocks])
            with clock.stage("spilling"):
                spill.append(z_TN)
            if early is not None:
                early(len(spill), so_far)
            found = None
            if enough is not None and len(spill) in looks:
                with suppress(RequestError):  # too few directions so far
                    found = separated(lambda _, fraction: report("looking", fraction))
                with clock.stage("looking"):
                    if found and enough(len(spill), found):
                        break
        found = found or separated(report)
        with clock.stage("projecting"):
            return projected(spill, cuts, torch.tensor(varying), found, report)


def _enough(half_bases: Sequence[Sequence[GroupBasis]]) -> list[list[Tensor]]:
    """The directions of both halves' blocks; nothing where a half has too few of them."""
    try:
        return [[basis.result() for basis in bases] for bases in half_bases]
    except RequestError:
        return []


def largest_components(tokens_S: list[int], widths: tuple[int, ...], components: int) -> int:
    """The most components that these texts and blocks of neurons can give when `components` are asked for."""
    directions = sum(min(2 * components, tokens - 1) for tokens in tokens_S)
    return min(directions, min(widths) - 1)
