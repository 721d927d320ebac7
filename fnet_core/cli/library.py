"""`library`: what is kept on this machine, how much room it takes, and removing some of it."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fnet_core.cli.terminal import Table
from fnet_core.errors import RequestError
from fnet_core.progress import Report

if TYPE_CHECKING:
    from fnet_core.storage.library import Entry, Library

NAME = "library"
HELP = "list what is kept: atlases, fingerprints, plans, edits, measurements; set its limit, remove things"
DAMAGED = 1
"""The exit status where something is not as it was saved."""
LEAST_LETTERS = 6
"""Of a key, to name one thing."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to remove, whether files are read whole, and the limit."""
    parser.add_argument(
        "--all", action="store_true", help="list measurements too, which are kept so as not to be redone"
    )
    parser.add_argument("--rename", metavar=("KEY", "NAME"), nargs=2, help="call a thing so; '' takes its name away")
    parser.add_argument("--export", metavar=("KEY", "FILE"), nargs=2, help="copy a thing to a file")
    parser.add_argument("--remove", metavar="KEY", nargs="+", help="remove the things whose keys begin so")
    parser.add_argument(
        "--verify", action="store_true", help="read every byte of it and name what is not as it was saved"
    )
    parser.add_argument("--limit", metavar="SIZE", help="let the library grow to this size, such as 20GB")


def stages(options: argparse.Namespace) -> dict[str, float]:
    """Reading files whole takes a while, and all else is done at once."""
    return {"checking": 1.0} if options.verify else {}


def status(result: dict[str, Any]) -> int:
    """0 unless files were read whole and some are damaged."""
    return DAMAGED if result.get("damaged") else 0


def run(options: argparse.Namespace, report: Report) -> tuple[dict[str, Any], list[str | Table]]:
    """Change what was asked for, and list what is left."""
    from fnet_core.storage import library
    from fnet_core.storage.atomic import atomic_file

    if options.limit is not None:
        library.set_limit(library.parse_limit(options.limit))
    entries = library.library().entries
    said: list[str | Table] = []
    if options.rename is not None:
        library.rename(_named(options.rename[0], entries), options.rename[1])
    if options.export is not None:
        entry, file = _named(options.export[0], entries), Path(options.export[1])
        with atomic_file(file) as temporary:
            shutil.copyfile(entry.path, temporary)
        said.append(f"{entry.kind} {entry.key[:12]} saved as {file}")
    removed = [_named(key, entries) for key in options.remove or ()]
    for entry in removed:
        library.delete(entry)
    found = library.library()
    shown = [entry for entry in found.entries if options.all or entry.shelf != "measurement"]
    rows = [_row(entry) for entry in shown]
    lines = [*said, *(f"removed {entry.kind} {entry.key[:12]}" for entry in removed)]
    lines += [_table(rows), _sizes(found, len(found.entries) - len(shown))]
    lines += [found.full] if found.full else []
    broken: list[dict[str, Any]] = []
    if options.verify:
        from fnet_core.storage.verifying import damaged

        broken = [{"key": entry.key, "kind": entry.kind, "why": why} for entry, why in damaged(found.entries, report)]
        lines += [f"{each['kind']} {each['key'][:12]}: {each['why']}" for each in broken]
        lines.append(f"{len(found.entries):,} files read whole, {len(broken):,} not as they were saved.")
    told: dict[str, Any] = {"damaged": broken} if options.verify else {}
    told |= {"entries": rows, "bytes": found.size, "made_bytes": found.made_size, "limit": found.limit}
    return told | {"removed": [entry.key for entry in removed]}, lines


def _named(key: str, entries: tuple[Entry, ...]) -> Entry:
    """The one thing whose key begins so."""
    if len(key) < LEAST_LETTERS:
        raise RequestError(f"'{key}' is too short to name one thing; give {LEAST_LETTERS} letters of its key or more.")
    found = [entry for entry in entries if entry.key.startswith(key)]
    if len(found) != 1:
        raise RequestError(f"'{key}' names {len(found)} things of the library; give the key of one.")
    return found[0]


def _row(entry: Entry) -> dict[str, Any]:
    from datetime import datetime

    from fnet_core.storage.contents import Contents, contents_of

    try:
        found = contents_of(entry)
    except RequestError:
        found = Contents("cannot be read", "")
    made = datetime.fromtimestamp(entry.made).isoformat(" ", "minutes")
    source = "computed" if entry.computed else "named" if entry.name else "made by a person"
    return {
        "key": entry.key,
        "kind": entry.kind,
        "name": entry.name,
        "model": found.model,
        "what": found.what,
        "made": made,
        "bytes": entry.size,
        "source": source,
    }


def _table(rows: list[dict[str, Any]]) -> Table:
    titles = ("MB", "made", "kind", "key", "from", "name, model, what it is")
    cells = [(f"{r['bytes'] / 1e6:.1f}", r["made"], r["kind"], r["key"][:12], r["source"], _called(r)) for r in rows]
    lines = [f"{a:>8}  {b:<16}  {c:<18}  {d:<12}  {e:<16}  {f}" for a, b, c, d, e, f in (titles, *cells)]
    return Table(titles, tuple(cells), tuple(lines), numbers=1)


def _called(row: dict[str, Any]) -> str:
    return ": ".join(filter(None, (row["name"], ", ".join(filter(None, (row["model"], row["what"]))))))


def _sizes(found: Library, hidden: int) -> str:
    said = f"{len(found.entries):,} things, {found.size / 1e6:,.1f} of {found.limit / 1e6:,.1f} MB"
    return said + (f"; {hidden:,} measurements are not listed (--all)." if hidden else ".")
