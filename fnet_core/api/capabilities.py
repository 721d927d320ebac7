"""The part of `import fnet_core as fn` that asks what a model can do, and what its networks have to do with it."""

from collections.abc import Sequence
from typing import Any

from fnet_core.capability import keeping
from fnet_core.capability import lesions as lesioning
from fnet_core.capability.battery import make_battery
from fnet_core.capability.keeping import KeepRequest, Preservation
from fnet_core.capability.lesions import LesionMatrix, LesionRequest
from fnet_core.capability.profiles import UNCHANGED, Profile, profile
from fnet_core.choices import DEFAULT_THRESHOLD, ITEMS
from fnet_core.evaluation.request import Yardstick
from fnet_core.given import Model, Texts, loaded_of, passages
from fnet_core.interventions.editing import editing
from fnet_core.interventions.edits import Edit
from fnet_core.interventions.measuring import edit_changes
from fnet_core.networks.atlas import Atlas
from fnet_core.progress import Report, silent


def capabilities(
    model: Model,
    *,
    items: int = ITEMS,
    only: Sequence[str] | None = None,
    seed: int = 0,
    edits: Edit | Sequence[Edit] = (),
    report: Report = silent,
) -> Profile:
    """What a model can do, untouched or under edits: its accuracy in seventeen capabilities, of minimal pairs.

    Raises RequestError for an unknown capability, a number of items out of range, and neurons that the model lacks.

    >>> import fnet_core as fn
    >>> found = fn.capabilities("tiny", items=6, only=["agreement", "sums"])
    >>> found.table()["items"].tolist(), found.table()["chance"].tolist()
    ([6, 6], [0.5, 0.5])
    """
    loaded, battery = loaded_of(model, report), make_battery(items, seed, None if only is None else tuple(only))
    chosen = (edits,) if isinstance(edits, Edit) else tuple(edits)
    if not chosen:
        return profile(loaded, battery, UNCHANGED, report=report)
    return profile(loaded, battery, edit_changes(chosen), lambda: editing(loaded, chosen), report)


def lesions(
    model: Model,
    atlas: Atlas,
    *,
    items: int = ITEMS,
    only: Sequence[str] | None = None,
    report: Report = silent,
    **choices: Any,
) -> LesionMatrix:
    """Which network each capability needs: every network inhibited (or amplified) alone, beside random lesions.

    `choices` are those of `LesionRequest`: threshold, gain, draws, seed. Raises RequestError as `capabilities`, and for
    the atlas of another model.

    >>> import fnet_core as fn
    >>> atlas = fn.find_atlas("tiny", components=4)
    >>> found = fn.lesions("tiny", atlas, threshold=2.0, items=6, only=["agreement", "sums"], draws=2)
    >>> found.accuracy_KC.shape, found.p_KC.shape
    ((4, 2), (4, 2))
    """
    request = LesionRequest(**choices)
    battery = make_battery(items, request.seed, None if only is None else tuple(only))
    return lesioning.lesions(loaded_of(model, report), atlas, battery, request, report)


def keep_only(
    model: Model,
    atlas: Atlas,
    source: Texts = "score",
    *,
    networks: Sequence[int] | None = None,
    thresholds: Sequence[float] = (DEFAULT_THRESHOLD,),
    draws: int = 3,
    seed: int = 0,
    items: int = ITEMS,
    only: Sequence[str] | None = None,
    report: Report = silent,
) -> Preservation:
    """What is left of a model when all but its networks is silenced, beside as many random neurons of each layer.

    `networks` are numbers of networks, largest variance first: a quarter, half and all of them unless told otherwise.
    Raises RequestError as `lesions`, and for more networks than there are.

    >>> import fnet_core as fn
    >>> atlas = fn.find_atlas("tiny", components=4)
    >>> text = "It rained all day, and nobody minded the rain."
    >>> found = fn.keep_only("tiny", atlas, text, networks=[2, 4], thresholds=[1.5], items=4, only=["sums"], draws=1)
    >>> found.table()["networks"].tolist()
    [2, 4]
    """
    counts = keeping.steps(atlas) if networks is None else tuple(networks)
    request = KeepRequest(counts, tuple(thresholds), draws, seed)
    battery = make_battery(items, seed, None if only is None else tuple(only))
    yardstick = Yardstick(passages(source))
    return keeping.preserve(loaded_of(model, report), atlas, battery, yardstick, request, report)
