"""A model with fewer layers: whole decoder layers left out, and how a model runs as if they were."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel

from fnet_core.errors import RequestError
from fnet_core.models.modules import decoder_layers
from fnet_core.models.structure import family_of

_LISTED = ("layer_types", "no_rope_layers")
"""Fields of configurations that say something of every layer, in order."""
_NUMBERED = ("attn_layer_indices", "mlp_only_layers", "moe_layers")
"""Fields of configurations that hold numbers of layers."""


def leave_out(model: PreTrainedModel, dropped: Collection[int]) -> None:
    """Leave out the decoder layers of these numbers, in the model and in its configuration.

    RequestError for a model read by structure whose configuration says more of each layer than can be followed.
    """
    layers, family = decoder_layers(model), family_of(model.config)
    if family.by_structure:
        _check_lists(model.config, len(layers))
    kept = [number for number in range(len(layers)) if number not in dropped]
    parent, _, name = family.layers.rpartition(".")
    setattr(model.get_submodule(parent), name, nn.ModuleList(layers[number] for number in kept))
    for new, number in enumerate(kept):
        for module in layers[number].modules():
            if getattr(module, "layer_idx", None) == number:
                module.layer_idx = new  # type: ignore[assignment]  # where its keys and values are cached
    _describe(model.config, family.layers, kept, len(layers))
    if family.by_structure:
        _check_built(model)


def check_left(model: PreTrainedModel, dropped: Collection[int], name: str) -> None:
    """RequestError where no layer with attention would be left of a hybrid, which transformers cannot run."""
    config = model.config
    kinds = list(getattr(config, "layer_types", None) or ())
    attending = [i for i, kind in enumerate(kinds) if kind.endswith("attention") and not kind.startswith("linear")]
    attending = list(getattr(config, "attn_layer_indices", None) or attending)
    if attending and len(attending) < len(decoder_layers(model)) and set(attending) <= set(dropped):
        raise RequestError(f"No layer with attention would be left of {name}; choose a smaller ratio, or protect more.")


def _describe(config: PretrainedConfig, layers: str, kept: list[int], before: int) -> None:
    """Let the configuration say what the model has become."""
    numbered = [name for name in _NUMBERED if getattr(config, name, None) is not None]
    for name in numbered:
        setattr(config, name, [new for new, number in enumerate(kept) if number in getattr(config, name)])
    for name in _LISTED:
        values = vars(config).get(name)
        if values and len(values) == before and not (name == "layer_types" and "attn_layer_indices" in numbered):
            setattr(config, name, [values[number] for number in kept])
    if resized := getattr(config, "fnet_resized", None):
        places = {f"{layers}.{number}.": f"{layers}.{new}." for new, number in enumerate(kept)}
        config.fnet_resized = {
            part: {
                places[start] + path.removeprefix(start): value
                for path, value in entries.items()
                for start in places
                if path.startswith(start)
            }
            for part, entries in resized.items()
        }
    config.num_hidden_layers = len(kept)


@contextmanager
def passing_over(model: PreTrainedModel, dropped: Collection[int]) -> Iterator[None]:
    """While inside, these layers hand on what they are given, as if they were not there."""

    def unchanged(module: nn.Module, arguments: tuple, options: dict[str, Any], output: Any) -> Any:
        entered: Tensor = arguments[0] if arguments else options["hidden_states"]
        return (entered, *output[1:]) if isinstance(output, tuple) else entered

    layers = decoder_layers(model)
    handles = [layers[number].register_forward_hook(unchanged, with_kwargs=True) for number in dropped]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _check_lists(config: PretrainedConfig, layers: int) -> None:
    """RequestError where a list of a configuration that is not followed tells layers apart."""
    for name, value in config.to_dict().items():
        if name != "layer_types" and isinstance(value, list) and len(value) == layers and value != value[:1] * layers:
            raise _not_dropped(config)


def _check_built(model: PreTrainedModel) -> None:
    """RequestError unless the configuration builds a model of these very shapes."""
    try:
        with torch.device("meta"):
            built = type(model)(type(model.config).from_dict(model.config.to_dict()))
    except Exception as error:  # models raise anything over a configuration that they were not written for
        raise _not_dropped(model.config) from error
    shapes = ({name: tensor.shape for name, tensor in each.state_dict().items()} for each in (model, built))
    if next(shapes) != next(shapes):
        raise _not_dropped(model.config)


def _not_dropped(config: PretrainedConfig) -> RequestError:
    return RequestError(
        f"A {config.model_type} model is read by its structure, and its configuration says of its layers what cannot "
        "be followed when some go; choose another way."
    )
