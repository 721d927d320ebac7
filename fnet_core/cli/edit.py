"""`edit`: change networks and measure what that does, beside random controls."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fnet_core.choices import LESION_DRAWS
from fnet_core.cli import lesions
from fnet_core.cli.arguments import (
    add_model,
    add_texts,
    add_threshold,
    add_yardstick,
    check_model,
    check_outputs,
    checked_threshold,
    yardstick_of,
)
from fnet_core.cli.perplexity import basis, line_for
from fnet_core.cli.terminal import Table, number_table
from fnet_core.errors import RequestError
from fnet_core.progress import Report
from fnet_core.time_left import MEASURING, RANKING

if TYPE_CHECKING:
    from fnet_core.interventions.edits import Edit
    from fnet_core.interventions.measuring import Intervention
    from fnet_core.interventions.sweeps import Damage
    from fnet_core.networks.atlas import Atlas

CONTROLS = 5
NAME = "edit"
HELP = "inhibit or amplify networks: perplexity and capabilities, beside random controls"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The model, the atlas, the edits, and what to measure them by."""
    add_model(parser)
    parser.add_argument("--atlas", metavar="F", help="the atlas whose networks are edited")
    parser.add_argument(
        "--gain", action="append", default=[], metavar="K=G", help="multiply network K by G: 0 inhibits; repeatable"
    )
    parser.add_argument(
        "--offset", action="append", default=[], metavar="K=O", help="add O to network K's neurons; repeatable"
    )
    parser.add_argument("--all", type=float, metavar="G", dest="all_gain", help="multiply every network by G")
    parser.add_argument("--load", metavar="F", help="edits saved earlier, instead of --atlas")
    parser.add_argument("--rank", action="store_true", help="inhibit each network in turn and sort by damage")
    lesions.add_arguments(parser)
    parser.add_argument(
        "--controls",
        type=int,
        metavar="N",
        help=f"random controls (default {CONTROLS}; {LESION_DRAWS} with --lesion and --keep-only)",
    )
    parser.add_argument("--save", metavar="F", help="save the edits to this file")
    add_threshold(parser)
    add_texts(parser, "score")
    add_yardstick(parser)


def stages(options: argparse.Namespace) -> dict[str, float]:
    """Relative lengths of its stages, for the time left."""
    if lesions.asked(options):
        return lesions.stages(options)
    return RANKING if options.rank else MEASURING


def run(options: argparse.Namespace, report: Report) -> tuple[dict[str, Any], list[str | Table]]:
    """Measure the edits, or every network in turn."""
    yardstick = yardstick_of(options)
    threshold = checked_threshold(options)
    named = options.gain or options.offset or options.all_gain is not None
    if named and (options.load is not None or options.rank):
        raise RequestError("--gain, --offset and --all do not go with --load or --rank; choose one way.")
    if options.csv is not None and not lesions.asked(options):
        raise RequestError("--csv saves the table of --lesion or --keep-only; ask for one of them.")
    if sum((options.rank, options.lesion is not None, options.keep_only is not None)) > 1:
        raise RequestError("--rank, --lesion and --keep-only are three measurements; choose one of them.")
    if lesions.asked(options) and (named or options.load is not None or options.save is not None):
        raise RequestError("--lesion and --keep-only take every network in turn; leave --gain, --load and --save out.")
    if (options.rank or lesions.asked(options)) and options.atlas is None:
        way = "--rank" if options.rank else "--lesion" if options.lesion is not None else "--keep-only"
        raise RequestError(f"{way} needs an atlas; give one with --atlas.")
    from fnet_core.interventions.controls import check_controls
    from fnet_core.interventions.edits import save_edits

    controls = CONTROLS if options.controls is None else options.controls
    check_controls(controls)
    lesions.check(options)
    check_outputs(options.save, options.csv)
    _check_sources(options)
    check_model(options.model, options)
    from fnet_core.networks.atlas import Atlas

    atlas = None if options.atlas is None else Atlas.load(Path(options.atlas))
    if lesions.asked(options) and atlas is not None:
        return lesions.run(options, atlas, yardstick, threshold, report)
    edits, recipe = ((), atlas.recipe) if options.rank and atlas is not None else _edits_of(options, atlas, threshold)
    from fnet_core.interventions.editing import check_recipe
    from fnet_core.interventions.measuring import intervene
    from fnet_core.interventions.sweeps import rank_networks
    from fnet_core.models import loading as models

    loaded = models.get_loaded(options.model, accept_licence=options.accept_licence, report=report)
    check_recipe(loaded, recipe)
    if options.rank and atlas is not None:
        ranking = rank_networks(
            loaded, atlas, yardstick, threshold=threshold, controls=controls, seed=options.seed, report=report
        )
        return {"model": loaded.name, "ranking": [_row(d) for d in ranking]}, _ranking_lines(ranking)
    if options.save is not None:
        save_edits(Path(options.save), edits, recipe)
    measured = intervene(loaded, edits, yardstick, controls=controls, seed=options.seed, report=report)
    return measured.summary() | {"model": loaded.name}, _lines(measured)


