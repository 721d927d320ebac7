"""How much text until networks come back, and what split-half recurrence says about text not seen at all.

    python -m benchmarks.recurrence [MODEL ...] --halves 96 24 48 [--text FILE --more 24 96 192] [--score]
                                    [--components 32 16] [--contrasts cube exp] [--sketch 4 2 8] [--draw FILE.html]
    python -m benchmarks.recurrence [MODEL ...] --changed 24 96
    python -m benchmarks.recurrence [MODEL ...] --trusted 24 96
    python -m benchmarks.recurrence [MODEL ...] --single 12 [--components 10 32]
    python -m benchmarks.recurrence [MODEL ...] [--passages 12 24 48] [--text FILE --more 96 192] [--components 32]

With --halves: the split-half recurrence of the networks of the first so many bundled passages (none where no number is
given), and of --more passages of a text. Numbers of bundled passages, of networks, contrasts and sizes of the sketch
(in directions per network) are varied one at a time, the others at their first; the text is read with the first of all.
With --score how well the networks come back in the score passages, which none of them has read. --draw writes the
curves with intervals and chance.

With --changed: how many networks are trusted with the one number of passages and with the other, and the ten networks
that changed most, with both labels. With --trusted: the trusted networks of so many passages by their labels, with the
largest share of their strongest tokens that comes from one passage, and the words of the label that no other has.

With --single, as in arXiv 2502.20408: the group's networks against those found in one passage alone, for so many
passages; how many have an IoU above 0.2, beside chance and beside the recurrence in halves.

Otherwise the first table: two disjoint sets of so many passages each, their networks matched one to one. The project's
passages, find and score interleaved so that both sets hold every kind; beyond them a text file's. Second table: the
networks of the find passages by their split-half recurrence, and how well they come back in the score passages.
"""

import argparse
from collections import Counter
from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from benchmarks.recurrence_curves import Text, print_curves
from fnet_core import texts
from fnet_core.choices import CONTRASTS
from fnet_core.decomposition.canica import SKETCH_FACTOR
from fnet_core.models import loading as models
from fnet_core.networks.atlas import Atlas
from fnet_core.networks.comparing import compare_atlases
from fnet_core.networks.finding import AtlasRequest, atlas_of
from fnet_core.networks.halves import recurrence_of
from fnet_core.networks.labels import strongest_passage, words_of_tokens
from fnet_core.networks.recurrence import STABLE, TRUSTED, Recurrence
from fnet_core.networks.request import LEAST_PASSAGES
from fnet_core.networks.singles import in_singles
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
    parser.add_argument("--halves", nargs="*", type=int)
    parser.add_argument("--draw", type=Path, metavar="FILE.html")
    parser.add_argument("--score", action="store_true")
    parser.add_argument("--changed", nargs=2, type=int, metavar=("BEFORE", "AFTER"))
    parser.add_argument("--trusted", nargs="*", type=int, default=[])
    parser.add_argument("--single", type=int, default=0)
    parser.add_argument("--contrasts", nargs="*", choices=CONTRASTS, default=["cube"])
    parser.add_argument("--sketch", nargs="*", type=int, default=[SKETCH_FACTOR], help="directions per network")
    options = parser.parse_args()
    if options.changed:
        _changed(options.models, *options.changed, options.components[0])
    elif options.trusted:
        _trusted(options.models, options.trusted, options.components[0])
    elif options.single:
        _single(options.models, options.single, options.components)
    elif options.halves is not None:
        ways = options.components, options.contrasts, options.sketch
        given = [Text.varied("bundled", texts.for_networks(), options.halves, *ways)] if options.halves else []
        if options.text and options.more:
            first = [own[:1] for own in ways]
            given.append(Text.varied(options.text.stem, texts.from_file(options.text), options.more, *first))
        print_curves(options.models, given, options.score, options.draw)
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


def _trusted(names: list[str], counts: list[int], components: int) -> None:
    """Trusted networks by their labels, with what one passage has of their strongest tokens."""
    columns = ("model", "passages", "#", "abs(r)", "from one passage", "which", "label", "words of one passage")
    print("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")
    for name, count in product(names, counts):
        atlas = _atlas(name, texts.for_networks()[:count], components)
        share_K, passage_K = strongest_passage(atlas.courses)
        passages_of = _passages_of(atlas)
        for network in np.flatnonzero(atlas.trusted_K):
            where = atlas.passages[passage_K[network]].name
            figures = f"{atlas.halves.correlation_K[network]:.2f} | {share_K[network]:.0%} | {where}"
            words = [word for word in atlas.labels[network].split(" · ") if passages_of[word.casefold()] == 1]
            cells = (name, count, network, figures, atlas.labels[network], ", ".join(words) or "none")
            print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def _passages_of(atlas: Atlas) -> Counter[str]:
    """In how many passages each word of the labels stands, without regard to case."""
    return Counter(
        word
        for passage, offsets_T2 in zip(atlas.passages, atlas.offsets, strict=True)
        for word in {word.casefold() for word in words_of_tokens(passage.text, offsets_T2)}
    )


def _single(names: list[str], count: int, components: list[int]) -> None:
    """The group's networks in each of so many passages alone, beside their recurrence in halves."""
    columns = (
        "model, K, passages, found in a passage, chance, mean IoU, chance, in half of them or more, IoU above 0.2 in "
    )
    columns += "halves, chance, trusted, found in, others found in"
    print(f"| {columns.replace(', ', ' | ')} |\n" + "|---" * 13 + "|")
    for name, k in product(names, components):
        whole = _atlas(name, texts.for_networks(), k)
        found = in_singles(models.get_loaded(name), whole, count)
        often_K, trusted_K = found.found_SK.mean(axis=0), whole.trusted_K
        half = f"{(often_K >= 0.5).sum()} of {k}"
        print(
            f"| {name} | {k} | {count} | {found.per_passage:.1f} | {found.per_passage_by_chance:.2f} "
            f"| {found.overlap_SK.mean():.3f} | {found.chance_overlap_SDK.mean():.3f} | {half} "
            f"| {whole.halves.recurring()} | {whole.halves.recurring_by_chance():.1f} | {trusted_K.sum()} "
            f"| {often_K[trusted_K].mean():.0%} | {often_K[~trusted_K].mean():.0%} |",
            flush=True,
        )


def _atlas(name: str, passages: tuple[Passage, ...] | list[Passage], components: int) -> Atlas:
    """The atlas with its recurrence in halves, also where it was kept without."""
    loaded = models.get_loaded(name)
    atlas = atlas_of(loaded, AtlasRequest(name, tuple(passages), components=components)).answer
    if atlas.halves is not None or len(passages) < LEAST_PASSAGES:
        return atlas
    return replace(atlas, halves=recurrence_of(loaded, atlas))


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
