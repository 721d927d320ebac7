"""`logits`: the tokens that each network of an atlas promotes and suppresses, beside random neurons."""

import argparse
from pathlib import Path
from typing import Any

from fnet_core.cli.arguments import add_model, add_threshold, check_model, checked_threshold
from fnet_core.cli.terminal import Table, number_table
from fnet_core.progress import Report
from fnet_core.time_left import LOGITS
from fnet_core.visible import visible

NAME = "logits"
HELP = "the tokens that networks promote and suppress, beside random neurons"
_SHOWN = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The model, its atlas, and the threshold."""
    add_model(parser)
    parser.add_argument("--atlas", metavar="F", required=True, help="the atlas whose networks are read out")
    add_threshold(parser)


def stages(options: argparse.Namespace) -> dict[str, float]:
    """Relative lengths of the stages, for the time left."""
    return LOGITS


def run(options: argparse.Namespace, report: Report) -> tuple[dict[str, Any], list[str | Table]]:
    """Load the model and read every network out."""
    from fnet_core.storage.artifacts import read_header

    threshold = checked_threshold(options)
    read_header(Path(options.atlas))
    check_model(options.model, options)
    from fnet_core.models.loading import get_loaded
    from fnet_core.networks.atlas import Atlas
    from fnet_core.networks.direct import CAVEAT, direct_effect

    atlas = Atlas.load(Path(options.atlas))
    loaded = get_loaded(options.model, accept_licence=options.accept_licence, report=report)
    found = direct_effect(loaded, atlas, threshold, options.seed, report)
    rows = []
    for network in found.networks:
        table = found.table(network).head(_SHOWN)
        random = found.random_of(network)
        beside = f"{random.min():.1f} to {random.max():.1f}" if len(random) else "none"
        up, down = (" ".join(visible(repr(token)) for token in table[side]) for side in ("promoted", "suppressed"))
        rows.append((f"{network}", f"{table['promoted_sd'][0]:.1f}", beside, f"{up}  |  {down}"))
    lines: list[str | Table] = [
        number_table(("#", "top SD", "random", "promoted  |  suppressed"), (3, 6, 10), rows),
        CAVEAT,
    ]
    return found.summary(), lines
