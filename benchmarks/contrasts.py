"""Which ICA contrast gives the stablest networks? A table in Markdown, one row per model, site and contrast.

    python -m benchmarks.contrasts [MODEL ...] [--sites mlp residual] [--seeds 3]

Stability is ICASSO's I_q over ten restarts, agreement the mean matched abs(r) over all pairs of seeds, and
split-half agreement that of the networks of the find passages with those of the score passages.
"""

import argparse
import itertools
import statistics

import numpy as np

from fnet_core import texts
from fnet_core.activations.reading import read_subjects
from fnet_core.choices import CONTRASTS
from fnet_core.decomposition.canica import canica
from fnet_core.models import loading as models
from fnet_core.networks.matching import matched_correlation
from fnet_core.profiling import Stopwatch


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=["smollm2-135m", "gemma3-270m"])
    parser.add_argument("--sites", nargs="+", default=["mlp", "residual"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--components", type=int, default=32)
    options = parser.parse_args()
    print("| model | site | contrast | mean I_q | lowest I_q | converged | seeds agree | lowest | halves agree | s |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name, site in itertools.product(options.models, options.sites):
        loaded = models.get_loaded(name)
        halves = [
            [s.activations_TN for s in read_subjects(loaded, texts.bundled(split), site)] for split in ("find", "score")
        ]
        neurons = halves[0][0].shape[1]
        for contrast in CONTRASTS:
            runs, seconds = [], []
            for seed in range(options.seeds):
                clock = Stopwatch()
                runs += canica(halves[0], [neurons], options.components, seed=seed, contrast=contrast, clock=clock)
                seconds.append(clock.seconds["separating"])
            (other,) = canica(halves[1], [neurons], options.components, seed=0, contrast=contrast)
            agreements = [
                matched_correlation(a.maps_KN.numpy(), b.maps_KN.numpy()) for a, b in itertools.combinations(runs, 2)
            ]
            across = matched_correlation(runs[0].maps_KN.numpy(), other.maps_KN.numpy())
            stability = np.concatenate([r.stability_K.numpy() for r in runs])
            print(
                f"| {name} | {site} | {contrast} | {stability.mean():.3f} | {stability.min():.2f} "
                f"| {statistics.mean(r.converged for r in runs):.0%} | {np.mean(agreements):.4f} "
                f"| {np.min(agreements):.2f} | {across.mean():.3f} | {statistics.median(seconds):.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
