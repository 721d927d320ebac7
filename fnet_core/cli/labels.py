"""`labels`: what people say of an atlas's networks, and saying something."""

from __future__ import annotations

import argparse
import math
from typing import Any

from fnet_core.checks import check_range
from fnet_core.cli.terminal import Table, number_table
from fnet_core.errors import RequestError
from fnet_core.progress import Report

NAME = "labels"
HELP = "label the networks of an atlas: your own words, accepted, rejected, notes; they are kept and travel with it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The atlas, what is said of its networks, and what is looked for."""
    parser.add_argument("atlas", metavar="ATLAS", help="file, key of a kept atlas, or 'example'")
    parser.add_argument(
        "--label", action="append", default=[], metavar="K=TEXT", help="call network K so; K= takes it back; repeatable"
    )
    parser.add_argument(
        "--note", action="append", default=[], metavar="K=TEXT", help="note on network K; K= takes it back; repeatable"
    )
    for name, what in (
        ("accept", "the labels of these networks fit"),
        ("reject", "they do not"),
        ("undecided", "take either back"),
    ):
        parser.add_argument(f"--{name}", type=int, nargs="+", default=[], metavar="K", help=what)
    parser.add_argument("--search", metavar="WORD", help="list the networks with this in number, label or note")


def stages(options: argparse.Namespace) -> dict[str, float]:
    """None: it is done at once."""
    return {}


def run(options: argparse.Namespace, report: Report) -> tuple[dict[str, Any], list[str | Table]]:
    """Keep what is said, and list the networks."""
    said: list[tuple[int, dict[str, Any]]] = []
    for part in ("label", "note"):
        said += [(network, {part: text}) for network, text in map(_pair, getattr(options, part))]
    for name, verdict in (("accept", "accepted"), ("reject", "rejected"), ("undecided", "")):
        said += [(network, {"verdict": verdict}) for network in getattr(options, name)]
    for network, _ in said:
        check_range(network, 0, math.inf, f"Network {network} is", "choose 0 or more")
    from fnet_core.networks import annotations
    from fnet_core.networks.opening import atlas_file, opened
    from fnet_core.storage.artifacts import read_header

    for _, parts in said:
        annotations.Annotation(**parts)
    read_header(atlas_file(options.atlas))
    atlas = opened(options.atlas)
    for network, _ in said:
        atlas.layers_of(network)
    for network, parts in said:
        atlas = annotations.changed(atlas, network, **parts)
    shown = annotations.sought(atlas, options.search) if options.search else range(len(atlas))
    nothing = annotations.Annotation()
    rows = [
        {
            "network": network,
            "label": atlas.named[network],
            "automatic": atlas.labels[network],
            "verdict": atlas.annotations.get(network, nothing).verdict,
            "note": atlas.annotations.get(network, nothing).note,
        }
        for network in shown
    ]
    cells = [(f"{row['network']}", str(row["verdict"] or "-"), _line(row)) for row in rows]
    lines: list[str | Table] = [number_table(("#", "verdict", "label (automatic): note"), (3, 8), cells)]
    lines.append(f"{len(atlas.annotations)} of {len(atlas)} networks of {atlas.model_name} have something said of them")
    return {"atlas": atlas.key, "model": atlas.model_name, "networks": rows}, lines


def _pair(text: str) -> tuple[int, str]:
    network, equals, words = text.partition("=")
    if not (equals and network.isascii() and network.isdigit() and len(network) < 10):
        raise RequestError(f"'{text[:40]}' does not name a network and a text; write 8='opening brackets'.")
    return int(network), words


def _line(row: dict[str, Any]) -> str:
    own = "" if row["label"] == row["automatic"] else f" ({row['automatic']})"
    return f"{row['label']}{own}" + (f": {row['note']}" if row["note"] else "")
