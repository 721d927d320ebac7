"""What perplexity is measured on."""

from dataclasses import dataclass
from typing import Any

from fnet_core.choices import Definition
from fnet_core.storage import artifacts
from fnet_core.texts import Passage


@dataclass(frozen=True)
class Yardstick:
    """The texts and the definition of perplexity that changes of a model are measured by."""

    passages: tuple[Passage, ...]
    definition: Definition = "token"
    window: int | None = None
    stride: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """What decides the measurement, as plain JSON values."""
        return {
            "texts_digest": artifacts.digest([[p.name, p.text] for p in self.passages]),
            "definition": self.definition,
            "window": self.window,
            "stride": self.stride,
        }
