"""Where each architecture keeps what FNet reads and changes: one row per family.

A module path is relative to the decoder layer unless it says otherwise. A new family is a new row, and
a tiny random model of its real class in `tests/support/tiny_models.py` that tests the row at every site.
"""

from dataclasses import replace

from fnet_core.choices import SITES
from fnet_core.errors import RequestError
from fnet_core.models.family import Family

NORMED = "its queries and keys are normalised over all heads together"
"""Why no head can go from a model whose norms of queries and keys run over all of them."""
ALIBI = "its position biases depend on how many heads there are"
"""Why no head can go from a model with ALiBi position biases."""

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
_OLMO2 = replace(_GEMMA, heads_bound=NORMED)
_UNGATED = replace(_LLAMA, up=("mlp.up_proj",), gated=False)
_MIXTURE = replace(_LLAMA, up=(), activation="", down="", router="mlp.gate", experts="mlp.experts")
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
        heads_bound=ALIBI,
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
    "olmoe": replace(_MIXTURE, heads_bound=NORMED),
    "gpt_oss": replace(_MIXTURE, router="mlp.router", per_head="self_attn.sinks"),
    "qwen3_next": replace(_MIXTURE, lacks=("heads",), heads_bound="its heads are in some layers only"),
    "llama4_text": replace(
        _MIXTURE,
        mlp_out="feed_forward",
        router="feed_forward.router",
        sigmoid_router=True,
        experts="feed_forward.experts",
        head_counters=("num_attention_heads",),
        group_counters=("num_key_value_heads",),
    ),
}
"""Rows by `model_type`, the name a Hugging Face configuration gives its architecture."""


def family_for(model_type: str) -> Family:
    """The row for a configuration's `model_type`; `RequestError` lists the known ones."""
    try:
        return FAMILIES[model_type]
    except KeyError:
        raise not_supported(model_type) from None


def not_supported(model_type: str, why: str = "") -> RequestError:
    """That an architecture is not supported, with those that are, and why as half a sentence."""
    known = ", ".join(FAMILIES)
    reason = f", for {why}" if why else ""
    return RequestError(
        f"The architecture '{model_type}' is not supported; choose a model of one of these: {known}{reason}."
    )


def check_site(family: Family, model_type: str, site: str) -> None:
    """RequestError, naming the sites that work, unless the family has this one."""
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
