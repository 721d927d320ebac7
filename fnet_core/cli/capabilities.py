"""`capabilities`: what a model can do, in minimal pairs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fnet_core.checks import check_range
from fnet_core.choices import CAPABILITY_NAMES, ITEMS, MOST_ITEMS
from fnet_core.cli.arguments import add_model, check_model, check_outputs
from fnet_core.cli.terminal import Table, number_table
from fnet_core.progress import Report
from fnet_core.time_left import ASKING

if TYPE_CHECKING:
    from fnet_core.capability.battery import Battery

NAME = "capabilities"
HELP = "measure what a model can do: agreement, induction, sums and more, with intervals and chance"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The model, and which items."""
    add_model(parser)
    add_battery(parser)
    parser.add_argument("--csv", metavar="F", help="also save the table as CSV")


def add_battery(parser: argparse.ArgumentParser) -> None:
    """--items and --only."""
    parser.add_argument("--items", type=int, default=ITEMS, metavar="N", help=f"items per capability (default {ITEMS})")
    parser.add_argument("--only", nargs="+", choices=CAPABILITY_NAMES, metavar="NAME", help=", ".join(CAPABILITY_NAMES))


def check_items(options: argparse.Namespace) -> None:
    """RequestError for a number of items that no battery has."""
    what = f"{options.items} items per capability are"
    check_range(options.items, 1, MOST_ITEMS, what, f"choose 1 to {MOST_ITEMS}")


def battery_of(options: argparse.Namespace) -> Battery:
    """The battery that the options name."""
    from fnet_core.capability.battery import make_battery

    return make_battery(options.items, options.seed, options.only)


def stages(options: argparse.Namespace) -> dict[str, float]:
    """Relative lengths of its stages, for the time left."""
    return ASKING


def run(options: argparse.Namespace, report: Report) -> tuple[dict[str, Any], list[str | Table]]:
    """Measure, or read what was measured before."""
    check_items(options)
    check_outputs(options.csv)
    check_model(options.model, options)
    battery = battery_of(options)
    from fnet_core.capability.profiles import profile
    from fnet_core.models.loading import get_loaded
    from fnet_core.storage.artifacts import atomic_file

    loaded = get_loaded(options.model, accept_licence=options.accept_licence, report=report)
    found = profile(loaded, battery, report=report)
    table = found.table()
    if options.csv is not None:
        with atomic_file(Path(options.csv)) as temporary:
            table.to_csv(temporary, index=False)
    rows = [
        (
            *(f"{row.accuracy:.3f}", f"{row.low:.3f}", f"{row.high:.3f}", f"{row.items}", f"{row.left_out}"),
            *(f"{row.margin:.2f}", f"{row.title} ({row.capability})"),
        )
        for row in table.itertuples()
    ]
    titles = ("right", "low", "high", "items", "left out", "nats", "capability")
    return found.summary() | {"model": loaded.name}, [
        f"{loaded.name}: share of items at which the right continuation is likelier (95 % interval; chance 0.5)",
        number_table(titles, (6, 6, 6, 5, 8, 6), rows),
        f"left out: what the tokenizer cannot tell apart. nats: right less wrong, mean. Seed {options.seed}.",
    ]
