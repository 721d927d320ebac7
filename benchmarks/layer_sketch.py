"""How much of unseen text the directions of a layer carry, by the way they were found, and what finding them costs.

    python -m benchmarks.layer_sketch [MODEL] [--layers 4 15 25] [--components 32]

Directions are found on every second `find` passage; the share of z-scored variance that they carry is that of the
others. "exact" is the singular value decomposition of all tokens, "canica" the group step of an atlas, and the rest is
the sketch that pruning uses, by (subjects held, probes per direction, turns).
"""

import argparse
from time import perf_counter

import torch
from torch import Tensor

from fnet_core import texts
from fnet_core.activations.reading import read_subjects
from fnet_core.decomposition import sketch as correlation_sketch
from fnet_core.decomposition.canica import GroupBasis, standardize
from fnet_core.decomposition.sketch import CorrelationSketch
from fnet_core.models import loading as models

SETTINGS = ((2, 3, 2), (4, 2, 1), (4, 2, 2), (4, 2, 3), (4, 3, 2), (6, 3, 2), (12, 3, 2))


def read(loaded: models.LoadedModel, passages: tuple[texts.Passage, ...], layers: list[int]) -> list[list[Tensor]]:
    """Per layer, the passages' MLP inputs (T, N)."""
    found: list[list[Tensor]] = [[] for _ in layers]
    for subject in read_subjects(loaded, passages, "mlp"):
        blocks = subject.activations_TN.split(list(subject.widths_L), dim=1)
        for kept, layer in zip(found, layers, strict=True):
            kept.append(blocks[layer].clone())
    return found


def centred(subjects: list[Tensor]) -> Tensor:
    """All tokens of all subjects, each subject about its own mean, with deviation 1 over all, (T, N)."""
    z_TN = torch.cat([subject - subject.mean(dim=0) for subject in subjects])
    return z_TN / z_TN.square().mean(dim=0).sqrt().clamp_min(1e-6)


def carried(unseen_TN: Tensor, directions_KN: Tensor) -> float:
    """Share of the variance that lies in the span of the directions."""
    basis_NK = torch.linalg.qr(directions_KN.float().T).Q
    return float((unseen_TN @ basis_NK).square().sum() / unseen_TN.square().sum())


def sketched(subjects: list[Tensor], components: int, setting: tuple[int, int, int]) -> Tensor:
    """The sketch's leading directions under other settings than the product's."""
    names = ("HELD_SUBJECTS", "PROBE_FACTOR", "TURNS")
    kept = [getattr(correlation_sketch, name) for name in names]
    try:
        for name, value in zip(names, setting, strict=True):
            setattr(correlation_sketch, name, value)
        sketch = CorrelationSketch(components, seed=0)
        for subject in subjects:
            sketch.add(subject)
        return sketch.result().leading(components)
    finally:
        for name, value in zip(names, kept, strict=True):
            setattr(correlation_sketch, name, value)


def group_directions(subjects: list[Tensor], components: int) -> Tensor:
    """What an atlas's group step gives."""
    basis = GroupBasis(components, subjects[0].shape[1], subjects[0].device)
    for subject in subjects:
        basis.add(standardize(subject))
    return basis.result()


def main() -> None:
    """Measure and print one row per layer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="smollm2-135m")
    parser.add_argument("--layers", type=int, nargs="+", default=[4, 15, 25])
    parser.add_argument("--components", type=int, default=32)
    options = parser.parse_args()
    loaded = models.get_loaded(options.model, accept_licence=True)
    passages = texts.bundled("find")
    seen, unseen = (read(loaded, passages[begin::2], options.layers) for begin in (0, 1))
    ways = {
        "exact": lambda subjects: torch.linalg.svd(centred(subjects), full_matrices=False).Vh[: options.components],
        "canica": lambda subjects: group_directions(subjects, options.components),
    } | {str(s): lambda subjects, s=s: sketched(subjects, options.components, s) for s in SETTINGS}
    print("| layer | " + " | ".join(ways) + " |")
    print("|---|" + "---|" * len(ways))
    for layer, own, other in zip(options.layers, seen, unseen, strict=True):
        cells = []
        for find in ways.values():
            began = perf_counter()
            directions_KN = find(own)
            seconds = perf_counter() - began
            cells.append(f"{carried(centred(other), directions_KN):.4f}, {1000 * seconds:.0f} ms")
        print(f"| {layer} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
