"""What to measure of which model: the request of a fingerprint, checked without any library that runs models."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from fnet_core import texts
from fnet_core.checks import check_choice, check_range
from fnet_core.choices import FINGERPRINT_COMPONENTS, FINGERPRINT_SITE, FINGERPRINT_THRESHOLD, Contrast, Site
from fnet_core.cutting import FILLED, Span, spans
from fnet_core.lineage.grid import STEP
from fnet_core.lineage.probes import Secret
from fnet_core.networks import request as networks
from fnet_core.networks.request import AtlasRequest
from fnet_core.storage import artifacts, memo
from fnet_core.texts import Passage, parted

if TYPE_CHECKING:
    from fnet_core.models.running import Running

Signal = Literal["weighted", "mean"]

SIGNALS: dict[str, str] = {
    "weighted": "z-scored activations of the key neurons, weighted by their z-values in the map",
    "mean": "mean activation of the key neurons, as arXiv 2601.22692 has it",
}
"""How a network's signal is read from its key neurons."""

METHOD_VERSION = 2
"""Raised when the method or the score of two fingerprints changes, so that nothing is held against scores of an older
method."""

RESTARTS = 10
CONTRAST: Contrast = "cube"
MARKS = 200
"""About how many places in the probes the layers are compared at."""

STAGES = {"loading": 1.0, "capturing": 8.0, "separating": 2.0, "projecting": 0.5, "scoring": 8.0, "reading": 1.0}
"""Relative lengths of the stages of `find_fingerprint`, for the time left."""

SPANS = tuple(2**power for power in range(12, 3, -1))
"""The longest stretches of the probes, in characters, that a model with a short context may read at once.

They do not depend on the model, so that two models can be read in the same ones."""


def stretches(passage: Passage, span: int) -> list[Span]:
    """Where a passage is cut so that no piece is longer than `span` characters; whole for 0."""
    if not span:
        return [(0, len(passage.text))]

    def measure(text: str) -> tuple[int, Sequence[int]]:
        return 1 if len(text) <= span else max(2, math.ceil(len(text) / (FILLED * span))), range(len(text))

    return spans(passage.text, measure)


@dataclass(frozen=True)
class FingerprintRequest:
    """What to measure of which model; everything here affects the result. No passages mean the bundled ones."""

    model: str
    find: tuple[Passage, ...] = ()
    score: tuple[Passage, ...] = ()
    site: Site = FINGERPRINT_SITE
    components: int = FINGERPRINT_COMPONENTS
    threshold: float = FINGERPRINT_THRESHOLD
    seed: int = 0
    signal: Signal = "weighted"
    span: int = 0
    """Characters of the longest stretch that is read at once, cut as `stretches` does; 0 for whole passages."""
    secret: Secret | None = None
    """What may be said of the passages where they are secret ones, see `probes.draw`."""

    def __post_init__(self) -> None:
        for split in ("find", "score"):
            object.__setattr__(self, split, tuple(getattr(self, split)) or texts.bundled(split))
        remedy = "choose 0 or more, such as 3.6"
        check_range(self.threshold, 0, math.inf, f"The threshold {self.threshold} is", remedy, "[)")
        check_choice(self.signal, SIGNALS, "signal")
        self.atlas_request()

    def atlas_request(self) -> AtlasRequest:
        """The atlas whose networks are the fingerprint's; raises RequestError for choices that it does not know."""
        passages = tuple(piece for passage in self.find for piece in parted(passage, stretches(passage, self.span)))
        cut = (
            f"{len(self.find)} passages were cut into {len(passages)} of at most {self.span} characters, as a "
            "fingerprint reads them where a model takes few tokens at once."
        )
        return AtlasRequest(
            model=self.model,
            passages=passages,
            site=self.site,
            components=self.components,
            seed=self.seed,
            restarts=RESTARTS,
            contrast=CONTRAST,
            cut=cut if self.span else "",
        )

    def protocol(self) -> dict[str, Any]:
        """What two fingerprints must share to be compared, JSON-able."""
        from fnet_core.decomposition.canica import SKETCH_FACTOR

        return {
            "find": artifacts.digest([p.text for p in self.find]),
            "score": artifacts.digest([p.text for p in self.score]),
            "passages": [len(self.find), len(self.score)],
            "step": STEP,
            "marks": MARKS,
            "site": self.site,
            "components": self.components,
            "threshold": self.threshold,
            "signal": self.signal,
            "restarts": RESTARTS,
            "contrast": CONTRAST,
            "sketch_factor": SKETCH_FACTOR,
            "method_versions": [METHOD_VERSION, networks.METHOD_VERSION],
        } | ({"secret": vars(self.secret)} if self.secret else {})

    def recipe(self, model: Running) -> dict[str, Any]:
        """Everything that decides the fingerprint, JSON-able, and the model's name."""
        recipe = model.recipe("torch", "transformers", "scikit-learn") | {
            "texts": [sorted({p.source for p in split}) for split in (self.find, self.score)],
            "protocol": self.protocol(),
            "seed": self.seed,
        }
        if not self.secret:
            recipe["atlas_texts_digest"] = self.atlas_request().texts_digest
        if self.span:
            recipe |= {"span": self.span, "versions": recipe["versions"] | memo.versions("sentencex")}
        return recipe
