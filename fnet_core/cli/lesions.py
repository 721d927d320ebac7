"""What `edit --lesion` and `edit --keep-only` do: all networks one after the other, or all else silenced."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fnet_core.checks import check_range
from fnet_core.choices import LESION_DRAWS
from fnet_core.cli.capabilities import add_battery, battery_of, check_items
from fnet_core.cli.terminal import Table, number_table
from fnet_core.progress import Report
from fnet_core.time_left import KEEPING, LESIONS

if TYPE_CHECKING:
    from fnet_core.capability.lesions import LesionMatrix
    from fnet_core.evaluation.request import Yardstick
    from fnet_core.networks.atlas import Atlas

LISTED = 15


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--lesion, --keep-only and what goes with them."""
    parser.add_argument(
        "--lesion",
        nargs="*",
        type=float,
        metavar="G",
        help="multiply each network in turn by G (default 0, inhibited; several: one matrix each) and measure every "
        "capability beside matched random lesions",
    )
    parser.add_argument(
        "--keep-only",
        nargs="*",
        type=int,
        metavar="K",
        help="silence all but the K networks of largest variance (default: a quarter, half and all of them)",
    )
    parser.add_argument(
        "--thresholds", nargs="+", type=float, metavar="Z", help="with --keep-only: several in place of --threshold"
    )
    parser.add_argument("--csv", metavar="F", help="with --lesion or --keep-only: also save the table as CSV")
    add_battery(parser)


def asked(options: argparse.Namespace) -> bool:
    """Whether one of the two is asked for."""
    return options.lesion is not None or options.keep_only is not None


def check(options: argparse.Namespace) -> None:
    """RequestError for a number that no measurement has, before anything is read."""
    from fnet_core.interventions.edits import check_change

    check_items(options)
    for gain in options.lesion or ():
        check_change(gain=gain)
    for count in options.keep_only or ():
        check_range(count, 1, math.inf, f"{count} networks are", "choose 1 or more")
    for threshold in options.thresholds or ():
        check_range(threshold, 0, math.inf, f"The threshold {threshold} is", "choose 0 or more, such as 3", "[)")


def stages(options: argparse.Namespace) -> dict[str, float]:
    """Relative lengths of its stages, for the time left."""
    return LESIONS if options.lesion is not None else KEEPING


def run(
    options: argparse.Namespace, atlas: Atlas, yardstick: Yardstick, threshold: float, report: Report
) -> tuple[dict[str, Any], list[str | Table]]:
    """Measure the matrices, or the curve."""
    battery = battery_of(options)
    from fnet_core.capability import keeping
    from fnet_core.capability.lesions import LesionRequest, lesions
    from fnet_core.models.loading import get_loaded
    from fnet_core.progress import part_of

    gains = options.lesion or ([0.0] if options.lesion is not None else [])
    draws = LESION_DRAWS if options.controls is None else options.controls
    requests = [LesionRequest(threshold, gain, draws, options.seed) for gain in gains]
    thresholds = tuple(options.thresholds or [threshold])
    counts = tuple(options.keep_only or keeping.steps(atlas))
    kept = keeping.KeepRequest(counts, thresholds, draws, options.seed)
    if not requests:
        kept.edits(atlas)
    loaded = get_loaded(options.model, accept_licence=options.accept_licence, report=report)
    if requests:
        matrices = [
            lesions(loaded, atlas, battery, request, part_of(report, number, len(requests)))
            for number, request in enumerate(requests)
        ]
        return _matrices(options, matrices)
    found = keeping.preserve(loaded, atlas, battery, yardstick, kept, report)
    _save(options.csv, found.table())
    titles = ("K", "|z| >", "neurons", "share", "perplexity", "random", "accuracy", "random")
    rows = [
        (
            *(f"{row.networks}", f"{row.threshold:g}", f"{row.neurons:,}", f"{row.share:.1%}"),
            *(f"{row.perplexity:.4g}", f"{row.random_perplexity:.4g}"),
            *(f"{row.accuracy:.3f}", f"{row.random_accuracy:.3f}"),
        )
        for row in found.table().itertuples()
    ]
    return found.summary(), [number_table(titles, (4, 5, 8, 7, 10, 10, 8, 8), rows), found.sentence]


def _matrices(options: argparse.Namespace, matrices: list[LesionMatrix]) -> tuple[dict[str, Any], list[str | Table]]:
    import pandas as pd

    from fnet_core.capability.dissociations import helped, sentences, summary

    tables = [matrix.table().assign(gain=matrix.gain) for matrix in matrices]
    _save(options.csv, pd.concat(tables, ignore_index=True))
    parts: list[str | Table] = []
    for matrix in matrices:
        table = matrix.table().head(LISTED)
        randoms = [
            "-" if missing else f"{value:.2f}"
            for value, missing in zip(table["random"], table["random"].isna(), strict=True)
        ]
        rows = [
            (
                *(f"{row.network}", f"{row.untouched:.2f}", f"{row.changed:.2f}", random, f"{row.q:.2g}"),
                ("* " if row.survives else "  ") + f"{row.capability}, {row.label}",
            )
            for row, random in zip(table.itertuples(), randoms, strict=True)
        ]
        parts.append(f"Gain {matrix.gain:g}, {len(matrix.networks)} networks, the surest cells:")
        parts.append(number_table(("#", "before", "after", "random", "q", ""), (3, 6, 6, 6, 8), rows))
        parts += sentences(matrix)
    found: dict[str, Any] = {"lesions": [summary(matrix) for matrix in matrices]}
    cells = helped(matrices)
    if len(cells):
        best = cells.astype(object).where(cells.notna(), None).head(LISTED).to_dict("records")
        found["amplification"] = {"helped": int(cells["helps"].sum()), "cells": best}
        parts.append(
            f"Amplification over all gains: {int(cells['helps'].sum())} cells are a gain beyond every random lesion, "
            "controlled over all of them, with an interval of the change that excludes zero."
        )
    return found, parts


def _save(file: str | None, table: Any) -> None:
    from fnet_core.storage.artifacts import atomic_file

    if file is not None:
        with atomic_file(Path(file)) as temporary:
            table.to_csv(temporary, index=False)
