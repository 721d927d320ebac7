"""`models`: starters and cached models, or what works with one model."""

import argparse
from typing import Any

from fnet_core.cli.terminal import Table
from fnet_core.progress import Report

NAME = "models"
CHANGED = 1
"""The exit status where a model is not as it was made."""
HELP = "list starters and cached models, and whether they fit here; or say what works with one model"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The one model, if only one is meant, and whether files are read whole."""
    parser.add_argument("model", metavar="MODEL", nargs="?", help="say what works with this one, before it is loaded")
    parser.add_argument(
        "--verify", action="store_true", help="read every byte of the models here and hold it against what was noted"
    )


def stages(options: argparse.Namespace) -> dict[str, float]:
    """Reading files whole takes a while, and all else is done at once."""
    return {"checking": 1.0} if options.verify else {}


def status(result: dict[str, Any]) -> int:
    """0 unless files were read whole and some are not as they were made."""
    return CHANGED if any(row["state"] == "changed" for row in result.get("verified", ())) else 0


def run(options: argparse.Namespace, report: Report) -> tuple[dict[str, Any], list[str | Table]]:
    """List them, tell of one, or read them whole."""
    if options.verify:
        return _verified(options.model, report)
    if options.model:
        return _one(options.model, report)
    from fnet_core.models.cards import available
    from fnet_core.models.memory import gigabytes

    cards = available()
    rows = [
        {
            "name": card.name,
            "title": card.title,
            "licence": card.licence,
            "licence_url": card.licence_url,
            "must_accept": card.must_accept,
            "cached": card.cached,
            "download_bytes": card.download_bytes,
            "parameters": card.parameters,
            "fits": card.memory.fits if card.memory else None,
        }
        for card in cards
    ]
    cells, lines = [], []
    for card in cards:
        size = f"{card.parameters / 1e6:,.0f} M parameters" if card.parameters else "unread"
        state = "on this machine" if card.cached else f"{gigabytes(card.download_bytes)} to fetch"
        licence = card.licence or "licence unknown"
        told = card.memory.sentence if card.memory else card.description
        cells.append((card.name, size, state, licence, told))
        lines += [f"{card.name:20} {size:22} {state:18} {licence}", f"{'':20} {told}"]
    titles = ("name", "size", "where", "licence", "memory")
    return {"models": rows}, [Table(titles, tuple(cells), tuple(lines))]


def _verified(name: str | None, report: Report) -> tuple[dict[str, Any], list[str | Table]]:
    from fnet_core.errors import RequestError
    from fnet_core.models.made import made_folder
    from fnet_core.models.naming import locate
    from fnet_core.models.verifying import verify, verify_all

    if name is None:
        found = list(verify_all(report))
    else:
        kind, path = locate(name.strip())
        folder = made_folder(name.strip()) if kind == "starter" else path
        if folder is None or not folder.is_dir():
            raise RequestError(f"{name} is no folder on this machine; load it once, or name its folder.")
        found = [verify(folder, report)]
    lines: list[str | Table] = [f"{each.name}: {each.sentence}" for each in found]
    rows = [{"name": each.name, "state": each.state} for each in found]
    return {"verified": rows}, lines or ["No model is kept on this machine yet."]


def _one(name: str, report: Report) -> tuple[dict[str, Any], list[str | Table]]:
    from dataclasses import asdict

    from fnet_core.models.naming import check_usable

    check_usable(name.strip(), accept_licence=True)
    from fnet_core.abilities import abilities, told
    from fnet_core.errors import RequestError
    from fnet_core.models.cards import peek
    from fnet_core.models.structure import structure_note

    card = peek(name, report=report)
    if card.config is None:
        raise RequestError(f"{name} is converted on first use, and what works is known then; load it once.")
    found = abilities(card.config, card.name)
    lines: list[str | Table] = [f"{card.name}: {card.architecture}, {card.layers} layers"]
    lines += [note] if (note := structure_note(card.config)) else []
    lines += [f"{'yes' if line.works else 'no':4} {line.title}: {line.text}" for line in told(found)]
    if card.memory:
        lines.append(card.memory.sentence)
    return {"name": card.name, "architecture": card.architecture, "abilities": [asdict(a) for a in found]}, lines
