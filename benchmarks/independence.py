"""Does the independence test keep its promise? p-values of models that were trained apart, every pair of them.

    python -m benchmarks.independence --text FILE --out DIR [--models 4] [--neurons 128]

Twins (see `benchmarks.twins`) of two widths and two ages, each of a seed of its own and `--models` of each kind, are
trained on one text and kept in DIR. Printed: Kolmogorov-Smirnov of all layer pairs' p against uniform, how many are
below each level, the spread of z, and the smallest p per pair of models. Pairs share models, so they are not
independent of one another.
"""

import argparse
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from time import perf_counter

import numpy as np
from scipy.stats import kstest, norm

from benchmarks.twins import Recipe, train_twins
from fnet_core import texts
from fnet_core.derivation.training import Training
from fnet_core.lineage.independence import independence
from fnet_core.models.loading import load

KINDS = [(width, steps) for width in (64, 96) for steps in (40, 160)]
CHARACTERS = 400
"""Of each passage, for the models read no more."""


def main() -> None:
    """Train what is not there yet, test every pair, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--models", type=int, default=4)
    parser.add_argument("--neurons", type=int, default=128)
    options = parser.parse_args()
    folders = [_twin(options, kind, seed) for kind in range(len(KINDS)) for seed in range(1, options.models + 1)]
    models = [load(str(folder), device_map="cpu") for folder in folders]
    passages = [replace(passage, text=passage.text[:CHARACTERS]) for passage in texts.bundled("score")[:8]]
    start = perf_counter()
    found = [independence(a, b, passages, neurons=options.neurons) for a, b in combinations(models, 2)]
    seconds = perf_counter() - start
    z = np.concatenate([each.z_LJ.ravel() for each in found])
    p = np.concatenate([each.p_LJ.ravel() for each in found])
    per_pair = np.sort([each.nominal_p for each in found])
    print(
        f"{len(models)} models, {len(found)} pairs, {len(p):,} pairs of layers, {seconds / len(found):.2f} s per pair"
    )
    alike = np.concatenate(
        [
            each.z_LJ.ravel()
            for each, (i, j) in zip(found, combinations(range(len(models)), 2), strict=True)
            if i // options.models == j // options.models
        ]
    )
    print(
        f"  of twins of one kind {len(alike)}: KS p {kstest(norm.sf(alike), 'uniform').pvalue:.3f}; "
        f"z mean {alike.mean():.3f}, deviation {alike.std():.3f}, largest {alike.max():.2f}"
    )
    print(f"layer pairs: KS p {kstest(p, 'uniform').pvalue:.3f}; z mean {z.mean():.3f}, deviation {z.std():.3f}")
    for level in (0.5, 0.1, 0.05, 0.01, 0.001):
        print(f"  p below {level:g}: {np.mean(p < level):.4f} of layer pairs, {np.mean(per_pair < level):.4f} of pairs")
    print("smallest p of pairs, Bonferroni:", ", ".join(f"{value:.3g}" for value in per_pair[:5]))


def _twin(options: argparse.Namespace, kind: int, seed: int) -> Path:
    """The folder of one twin, trained unless it is there."""
    width, steps = KINDS[kind]
    number = 100 * kind + seed
    folder = options.out / f"twin-{number}"
    if not folder.exists():
        training = Training(steps=steps, learning_rate=2e-3, window=256, batch=4)
        recipe = Recipe(
            layers=3, width=width, mlp_width=2 * width, heads=4, context=256, vocabulary=1024, training=training
        )
        train_twins(options.text, options.out, [number], recipe)
    return folder.resolve()


if __name__ == "__main__":
    main()
