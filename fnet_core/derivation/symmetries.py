"""Changes of weights that leave the function as it is: neurons permuted or rescaled, the residual stream permuted or
turned.

Every function changes the model it is given, which is the caller's own copy.
"""

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from fnet_core.derivation.weights import linear_maps
from fnet_core.errors import RequestError
from fnet_core.models.modules import Projection, check_dense, decoder_layers, input_axis, mlp_projections, weight_of
from fnet_core.models.structure import family_of
from fnet_core.progress import Report, silent


@torch.no_grad()
def permute_neurons(model: PreTrainedModel, generator: torch.Generator, report: Report = silent) -> None:
    """Put every layer's MLP neurons in a random order; the sum over them stays the same."""
    check_dense(model, "permuting neurons")
    layers = mlp_projections(model)
    for done, layer in enumerate(layers):
        report("changing", done / len(layers))
        columns_RC = weight_of(layer.down)
        width = columns_RC.shape[1]
        order = torch.randperm(width, generator=generator)
        for module in layer.up:
            for part in _parts(module, width):
                part.copy_(part[order])
        columns_RC.copy_(columns_RC[:, order])


@torch.no_grad()
def rescale_neurons(
    model: PreTrainedModel, largest: float, generator: torch.Generator, report: Report = silent
) -> None:
    """Scale what enters each MLP neuron's product by its own factor and divide the down-projection by it.

    Factors are log-uniform between 1 / `largest` and `largest`. Gated MLPs are linear in the up-projection; without a
    gate the activation must be ReLU, which positive factors pass through. RequestError for another activation.
    """
    check_rescalable(model)
    layers = mlp_projections(model)
    for done, layer in enumerate(layers):
        report("changing", done / len(layers))
        columns_RC = weight_of(layer.down)
        width = columns_RC.shape[1]
        factors = largest ** (2 * torch.rand(width, generator=generator) - 1)
        for part in _linear_parts(layer.up, width):
            part.mul_(factors.to(part).view(-1, *[1] * (part.ndim - 1)))
        columns_RC.div_(factors.to(columns_RC))


def check_rescalable(model: PreTrainedModel) -> None:
    """RequestError unless the model's MLPs are gated, or have ReLU for their activation."""
    check_dense(model, "rescaling neurons")
    family = family_of(model.config)
    activation = decoder_layers(model)[0].get_submodule(family.activation)
    if not family.gated and not isinstance(activation, nn.ReLU):
        raise RequestError(
            f"Rescaling neurons changes what a {model.config.model_type} model computes, for its MLPs have neither a "
            "gate nor ReLU; choose permute instead."
        )


def _parts(module: Projection, width: int) -> list[Tensor]:
    """Weight (neurons, inputs) and bias (neurons,) of each projection in a module, which may hold both."""
    parts = list(weight_of(module).split(width, dim=0))
    if module.bias is not None:
        parts += module.bias.split(width)
    return parts


def _linear_parts(up: tuple[Projection, ...], width: int) -> list[Tensor]:
    """The parts in which a neuron's activation is linear: up-projection, last in order, and not the gate."""
    last = up[-1]
    parts = [weight_of(last)[-width:]]
    return parts if last.bias is None else [*parts, last.bias[-width:]]


@torch.no_grad()
def permute_residual(model: PreTrainedModel, generator: torch.Generator, report: Report = silent) -> None:
    """Put the residual stream's dimensions in one random order, in all that reads or writes them.

    Embeddings, norms, biases and the head included; both kinds of norm treat dimensions alike. RequestError if the
    model has a parameter of which it is not known how it meets the residual stream.
    """
    width = model.config.hidden_size
    order = torch.randperm(width, generator=generator)
    axes = residual_axes(model)
    for done, (parameter, axis) in enumerate(axes):
        report("changing", done / len(axes))
        parameter.copy_(parameter.index_select(axis, order.to(parameter.device)))


