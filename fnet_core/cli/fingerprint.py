"""`fingerprint`: take a model's functional network fingerprint."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fnet_core.choices import FINGERPRINT_COMPONENTS, FINGERPRINT_SITE, FINGERPRINT_THRESHOLD, SITES
from fnet_core.cli.arguments import add_model, check_model, check_outputs
from fnet_core.errors import RequestError
from fnet_core.progress import Report

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from fnet_core.lineage.probes import Drawn
    from fnet_core.lineage.request import FingerprintRequest

NAME = "fingerprint"
HELP = "take a model's fingerprint, a small file that compares without the model"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The model and what the fingerprint is taken of."""
    add_model(parser)
    add_protocol(parser)
    parser.add_argument("--out", metavar="F", help="also save the fingerprint to this file")
    parser.add_argument("--sign", metavar="KEY", help="sign that file with a key of `fnet keys new`")


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
    parser.add_argument(
        "--probes",
        metavar="SEED",
        help="secret probes: passages drawn by this seed, words that nobody guesses, from the --text that you keep",
    )
    parser.add_argument("--text", metavar="F", help="the text that secret probes are drawn from")


def request_of(model: str, options: argparse.Namespace) -> FingerprintRequest:
    """What the options ask for of one model."""
    from fnet_core import texts
    from fnet_core.lineage.request import FingerprintRequest

    drawn = _drawn(options)
    return FingerprintRequest(
        model=model,
        find=drawn.find if drawn else texts.from_file(options.find) if options.find is not None else (),
        score=drawn.score if drawn else texts.from_file(options.score) if options.score is not None else (),
        site=options.site,
        components=options.components,
        threshold=options.threshold,
        seed=options.seed,
        secret=drawn.secret if drawn else None,
    )


def _drawn(options: argparse.Namespace) -> Drawn | None:
    """The secret probes that the options name, if they name any."""
    if options.probes is None and options.text is None:
        return None
    if options.probes is None or options.text is None:
        raise RequestError("--probes and --text belong together: a seed, and the text that it draws passages from.")
    if options.find is not None or options.score is not None:
        raise RequestError("Secret probes take the place of --find and --score; leave these out.")
    from fnet_core.lineage.probes import draw_from_file

    return draw_from_file(options.text, options.probes)


def _key(options: argparse.Namespace) -> Ed25519PrivateKey | None:
    """The key to sign with, read before anything is measured."""
    if options.sign is None:
        return None
    if options.out is None:
        raise RequestError("--sign signs the file that --out names; give both.")
    from fnet_core.lineage.signing import load_key

    return load_key(Path(options.sign).expanduser())


def stages(options: argparse.Namespace) -> dict[str, float]:
    """Relative lengths of its stages, for the time left."""
    from fnet_core.lineage.request import STAGES

    return STAGES


def run(options: argparse.Namespace, report: Report) -> tuple[dict[str, Any], list[str]]:
    """Take the fingerprint and describe it."""
    check_outputs(options.out)
    key = _key(options)
    request = request_of(options.model, options)
    check_model(options.model, options)
    from fnet_core.lineage.taking import find_fingerprint

    found = find_fingerprint(request, report, accept_licence=options.accept_licence)
    taken, path = found.answer, found.path
    if options.out is not None:
        path = Path(options.out)
        taken = taken.signed(key) if key else taken
        taken.save(path)
    lines = [
        f"{taken.model.name}: {len(taken)} networks, {int(taken.empty_K.sum())} of them without a key neuron, on "
        f"{len(taken.passages)} passages",
        f"weights {taken.model.digest[:16]}, protocol {taken.protocol_digest[:16]}",
    ]
    if taken.signature:
        lines.append(f"{taken.signed_sentence}")
    if taken.is_secret:
        lines.append(
            "Its probes are secret: the file holds none of their words. Keep text and seed, for other models compare "
            "with it on the same ones alone."
        )
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
