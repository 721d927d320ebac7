"""Where each architecture keeps what FNet reads and changes: one row per family.

A module path is relative to the decoder layer unless it says otherwise. A new family is a new row, and
a tiny random model of its real class in `tests/support/tiny_models.py` that tests the row at every site.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, Literal

import torch
from accelerate.utils import align_module_device
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel
from transformers.pytorch_utils import Conv1D

from fnet_core.choices import SITES, Site
from fnet_core.errors import RequestError

Projection = nn.Linear | Conv1D
"""The classes of linear maps; `Conv1D` stores its weight as (inputs, outputs)."""


@dataclass(frozen=True)
class Family:
    """One architecture's module paths; `layers` is relative to the model, the others to a decoder layer."""

    layers: str
    up: tuple[str, ...]
    """The modules whose output rows are MLP neurons: gate and up, both in one, or the one of an MLP without gate."""
    gated: bool
    """Whether a neuron's activation is multiplied with a second, linear signal."""
    activation: str
    """The MLP's activation function."""
    down: str
    """The MLP's down-projection: its input is site `mlp`."""
    mlp_out: str
    """The module whose output the MLP branch adds to the residual stream: site `mlp_out`.

    Granite adds it times its `residual_multiplier`, one number for all layers, which the site leaves out.
    """
    qkv: tuple[str, ...]
    """The projections to queries, keys and values, or the one that holds all three."""
    attention_out: str
    """The attention output projection: its input is site `heads` before averaging."""
    interleaved: bool = False
    """Whether a shared projection holds query, key and value group by group, not one after the other."""
    width_field: str = "intermediate_size"
    """The configuration's name for MLP neurons per layer; empty where it has none."""
    heads_bound: str = ""
    """Why no head can go without changing the others, as half a sentence; empty where one can."""
    heads_in_config: bool = True
    """Whether the configuration can say fewer heads of the same size."""
    head_counters: tuple[str, ...] = ()
    """Attributes of the attention module that count query heads, `config.` for the configuration it reads them from."""
    group_counters: tuple[str, ...] = ()
    """Attributes of the attention module that count key/value groups."""
    head_sums: tuple[str, ...] = ()
    """Attributes of the attention module that hold query heads times their size."""
    router: str = ""
    """The module of a mixture of experts whose weight gives each expert's logit: site `experts`; empty in dense ones.

    A mixture has no `up`, `activation` and `down`, for its experts are slices of one tensor that no module holds.
    """
    lacks: tuple[Site, ...] = ()
    """Sites that only some layers of a hybrid have, or none of a model without attention."""

    @property
    def sites(self) -> tuple[Site, ...]:
        """The sites that the architecture has."""
        usual: tuple[Site, ...] = ("mlp_out", "residual", "heads", "experts" if self.router else "mlp")
        return tuple(site for site in _IN_ORDER if site in usual and site not in self.lacks)

    @property
    def attention(self) -> str:
        """The attention module that holds the projections."""
        return self.attention_out.rpartition(".")[0]


_IN_ORDER: tuple[Site, ...] = ("mlp", "mlp_out", "residual", "heads", "experts")
_SEPARATE = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
_LLAMA = Family(
    layers="model.layers",
    up=("mlp.gate_proj", "mlp.up_proj"),
    gated=True,
    activation="mlp.act_fn",
    down="mlp.down_proj",
    mlp_out="mlp",
    qkv=_SEPARATE,
    attention_out="self_attn.o_proj",
)
_GEMMA = replace(_LLAMA, mlp_out="post_feedforward_layernorm")
_OLMO2 = replace(_GEMMA, heads_bound="its queries and keys are normalised over all heads together")
_ALIBI = "its position biases depend on how many heads there are"
_UNGATED = replace(_LLAMA, up=("mlp.up_proj",), gated=False)
_MIXTURE = replace(_LLAMA, up=(), activation="", down="", router="mlp.gate")
_HYBRID = replace(_LLAMA, lacks=("heads",), heads_bound="its heads are in some layers only")
_GLM = replace(_LLAMA, up=("mlp.gate_up_proj",), activation="mlp.activation_fn")

