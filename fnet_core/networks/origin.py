"""The model that an atlas was found in, as its recipe tells it."""

from fnet_core.models.running import Running
from fnet_core.networks.atlas import Atlas


def found_in(atlas: Atlas) -> Running | None:
    """The model of an atlas as it ran when the networks were found; None for an atlas that does not say."""
    names = ("model", "model_digest", "device", "dtype")
    if not all(isinstance(atlas.recipe.get(name), str) for name in names):
        return None
    return Running(*(atlas.recipe[name] for name in names))
