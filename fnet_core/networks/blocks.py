"""Which layers are decomposed together: all of them, each alone, or a window of neighbours that slides by one layer."""

from fnet_core.choices import window_of
from fnet_core.errors import RequestError


def layer_blocks(scope: str, layers: int) -> list[range]:
    """The layers of each block, in order; RequestError for a window that is wider than the model."""
    if scope == "model":
        return [range(layers)]
    width = 1 if scope == "layer" else window_of(scope)
    if width > layers:
        raise RequestError(
            f"A window of {width} layers is wider than the model, which has {layers}; choose a narrower one or scope "
            "model."
        )
    return [range(first, first + width) for first in range(layers - width + 1)]


def block_name(layers: range) -> str:
    """What a block is called in a sentence: "layer 4", "layers 4 to 6"."""
    return f"layer {layers.start}" if len(layers) == 1 else f"layers {layers.start} to {layers.stop - 1}"
