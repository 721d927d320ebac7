"""`models`: starters and cached models."""

import argparse
from typing import Any

from fnet_core.progress import Report

NAME = "models"
HELP = "list starters and cached models, and whether they fit here"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It has none of its own."""


def run(options: argparse.Namespace, report: Report) -> tuple[dict[str, Any], list[str]]:
    """List them."""
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
    lines = []
    for card in cards:
        size = f"{card.parameters / 1e6:,.0f} M parameters" if card.parameters else "unread"
        state = "on this machine" if card.cached else f"{gigabytes(card.download_bytes)} to fetch"
        lines.append(f"{card.name:20} {size:22} {state:18} {card.licence or 'licence unknown'}")
        if card.memory:
            lines.append(f"{'':20} {card.memory.sentence}")
    return {"models": rows}, lines
