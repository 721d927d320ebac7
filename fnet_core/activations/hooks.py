"""Read or change activations while a model runs, as context managers that always restore."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor, nn
from transformers import PreTrainedModel

from fnet_core.activations.routing import probabilities, rerouted
from fnet_core.choices import Site
from fnet_core.models.modules import Tap, taps

Touch = Callable[[int, Tensor], Tensor | None]
"""Called with (layer, activation); returns the activation to go on with, or None to leave it as it is."""


def _attach(tap: Tap, layer: int, touch: Touch):
    if tap.side == "input":

        def before(module: nn.Module, inputs: tuple):
            changed = touch(layer, inputs[0])
            return None if changed is None else (changed, *inputs[1:])

        return tap.module.register_forward_pre_hook(before)

    if tap.side in ("router", "sigmoid router"):
        sigmoid = tap.side == "sigmoid router"

        def chosen(module: nn.Module, inputs: tuple, output):
            changed = touch(layer, probabilities(module, inputs[0], sigmoid))
            return None if changed is None else rerouted(module, output, changed)

        return tap.module.register_forward_hook(chosen)

    def after(module: nn.Module, inputs: tuple, output):
        if isinstance(output, tuple):
            changed = touch(layer, output[0])
            return None if changed is None else (changed, *output[1:])
        return touch(layer, output)

    return tap.module.register_forward_hook(after)


@contextmanager
def touching(model: PreTrainedModel, site: Site, touch: Touch) -> Iterator[None]:
    """Call `touch` on the activation at `site` of every layer while the context is open.

    Contexts nest: the one opened first is called first. The hooks are gone when the context ends, by
    whatever way, also on models whose modules accelerate dispatched or offloaded. Raises RequestError for
    an unknown site or architecture.
    """
    with touching_taps(taps(model, site), touch):
        yield


@contextmanager
def touching_taps(tapped: Sequence[Tap], touch: Touch) -> Iterator[None]:
    """Like `touching`, for any list of taps, one per layer."""
    handles = []
    try:
        for layer, tap in enumerate(tapped):
            handles.append(_attach(tap, layer, touch))
        yield
    finally:
        for handle in handles:
            handle.remove()
