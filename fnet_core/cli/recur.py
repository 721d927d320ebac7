"""`recur`: do a model's networks come back in other texts?"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fnet_core.cli.arguments import (
    add_licence,
    add_networks,
    add_texts,
    add_threshold,
    check_model,
    check_outputs,
    checked_threshold,
    passages_of,
)
from fnet_core.cli.terminal import Table, number_table
from fnet_core.errors import RequestError
from fnet_core.progress import Report

if TYPE_CHECKING:
    from fnet_core.networks.atlas import Atlas

NAME = "recur"
HELP = "do the networks come back: an atlas against its halves, or against another"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One model, or two of which each is a model or a saved atlas, with the choices of the atlas."""
    parser.add_argument(
        "what",
        nargs="+",
        metavar="MODEL|ATLAS",
        help="one model or atlas file: its networks in two halves of the text; two of them: the one in the other",
    )
    add_licence(parser)
    add_texts(parser, "find")
    add_networks(parser)
    add_threshold(parser)
    parser.add_argument(
        "--single",
        type=int,
        metavar="N",
        help="also in each of N passages alone, as published (arXiv 2502.20408)",
    )
    parser.add_argument("--csv", metavar="F", help="also save the table as CSV")


def stages(options: argparse.Namespace) -> dict[str, float]:
    """Relative lengths of the stages of an atlas and its halves, or of one atlas beside another."""
    from fnet_core.networks.request import SPLIT_STAGES, STAGES

    return SPLIT_STAGES if len(options.what) == 1 else STAGES


def run(options: argparse.Namespace, report: Report) -> tuple[dict[str, Any], list[str | Table]]:
    """Find what must be found and hold it against each other and against shuffled neurons."""
    if len(options.what) > 2:
        raise RequestError(f"{len(options.what)} things were named; name one model, or two models or atlases.")
    files = [name for name in options.what if name.endswith(".safetensors")]
    if missing := [name for name in files if not Path(name).is_file()]:
        raise RequestError(f"There is no atlas file '{missing[0]}'; save one with `atlas MODEL --out F`.")
    if options.single is not None and len(options.what) > 1:
        raise RequestError("--single holds one atlas against its own passages; name one model or atlas file.")
    threshold, passages = checked_threshold(options), passages_of(options, "find")
    from fnet_core.models.sources.starter_table import STARTERS
    from fnet_core.networks.request import AtlasRequest, check_halves, check_single

    check_outputs(options.csv)
    request = AtlasRequest(
        options.what[0], passages, options.site, options.scope, components=options.components, seed=options.seed
    )
    for name in options.what:
        if name not in files:
            check_model(name, options)
    if len(options.what) == 1 and not files:
        if options.what[0] in STARTERS and not (options.texts or options.dataset):
            check_halves(passages)  # starters read the bundled passages whole; what others read, their tokens tell
        if options.single is not None:
            check_single(options.single, passages)
    from fnet_core.networks.atlas import Atlas

    kept = {name: Atlas.load(Path(name)) for name in files}
    from fnet_core.activations.fitting import reader_at
    from fnet_core.models.resolving import resolve
    from fnet_core.networks.comparing import compare_atlases
    from fnet_core.networks.finding import cut_for, find_atlas
    from fnet_core.networks.halves import halves_of_kept, split_half
    from fnet_core.networks.recurrence import AGREEMENT
    from fnet_core.storage import artifacts

    def atlas_of(name: str) -> Atlas:
        if name in kept:
            return kept[name]
        return find_atlas(replace(request, model=name), report, accept_licence=options.accept_licence).answer

    if len(options.what) == 1 and files:
        (whole,) = kept.values()
        found = halves_of_kept(whole, threshold, report, accept_licence=options.accept_licence)
        stability_K, cut = whole.stability_K, whole.recipe.get("cut", "")
    elif len(options.what) == 1:
        whole, found = split_half(request, threshold, report, accept_licence=options.accept_licence)
        stability_K, cut = whole.stability_K, whole.recipe.get("cut", "")
    else:
        named = [name for name in options.what if name not in files]
        folders = [resolve(name, accept_licence=options.accept_licence, report=report) for name in named]
        request = cut_for(request, *map(reader_at, folders))
        first, second = (atlas_of(name) for name in options.what)
        found, stability_K = compare_atlases(first, second, threshold, seed=options.seed), first.stability_K
        cut = request.cut
    if options.csv is not None:
        with artifacts.atomic_file(Path(options.csv)) as temporary:
            found.table().to_csv(temporary, index=False)
    rows = [
        (f"{row.network}", f"{row.correlation:.2f}", f"{row.overlap:.2f}", f"{stability:.2f}", f"{row.label}")
        for row, stability in zip(found.table().itertuples(), stability_K, strict=True)
    ]
    lines: list[str | Table] = [
        found.recipe["title"],
        number_table(("#", "abs(r)", "IoU", "I_q", "label"), (3, 6, 4, 4), rows),
        f"{found.recurring()} of {len(found)} networks come back (IoU above {found.bar():.2g}); shuffled neurons: "
        f"{found.recurring_by_chance():.1f} on average over {found.recipe['draws']} shuffles.",
        f"{int(found.trusted_K.sum())} are to be trusted: {AGREEMENT}.",
        f"Mean abs(r) {found.correlation_K.mean():.3f}, shuffled {found.chance_correlation_DK.mean():.3f}; mean IoU "
        f"{found.overlap_K.mean():.3f}, shuffled {found.chance_overlap_DK.mean():.3f}.",
    ]
    if cut:
        lines.append(cut)
    result = found.summary()
    if options.single is not None:
        result["single"], alone = _single(whole, options, threshold, report)
        lines += alone
    return result, lines


def _single(
    whole: Atlas, options: argparse.Namespace, threshold: float, report: Report
) -> tuple[dict[str, Any], list[str | Table]]:
    """The atlas's networks in so many passages alone."""
    from fnet_core.models.loading import get_loaded
    from fnet_core.networks.recurrence import RECURRING
    from fnet_core.networks.singles import in_singles

    loaded = get_loaded(whole.model_name, accept_licence=options.accept_licence, report=report)
    found = in_singles(loaded, whole, options.single, threshold, report)
    rows = [
        (f"{row.network}", f"{row.passages}", f"{row.overlap:.2f}", f"{row.label}")
        for row in found.table().itertuples()
    ]
    return found.summary(), [
        found.recipe["title"],
        number_table(("#", "passages", "IoU", "label"), (3, 8, 4), rows),
        f"A passage alone has {found.per_passage:.1f} of {len(found.labels)} networks on average (IoU above "
        f"{RECURRING:g}); shuffled neurons: {found.per_passage_by_chance:.1f}. Mean IoU {found.overlap_SK.mean():.3f}, "
        f"shuffled {found.chance_overlap_SDK.mean():.3f}.",
    ]