FAMILIES: dict[str, Family] = {
    "llama": _LLAMA,
    "mistral": _LLAMA,
    "qwen2": _LLAMA,
    "qwen3": _LLAMA,
    "arcee": _UNGATED,
    "cohere": _LLAMA,
    "cohere2": _LLAMA,
    "ernie4_5": _LLAMA,
    "exaone4": replace(_GEMMA, head_counters=("num_attention_heads",), group_counters=("num_key_value_heads",)),
    "gemma": _LLAMA,
    "granite": _LLAMA,
    "helium": replace(_LLAMA, heads_in_config=False),
    "hunyuan_v1_dense": _LLAMA,
    "ministral": _LLAMA,
    "ministral3": _LLAMA,
    "nemotron": replace(_UNGATED, head_counters=("num_heads",), group_counters=("num_key_value_heads",)),
    "olmo": _LLAMA,
    "olmo2": _OLMO2,
    "olmo3": _OLMO2,
    "phi": replace(
        _UNGATED,
        up=("mlp.fc1",),
        activation="mlp.activation_fn",
        down="mlp.fc2",
        attention_out="self_attn.dense",
        heads_in_config=False,
    ),
    "seed_oss": replace(_LLAMA, head_counters=("num_attention_heads",), group_counters=("num_key_value_heads",)),
    "smollm3": _LLAMA,
    "stablelm": replace(
        _LLAMA,
        heads_in_config=False,
        head_counters=("num_heads",),
        group_counters=("num_key_value_heads",),
        head_sums=("hidden_size",),
    ),
    "starcoder2": replace(_UNGATED, up=("mlp.c_fc",), activation="mlp.act", down="mlp.c_proj"),
    "phi3": replace(
        _GLM,
        qkv=("self_attn.qkv_proj",),
        head_counters=("config.num_attention_heads",),
        group_counters=("num_key_value_heads",),
    ),
    "glm": _GLM,
    "glm4": replace(_GLM, mlp_out="post_mlp_layernorm"),
    "gemma2": _GEMMA,
    "gemma3_text": _GEMMA,
    "gpt2": Family(
        layers="transformer.h",
        up=("mlp.c_fc",),
        gated=False,
        activation="mlp.act",
        down="mlp.c_proj",
        mlp_out="mlp",
        qkv=("attn.c_attn",),
        attention_out="attn.c_proj",
        width_field="n_inner",
        heads_in_config=False,
        head_counters=("num_heads",),
        head_sums=("split_size",),
    ),
    "gpt_neox": Family(
        layers="gpt_neox.layers",
        up=("mlp.dense_h_to_4h",),
        gated=False,
        activation="mlp.act",
        down="mlp.dense_4h_to_h",
        mlp_out="mlp",
        qkv=("attention.query_key_value",),
        attention_out="attention.dense",
        interleaved=True,
        heads_in_config=False,
    ),
    "falcon": Family(
        layers="transformer.h",
        up=("mlp.dense_h_to_4h",),
        gated=False,
        activation="mlp.act",
        down="mlp.dense_4h_to_h",
        mlp_out="mlp",
        qkv=("self_attention.query_key_value",),
        attention_out="self_attention.dense",
        interleaved=True,
        width_field="ffn_hidden_size",
        heads_in_config=False,
        head_counters=("num_heads",),
        group_counters=("num_kv_heads",),
    ),
    "bloom": Family(
        layers="transformer.h",
        up=("mlp.dense_h_to_4h",),
        gated=False,
        activation="mlp.gelu_impl",
        down="mlp.dense_4h_to_h",
        mlp_out="mlp.dense_4h_to_h",
        qkv=("self_attention.query_key_value",),
        attention_out="self_attention.dense",
        interleaved=True,
        width_field="",
        heads_in_config=False,
        heads_bound=_ALIBI,
    ),
    "gptj": Family(
        layers="transformer.h",
        up=("mlp.fc_in",),
        gated=False,
        activation="mlp.act",
        down="mlp.fc_out",
        mlp_out="mlp",
        qkv=("attn.q_proj", "attn.k_proj", "attn.v_proj"),
        attention_out="attn.out_proj",
        width_field="n_inner",
        heads_in_config=False,
        head_counters=("num_attention_heads",),
    ),
    "qwen3_5_text": _HYBRID,
    "bamba": replace(
        _HYBRID,
        up=("feed_forward.gate_proj", "feed_forward.up_proj"),
        activation="feed_forward.act_fn",
        down="feed_forward.down_proj",
        mlp_out="feed_forward",
    ),
    "mamba": replace(
        _HYBRID,
        layers="backbone.layers",
        up=(),
        activation="",
        down="",
        mlp_out="",
        qkv=(),
        attention_out="",
        width_field="",
        lacks=("mlp", "mlp_out", "heads"),
        heads_bound="it has none",
    ),
    "opt": Family(
        layers="model.decoder.layers",
        up=("fc1",),
        gated=False,
        activation="activation_fn",
        down="fc2",
        mlp_out="fc2",
        qkv=_SEPARATE,
        attention_out="self_attn.out_proj",
        width_field="ffn_dim",
        heads_in_config=False,
        head_counters=("num_heads",),
    ),
    "mixtral": _MIXTURE,
    "qwen2_moe": _MIXTURE,
    "qwen3_moe": _MIXTURE,
    "olmoe": _MIXTURE,
    "gpt_oss": replace(_MIXTURE, router="mlp.router"),
}
"""Rows by `model_type`, the name a Hugging Face configuration gives its architecture."""


