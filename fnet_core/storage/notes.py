"""A note in the store: what a question led to, where that is a few facts and no answer of its own."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fnet_core.storage import artifacts
from fnet_core.storage.memo import Kind

NOTES = "asked"
FORMAT = 1


@dataclass(frozen=True)
class Led:
    """Where a question led: the recipe of its answer."""

    recipe: dict[str, Any]

    def save(self, path: Path) -> None:
        """Write the note, whole or not at all."""
        artifacts.save_artifact(path, NOTES, {}, {"recipe": self.recipe}, FORMAT)

    @classmethod
    def load(cls, path: Path) -> "Led":
        """Read a saved note; RequestError when it is missing, damaged, or of another format."""
        return cls(artifacts.load_artifact(path, NOTES, FORMAT)[1]["recipe"])


LED = Kind(NOTES, Led.load, FORMAT, keyed_since=1)
"""Such notes in the store."""
