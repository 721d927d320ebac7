"""`fingerprint`: take a model's functional network fingerprint."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fnet_core.choices import FINGERPRINT_COMPONENTS, FINGERPRINT_SITE, FINGERPRINT_THRESHOLD, SITES
from fnet_core.cli.arguments import add_model, check_model, check_outputs
from fnet_core.progress import Report

if TYPE_CHECKING:
    from fnet_core.lineage.request import FingerprintRequest

NAME = "fingerprint"
HELP = "take a model's fingerprint, a small file that compares without the model"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The model and what the fingerprint is taken of."""
    add_model(parser)
    add_protocol(parser)
    parser.add_argument("--out", metavar="F", help="also save the fingerprint to this file")


def add_protocol(parser: argparse.ArgumentParser) -> None:
    """The choices that two fingerprints must share to be compared."""
    parser.add_argument(
        "--site", choices=SITES, default=FINGERPRINT_SITE, help=f"where to read (default {FINGERPRINT_SITE})"
    )
    parser.add_argument(
        "--components", type=int, default=FINGERPRINT_COMPONENTS, metavar="K", help="networks (default %(default)s)"
    )
    parser.add_argument(
        "--threshold",
        type=float,
        default=FINGERPRINT_THRESHOLD,
        metavar="Z",
        help="abs(z) above which a neuron is a key neuron (default %(default)s)",
    )
    parser.add_argument("--find", metavar="F", help="text to find networks on (default: the bundled passages)")
    parser.add_argument("--score", metavar="F", help="text to score on (default: the bundled passages)")


def request_of(model: str, options: argparse.Namespace) -> FingerprintRequest:
    """What the options ask for of one model."""
    from fnet_core import texts
    from fnet_core.lineage.request import FingerprintRequest

    return FingerprintRequest(
        model=model,
        find=texts.from_file(options.find) if options.find is not None else (),
        score=texts.from_file(options.score) if options.score is not None else (),
        site=options.site,
        components=options.components,
        threshold=options.threshold,
        seed=options.seed,
    )


def stages(options: argparse.Namespace) -> dict[str, float]:
    """Relative lengths of its stages, for the time left."""
    from fnet_core.lineage.request import STAGES

    return STAGES


def run(options: argparse.Namespace, report: Report) -> tuple[dict[str, Any], list[str]]:
    """Take the fingerprint and describe it."""
    check_outputs(options.out)
    request = request_of(options.model, options)
    check_model(options.model, options)
    from fnet_core.lineage.taking import find_fingerprint

    found = find_fingerprint(request, report, accept_licence=options.accept_licence)
    taken, path = found.answer, found.path
    if options.out is not None:
        path = Path(options.out)
        taken.save(path)
    lines = [
        f"{taken.model.name}: {len(taken)} networks, {int(taken.empty_K.sum())} of them without a key neuron, on "
        f"{len(taken.passages)} passages",
        f"weights {taken.model.digest[:16]}, protocol {taken.protocol_digest[:16]}",
    ]
    if taken.span:
        lines.append(
            f"{taken.model.name} reads too few tokens at once for whole passages, so they were read in pieces of at "
            f"most {taken.span} characters."
        )
    if taken.neurons is None:
        lines.append(f"It has no signatures of neurons for the independence test, because {taken.untested}.")
    if not taken.reads_probes:
        lines.append(
            f"It needs {taken.bits_per_byte:.2f} bits per byte of these passages, a file compressor "
            f"{taken.compressor_bits_per_byte:.2f}: it hardly reads their language."
        )
    lines.append(
        ("taken in " if found.computed else "from the store, taken in ")
        + f"{sum(taken.seconds.values()):.1f} s; saved as {path} ({path.stat().st_size / 1e6:.1f} MB)"
    )
    return taken.summary() | {"computed": found.computed, "artifact": str(path)}, lines
