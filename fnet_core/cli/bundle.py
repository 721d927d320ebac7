"""`bundle`: an atlas with all that belongs to it as one file that can be replayed."""

import argparse
from pathlib import Path
from typing import Any

from fnet_core.cli.arguments import add_licence, check_outputs
from fnet_core.cli.terminal import Table
from fnet_core.progress import Report
from fnet_core.time_left import MEASURING

NAME = "bundle"
HELP = "an atlas with labels, edits, plans, lesions, fingerprint and recipe as one file, for fnet replay"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The atlas, what else goes in, and the file."""
    parser.add_argument("atlas", metavar="ATLAS", help="file, key of a kept atlas, or 'example'")
    parser.add_argument("--out", metavar="F", required=True, help="the file to write, such as atlas.fnet.zip")
    parser.add_argument("--edits", nargs="+", default=[], metavar="F", help="saved edits; perplexity is measured")
    parser.add_argument("--plans", nargs="+", default=[], metavar="F", help="saved pruning plans")
    parser.add_argument("--model", metavar="M", help="where the model is, to measure edits (default: the atlas's name)")
    add_licence(parser)


def stages(options: argparse.Namespace) -> dict[str, float]:
    """Relative lengths of its stages, for the time left."""
    return MEASURING if options.edits else {}


def run(options: argparse.Namespace, report: Report) -> tuple[dict[str, Any], list[str | Table]]:
    """Write the bundle with what is kept beside the atlas."""
    from fnet_core.networks.opening import atlas_file, opened
    from fnet_core.storage.artifacts import read_header

    check_outputs(options.out)
    read_header(atlas_file(options.atlas))
    from fnet_core.reporting.bundle import read_plans, read_texts, save_bundle
    from fnet_core.reporting.replay import bundle_of
    from fnet_core.reporting.stored import fingerprint_of, lesions_of

    edits, plans = read_texts(options.edits), read_plans(options.plans)
    atlas, out = opened(options.atlas), Path(options.out)
    loaded = None
    if edits:
        from fnet_core.models.loading import get_loaded

        name = options.model or atlas.model_name
        loaded = get_loaded(name, accept_licence=options.accept_licence, report=report)
    made = bundle_of(
        atlas,
        edits=edits,
        plans=plans,
        lesions=lesions_of(atlas),
        fingerprint=fingerprint_of(atlas),
        loaded=loaded,
        report=report,
    )
    save_bundle(made, out)
    found = made.summary() | {"bytes": out.stat().st_size, "bundle": str(out)}
    parts = [f"{found[name]} {name}" for name in ("labels", "edits", "plans", "lesions")]
    said = f"{found['networks']} networks of {atlas.model_name}, {', '.join(parts)}"
    said += ", a fingerprint" if found["fingerprint"] else ", no fingerprint"
    return found, [f"{said}: {out}, {found['bytes'] / 1e6:.1f} MB", f"fnet replay {out} computes it again"]
