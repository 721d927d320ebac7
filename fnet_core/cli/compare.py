"""`compare`: two models or fingerprint files, and whether one derives from the other."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fnet_core.choices import RESAMPLES
from fnet_core.cli.arguments import add_sides, check_model, check_outputs
from fnet_core.cli.fingerprint import add_protocol, request_of
from fnet_core.cli.terminal import Table, number_table
from fnet_core.progress import Report

if TYPE_CHECKING:
    from fnet_core.lineage.comparison import Comparison
    from fnet_core.lineage.fingerprint import Fingerprint
    from fnet_core.lineage.request import FingerprintRequest

NAME = "compare"
HELP = "compare two models or fingerprint files: derived, independent or inconclusive"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The two sides, how models are fingerprinted, and the report."""
    add_sides(parser, "starter, hub repository, folder, .gguf file, or fingerprint file (.safetensors)")
    add_protocol(parser)
    parser.add_argument(
        "--resamples", type=int, default=RESAMPLES, metavar="N", help="resamples for the interval (default %(default)s)"
    )
    parser.add_argument(
        "--fingerprint-only", action="store_true", help="leave out the test whether both were trained apart"
    )
    parser.add_argument("--report", metavar="F", help="also write one self-contained HTML report")


def stages(options: argparse.Namespace) -> dict[str, float]:
    """Relative lengths of the stages of each model's fingerprint, for the time left."""
    from fnet_core.lineage.request import STAGES

    models = [letter for letter, name in (("A", options.a), ("B", options.b)) if not name.endswith(".safetensors")]
    lengths = {f"{letter} {stage}": length for letter in models for stage, length in STAGES.items()}
    return lengths | ({} if options.fingerprint_only else {"matching": 10.0})


def run(options: argparse.Namespace, report: Report) -> tuple[dict[str, Any], list[str | Table]]:
    """Fingerprint what is not a fingerprint yet, compare, and write the report."""
    from fnet_core.lineage.comparable import check_options

    check_options(options.seed, options.resamples)
    check_outputs(options.report)
    a, b = taken(options, report)
    from fnet_core.lineage.comparison import compare
    from fnet_core.reporting.comparison import save_report

    found = compare(
        a, b, seed=options.seed, resamples=options.resamples, test=not options.fingerprint_only, report=report
    )
    lines = _lines(found)
    if options.report is not None:
        save_report(found, Path(options.report))
        lines.append(f"report saved as {options.report}")
    return found.summary() | {"report": options.report}, lines


def taken(options: argparse.Namespace, report: Report) -> list[Fingerprint]:
    """The fingerprints of both sides, those of models taken alike; RequestError where they could not be compared."""
    from fnet_core.lineage.comparable import check_protocols

    sides = [_side(name, options) for name in (options.a, options.b)]
    from fnet_core.lineage.taking import taken_alike

    for side in sides:
        _check_readable(side)
    first, second = (_named_protocol(side) for side in sides)
    check_protocols(*first, *second)
    return taken_alike([_taking(side, options, report, letter) for side, letter in zip(sides, "AB", strict=True)])


def _side(name: str, options: argparse.Namespace) -> Fingerprint | FingerprintRequest:
    """The fingerprint in a file, or what to ask of a model; RequestError if there is neither."""
    from fnet_core.lineage.fingerprint import Fingerprint

    if name.endswith(".safetensors"):
        return Fingerprint.load(Path(name))
    check_model(name, options)
    return request_of(name, options)


def _check_readable(side: Fingerprint | FingerprintRequest) -> None:
    """RequestError for a model that FNet cannot read, before the other side is worked on."""
    from fnet_core.lineage.fingerprint import Fingerprint
    from fnet_core.models.cards import peek

    if not isinstance(side, Fingerprint):
        peek(side.model)


def _named_protocol(side: Fingerprint | FingerprintRequest) -> tuple[str, dict[str, Any]]:
    from fnet_core.lineage.fingerprint import Fingerprint

    if isinstance(side, Fingerprint):
        return side.model.name, side.protocol
    return side.model, side.protocol()


def _taking(
    side: Fingerprint | FingerprintRequest, options: argparse.Namespace, report: Report, letter: str
) -> Fingerprint | Callable[[int], Fingerprint]:
    """A fingerprint, or what takes one, given the longest stretch of text to read at once."""
    from fnet_core.lineage.fingerprint import Fingerprint
    from fnet_core.lineage.taking import find_fingerprint

    if isinstance(side, Fingerprint):
        return side

    def told(stage: str, fraction: float) -> None:
        report(f"{letter} {stage}", fraction)

    def take(span: int) -> Fingerprint:
        test, accepted = not options.fingerprint_only, options.accept_licence
        return find_fingerprint(replace(side, span=span), told, test=test, accept_licence=accepted).answer

    return take


def _lines(found: Comparison) -> list[str | Table]:
    lines: list[str | Table] = [f"{found.outcome}: {found.a.model.name} and {found.b.model.name}"]
    lines.append(f"  {found.verdict.statement}")
    lines += [f"  {sentence}" for sentence in found.verdict.reasons]
    if found.independence:
        lines += [f"  {sentence}" for sentence in found.independence.layers_in_words]
    lines += [f"  {side.model.name}: {side.signed_sentence}" for side in (found.a, found.b) if side.signature]
    lines += [f"  To do: {sentence}" for sentence in found.verdict.advice]
    rows = [
        (f"{row.value:.3f}", f"{row.network_a}", f"{row.network_b}", f"{row.label_a}  |  {row.label_b}")
        for row in found.table().head(10).itertuples()
    ]
    return [*lines, number_table(("abs(rho)", "a", "b", "labels"), (8, 3, 3), rows)]
