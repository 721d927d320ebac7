"""`compare`: two models or fingerprint files, and whether one derives from the other."""

import argparse
from pathlib import Path
from typing import Any

from fnet_core.commands.fingerprint import add_protocol, request_of
from fnet_core.comparison import RESAMPLES, Comparison, compare
from fnet_core.comparison_report import save_report
from fnet_core.fingerprint import Fingerprint
from fnet_core.fingerprint_request import find_fingerprint
from fnet_core.progress import Report

NAME = "compare"
HELP = "compare two models or fingerprint files: derived, independent or inconclusive"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The two sides, how models are fingerprinted, and the report."""
    side = "starter, hub repository, folder, .gguf file, or fingerprint file (.safetensors)"
    parser.add_argument("a", metavar="A", help=side)
    parser.add_argument("b", metavar="B", help=side)
    parser.add_argument("--accept-licence", action="store_true", help="accept the licence that a model asks to accept")
    add_protocol(parser)
    parser.add_argument(
        "--resamples", type=int, default=RESAMPLES, metavar="N", help="resamples for the interval (default %(default)s)"
    )
    parser.add_argument("--report", metavar="F", help="also write one self-contained HTML report")


def run(options: argparse.Namespace, report: Report) -> tuple[dict[str, Any], list[str]]:
    """Fingerprint what is not a fingerprint yet, compare, and write the report."""
    a, b = (_fingerprint(name, options, report) for name in (options.a, options.b))
    found = compare(a, b, seed=options.seed, resamples=options.resamples)
    lines = _lines(found)
    if options.report:
        save_report(found, Path(options.report))
        lines.append(f"report saved as {options.report}")
    return found.summary() | {"report": options.report}, lines


def _fingerprint(name: str, options: argparse.Namespace, report: Report) -> Fingerprint:
    if name.endswith(".safetensors"):
        return Fingerprint.load(Path(name))
    return find_fingerprint(request_of(name, options), report, accept_licence=options.accept_licence).fingerprint


def _lines(found: Comparison) -> list[str]:
    lines = [f"{found.verdict.outcome}: {found.a.model.name} and {found.b.model.name}"]
    lines += [f"  {sentence}" for sentence in found.verdict.reasons]
    lines += [f"  To do: {sentence}" for sentence in found.verdict.advice]
    lines.append(f"{'abs(rho)':>8}  {'a':>3}  {'b':>3}  labels")
    for row in found.table().head(10).itertuples():
        lines.append(f"{row.value:>8.3f}  {row.network_a:>3}  {row.network_b:>3}  {row.label_a}  |  {row.label_b}")
    return lines
