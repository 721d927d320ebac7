"""What the store has of lesions and of what is kept, as the pages look it up: no model is loaded."""

from fnet_core.capability.battery import Battery
from fnet_core.capability.keeping import PRESERVATIONS, KeepRequest, Preservation, keep_recipe
from fnet_core.capability.lesions import LESIONS, LesionMatrix, LesionRequest, lesion_recipe
from fnet_core.evaluation.yardstick import Yardstick
from fnet_core.networks.atlas import Atlas
from fnet_core.storage import memo


def known_lesions(atlas: Atlas, battery: Battery, request: LesionRequest) -> LesionMatrix | None:
    """The whole matrix if the store has it."""
    recipe = lesion_recipe(atlas, battery, request)
    return memo.known(LESIONS, recipe) if recipe else None


def known_preservation(
    atlas: Atlas, battery: Battery, yardstick: Yardstick, request: KeepRequest
) -> Preservation | None:
    """The curve if the store has it."""
    recipe = keep_recipe(atlas, battery, yardstick, request)
    return memo.known(PRESERVATIONS, recipe) if recipe else None
