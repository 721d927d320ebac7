"""Small facts that take a while to find out, remembered in the cache folder; a damaged one is found out again."""

import json
from pathlib import Path
from typing import Any

from fnet_core.storage.atomic import atomic_file, move_aside
from fnet_core.storage.place import home


def place(name: str) -> Path:
    """Where the fact of this name is remembered, or would be."""
    return home() / "digests" / f"{name}.json"


def recalled(name: str) -> Any:
    """The fact of this name; None for one that is not there or cannot be read."""
    try:
        return json.loads(place(name).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def remember(name: str, fact: Any) -> None:
    """Remember a JSON-able fact, in place of whatever is there."""
    path = place(name)
    move_aside(path)
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(fact, sort_keys=True, separators=(",", ":")), "utf-8")
