"""What the store has of an intervention that is asked for; no model is loaded for that."""

from collections.abc import Sequence
from typing import Any

from fnet_core.errors import Cancelled, RequestError
from fnet_core.evaluation.perplexity import PERPLEXITIES
from fnet_core.evaluation.windows import fitting_window
from fnet_core.evaluation.yardstick import UNCHANGED, Yardstick, recipe_of
from fnet_core.interventions.controls import NoControlError, random_controls
from fnet_core.interventions.edits import Edit
from fnet_core.interventions.measuring import Intervention, edit_changes
from fnet_core.models.folder import context, read_config
from fnet_core.models.resolving import resolve
from fnet_core.networks.atlas import Atlas
from fnet_core.networks.origin import found_in
from fnet_core.storage import memo


def known_intervention(
    atlas: Atlas, edits: Sequence[Edit], yardstick: Yardstick, controls: int, seed: int, **loading: Any
) -> Intervention | None:
    """What `intervene` gives for the model that an atlas was found in, if the store has all of it; else None.

    Where no random control can be drawn there is none, as on the page. `loading` goes to `models.resolve`.
    """
    model, edits = found_in(atlas), tuple(edits)
    if model is None or not edits:
        return None
    try:
        most = context(read_config(resolve(atlas.model_name, report=_nothing_long, **loading).path))
        draws = random_controls(edits, atlas.widths_L, controls, seed) if controls else []
    except NoControlError:
        draws = []
    except (RequestError, Cancelled):
        return None
    window, stride = fitting_window(most, yardstick.definition, yardstick.window, yardstick.stride)
    found = []
    for changes in (UNCHANGED, *(edit_changes(each) for each in (edits, *draws))):
        result = memo.known(PERPLEXITIES, recipe_of(model, yardstick, window, stride, changes))
        if result is None:
            return None
        found.append(result)
    return Intervention(edits, found[0], found[1], tuple(found[2:]), done=True)


def _nothing_long(stage: str, fraction: float) -> None:
    """A report that stops whatever would take long enough to report."""
    raise Cancelled