def residual_axes(model: PreTrainedModel) -> list[tuple[nn.Parameter, int]]:
    """(parameter, axis) of everything that is as wide as the residual stream there; tied parameters once.

    RequestError as `permute_residual`.
    """
    check_dense(model, "permuting the residual stream")
    width, family = model.config.hidden_size, family_of(model.config)
    writers = {family.attention_out, family.down}
    found: dict[nn.Parameter, int] = {}
    known: set[nn.Parameter] = set()

    def add(module: nn.Module, weight_axis: int | None, bias: bool = False) -> None:
        own = dict(module.named_parameters(recurse=False))
        known.update(own.values())
        if weight_axis is not None and "weight" in own:
            found[own["weight"]] = weight_axis
        if bias and "bias" in own:
            found[own["bias"]] = 0

    for _, name, projection in linear_maps(model):
        writes = name in writers
        inputs = input_axis(projection)
        add(projection, 1 - inputs if writes else inputs, bias=writes)
    for layer in decoder_layers(model):
        for name, module in layer.named_modules():
            if _is_norm(module):
                # a norm inside attention is over a head's dimensions
                add(module, None if "." in name else 0, bias="." not in name)
    layer_modules = {module for layer in decoder_layers(model) for module in layer.modules()}
    for module in model.modules():
        if module in layer_modules:
            continue
        if isinstance(module, nn.Embedding) or module is model.get_output_embeddings():
            add(module, 1)
        elif _is_norm(module):
            add(module, 0, bias=True)
    if set(model.parameters()) - known or any(parameter.shape[axis] != width for parameter, axis in found.items()):
        raise RequestError(
            "This model's residual stream cannot be permuted, for some of its tensors are not as wide as the stream; "
            "choose permute instead."
        )
    return list(found.items())


ROTATABLE = ("llama", "mistral", "qwen2", "qwen3")
"""Architectures whose norms of the stream are RMS norms in front of what reads it: they see a length and directions."""


@torch.no_grad()
def rotate_residual(model: PreTrainedModel, generator: torch.Generator, report: Report = silent) -> None:
    """Turn the residual stream by one random rotation, in all that reads or writes it.

    The scales of the norms are folded into the maps behind them first, so that the norms treat all directions alike; a
    head that shares its weights with the embedding gets weights of its own. RequestError for other architectures.
    """
    if model.config.model_type not in ROTATABLE:
        raise RequestError(
            f"The residual stream of a {model.config.model_type} model cannot be turned, for its norms do not treat "
            f"all directions alike; choose permute-residual, or a model of one of these: {', '.join(ROTATABLE)}."
        )
    head, family = model.get_output_embeddings(), family_of(model.config)
    if head.weight is model.get_input_embeddings().weight:
        head.weight = nn.Parameter(head.get_parameter("weight").clone(), requires_grad=False)
        model.config.tie_word_embeddings = False
    behind: list[tuple[nn.Module, list[nn.Module]]] = [(model.base_model.get_submodule("norm"), [head])]
    for layer in decoder_layers(model):
        behind.append((layer.get_submodule("input_layernorm"), [layer.get_submodule(name) for name in family.qkv]))
        behind.append((layer.get_submodule("post_attention_layernorm"), [layer.get_submodule(at) for at in family.up]))
    norms = {norm.get_parameter("weight") for norm, _ in behind}
    axes = [(parameter, axis) for parameter, axis in residual_axes(model) if parameter not in norms]
    for norm, maps in behind:
        scale_D = norm.get_parameter("weight")
        for module in maps:
            module.get_parameter("weight").mul_(scale_D)
        scale_D.fill_(1.0)
    width = model.config.hidden_size
    turn_DD = torch.linalg.qr(torch.randn(width, width, generator=generator, dtype=torch.float64)).Q
    for done, (parameter, axis) in enumerate(axes):
        report("changing", done / len(axes))
        turned = torch.tensordot(parameter.double(), turn_DD, dims=([axis], [0])).movedim(-1, axis)
        parameter.copy_(turned.to(parameter))


def _is_norm(module: nn.Module) -> bool:
    """Whether a module's only weights are vectors of scales and shifts."""
    own = list(module.parameters(recurse=False))
    return bool(own) and all(parameter.ndim == 1 for parameter in own)
