"""`replay`: compute what a bundle holds again, and say figure by figure whether it agrees."""

import argparse
from pathlib import Path
from typing import Any

from fnet_core.cli.arguments import add_licence
from fnet_core.cli.terminal import Table
from fnet_core.progress import Report

NAME = "replay"
HELP = "compute what a bundle holds again, and say figure by figure whether it agrees"
DIFFERS = 3
"""The exit status where a figure differs."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The bundle and its model."""
    parser.add_argument("bundle", metavar="BUNDLE", help="a file that fnet bundle wrote")
    parser.add_argument("--model", metavar="M", help="where the model is (default: as the atlas names it)")
    parser.add_argument("--all", action="store_true", help="lesion matrices and the fingerprint too, which take long")
    add_licence(parser)


def stages(options: argparse.Namespace) -> dict[str, float]:
    """Relative lengths of its stages, for the time left."""
    from fnet_core.networks.request import STAGES

    return STAGES


def status(result: dict[str, Any]) -> int:
    """0 where no figure differs."""
    return 0 if result["agrees"] else DIFFERS


def run(options: argparse.Namespace, report: Report) -> tuple[dict[str, Any], list[str | Table]]:
    """Replay the bundle and tell."""
    from fnet_core.errors import RequestError
    from fnet_core.inputs import check_plain

    path = Path(options.bundle).expanduser()
    check_plain(path)
    if not path.is_file():
        raise RequestError(f"There is no file {path}; check the path.")
    from fnet_core.reporting.bundle import load_bundle

    bundle = load_bundle(path)
    from fnet_core.models.loading import get_loaded
    from fnet_core.reporting.replay import replay

    name = options.model or bundle.atlas.model_name
    loaded = get_loaded(name, accept_licence=options.accept_licence, report=report)
    found = replay(bundle, loaded, everything=options.all, report=report)
    rows = tuple((line.outcome, line.figure, line.said) for line in found.lines)
    lines = tuple(f"{a:<12}  {b}" + (f": {c}" if c else "") for a, b, c in rows)
    made = f"Made by FNet {bundle.made_by} on {bundle.platform}."
    return found.summary(), [Table(("", "figure", ""), rows, lines), *found.notes, made, found.sentence]
