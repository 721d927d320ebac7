"""The modules and weights of a loaded model, found by the row of its family."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from typing import Any, Literal, cast

import torch
from accelerate.utils import align_module_device
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel
from transformers.pytorch_utils import Conv1D

from fnet_core.choices import Site
from fnet_core.errors import RequestError
from fnet_core.models.families import ALIBI, FAMILIES
from fnet_core.models.family import Family
from fnet_core.models.structure import check_site_of, family_of

Projection = nn.Linear | Conv1D
"""The classes of linear maps; `Conv1D` stores its weight as (inputs, outputs)."""


def _resolve(root: nn.Module, path: str) -> Any:
    """The module at a dotted path, of the class that the family's row says."""
    return reduce(getattr, path.split("."), root)


def decoder_layers(model: PreTrainedModel) -> list[nn.Module]:
    """The decoder layers of a causal language model, first to last; `RequestError` if unsupported."""
    return list(_resolve(model, family_of(model.config).layers))


@dataclass(frozen=True)
class Tap:
    """One place to read or edit in one layer: a module, and whether its input, output or choice of experts is meant."""

    module: nn.Module
    side: Literal["input", "output", "router", "sigmoid router"]


def check_row(model: PreTrainedModel, what: str) -> None:
    """RequestError if the model was read by structure, which does not tell enough for `what` (as "pruning")."""
    if family_of(model.config).by_structure:
        raise RequestError(
            f"A {model.config.model_type} model is read by its structure and {what} needs to know its architecture; "
            f"choose a model of one of these: {', '.join(FAMILIES)}."
        )


def check_mlps(model: PreTrainedModel, what: str) -> None:
    """RequestError if the model has no MLPs or was read by structure, which `what` (as "pruning") is not made for."""
    check_row(model, what)
    if "mlp" in family_of(model.config).lacks:
        raise RequestError(
            f"A {model.config.model_type} model has no MLPs and {what} is made for one MLP per layer; choose a model "
            "that has them."
        )


def check_dense(model: PreTrainedModel, what: str) -> None:
    """RequestError as `check_mlps`, and if the model is a mixture of experts."""
    check_mlps(model, what)
    if family_of(model.config).router:
        raise RequestError(f"{mixed(model, what)}; choose a model that is not a mixture.")


def mixed(model: PreTrainedModel, what: str) -> str:
    """That a model is a mixture of experts, which `what` (as "pruning") is not made for; a sentence without its end."""
    return f"A {model.config.model_type} model is a mixture of experts and {what} is made for one MLP per layer"


def taps(model: PreTrainedModel, site: Site) -> list[Tap]:
    """The tap of `site` in every decoder layer, first to last.

    `RequestError` for an unknown site, one that the architecture does not have, and a layer of a mixture without
    experts of its own.
    """
    family = family_of(model.config)
    check_site_of(model.config, site)
    layers = decoder_layers(model)
    match site:
        case "experts":
            side: Literal["router", "sigmoid router"] = "sigmoid router" if family.sigmoid_router else "router"
            return [Tap(router, side) for router in _routers(model, layers, family)]
        case "mlp":
            return [Tap(_resolve(layer, family.down), "input") for layer in layers]
        case "mlp_out":
            return [Tap(_resolve(layer, family.mlp_out), "output") for layer in layers]
        case "residual":
            return [Tap(layer, "output") for layer in layers]
        case "heads":
            return [Tap(_resolve(layer, family.attention_out), "input") for layer in layers]


def _has(layer: nn.Module, path: str) -> bool:
    owner, _, name = path.rpartition(".")
    return hasattr(_resolve(layer, owner), name)


def _routers(model: PreTrainedModel, layers: list[nn.Module], family: Family) -> list[nn.Module]:
    dense = [str(number) for number, layer in enumerate(layers) if not _has(layer, family.router)]
    if dense:
        others = [site for site in family.sites if site != "experts"]
        raise RequestError(
            f"This {model.config.model_type} model has no experts in layer {', '.join(dense)}, so that site experts "
            f"would lack layers; choose site {', '.join(others[:-1])} or {others[-1]}."
        )
    return [_resolve(layer, family.router) for layer in layers]


def signal_taps(model: PreTrainedModel) -> tuple[list[Tap], list[Tap]]:
    """Where each layer's up signal and activation signal can be read, the two that arXiv 2508.05239 decomposes.

    In an MLP without gate they are the activation function's input and output. Where one module gives gate and up,
    the up signal is the second half of its output.
    """
    check_dense(model, "the split into up signal and activation signal")
    family = family_of(model.config)
    layers = decoder_layers(model)
    activations = [Tap(_resolve(layer, family.activation), "output") for layer in layers]
    return [Tap(_resolve(layer, family.up[-1]), "output") for layer in layers], activations


@dataclass(frozen=True)
class Mlp:
    """One layer's MLP: `up` are the modules whose output rows are neurons (in one or two blocks), `down` reads them."""

    up: tuple[Projection, ...]
    down: Projection


@dataclass(frozen=True)
class Attention:
    """One layer's attention: its module, the projections to query, key and value (or the one for all), the output."""

    module: nn.Module
    qkv: tuple[Projection, ...]
    out: Projection


def mlp_projections(model: PreTrainedModel) -> list[Mlp]:
    """The MLP projections of every decoder layer, first to last; none in a mixture of experts.

    RequestError for a model without MLPs, or one read by structure.
    """
    check_mlps(model, "changing neurons")
    family = family_of(model.config)
    if family.router:
        return []
    return [
        Mlp(tuple(_resolve(layer, path) for path in family.up), _resolve(layer, family.down))
        for layer in decoder_layers(model)
    ]


