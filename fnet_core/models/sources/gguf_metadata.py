"""What a GGUF file says of its model, held against the configuration that transformers makes of it.

transformers reads the keys it knows for an architecture and passes over the others in silence: rotary scaling, norms'
epsilons, sliding windows, scales. Here every key of the architecture is set, found to be as it should, or refused.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFReader
from transformers import PretrainedConfig

from fnet_core.errors import RequestError
from fnet_core.models.folder import mlp_width

ROPE_FACTORS = "rope_freqs.weight"
"""The tensor of factors, one for each rotary frequency, by which Llama 3 is stretched."""
_YARN = {"original_context_length": "original_max_position_embeddings"} | {
    key: ours for ours in ("beta_fast", "beta_slow") for key in (f"yarn_{ours}", ours)
}
_LLAMA3 = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
"""The same in every model of the Llama 3 kind, with a factor of its own."""
_EPSILON = ("rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon", "norm_epsilon", "norm_eps")
_SET = {
    "context_length": ("max_position_embeddings",),
    "embedding_length": ("hidden_size",),
    "block_count": ("num_hidden_layers",),
    "feed_forward_length": ("intermediate_size", "n_inner", "ffn_dim"),
    "attention.head_count": ("num_attention_heads",),
    "attention.head_count_kv": ("num_key_value_heads",),
    "attention.layer_norm_rms_epsilon": _EPSILON,
    "attention.layer_norm_epsilon": _EPSILON,
    "attention.sliding_window": ("sliding_window",),
    "attention.scale": ("attention_multiplier",),
    "attn_logit_softcapping": ("attn_logit_softcapping",),
    "final_logit_softcapping": ("final_logit_softcapping",),
    "embedding_scale": ("embedding_multiplier",),
    "residual_scale": ("residual_multiplier",),
    "logit_scale": ("logit_scale", "logits_scaling"),
    "use_parallel_residual": ("use_parallel_residual",),
    "expert_count": ("num_experts", "num_local_experts"),
    "expert_used_count": ("num_experts_per_tok",),
    "expert_feed_forward_length": ("moe_intermediate_size",),
    "expert_shared_feed_forward_length": ("shared_expert_intermediate_size",),
    "expert_weights_norm": ("norm_topk_prob",),
}
"""Key of the architecture -> the configuration's names for it, the first that it has."""
_SAYS_NOTHING = ("vocab_size", "tensor_data_layout", "expert_gating_func", "expert_shared_count")
_LARGEST = {"gemma2": 46, "gemma3": 62}
"""Layers of the sizes of Gemma whose queries are scaled by the model's width and not by the heads'."""


@dataclass(frozen=True)
class Metadata:
    """The file's architecture, the values of its keys without the architecture's name, and what its tensors are."""

    file: str
    architecture: str
    keys: dict[str, Any]
    tensors: frozenset[str]
    rope_factors: np.ndarray | None

    def refuse(self, what: str) -> RequestError:
        """The refusal of something by name."""
        return RequestError(
            f"{self.file} says {what}, which cannot be carried over from GGUF; choose the same model with safetensors."
        )


def read_metadata(source: Path, file: str) -> Metadata:
    """The metadata of a GGUF file, which refusals call `file`; raises what the reader raises if it is damaged."""
    reader = GGUFReader(source)
    architecture = str(reader.fields["general.architecture"].contents())
    prefix = f"{architecture}."
    keys = {
        name.removeprefix(prefix): field.contents() for name, field in reader.fields.items() if name.startswith(prefix)
    }
    factors = [np.array(tensor.data) for tensor in reader.tensors if tensor.name == ROPE_FACTORS]
    names = frozenset(tensor.name for tensor in reader.tensors)
    return Metadata(file, architecture, keys, names, factors[0].astype(np.float64) if factors else None)


