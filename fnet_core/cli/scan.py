"""`scan`: which of many known fingerprints could be a model's parent, as a set with stated coverage."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fnet_core.checks import check_range
from fnet_core.cli.arguments import add_engine, add_licence, check_outputs
from fnet_core.cli.audit import INCOMPLETE, add_comparison, check_given, number
from fnet_core.cli.fingerprint import request_of
from fnet_core.cli.terminal import Table
from fnet_core.errors import RequestError
from fnet_core.progress import Report

if TYPE_CHECKING:
    from fnet_core.lineage.scan import Scan

NAME = "scan"
HELP = "tell which of many known fingerprints could be a model's parent: a set, none included"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The model, the known fingerprints, and how the model is fingerprinted."""
    parser.add_argument(
        "model", metavar="MODEL", help="starter, hub repository, folder, .gguf file, or fingerprint file (.safetensors)"
    )
    parser.add_argument("--against", metavar="FOLDER", required=True, help="folder with fingerprint files")
    parser.add_argument(
        "--nearest", type=int, metavar="N", help="compare only the N nearest by a short vector (default: all)"
    )
    add_licence(parser)
    add_comparison(parser)
    add_engine(parser, "take and compare the fingerprints")
    parser.add_argument("--csv", metavar="F", help="also write a row per known fingerprint")


def stages(options: argparse.Namespace) -> dict[str, float]:
    """Relative lengths of the stages, for the time left."""
    return {"files": 5.0, "fingerprints": 20.0, "comparing": 20.0}


def status(result: dict[str, Any]) -> int:
    """0 where every file could be read."""
    return INCOMPLETE if result["failed"] else 0


def run(options: argparse.Namespace, report: Report) -> tuple[dict[str, Any], list[str | Table]]:
    """Fingerprint the model unless it is one, compare it with each file, and tell."""
    from fnet_core.lineage.comparable import check_options

    check_options(options.seed, options.resamples)
    if options.nearest is not None:
        check_range(options.nearest, 1, math.inf, f"{options.nearest} nearest models are", "choose 1 or more")
    check_outputs(options.csv)
    request = request_of("", options)
    check_given(options.model, options)
    from fnet_core.lineage.subjects import check_enough, fingerprint_files, take

    if not fingerprint_files(options.against):
        raise RequestError(
            f"{options.against} holds no fingerprint file; make some with: fnet fingerprint MODEL --out F."
        )
    test = not options.fingerprint_only
    from fnet_core.engine.client import engine_at

    with engine_at(options.engine, options.tls) as engine:
        taken = take([options.model], request, report, test=test, engine=engine, accept_licence=options.accept_licence)
        check_enough(taken, 1)
        from fnet_core.lineage.index import known_in
        from fnet_core.lineage.scan import scan

        known = known_in(options.against, vectors=options.nearest is not None, report=report)
        found = scan(
            taken.subjects[0],
            known,
            seed=options.seed,
            resamples=options.resamples,
            test=test,
            nearest=options.nearest,
            engine=engine,
            report=report,
        )
    lines: list[str | Table] = [*found.sentences(), _table(found)]
    if options.csv is not None:
        from fnet_core.storage.artifacts import atomic_file

        with atomic_file(Path(options.csv)) as temporary:
            found.table().to_csv(temporary, index=False)
        lines.append(f"candidates saved as {options.csv}")
    return found.summary() | {"csv": options.csv}, lines


def _table(found: Scan) -> Table:
    titles = ("score", "p", "p, Holm", "parent?", "verdict", "model", "because")
    rows, lines = [], []
    for each in found.candidates:
        pair = each.pair
        row = (
            *(number(pair.score, ".3f"), number(pair.p, ".2g"), number(pair.holm_p, ".2g")),
            *("possible" if each.possible else "no", pair.outcome, each.subject.label, each.reason),
        )
        rows.append(row)
        lines.append(f"{row[0]:>6}  {row[1]:>7}  {row[2]:>7}  {row[3]:<8}  {row[4]:<14}  {row[5]}: {row[6]}")
    heading = (
        f"{titles[0]:>6}  {titles[1]:>7}  {titles[2]:>7}  {titles[3]:<8}  {titles[4]:<14}  {titles[5]}: {titles[6]}"
    )
    return Table(titles, tuple(rows), (heading, *lines), numbers=3)