def attention_projections(model: PreTrainedModel) -> list[Attention]:
    """The attention projections of every decoder layer, first to last; none where not every layer has attention."""
    family = family_of(model.config)
    if "heads" in family.lacks:
        return []
    return [
        Attention(
            _resolve(layer, family.attention),
            tuple(_resolve(layer, path) for path in family.qkv),
            _resolve(layer, family.attention_out),
        )
        for layer in decoder_layers(model)
    ]


def head_parameters(model: PreTrainedModel) -> dict[str, nn.Parameter]:
    """What holds one number for each query head of a layer, by its path; empty where nothing does."""
    family = family_of(model.config)
    if not family.per_head:
        return {}
    paths = [f"{family.layers}.{layer}.{family.per_head}" for layer in range(len(decoder_layers(model)))]
    return {path: model.get_parameter(path) for path in paths}


def idle_parameters(model: PreTrainedModel) -> tuple[int, ...]:
    """Parameters of each layer's experts that a token does not go through; 0 in a dense layer."""
    family = family_of(model.config)
    idle_L = []
    for layer in decoder_layers(model):
        idle_L.append(0)
        if family.experts and _has(layer, family.router):
            count = _resolve(layer, family.router).get_parameter("weight").shape[0]
            held = sum(parameter.numel() for parameter in _resolve(layer, family.experts).parameters())
            idle_L[-1] = held // count * (count - model.config.num_experts_per_tok)
    return tuple(idle_L)


def weight_of(projection: Projection) -> Tensor:
    """A projection's weight as (outputs, inputs), also one that accelerate keeps on disk."""
    with align_module_device(projection):
        weight = projection.weight.detach()
    return weight.T if isinstance(projection, Conv1D) else weight


def weight_in_place(projection: Projection) -> Tensor:
    """A projection's own weight seen as (outputs, inputs), to be written to; accelerate must not keep it on disk."""
    return projection.weight.T if isinstance(projection, Conv1D) else projection.weight


def input_axis(projection: Projection) -> int:
    """The axis of a projection's stored weight that runs over its inputs."""
    return 0 if isinstance(projection, Conv1D) else 1


def attention_weights(model: PreTrainedModel) -> Iterator[dict[str, Tensor]]:
    """Each layer's query, key, value and output weights, (outputs, inputs), under "q", "k", "v" and "o"."""
    for attention in attention_projections(model):
        if not attention.qkv:  # one projection for all, whose rows no family says the order of
            return
        output = weight_of(attention.out)
        parts = [weight_of(projection) for projection in attention.qkv]
        if len(parts) == 1:
            rows = head_rows(model, output.shape[1] // head_size(model))
            parts = [parts[0][rows[name]] for name in ("q", "k", "v")]
        yield {"q": parts[0], "k": parts[1], "v": parts[2], "o": output}


def head_rows(model: PreTrainedModel, heads: int) -> dict[str, Tensor]:
    """Which rows of a shared projection are query, key and value in a layer of `heads` query heads, int64."""
    size = head_size(model)
    shared = heads_per_group(model)
    pairs = heads // shared
    if family_of(model.config).interleaved:
        rows_GSD = torch.arange((heads + 2 * pairs) * size).view(pairs, shared + 2, size)
        parts = (rows_GSD[:, :shared], rows_GSD[:, shared], rows_GSD[:, shared + 1])
        return {name: part.flatten() for name, part in zip(("q", "k", "v"), parts, strict=True)}
    parts = torch.arange((heads + 2 * pairs) * size).split([heads * size, pairs * size, pairs * size])
    return dict(zip(("q", "k", "v"), parts, strict=True))


def head_size(model: PreTrainedModel) -> int:
    """Inputs of the attention output projection per query head, in every layer; 0 where not every layer has heads."""
    config = model.config
    if "heads" in family_of(config).lacks:
        return 0
    return getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads


def heads_per_group(model: PreTrainedModel) -> int:
    """Query heads that share one key and one value; 1 where each has its own."""
    config = model.config
    if "heads" in family_of(config).lacks:
        return 1
    return config.num_attention_heads // (_key_value_heads(config) or config.num_attention_heads)


def _key_value_heads(config: PretrainedConfig) -> int | None:
    if config.model_type == "falcon" and not config.new_decoder_architecture:
        return 1 if config.multi_query else None
    return getattr(config, "num_key_value_heads", None) or getattr(config, "num_kv_heads", None)


def why_heads_stay(model: PreTrainedModel) -> str:
    """Why no attention head of the model can go without changing the others, as half a sentence; empty if one can."""
    if getattr(model.config, "alibi", False):
        return ALIBI
    return family_of(model.config).heads_bound


def mlp_widths(model: PreTrainedModel) -> tuple[int, ...]:
    """MLP neurons of every decoder layer, first to last; empty for a mixture of experts."""
    return () if family_of(model.config).router else site_widths(model, "mlp")


def _input_width(projection: Projection) -> int:
    return projection.weight.shape[input_axis(projection)]


def site_widths(model: PreTrainedModel, site: Site) -> tuple[int, ...]:
    """Neurons per layer at a site, first layer to last; layers may differ, as after pruning."""
    check_site_of(model.config, site)
    match site:
        case "mlp":
            return tuple(_input_width(cast(Projection, tap.module)) for tap in taps(model, site))
        case "heads":
            return tuple(_input_width(attention.out) // head_size(model) for attention in attention_projections(model))
        case "experts":
            return tuple(tap.module.get_parameter("weight").shape[0] for tap in taps(model, site))
        case _:
            return (model.config.hidden_size,) * len(taps(model, site))
