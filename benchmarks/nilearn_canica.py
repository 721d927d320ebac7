"""The same activations through nilearn's CanICA and through this project's: seconds, agreement, and why they differ.

    pip install nilearn
    python -m benchmarks.nilearn_canica [MODEL] [--components 32] [--rounds 5] [--shapes model layer]

"model" is 24 find passages at site mlp, all layers side by side; "layer" is 8,000 tokens of one layer. Activations
become images behind a mask of ones, without smoothing and without detrending; ten starts, one seed. nilearn's `fit`
gives maps, its `transform` time courses; ours gives both, and its maps alone are timed without spilling and projecting.
The rounds alternate.

Maps are matched one to one by abs(r). What divides the two is taken out one by one: nilearn's threshold on its maps;
which start it keeps (that whose largest L1 norm is smallest, where this project takes the centres of clusters of all
starts); the directions of one passage (K there, 2K here); and its randomised decompositions, in place of which the same
steps are taken exactly. The ceiling is how well nilearn agrees with itself from another seed. A network is stable here
where I_q is above 0.9, there where both seeds agree on it at 0.95; "stable in both" counts those pairs alone.
"""

import argparse
import warnings
from collections.abc import Sequence

import nibabel
import numpy as np
import torch
from nilearn.decomposition import CanICA
from sklearn.decomposition import fastica as sklearn_fastica
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from torch import Tensor

from benchmarks.timing import timed, told
from fnet_core import texts
from fnet_core.activations.reading import read_subjects
from fnet_core.decomposition.canica import (
    GroupBasis,
    canica,
    cluster_restarts,
    leading_directions,
    oriented_z,
    separate,
    standardize,
)
from fnet_core.decomposition.ica import fastica
from fnet_core.models import loading as models
from fnet_core.networks.matching import map_correlation, matched_correlation, partners, taken
from fnet_core.profiling import Stopwatch
from fnet_core.progress import silent

STARTS, SEED, STABLE, ALIKE = 10, 0, 0.9, 0.95
GRIDS = {46_080: (36, 40, 32), 1_536: (8, 12, 16)}


class Watched(CanICA):
    """nilearn's, which also keeps the group directions that it separates."""

    def _unmix_components(self, components: np.ndarray) -> None:
        self.group_KN = components.T.copy()
        super()._unmix_components(components)


def activations(name: str, shape: str) -> list[Tensor]:
    """Passages of a model, (T, N) float32 each."""
    loaded = models.get_loaded(name, accept_licence=True)
    if shape == "model":
        return [s.activations_TN for s in read_subjects(loaded, texts.bundled("find"), "mlp")]
    found, left = [], 8_000
    for subject in read_subjects(loaded, (*texts.bundled("find"), *texts.bundled("score")), "mlp"):
        layer = len(subject.widths_L) // 2
        found.append(subject.activations_TN.split(list(subject.widths_L), dim=1)[layer][:left].clone())
        left -= len(found[-1])
        if not left:
            break
    return found


def nilearn_maps(
    subjects: Sequence[Tensor], components: int, seed: int = SEED, threshold: str | None = "auto"
) -> Watched:
    """nilearn's CanICA on the subjects as images, with its own threshold unless told otherwise."""
    neurons = subjects[0].shape[1]
    grid = GRIDS.get(neurons, (neurons, 1, 1))
    mask = nibabel.Nifti1Image(np.ones(grid, dtype=np.int8), np.eye(4))
    found = Watched(
        mask=mask,
        n_components=components,
        smoothing_fwhm=None,
        detrend=False,
        standardize="zscore_sample",
        n_init=STARTS,
        random_state=seed,
        threshold=threshold,
    )
    return found.fit(images(subjects))


def images(subjects: Sequence[Tensor]) -> list[nibabel.Nifti1Image]:
    """Each subject as an image of its neurons, with tokens for time."""
    neurons = subjects[0].shape[1]
    grid = GRIDS.get(neurons, (neurons, 1, 1))
    return [nibabel.Nifti1Image(s.numpy().T.reshape(*grid, len(s)), np.eye(4)) for s in subjects]


def row(
    name: str, a_KN: np.ndarray, b_KN: np.ndarray, stable_K: np.ndarray, stable_J: np.ndarray | None = None
) -> None:
    """Print how well two sets of maps agree; the masks say which of the first and of the second are stable."""
    similarity = map_correlation(a_KN, b_KN)
    partner_K = partners(similarity)
    r_K = taken(similarity, partner_K)
    both_K = stable_K if stable_J is None else stable_K & stable_J[partner_K]
    of_both = "" if stable_J is None else _told(r_K[both_K])
    print(f"| {name} | {_told(r_K)} | {_told(r_K[stable_K])} | {of_both} |", flush=True)


def _told(r_K: np.ndarray) -> str:
    """Mean, median and how many reach 0.95."""
    if not len(r_K):
        return "none"
    return f"{r_K.mean():.3f}, {np.median(r_K):.3f}, {(r_K >= ALIKE).sum()} of {len(r_K)}"


def exactly(subjects: Sequence[Tensor], directions: int, components: int) -> np.ndarray:
    """The maps of so many leading directions of each passage, stacked, without a sketch or a randomised step."""
    stacked = torch.cat([leading_directions(standardize(subject), directions) for subject in subjects])
    ((maps_KN, _, _),) = separate([leading_directions(stacked, components)], SEED, STARTS, "cube", silent)
    return maps_KN.numpy()