def family_for(model_type: str) -> Family:
    """The row for a configuration's `model_type`; `RequestError` lists the known ones."""
    try:
        return FAMILIES[model_type]
    except KeyError:
        known = ", ".join(FAMILIES)
        raise RequestError(
            f"The architecture '{model_type}' is not supported; choose a model of one of these: {known}."
        ) from None


def _resolve(root: nn.Module, path: str) -> Any:
    """The module at a dotted path, of the class that the family's row says."""
    return reduce(getattr, path.split("."), root)


def decoder_layers(model: PreTrainedModel) -> list[nn.Module]:
    """The decoder layers of a causal language model, first to last; `RequestError` if unsupported."""
    return list(_resolve(model, family_for(model.config.model_type).layers))


@dataclass(frozen=True)
class Tap:
    """One place to read or edit in one layer: a module, and whether its input, output or choice of experts is meant."""

    module: nn.Module
    side: Literal["input", "output", "router"]


def check_site(model_type: str, site: str) -> None:
    """RequestError, naming the sites that work, unless the architecture has this one."""
    family = family_for(model_type)
    if site not in SITES:
        raise RequestError(f"There is no site '{site}'; choose one of {', '.join(SITES)}.")
    if site in family.sites:
        return
    if site in family.lacks:
        why = f"Site {site} is not in every layer of a {model_type} model"
    elif family.router:
        why = f"A {model_type} model is a mixture of experts, whose neurons act only on the tokens sent to their expert"
    else:
        why = f"A {model_type} model has no experts"
    *others, last = family.sites
    raise RequestError(f"{why}; choose site {', '.join(others) + ' or ' if others else ''}{last}.")


def check_dense(model: PreTrainedModel, what: str) -> None:
    """RequestError if the model is a mixture of experts or has no MLPs, which `what` (as "pruning") is not made for."""
    model_type = model.config.model_type
    if family_for(model_type).router:
        raise RequestError(
            f"A {model_type} model is a mixture of experts and {what} is made for one MLP per layer; choose a model "
            "that is not a mixture."
        )
    if "mlp" in family_for(model_type).lacks:
        raise RequestError(
            f"A {model_type} model has no MLPs and {what} is made for one MLP per layer; choose a model that has them."
        )