def _check_sources(options: argparse.Namespace) -> None:
    """RequestError where there is nothing to edit, or what names it cannot be read."""
    from fnet_core.inputs import check_text
    from fnet_core.interventions.edits import check_change
    from fnet_core.storage.artifacts import read_header

    for _, gain in map(_pair, options.gain):
        check_change(gain=gain)
    for _, offset in map(_pair, options.offset):
        check_change(offset=offset)
    if options.all_gain is not None:
        check_change(gain=options.all_gain)
    if options.atlas is not None:
        read_header(Path(options.atlas))
    if options.load is not None:
        check_text(Path(options.load))
    elif options.atlas is None:
        raise RequestError("Which networks? Give an atlas with --atlas, or saved edits with --load.")


def _edits_of(
    options: argparse.Namespace, atlas: Atlas | None, threshold: float
) -> tuple[tuple[Edit, ...], dict[str, Any]]:
    """The edits and the recipe of the atlas that they come from."""
    from fnet_core.interventions.edits import edit_networks, parse_edits

    if options.load is not None:
        try:
            return parse_edits(Path(options.load).read_text("utf-8"))
        except (OSError, UnicodeDecodeError):
            raise RequestError(f"'{options.load}' cannot be read; give a file that --save wrote.") from None
    assert atlas is not None
    edits = [edit_networks(atlas, [k], threshold, gain=gain) for k, gain in map(_pair, options.gain)]
    edits += [edit_networks(atlas, [k], threshold, offset=offset) for k, offset in map(_pair, options.offset)]
    if options.all_gain is not None:
        edits.append(edit_networks(atlas, range(len(atlas)), threshold, gain=options.all_gain))
    return tuple(edits), atlas.recipe


def _pair(text: str) -> tuple[int, float]:
    network, _, value = text.partition("=")
    try:
        return int(network), float(value)
    except ValueError:
        raise RequestError(f"'{text}' does not name a network and a number; write 8=0 to inhibit network 8.") from None


def _row(damage: Damage) -> dict[str, Any]:
    return {
        "network": damage.network,
        "label": damage.label,
        "key_neurons": damage.key_neurons,
        **damage.measured.summary(),
    }


def _lines(measured: Intervention) -> list[str | Table]:
    lines: list[str | Table] = [f"untouched  {line_for(measured.baseline)}", f"edited     {line_for(measured.edited)}"]
    lines += [f"control {i}  {line_for(control)}" for i, control in enumerate(measured.controls, start=1)]
    lines += [
        f"{edit.name}: {len(edit.neurons):,} neurons, gain {edit.gain:g}"
        + (f", offset {edit.offset:g}" if edit.offset else "")
        for edit in measured.edits
    ]
    return [*lines, basis(measured.baseline)]


def _ranking_lines(ranking: tuple[Damage, ...]) -> list[str | Table]:
    import numpy as np

    rows = []
    for row in ranking:
        values = sorted(control.value for control in row.measured.controls)
        spread = f"{np.median(values):.4g} ({values[0]:.4g} to {values[-1]:.4g})" if values else "none"
        inhibited = f"{row.measured.edited.value:.4g}"
        rows.append((f"{row.network}", f"{row.key_neurons:,}", inhibited, spread, row.label))
    titles = ("#", "neurons", "inhibited", "control median (range)", "label")
    untouched = ranking[0].measured.baseline
    return [number_table(titles, (3, 7, 10, 26), rows), f"untouched {line_for(untouched)}", basis(untouched)]