def with_fewer_directions(subjects: Sequence[Tensor], components: int) -> tuple[np.ndarray, np.ndarray]:
    """This project's maps where a passage gives K directions, as for nilearn, rather than 2K; and which are stable."""
    basis = GroupBasis(components, subjects[0].shape[1], subjects[0].device)
    basis._per_subject = components
    for subject in subjects:
        basis.add(standardize(subject))
    ((maps_KN, stability_K, _),) = separate([basis.result()], SEED, STARTS, "cube", silent)
    return maps_KN.numpy(), stability_K.numpy() > STABLE


def explain(subjects: Sequence[Tensor], theirs: Watched, ours: np.ndarray, stable_K: np.ndarray) -> None:
    """The rows that take the differences out one by one, after the ceiling."""
    again = nilearn_maps(subjects, len(ours), seed=SEED + 1, threshold=None).components_
    group_KN = torch.from_numpy(theirs.group_KN.astype(np.float64))
    components = len(group_KN)
    seeds = check_random_state(SEED).randint(np.iinfo(np.int32).max, size=STARTS)
    of_start, unmixings = [], []
    for seed in seeds:
        white_KK, _, theirs_NK = sklearn_fastica(
            theirs.group_KN.T.astype(np.float64), whiten="arbitrary-variance", fun="cube", random_state=seed
        )
        white_KN = torch.from_numpy(white_KK) @ (group_KN - group_KN.mean(dim=1, keepdim=True))
        white_KN = white_KN * group_KN.shape[1] ** 0.5
        start_KK = torch.from_numpy(check_random_state(seed).normal(size=(components, components)))
        unmixing_KK = fastica(white_KN[None], start_KK[None, None]).unmixing_BRKK[0, 0]
        unmixings.append(unmixing_KK)
        of_start.append((np.abs(theirs_NK.T).sum(axis=1).max(), theirs_NK.T, (unmixing_KK @ white_KN).numpy()))
    _, kept, same = min(of_start, key=lambda each: each[0])
    everything = np.ones(components, dtype=bool)
    between = map_correlation(kept, again)
    repeated_K = taken(between, partners(between)) >= ALIKE
    row("nilearn's two seeds, without its threshold", kept, again, repeated_K)
    row("this project against nilearn without its threshold", ours, kept, stable_K, repeated_K)
    ((maps_KN, stability_K, _),) = separate([group_KN], SEED, STARTS, "cube", silent)
    row(
        "clusters of our starts in its directions, against its start",
        maps_KN.numpy(),
        kept,
        stability_K.numpy() > STABLE,
    )
    row("this project against clusters in its directions", ours, maps_KN.numpy(), stable_K)
    fewer, fewer_K = with_fewer_directions(subjects, components)
    row("this project, K directions of a passage, against nilearn so", fewer, kept, fewer_K, repeated_K)
    exact, stacked = (exactly(subjects, directions, components) for directions in (components, 2 * components))
    row("nilearn's steps taken exactly against nilearn so", exact, kept, everything, repeated_K)
    row("this project, K directions of a passage, against nilearn's steps taken exactly", fewer, exact, fewer_K)
    row("this project against its own 2K directions of a passage, stacked exactly", ours, stacked, stable_K)
    chosen_KK, stability_K = cluster_restarts(torch.stack(unmixings))
    clustered = oriented_z(chosen_KK @ white_KN).numpy()
    row("clusters of its own starts against the start it keeps", clustered, kept, stability_K.numpy() > STABLE)
    row("the start it keeps, by our kernel, against nilearn so", same, kept, everything)
    others = [matched_correlation(kept, each[1]).mean() for each in of_start if each[1] is not kept]
    print(f"\nthe start that nilearn keeps against its nine others: mean matched abs(r) {np.mean(others):.3f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="smollm2-135m")
    parser.add_argument("--components", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--shapes", nargs="+", default=["model", "layer"], choices=("model", "layer"))
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    for shape in options.shapes:
        subjects = activations(options.model, shape)
        tokens, neurons = sum(map(len, subjects)), subjects[0].shape[1]
        print(f"\n{options.model}, {len(subjects)} passages, {tokens} x {neurons}, K = {options.components}\n")
        rounds = []
        for _ in range(options.rounds):
            theirs, fit, fit_cpu = timed(lambda s=subjects: nilearn_maps(s, options.components))
            _, transform, transform_cpu = timed(lambda s=subjects, t=theirs: t.transform(images(s)))
            clock = Stopwatch()
            (found,), whole, whole_cpu = timed(
                lambda s=subjects, c=clock: canica(
                    s, [s[0].shape[1]], options.components, seed=SEED, restarts=STARTS, clock=c
                )
            )
            maps = sum(clock.seconds.get(stage, 0.0) for stage in ("capturing", "reducing", "separating"))
            all_cpu = fit_cpu + transform_cpu
            times = fit / maps, (fit + transform) / whole, all_cpu / whole_cpu
            rounds.append((fit, maps, times[0], fit + transform, whole, times[1], all_cpu, whole_cpu, times[2]))
        kinds = ("maps alone", "with courses", "with courses, processors")
        names = [f"{kind}, {what}" for kind in kinds for what in ("nilearn s", "ours s", "times")]
        for name, values in zip(names, zip(*rounds, strict=True), strict=True):
            print(f"- {name}: {told(values)}")
        stable_K = found.stability_K.numpy() > STABLE
        print(f"\n| agreement: mean, median, at {ALIKE} | all | stable in the first | stable in both |")
        print("|---|---|---|---|")
        row("this project against nilearn", found.maps_KN.numpy(), theirs.components_, stable_K)
        explain(subjects, theirs, found.maps_KN.numpy(), stable_K)


if __name__ == "__main__":
    main()
