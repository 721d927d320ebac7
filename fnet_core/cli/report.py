"""`report`: an atlas as one HTML page."""

import argparse
from pathlib import Path
from typing import Any

from fnet_core.cli.arguments import add_threshold, check_outputs, checked_threshold
from fnet_core.cli.terminal import Table
from fnet_core.progress import Report

NAME = "report"
HELP = "an atlas as one HTML page that opens offline: scan, labels, contexts, lesions, fingerprint, recipe"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The atlas and the file."""
    parser.add_argument("atlas", metavar="ATLAS", help="file, key of a kept atlas, or 'example'")
    parser.add_argument("--out", metavar="F", required=True, help="the file to write, such as report.html")
    add_threshold(parser)


def stages(options: argparse.Namespace) -> dict[str, float]:
    """None: it takes a moment."""
    return {}


def run(options: argparse.Namespace, report: Report) -> tuple[dict[str, Any], list[str | Table]]:
    """Write the report with what is kept beside the atlas."""
    from fnet_core.networks.opening import atlas_file, opened
    from fnet_core.storage.artifacts import read_header

    threshold = checked_threshold(options)
    check_outputs(options.out)
    read_header(atlas_file(options.atlas))
    from fnet_core.reporting.atlas import save_report
    from fnet_core.reporting.stored import fingerprint_of, lesions_of

    atlas, out = opened(options.atlas), Path(options.out)
    lesions, fingerprint = lesions_of(atlas), fingerprint_of(atlas)
    save_report(atlas, out, threshold, lesions, fingerprint)
    found: dict[str, Any] = {
        "model": atlas.model_name,
        "networks": len(atlas),
        "lesions": len(lesions),
        "fingerprint": fingerprint is not None,
        "bytes": out.stat().st_size,
        "report": str(out),
    }
    beside = f"{len(lesions)} lesion matrices, {'a' if fingerprint else 'no'} fingerprint"
    return found, [f"{len(atlas)} networks of {atlas.model_name}, {beside}: {out}, {found['bytes'] / 1e6:.1f} MB"]