def settled(config: PretrainedConfig, metadata: Metadata) -> PretrainedConfig:
    """The configuration with all that the file says; the same object where nothing was missing.

    `RequestError` names a key that the configuration has no place for.
    """
    changes: dict[str, Any] = {}
    for key, value in metadata.keys.items():
        if key in _SET:
            changes |= _set(config, metadata, key, value)
        elif key not in _SAYS_NOTHING and not key.startswith(("rope.", "attention.key_length", "attention.value_len")):
            raise metadata.refuse(f"{metadata.architecture}.{key} = {_short(value)}")
    changes |= _head_size(config, metadata, changes)
    if config.model_type == "mistral" and "attention.sliding_window" not in metadata.keys and config.sliding_window:
        changes["sliding_window"] = None
    if hasattr(config, "query_pre_attn_scalar"):
        changes |= _query_scale(config, metadata, changes)
    if getattr(config, "attention_bias", None) is False and "blk.0.attn_q.bias" in metadata.tensors:
        changes["attention_bias"] = True
    if (rope := _rope(config, metadata)) != config.rope_parameters if hasattr(config, "rope_parameters") else False:
        changes["rope_parameters"] = rope
    return type(config).from_dict(config.to_dict() | changes) if changes else config


def _set(config: PretrainedConfig, metadata: Metadata, key: str, value: Any) -> dict[str, Any]:
    name = next((name for name in _SET[key] if hasattr(config, name)), None)
    if name is None:
        derived = {
            "context_length": value,
            "attention.head_count_kv": config.num_attention_heads,
            "feed_forward_length": mlp_width(config),
        }
        if derived.get(key) == value:
            return {}
        raise metadata.refuse(f"{metadata.architecture}.{key} = {_short(value)}")
    if isinstance(value, list):
        if len(set(value)) > 1:
            raise metadata.refuse(f"{metadata.architecture}.{key} is not the same in every layer")
        value = value[0]
    return {} if _same(getattr(config, name), value) else {name: value}


def _head_size(config: PretrainedConfig, metadata: Metadata, changes: dict[str, Any]) -> dict[str, Any]:
    """A head's size from the keys' length; `RequestError` where values have another, or the model cannot say it."""
    length = metadata.keys.get("attention.key_length")
    now = {name: changes.get(name, getattr(config, name)) for name in ("hidden_size", "num_attention_heads")}
    size = getattr(config, "head_dim", None) or now["hidden_size"] // now["num_attention_heads"]
    found = {}
    if length is not None and length != size:
        if not hasattr(config, "head_dim"):
            raise metadata.refuse(f"{metadata.architecture}.attention.key_length = {length}")
        found, size = {"head_dim": length}, length
    if metadata.keys.get("attention.value_length", size) != size:
        raise metadata.refuse(
            f"{metadata.architecture}.attention.value_length = {metadata.keys['attention.value_length']}"
        )
    return found


def _query_scale(config: PretrainedConfig, metadata: Metadata, changes: dict[str, Any]) -> dict[str, Any]:
    """Gemma's scale of queries, which the file does not say: that of its heads, but for the largest sizes."""
    scale = changes.get("head_dim", config.head_dim)
    if metadata.keys["block_count"] == _LARGEST.get(metadata.architecture):
        scale = metadata.keys["embedding_length"] // metadata.keys["attention.head_count"]
    return {} if config.query_pre_attn_scalar == scale else {"query_pre_attn_scalar": scale}


def _rope(config: PretrainedConfig, metadata: Metadata) -> dict[str, Any]:
    """The rotary parameters that the file says, in the form the configuration keeps them."""
    before = config.rope_parameters or {}
    by_layer = isinstance(before.get("full_attention"), dict)
    rope = dict(before["full_attention"] if by_layer else before)
    scaling: dict[str, Any] = {}
    for key, value in metadata.keys.items():
        match key.removeprefix("rope."):
            case "freq_base" if not _same(rope.get("rope_theta"), value):
                rope["rope_theta"] = value
            case "dimension_count":
                _rotated(config, metadata, rope, value)
            case "scale_linear":
                scaling |= {"type": "linear", "factor": value} if value not in (0, 1) else {}
            case name if name.startswith("scaling."):
                scaling[name.removeprefix("scaling.")] = value
            case "freq_base_swa" if by_layer:
                if not _same(before["sliding_attention"].get("rope_theta"), value):
                    before = before | {"sliding_attention": before["sliding_attention"] | {"rope_theta": value}}
            case "freq_base":
                pass
            case _ if key.startswith("rope."):
                raise metadata.refuse(f"{metadata.architecture}.{key} = {_short(value)}")
    rope |= _scaled(metadata, scaling) | _stretched(config, metadata, rope)
    return before | {"full_attention": rope} if by_layer else rope