def taps(model: PreTrainedModel, site: Site) -> list[Tap]:
    """The tap of `site` in every decoder layer, first to last.

    `RequestError` for an unknown site, one that the architecture does not have, and a layer of a mixture without
    experts of its own.
    """
    family = family_for(model.config.model_type)
    check_site(model.config.model_type, site)
    layers = decoder_layers(model)
    match site:
        case "experts":
            return [Tap(router, "router") for router in _routers(model, layers, family)]
        case "mlp":
            return [Tap(_resolve(layer, family.down), "input") for layer in layers]
        case "mlp_out":
            return [Tap(_resolve(layer, family.mlp_out), "output") for layer in layers]
        case "residual":
            return [Tap(layer, "output") for layer in layers]
        case "heads":
            return [Tap(_resolve(layer, family.attention_out), "input") for layer in layers]


def _routers(model: PreTrainedModel, layers: list[nn.Module], family: Family) -> list[nn.Module]:
    owner, _, name = family.router.rpartition(".")
    dense = [str(number) for number, layer in enumerate(layers) if not hasattr(_resolve(layer, owner), name)]
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
    family = family_for(model.config.model_type)
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
    """The MLP projections of every decoder layer, first to last; RequestError for a mixture of experts."""
    check_dense(model, "changing neurons")
    family = family_for(model.config.model_type)
    return [
        Mlp(tuple(_resolve(layer, path) for path in family.up), _resolve(layer, family.down))
        for layer in decoder_layers(model)
    ]


def attention_projections(model: PreTrainedModel) -> list[Attention]:
    """The attention projections of every decoder layer, first to last; none where not every layer has attention."""
    family = family_for(model.config.model_type)
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
    if family_for(model.config.model_type).interleaved:
        rows_GSD = torch.arange((heads + 2 * pairs) * size).view(pairs, shared + 2, size)
        parts = (rows_GSD[:, :shared], rows_GSD[:, shared], rows_GSD[:, shared + 1])
        return {name: part.flatten() for name, part in zip(("q", "k", "v"), parts, strict=True)}
    parts = torch.arange((heads + 2 * pairs) * size).split([heads * size, pairs * size, pairs * size])
    return dict(zip(("q", "k", "v"), parts, strict=True))


def head_size(model: PreTrainedModel) -> int:
    """Inputs of the attention output projection per query head, in every layer; 0 where not every layer has heads."""
    config = model.config
    if "heads" in family_for(config.model_type).lacks:
        return 0
    return getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads


def heads_per_group(model: PreTrainedModel) -> int:
    """Query heads that share one key and one value; 1 where each has its own."""
    config = model.config
    if "heads" in family_for(config.model_type).lacks:
        return 1
    return config.num_attention_heads // (_key_value_heads(config) or config.num_attention_heads)


def _key_value_heads(config: PretrainedConfig) -> int | None:
    if config.model_type == "falcon" and not config.new_decoder_architecture:
        return 1 if config.multi_query else None
    return getattr(config, "num_key_value_heads", None) or getattr(config, "num_kv_heads", None)


def why_heads_stay(model: PreTrainedModel) -> str:
    """Why no attention head of the model can go without changing the others, as half a sentence; empty if one can."""
    if getattr(model.config, "alibi", False):
        return _ALIBI
    return family_for(model.config.model_type).heads_bound


def _input_width(projection: Projection) -> int:
    return projection.weight.shape[input_axis(projection)]


def site_widths(model: PreTrainedModel, site: Site) -> tuple[int, ...]:
    """Neurons per layer at a site, first layer to last; layers may differ, as after pruning."""
    check_site(model.config.model_type, site)
    match site:
        case "mlp":
            return tuple(_input_width(mlp.down) for mlp in mlp_projections(model))
        case "heads":
            return tuple(_input_width(attention.out) // head_size(model) for attention in attention_projections(model))
        case "experts":
            return tuple(tap.module.get_parameter("weight").shape[0] for tap in taps(model, site))
        case _:
            return (model.config.hidden_size,) * len(taps(model, site))
