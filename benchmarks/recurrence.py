"""How much text until networks come back, and what split-half recurrence says about text not seen at all.

    python -m benchmarks.recurrence [MODEL ...] [--passages 12 24 48] [--text FILE --more 96 192] [--components 32]

First table: two disjoint sets of so many passages each, their networks matched one to one. The project's passages, find
and score interleaved so that both sets hold every kind; beyond them a text file's. Second table: the networks of the
find passages by their split-half recurrence, and how well they come back in the score passages.
"""

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from fnet_core import texts
from fnet_core.models import loading as models
from fnet_core.networks.atlas import Atlas
from fnet_core.networks.finding import AtlasRequest, atlas_of
from fnet_core.networks.halves import recurrence_of
from fnet_core.networks.recurrence import Recurrence, compare_atlases
from fnet_core.texts import Passage

BINS = (0.0, 0.5, 0.7, 0.8, 0.9, 1.01)


def main() -> None:
    """Print both tables for each model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=["smollm2-135m", "gemma3-270m"])
    parser.add_argument("--passages", nargs="*", type=int, default=[6, 12, 24])
    parser.add_argument("--text", type=Path)
    parser.add_argument("--more", nargs="*", type=int, default=[])
    parser.add_argument("--components", type=int, default=32)
    options = parser.parse_args()
    own = [passage for pair in zip(texts.bundled("find"), texts.bundled("score"), strict=True) for passage in pair]
    sets = [("project", own, count) for count in options.passages]
    if options.text:
        sets += [(options.text.name, texts.from_file(options.text), count) for count in options.more]
    for name in options.models:
        print(f"\n{name}, site mlp, K = {options.components}\n")
        print("| text | passages | tokens | mean abs(r) | median | at 0.9 | IoU | IoU above 0.2 | chance |")
        print("|---|---|---|---|---|---|---|---|---|")
        for source, passages, count in sets:
            if len(passages) < 2 * count:
                raise SystemExit(f"{source} has {len(passages)} passages, too few for two sets of {count}.")
            a, b = (_atlas(name, passages[first : 2 * count : 2], options.components) for first in (0, 1))
            print(_row(source, count, a, compare_atlases(a, b)), flush=True)
        whole = _atlas(name, texts.bundled("find"), options.components)
        halves = recurrence_of(models.get_loaded(name), whole)
        elsewhere = compare_atlases(whole, _atlas(name, texts.bundled("score"), options.components))
        _validity(whole, halves, elsewhere)


def _atlas(name: str, passages: tuple[Passage, ...] | list[Passage], components: int) -> Atlas:
    return atlas_of(models.get_loaded(name), AtlasRequest(name, tuple(passages), components=components)).answer


def _row(source: str, count: int, a: Atlas, found: Recurrence) -> str:
    r = found.correlation_K
    return (
        f"| {source} | {count} | {a.tokens:,} | {r.mean():.3f} | {np.median(r):.3f} | {(r >= 0.9).sum()} of {len(r)} "
        f"| {found.overlap_K.mean():.3f} | {found.recurring()} | {found.recurring_by_chance():.1f} |"
    )


def _validity(whole: Atlas, halves: Recurrence, elsewhere: Recurrence) -> None:
    """What recurrence in halves and stability say about the score passages, which no half has seen."""
    for name, values in (("recurrence in halves", halves.correlation_K), ("I_q", whole.stability_K)):
        rho = spearmanr(values, elsewhere.correlation_K).statistic
        print(f"\nSpearman of {name} with abs(r) in the score passages: {rho:.2f}\n")
        print("| from | to | networks | mean abs(r) in the score passages | lowest | at 0.8 |")
        print("|---|---|---|---|---|---|")
        for low, high in pairwise(BINS):
            inside = (values >= low) & (values < high)
            if inside.any():
                r = elsewhere.correlation_K[inside]
                print(
                    f"| {low:.1f} | {min(high, 1):.1f} | {inside.sum()} | {r.mean():.2f} | {r.min():.2f} "
                    f"| {(r >= 0.8).mean():.0%} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
