"""The sizes that a pruning plan needs to know of a model.

Shape legend: L layers.
"""

from dataclasses import dataclass
from typing import Any

from fnet_core.models.loading import LoadedModel
from fnet_core.models.modules import (
    attention_projections,
    check_mlps,
    decoder_layers,
    head_parameters,
    head_size,
    heads_per_group,
    idle_parameters,
    mixed,
    mlp_projections,
    mlp_widths,
    site_widths,
    why_heads_stay,
)
from fnet_core.models.stored import StoredWeights
from fnet_core.models.structure import family_of


@dataclass(frozen=True)
class Anatomy:
    """The sizes that a plan needs to know of a model."""

    model: str
    model_digest: str
    widths_L: tuple[int, ...]
    """0 in a mixture of experts."""
    heads_L: tuple[int, ...]
    head_size: int
    heads_per_group: int
    neuron_parameters_L: tuple[int, ...]
    """Parameters that go with one MLP neuron of each layer: a row of gate and up with its biases, a column of down."""
    group_parameters_L: tuple[int, ...]
    """Parameters that go with one key/value group of heads of each layer."""
    hidden_size: int
    parameters: int
    parameters_per_token: int
    """Parameters that a token is multiplied with, learned positions included: all but an input embedding that is only
    looked up, and experts that it is not sent to."""
    stored: StoredWeights
    """What the weights take on disk."""
    heads_stay: str = ""
    """Why no head can go without changing the others, as half a sentence; empty where one can."""
    neurons_stay: str = ""
    """Why no MLP neuron can go, as a sentence without its end; empty where one can."""
    layer_parameters_L: tuple[int, ...] = ()
    """All parameters of each layer."""
    idle_parameters_L: tuple[int, ...] = ()
    """Of these, the ones of experts that a token is not sent to."""


def anatomy(loaded: LoadedModel) -> Anatomy:
    """The sizes of a loaded model; RequestError for one without MLPs or read by structure."""
    model = loaded.model
    check_mlps(model, "pruning")
    layers = len(decoder_layers(model))
    size, shared = head_size(model), heads_per_group(model)
    widths_L = mlp_widths(model)
    neuron_L = tuple(
        sum(_row_parameters(up) * _blocks(up, width) for up in mlp.up) + _outputs(mlp.down)
        for mlp, width in zip(mlp_projections(model), widths_L, strict=True)
    )
    attentions = attention_projections(model)
    group_L = tuple(
        _row_parameters(attention.qkv[0]) * size * (shared + 2) + size * shared * _outputs(attention.out)
        for attention in attentions
    )
    if head_parameters(model):
        group_L = tuple(parameters + shared for parameters in group_L)
    parameters = {id(p): p.numel() for p in model.parameters()}
    embedding = model.get_input_embeddings().get_parameter("weight")
    tied = model.get_output_embeddings() is not None and _same(model.get_output_embeddings().weight, embedding, model)
    total = sum(parameters.values())
    idle_L = idle_parameters(model)
    idle = sum(idle_L) + (0 if tied else embedding.numel())
    return Anatomy(
        model=loaded.name,
        model_digest=loaded.digest,
        widths_L=widths_L or (0,) * layers,
        heads_L=site_widths(model, "heads") if attentions else (0,) * layers,
        head_size=size,
        heads_per_group=shared,
        neuron_parameters_L=neuron_L or (0,) * layers,
        group_parameters_L=group_L or (0,) * layers,
        layer_parameters_L=tuple(sum(p.numel() for p in layer.parameters()) for layer in decoder_layers(model)),
        idle_parameters_L=idle_L,
        hidden_size=model.config.hidden_size,
        parameters=total,
        parameters_per_token=total - idle,
        stored=loaded.stored,
        heads_stay=why_heads_stay(model),
        neurons_stay=mixed(model, "pruning") if family_of(model.config).router else "",
    )


def _same(first: Any, second: Any, model: Any) -> bool:
    return first is second or bool(getattr(model.config, "tie_word_embeddings", False))


def _outputs(projection: Any) -> int:
    """Outputs of a projection: its weight less its inputs."""
    return projection.weight.numel() // _inputs(projection)


def _inputs(projection: Any) -> int:
    return projection.nx if hasattr(projection, "nx") else projection.in_features


def _row_parameters(projection: Any) -> int:
    return _inputs(projection) + (projection.bias is not None)


def _blocks(projection: Any, width: int) -> int:
    return _outputs(projection) // width
