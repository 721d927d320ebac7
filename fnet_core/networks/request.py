"""What to ask of which model: the request of an atlas, checked without any library that runs models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from fnet_core.checks import check_choice, check_range, check_seed
from fnet_core.choices import CONTRASTS, SCOPES, SITES, Contrast, Scope, Site, is_scope
from fnet_core.errors import RequestError
from fnet_core.storage import artifacts
from fnet_core.texts import Passage

if TYPE_CHECKING:
    from fnet_core.models.running import Running

METHOD_VERSION = 3
"""Raised when the method changes, so that atlases of an older method are not taken for answers."""

MOST_CLUSTERED = 10_000
"""Components times restarts that are clustered at once: the similarity matrix has the square of it."""

STAGES = {"loading": 1.0, "capturing": 8.0, "separating": 6.0, "projecting": 1.0}
"""Relative lengths of the stages of `find_atlas`, for the time left."""

PARTS = ("", "first half: ", "second half: ")
SPLIT_STAGES = {f"{part}{stage}": length for part in PARTS for stage, length in STAGES.items()}
"""Relative lengths of the stages of `split_half`, for the time left."""
HALVES_STAGES = {part: length for part, length in SPLIT_STAGES.items() if part.startswith(("loading", *PARTS[1:]))}
"""Those of `recurrence_of`, which has the whole already."""


LEAST_PASSAGES = 4
"""Two in each half of a text that is split, so that no half speaks for one passage."""


def check_halves(passages: Sequence[Passage]) -> None:
    """RequestError for passages too few to split into halves."""
    if len(passages) < LEAST_PASSAGES:
        raise RequestError(
            f"{len(passages)} passages are too few to split into halves; give at least {LEAST_PASSAGES}."
        )


def check_single(count: int, passages: Sequence[Passage]) -> None:
    """RequestError for a number of passages to decompose alone that there are not."""
    check_range(count, 1, len(passages), f"{count} passages are", f"there are {len(passages)}; choose 1 to so many")


@dataclass(frozen=True)
class AtlasRequest:
    """What to ask of which model; everything here affects the result."""

    model: str
    passages: tuple[Passage, ...]
    site: Site = "mlp"
    scope: Scope = "model"
    components: int = 32
    seed: int = 0
    restarts: int = 10
    contrast: Contrast = "cube"
    enough: bool = False
    """Take passages only until recurrence levels off (`networks/enough.py`); those given are the most."""
    cut: str = ""
    """How many passages became how many and why, as a sentence for people; empty where none was cut."""

    def __post_init__(self) -> None:
        for value, known, name in (
            (self.site, SITES, "site"),
            (self.contrast, CONTRASTS, "contrast"),
        ):
            check_choice(value, known, name)
        if not is_scope(self.scope):
            check_choice(self.scope, SCOPES, "scope")
        for number, name, least, most in (
            (self.components, "components", 1, 512),
            (self.restarts, "restarts", 2, 100),
        ):
            check_range(number, least, most, f"{number} {name} is", f"choose {least} to {most}")
        if self.components * self.restarts > MOST_CLUSTERED:
            raise RequestError(
                f"{self.components} components times {self.restarts} restarts is more than {MOST_CLUSTERED:,}; "
                "choose fewer of one."
            )
        check_seed(self.seed)
        if not self.passages:
            raise RequestError("There is no text to find networks on; give at least one passage.")
        if self.enough:
            check_halves(self.passages)

    def taking(self, passages: int) -> AtlasRequest:
        """The request for all of the first so many passages."""
        return replace(self, passages=self.passages[:passages], enough=False)

    @property
    def texts_digest(self) -> str:
        """What tells one list of passages from another."""
        return artifacts.digest([[p.name, p.text] for p in self.passages])

    def recipe(self, model: Running) -> dict[str, Any]:
        """Everything that decides the atlas, JSON-able, and the names by which people know model and texts."""
        from fnet_core.decomposition.canica import SKETCH_FACTOR

        recipe = model.recipe("torch", "transformers", "scikit-learn") | {
            "texts": sorted({p.source for p in self.passages}),
            "texts_digest": self.texts_digest,
            "passages": len(self.passages),
            "site": self.site,
            "scope": self.scope,
            "components": self.components,
            "seed": self.seed,
            "restarts": self.restarts,
            "contrast": self.contrast,
            "sketch_factor": SKETCH_FACTOR,
            "method_version": METHOD_VERSION,
        }
        if self.cut:
            recipe["cut"] = self.cut
        return recipe
