"""`changes`: what changed between two related models: networks, layers, and where in a text they part."""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING, Any

from fnet_core.checks import check_range
from fnet_core.cli import compare
from fnet_core.cli.arguments import add_sides
from fnet_core.cli.fingerprint import add_protocol
from fnet_core.cli.terminal import Table, number_table
from fnet_core.progress import Report, part_of

if TYPE_CHECKING:
    from fnet_core.lineage.parting import Parting

NAME = "changes"
HELP = "what changed between two related models: networks, layers, and where in a text they part"

_FILES = "Where they part in a text takes both models, not their files."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The two sides and how they are fingerprinted."""
    add_sides(parser, "starter, hub repository, folder, .gguf file, or fingerprint file (.safetensors)")
    add_protocol(parser)
    parser.add_argument("--show", type=int, default=5, metavar="N", help="passages to name (default %(default)s)")


def stages(options: argparse.Namespace) -> dict[str, float]:
    """Relative lengths of its stages, for the time left."""
    options.fingerprint_only = False
    return compare.stages(options) | {"loading": 2.0, "reading": 4.0}


def run(options: argparse.Namespace, report: Report) -> tuple[dict[str, Any], list[str | Table]]:
    """Fingerprint what is none yet, say what changed, and read the passages with both models."""
    check_range(options.show, 0, math.inf, f"--show {options.show} is", "choose 0 or more, such as 5")
    options.fingerprint_only = False
    sides = compare.taken(options, report)
    from fnet_core.lineage.changes import changes_of
    from fnet_core.lineage.comparison import compare as compared

    found = changes_of(compared(*sides, seed=options.seed, report=report))
    lines: list[str | Table] = [f"{found.comparison.outcome}: {options.a} and {options.b}", *found.sentences()]
    rows = [
        (f"{row.agreement:.2f}", _number(row.network_a), _number(row.network_b), f"{row.what}: {row.label}")
        for row in found.networks().head(12).itertuples()
    ]
    lines.append(number_table(("abs(rho)", "a", "b", "networks"), (8, 3, 3), rows))
    if any(name.endswith(".safetensors") for name in (options.a, options.b)):
        return found.summary() | {"passages": None}, [*lines, _FILES]
    parted = _parting(options, report)
    told = [f"{each.mean:.3f} bits  {each.passage.name}: {_furthest(each)}" for each in parted[: options.show]]
    passages = [{"name": each.passage.name, "bits": each.mean} for each in parted]
    mean = sum(each.mean for each in parted) / len(parted)
    lines.append(f"They part by {mean:.3f} bits a token (Jensen-Shannon, at most 1), furthest in:")
    return found.summary() | {"passages": passages, "bits": mean}, [*lines, *told]


def _parting(options: argparse.Namespace, report: Report) -> tuple[Parting, ...]:
    from fnet_core.cli.fingerprint import request_of
    from fnet_core.lineage.parting import parting
    from fnet_core.models.loading import get_loaded

    a, b = (
        get_loaded(name, accept_licence=options.accept_licence, report=part_of(report, number, 2))
        for number, name in enumerate((options.a, options.b))
    )
    return parting(a, b, request_of(options.a, options).score, report)


def _number(network: Any) -> str:
    return str(network).replace("<NA>", "")


def _furthest(each: Parting) -> str:
    return ", ".join(f"{token.strip() or token!r} ({bits:.2f})" for token, bits in each.furthest(4))
