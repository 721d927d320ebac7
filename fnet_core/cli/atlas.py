"""`atlas`: find a model's functional networks."""

import argparse
from pathlib import Path
from typing import Any

from fnet_core.choices import CONTRASTS
from fnet_core.cli.arguments import (
    add_engine,
    add_model,
    add_networks,
    add_texts,
    add_threshold,
    check_model,
    check_outputs,
    checked_threshold,
    passages_of,
)
from fnet_core.cli.terminal import Table, number_table
from fnet_core.progress import Report

NAME = "atlas"
HELP = "find a model's functional networks"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The model, the texts, and every choice that `AtlasRequest` has."""
    add_model(parser)
    add_texts(parser, "find", auto=True)
    add_networks(parser)
    parser.add_argument("--restarts", type=int, default=10, metavar="R", help="ICA restarts (default 10)")
    parser.add_argument("--contrast", choices=CONTRASTS, default="cube", help="ICA contrast (default cube)")
    add_threshold(parser)
    add_engine(parser, "read the passages")
    parser.add_argument("--out", metavar="F", help="also save the atlas to this file")
    parser.add_argument("--csv", metavar="F", help="also save the key neurons of every network as CSV")


def stages(options: argparse.Namespace) -> dict[str, float]:
    """Relative lengths of its stages, for the time left."""
    from fnet_core.networks.request import STAGES

    return STAGES


def run(options: argparse.Namespace, report: Report) -> tuple[dict[str, Any], list[str | Table]]:
    """Find the atlas and describe it."""
    from fnet_core.networks.request import LEAST_PASSAGES, AtlasRequest
    from fnet_core.storage import artifacts

    threshold, passages = checked_threshold(options), passages_of(options, "find")
    request = AtlasRequest(
        model=options.model,
        passages=passages,
        site=options.site,
        scope=options.scope,
        components=options.components,
        seed=options.seed,
        restarts=options.restarts,
        contrast=options.contrast,
        enough=options.enough,
    )
    check_outputs(options.out, options.csv)
    check_model(options.model, options)
    from fnet_core.engine.client import engine_at
    from fnet_core.networks.annotations import annotated
    from fnet_core.networks.asked import find, recalled
    from fnet_core.networks.recurrence import LEVELS

    found = recalled(request)
    if found is None:
        with engine_at(options.engine, options.tls) as engine:
            found = find(request, report, engine=engine, accept_licence=options.accept_licence)
    atlas, path = found.answer, found.path
    if atlas.halves is None:  # what follows loads torch
        from fnet_core.networks.known_halves import with_known_recurrence

        atlas = with_known_recurrence(atlas)
    atlas = annotated(atlas)
    if options.out is not None:
        path = Path(options.out)
        atlas.save(path)
    if options.csv is not None:
        with artifacts.atomic_file(Path(options.csv)) as temporary:
            atlas.all_key_neurons(threshold).to_csv(temporary, index=False)
    result = atlas.summary(threshold) | {"computed": found.computed, "artifact": str(path)}
    rows = [
        (
            f"{row.network}",
            f"{row.variance:.2%}",
            f"{row.stability:.2f}",
            *([f"{row.recurrence:.2f}", "yes" if row.trusted else "no"] if atlas.halves is not None else []),
            f"{row.key_neurons:,}",
            f"{row.layers}",
            f"{row.label}",
        )
        for row in atlas.table(threshold).itertuples()
    ]
    halves = [("recurs", 6), ("trusted", 7)] if atlas.halves is not None else []
    columns = [("#", 3), ("variance", 8), ("I_q", 4), *halves, ("neurons", 7), ("layers", 6)]
    titles, widths = zip(*columns, strict=True)
    lines: list[str | Table] = [number_table((*titles, "label"), widths, rows)]
    if atlas.trusted_K is not None:
        lines.append(f"{int(atlas.trusted_K.sum())} of {len(atlas)} networks are to be trusted: {LEVELS}.")
    elif len(atlas.passages) >= LEAST_PASSAGES:
        lines.append(
            "Whether these networks come back is not known: half of the text is too short for so many."
            if found.computed
            else "Whether these networks come back was not asked when this atlas was kept; it stands in this table "
            f"after: fnet recur {path}"
        )
    if atlas.converged < 1:
        lines.append(
            f"Only {atlas.converged:.0%} of the ICA restarts converged: read stabilities with care, or try another "
            "contrast or fewer components."
        )
    if atlas.recipe.get("enough"):
        from fnet_core.networks import enough

        lines.append(enough.sentence(atlas.recipe))
    if cut := atlas.recipe.get("cut"):
        lines.append(cut)
    lines.append(
        f"{atlas.tokens:,} tokens in {len(atlas.passages)} passages, "
        + ("found in " if found.computed else "from the store, found in ")
        + f"{sum(atlas.seconds.values()):.1f} s; saved as {path}"
    )
    return result, lines
