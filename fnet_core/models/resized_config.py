"""Check what a configuration lists under `fnet_resized` before a model is built from it: it comes with the folder."""

from typing import Any

from transformers import PretrainedConfig

from fnet_core.errors import RequestError
from fnet_core.models.families import family_for

_LARGEST = 1 << 20


def check_resized(config: PretrainedConfig, name: str) -> None:
    """RequestError unless the list names projections and head counts of this architecture, with sizes that can be."""
    resized = config.fnet_resized
    try:
        projections, attributes = dict(resized["projections"]), dict(resized["attributes"])
        usable = (
            set(projections) <= _paths(config, projections=True)
            and set(attributes) <= _paths(config, projections=False)
            and all(_is_shape(shape) for shape in projections.values())
            and all(_is_size(value) for value in attributes.values())
        )
    except (TypeError, KeyError, ValueError):
        usable = False
    if not usable:
        raise RequestError(
            f"The sizes that {name} lists in its config.json under fnet_resized are not those of a pruned "
            f"{config.model_type} model; copy the folder again, or export it again."
        )


def _paths(config: PretrainedConfig, projections: bool) -> set[str]:
    """Dotted paths of all projections that pruning resizes, or of all attributes that count heads."""
    family = family_for(config.model_type)
    if projections:
        inside = (*family.up, family.down, *family.qkv, family.attention_out)
    else:
        counters = (*family.head_counters, *family.group_counters, *family.head_sums)
        inside = tuple(f"{family.attention}.{counter}" for counter in counters)
    return {f"{family.layers}.{layer}.{path}" for layer in range(config.num_hidden_layers) for path in inside}


def _is_size(value: Any) -> bool:
    return type(value) is int and 1 <= value <= _LARGEST


def _is_shape(shape: Any) -> bool:
    return len(shape) == 3 and _is_size(shape[0]) and _is_size(shape[1]) and type(shape[2]) is bool
