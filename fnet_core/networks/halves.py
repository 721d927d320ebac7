"""Split-half recurrence on demand: at another threshold, or of an atlas that was found without its halves."""

from dataclasses import replace
from typing import Any

from fnet_core.activations.fitting import reader_at
from fnet_core.choices import DEFAULT_THRESHOLD
from fnet_core.errors import RequestError
from fnet_core.models import loading as models
from fnet_core.networks.atlas import Atlas
from fnet_core.networks.comparing import halves_recipe, in_halves
from fnet_core.networks.finding import compute_atlas, cut_for, find_atlas
from fnet_core.networks.known_halves import RECURRENCES, known_recurrence
from fnet_core.networks.recurrence import Recurrence
from fnet_core.networks.request import LEAST_PASSAGES, PARTS, AtlasRequest, check_halves
from fnet_core.progress import Report, silent
from fnet_core.storage import memo


def split_half(
    request: AtlasRequest, threshold: float = DEFAULT_THRESHOLD, report: Report = silent, **loading: Any
) -> tuple[Atlas, Recurrence]:
    """The atlas that a request asks for, and how well each network comes back in both halves of its passages.

    Every second passage goes into one half, so that the kinds of text are in both. Answered from the store where it was
    asked before. Raises RequestError for texts too few to split once they are cut for the model, and for halves too
    short for so many networks.
    """
    if len(request.passages) < LEAST_PASSAGES:
        folder = models.resolve(request.model, report=_part(report, 0), **loading)
        check_halves(cut_for(request, reader_at(folder)).passages)
    whole = find_atlas(request, _part(report, 0), **loading).answer
    if kept := known_recurrence(whole, threshold):
        return whole, kept
    loaded = models.get_loaded(request.model, report=_part(report, 0), **loading)
    return whole, recurrence_of(loaded, whole, threshold, report)


def halves_of_kept(
    whole: Atlas, threshold: float = DEFAULT_THRESHOLD, report: Report = silent, **loading: Any
) -> Recurrence:
    """The split-half recurrence of an atlas at hand: its own, the store's, or computed with the model that it names.

    Raises RequestError as `recurrence_of` does, and where that model cannot be loaded.
    """
    check_halves(whole.passages)
    if kept := known_recurrence(whole, threshold):
        return kept
    return recurrence_of(models.get_loaded(whole.model_name, report=report, **loading), whole, threshold, report)


def recurrence_of(
    loaded: models.LoadedModel, whole: Atlas, threshold: float = DEFAULT_THRESHOLD, report: Report = silent
) -> Recurrence:
    """How well each network of an atlas comes back in both halves of its passages, from the store or computed.

    Raises RequestError as `split_half` does, and for the atlas of another model than the loaded one.
    """
    check_halves(whole.passages)
    if whole.recipe["model_digest"] != loaded.digest:
        raise RequestError(f"This atlas was found in another model than {loaded.name}; load the one it was found in.")
    if kept := known_recurrence(whole, threshold):
        return kept
    recipe = halves_recipe(whole, threshold)

    def compute() -> Recurrence:
        request = AtlasRequest(
            loaded.name, whole.passages, **{name: whole.recipe[name] for name in _SAME if name in whole.recipe}
        )
        even, odd = (
            compute_atlas(
                loaded, replace(request, passages=whole.passages[half::2]), whole.recipe, part, halves=False
            ).maps
            for half, part in ((0, _part(report, 1)), (1, _part(report, 2)))
        )
        return in_halves(whole, (even, odd), recipe)

    return memo.answered(RECURRENCES, recipe, compute).answer


_SAME = ("site", "scope", "components", "seed", "restarts", "contrast")
"""What the halves share with the whole, beside the model."""


def _part(report: Report, part: int) -> Report:
    """Stages of one of the three atlases, named apart so that the whole runs forward."""
    return lambda stage, share: report(f"{PARTS[part]}{stage}", share)
