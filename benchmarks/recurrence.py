"""How much text until networks come back, and what split-half recurrence says about text not seen at all.

    python -m benchmarks.recurrence [MODEL ...] [--passages 12 24 48] [--text FILE --more 96 192] [--components 32]
    python -m benchmarks.recurrence [MODEL ...] --halves 24 48 96 [--components 16 32] [--contrasts cube exp]

    python -m benchmarks.recurrence [MODEL ...] --changed 24 96
    python -m benchmarks.recurrence [MODEL ...] --single 6 [--components 10]

With --changed: how many networks are trusted with the one number of passages and with the other, and the ten networks
that changed most, with both labels. With --single, as in arXiv 2502.20408: the group's networks against those found in
one passage alone, for so many passages; how many have an IoU above 0.2, beside chance.

With --halves: the split-half recurrence of atlases of the first so many bundled passages, and how well their networks
come back in the score passages, which none of them has read; at every number of networks and contrast that is named.

Otherwise the first table: two disjoint sets of so many passages each, their networks matched one to one. The project's
passages, find and score interleaved so that both sets hold every kind; beyond them a text file's. Second table: the
networks of the find passages by their split-half recurrence, and how well they come back in the score passages.
"""

import argparse
from itertools import pairwise, product
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from fnet_core import texts
from fnet_core.choices import CONTRASTS
from fnet_core.decomposition import canica
from fnet_core.models import loading as models
from fnet_core.networks.atlas import Atlas
from fnet_core.networks.comparing import compare_atlases
from fnet_core.networks.finding import AtlasRequest, atlas_of
from fnet_core.networks.halves import recurrence_of
from fnet_core.networks.recurrence import STABLE, TRUSTED, Recurrence
from fnet_core.texts import Passage

BINS = (0.0, 0.5, 0.7, 0.8, 0.9, 1.01)


def main() -> None:
    """Print both tables for each model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=["smollm2-135m", "gemma3-270m"])
    parser.add_argument("--passages", nargs="*", type=int, default=[6, 12, 24])
    parser.add_argument("--text", type=Path)
    parser.add_argument("--more", nargs="*", type=int, default=[])
    parser.add_argument("--components", nargs="*", type=int, default=[32])
    parser.add_argument("--halves", nargs="*", type=int, default=[])
    parser.add_argument("--changed", nargs=2, type=int, metavar=("BEFORE", "AFTER"))
    parser.add_argument("--single", type=int, default=0)
    parser.add_argument("--contrasts", nargs="*", choices=CONTRASTS, default=["cube"])
    parser.add_argument("--sketch", nargs="*", type=int, default=[canica.SKETCH_FACTOR], help="directions per network")
    options = parser.parse_args()
    if options.changed:
        _changed(options.models, *options.changed, options.components[0])
    elif options.single:
        _single(options.models, options.single, options.components[0])
    elif options.halves:
        _curve(options)
    else:
        _disjoint(options, options.components[0])


def _disjoint(options: argparse.Namespace, components: int) -> None:
    own = [passage for pair in zip(texts.bundled("find"), texts.bundled("score"), strict=True) for passage in pair]
    sets = [("project", own, count) for count in options.passages]
    if options.text:
        sets += [(options.text.name, texts.from_file(options.text), count) for count in options.more]
    for name in options.models:
        print(f"\n{name}, site mlp, K = {components}\n")
        print("| text | passages | tokens | mean abs(r) | median | at 0.9 | IoU | IoU above 0.2 | chance |")
        print("|---|---|---|---|---|---|---|---|---|")
        for source, passages, count in sets:
            if len(passages) < 2 * count:
                raise SystemExit(f"{source} has {len(passages)} passages, too few for two sets of {count}.")
            a, b = (_atlas(name, passages[first : 2 * count : 2], components) for first in (0, 1))
            print(_row(source, count, a, compare_atlases(a, b)), flush=True)
        whole = _atlas(name, texts.bundled("find"), components)
        halves = recurrence_of(models.get_loaded(name), whole)
        elsewhere = compare_atlases(whole, _atlas(name, texts.bundled("score"), components))
        _validity(whole, halves, elsewhere)


def _curve(options: argparse.Namespace) -> None:
    """Split-half recurrence against passages, networks, contrast and sketch."""
    columns = "model, K, contrast, sketch, passages, tokens, mean abs(r), median, at 0.8, at 0.9, mean of trusted, IoU"
    columns += ", IoU above 0.2, chance, trusted, mean in score, of trusted in score"
    print(f"| {columns.replace(', ', ' | ')} |")
    print("|---" * 17 + "|")
    for name, components, contrast, sketch, count in product(
        options.models, options.components, options.contrasts, options.sketch, options.halves
    ):
        canica.SKETCH_FACTOR = sketch
        loaded = models.get_loaded(name)
        own = texts.for_networks()[:count]
        whole, score = (
            atlas_of(loaded, AtlasRequest(name, tuple(passages), components=components, contrast=contrast)).answer
            for passages in (own, texts.bundled("score"))
        )
        found = recurrence_of(loaded, whole)
        r, there = found.correlation_K, compare_atlases(whole, score).correlation_K
        trusted = found.trusted_K
        print(
            f"| {name} | {components} | {contrast} | {sketch} K | {count} | {whole.tokens:,} | {r.mean():.3f} "
            f"| {np.median(r):.3f} | {(r >= 0.8).sum()} | {(r >= 0.9).sum()} | {r[trusted].mean():.3f} "
            f"| {found.overlap_K.mean():.3f} | {found.recurring()} | {found.recurring_by_chance():.1f} "
            f"| {trusted.sum()} of {len(r)} | {there.mean():.3f} | {there[trusted].mean():.3f} |",
            flush=True,
        )


def _changed(names: list[str], before: int, after: int, components: int) -> None:
    """Trusted networks of both atlases, and the ten networks of the first that agree least with their partners."""
    for name in names:
        first, second = (_atlas(name, texts.for_networks()[:count], components) for count in (before, after))
        print(
            f"\n{name}, {components} networks\n\n| passages | trusted | maps alone | I_q below 0.6 |\n|---|---|---|---|"
        )
        for count, atlas in ((before, first), (after, second)):
            alone, loose = (atlas.halves.correlation_K >= TRUSTED).sum(), (atlas.stability_K < STABLE).sum()
            print(f"| {count} | {atlas.trusted_K.sum()} | {alone} | {loose} |")
        found = compare_atlases(first, second)
        print(f"\n| abs(r) | label with {before} passages | label with {after} |\n|---|---|---|")
        for network in np.argsort(found.correlation_K)[:10]:
            partner = second.labels[found.partner_K[network]]
            print(f"| {found.correlation_K[network]:.2f} | {first.labels[network]} | {partner} |", flush=True)


def _single(names: list[str], count: int, components: int) -> None:
    """The group's networks in each of so many passages alone."""
    columns = "model, K, passage, mean abs(r), mean IoU, recurring, bar, recurring by chance"
    print(f"| {columns.replace(', ', ' | ')} |\n" + "|---" * 8 + "|")
    for name in names:
        passages = texts.for_networks()
        whole = _atlas(name, passages, components)
        for passage in passages[:: len(passages) // count][:count]:
            found = compare_atlases(whole, _atlas(name, [passage], components))
            figures = f"{found.correlation_K.mean():.3f} | {found.overlap_K.mean():.3f} | {found.recurring()}"
            chance = f"{found.bar():.2f} | {found.recurring_by_chance():.1f}"
            print(f"| {name} | {components} | {passage.name} | {figures} | {chance} |", flush=True)


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
