"""Split-half recurrences that were computed before: read without a model."""

from dataclasses import replace

from fnet_core.choices import DEFAULT_THRESHOLD
from fnet_core.networks.atlas import Atlas
from fnet_core.networks.comparing import halves_recipe
from fnet_core.networks.recurrence import FORMAT, RECURRENCE, Recurrence
from fnet_core.storage import memo
from fnet_core.storage.memo import Kind

RECURRENCES = Kind(RECURRENCE, Recurrence.load, FORMAT, keyed_since=0, names=frozenset({"title", "model"}))
"""Split-half recurrences in the store."""


def known_recurrence(atlas: Atlas, threshold: float = DEFAULT_THRESHOLD) -> Recurrence | None:
    """The split-half recurrence of an atlas if it was computed with it or the store has it."""
    if atlas.halves is not None and atlas.halves.recipe["threshold"] == threshold:
        return atlas.halves
    return memo.known(RECURRENCES, halves_recipe(atlas, threshold))


def with_known_recurrence(atlas: Atlas) -> Atlas:
    """The atlas with its split-half recurrence where that was asked for after it was found."""
    return atlas if atlas.halves is not None else replace(atlas, halves=known_recurrence(atlas))