def _rotated(config: PretrainedConfig, metadata: Metadata, rope: dict[str, Any], count: int) -> None:
    length = metadata.keys.get("attention.key_length") or getattr(config, "head_dim", None)
    size = length or config.hidden_size // config.num_attention_heads
    if _same(rope.get("partial_rotary_factor", 1.0), count / size):
        return
    if "partial_rotary_factor" not in rope:
        raise metadata.refuse(f"{metadata.architecture}.rope.dimension_count = {count} of {size}")
    rope["partial_rotary_factor"] = count / size


def _scaled(metadata: Metadata, scaling: dict[str, Any]) -> dict[str, Any]:
    """Linear and yarn scaling under the names of transformers; `RequestError` for another kind."""
    kind = scaling.pop("type", "none" if _same(scaling.get("factor", 1.0), 1.0) else "linear")
    scaling.pop("finetuned", None)
    factor = float(scaling.pop("factor", 1.0))
    if kind in ("none", "linear") and not scaling.keys() - {"original_context_length"}:
        return {} if kind == "none" else {"rope_type": "linear", "factor": factor}
    if kind == "yarn":
        attention = scaling.pop("yarn_attn_factor", scaling.pop("attn_factor", 1.0))
        if _same(scaling.get("yarn_ext_factor", 1.0), 1.0) or scaling["yarn_ext_factor"] < 0:
            scaling.pop("yarn_ext_factor", None)
        if not scaling.keys() - _YARN.keys():
            found = {"rope_type": "yarn", "factor": factor} | {_YARN[key]: value for key, value in scaling.items()}
            usual = 0.1 * math.log(factor) + 1
            return found if _same(attention, 1.0) else found | {"attention_factor": float(attention) * usual}
    named = ", ".join(f"{key} = {_short(value)}" for key, value in scaling.items())
    raise metadata.refuse(f"{metadata.architecture}.rope.scaling.type = {kind}" + (f" with {named}" if named else ""))


def _stretched(config: PretrainedConfig, metadata: Metadata, rope: dict[str, Any]) -> dict[str, Any]:
    """The factors of each frequency: as Llama 3 has them where they are those, else one by one."""
    factors = metadata.rope_factors
    if factors is None or np.allclose(factors, 1.0):
        return {}
    scale = float(factors.max())
    exponents = np.arange(len(factors)) / len(factors)
    turns = _LLAMA3["original_max_position_embeddings"] / (2 * math.pi * rope["rope_theta"] ** exponents)
    low, high = _LLAMA3["low_freq_factor"], _LLAMA3["high_freq_factor"]
    smooth = np.clip((turns - low) / (high - low), 0.0, 1.0)
    if np.allclose(factors, 1 / ((1 - smooth) / scale + smooth), rtol=1e-5):
        return {"rope_type": "llama3", "factor": scale} | _LLAMA3
    each = [float(factor) for factor in factors]
    length = config.max_position_embeddings
    return {
        "rope_type": "longrope",
        "factor": 1.0,
        "attention_factor": 1.0,
        "original_max_position_embeddings": length,
        "short_factor": each,
        "long_factor": each,
    }


def unread_tensors(metadata: Metadata, known: Callable[[str], bool]) -> list[str]:
    """Names of the file's tensors that no weight of the model is made of, sorted."""
    return sorted(name for name in metadata.tensors if name != ROPE_FACTORS and not known(name))


def _same(first: Any, second: Any) -> bool:
    if isinstance(first, int | float) and isinstance(second, int | float):
        return math.isclose(first, second, rel_tol=1e-6)
    return first == second


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)[:40]
