"""`audit`: many models against each other, with p-values corrected for all pairs and the families in words."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fnet_core.choices import RESAMPLES
from fnet_core.cli.arguments import add_engine, add_licence, check_model, check_outputs
from fnet_core.cli.fingerprint import add_protocol, request_of
from fnet_core.cli.terminal import Table
from fnet_core.errors import RequestError
from fnet_core.progress import Report

if TYPE_CHECKING:
    from fnet_core.lineage.audit import Audit

NAME = "audit"
HELP = "compare many models, all pairs: verdicts, corrected p-values, families"
INCOMPLETE = 1
"""The exit status where a model could not be read; what the others gave is shown all the same."""

SHOWN = 100
"""Pairs that are printed, related and most alike first."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The models, how they are fingerprinted, and the files to write."""
    parser.add_argument(
        "models",
        metavar="MODEL",
        nargs="+",
        help="starter, hub repository, folder, .gguf file, fingerprint file (.safetensors), or a folder of these",
    )
    add_licence(parser)
    add_comparison(parser)
    add_engine(parser, "take and compare the fingerprints")
    parser.add_argument("--csv", metavar="F", help="also write a row per pair")
    parser.add_argument("--html", metavar="F", help="also write one self-contained HTML report")


def add_comparison(parser: argparse.ArgumentParser) -> None:
    """How models are fingerprinted, and how two are compared."""
    add_protocol(parser)
    parser.add_argument(
        "--resamples", type=int, default=RESAMPLES, metavar="N", help="resamples for the interval (default %(default)s)"
    )
    parser.add_argument(
        "--fingerprint-only", action="store_true", help="leave out the test whether two were trained apart"
    )


def stages(options: argparse.Namespace) -> dict[str, float]:
    """Relative lengths of the stages, for the time left."""
    count = len(options.models)
    return {"fingerprints": 40.0 * count, "comparing": 5.0 * count * (count - 1)}


def status(result: dict[str, Any]) -> int:
    """0 where every model could be read."""
    return INCOMPLETE if result["failed"] else 0


def run(options: argparse.Namespace, report: Report) -> tuple[dict[str, Any], list[str | Table]]:
    """Fingerprint what is not a fingerprint yet, compare all pairs, and write the files."""
    from fnet_core.lineage.comparable import check_options

    check_options(options.seed, options.resamples)
    check_outputs(options.csv, options.html)
    request = request_of("", options)
    from fnet_core.lineage.subjects import check_enough, spread, take

    given = spread(options.models)
    check_some(given, options, 2)
    from fnet_core.engine.client import engine_at

    choices = {"test": not options.fingerprint_only, "accept_licence": options.accept_licence}
    with engine_at(options.engine, options.tls) as engine:
        taken = take(given, request, report, engine=engine, **choices)
        check_enough(taken)
        from fnet_core.lineage.audit import audit

        found = audit(
            taken,
            seed=options.seed,
            resamples=options.resamples,
            test=not options.fingerprint_only,
            engine=engine,
            report=report,
        )
    lines: list[str | Table] = [_matrix(found)]
    if len(found.pairs) > SHOWN:
        lines.append(f"and {len(found.pairs) - SHOWN:,} pairs more (--csv has them all)")
    lines += [*found.sentences(), found.correction]
    lines += write(found, options.csv, options.html)
    return found.summary() | {"csv": options.csv, "html": options.html}, lines


def check_some(given: Sequence[str], options: argparse.Namespace, least: int) -> None:
    """RequestError with the reasons where it shows before any work that fewer than `least` can be read."""
    if len(given) < least:
        raise RequestError(f"{least} models or more are needed, and {len(given)} was given; name another.")
    problems = []
    for name in given:
        try:
            check_given(name, options)
        except RequestError as error:
            problems.append(f"{name}: {error}")
    if len(given) - len(problems) < least:
        raise RequestError(
            f"{len(given) - len(problems)} of {len(given)} models can be read, and {least} are needed. "
            + " ".join(problems)
        )


def check_given(name: str, options: argparse.Namespace) -> None:
    """RequestError for a fingerprint file that is not there, or a model that cannot be used; an engine's workers judge
    what they are to read.
    """
    from fnet_core.engine.naming import named
    from fnet_core.lineage.subjects import is_file

    if not is_file(name):
        if named(options.engine, options.tls) is None:
            check_model(name, options)
    elif not Path(name).is_file():
        raise RequestError(f"There is no file {name}; check the path or make it again.")


def write(found: Audit, csv: str | None, html: str | None) -> list[str]:
    """Write the table and the report, and say so."""
    from fnet_core.storage.artifacts import atomic_file

    lines = []
    if csv is not None:
        with atomic_file(Path(csv)) as temporary:
            found.table().to_csv(temporary, index=False)
        lines.append(f"pairs saved as {csv}")
    if html is not None:
        from fnet_core.reporting.audit import save_report

        save_report(found, Path(html))
        lines.append(f"report saved as {html}")
    return lines


def _matrix(found: Audit) -> Table:
    """Every pair, related ones first: outcome, score, p and corrected p."""
    titles = ("score", "p", "p, Holm", "verdict", "models")
    pairs = found.ranked[:SHOWN]
    rows, lines = [], []
    for pair in pairs:
        names = f"{found.labels[pair.a]}  |  {found.labels[pair.b]}"
        row = (number(pair.score, ".3f"), number(pair.p, ".2g"), number(pair.holm_p, ".2g"), pair.outcome, names)
        rows.append(row)
        lines.append(f"{row[0]:>6}  {row[1]:>7}  {row[2]:>7}  {row[3]:<14}  {row[4]}")
    heading = f"{titles[0]:>6}  {titles[1]:>7}  {titles[2]:>7}  {titles[3]:<14}  {titles[4]}"
    return Table(titles, tuple(rows), (heading, *lines), numbers=3)


def number(value: float | None, form: str) -> str:
    """A number as it is shown, a dash for none."""
    return "-" if value is None else format(value, form)
