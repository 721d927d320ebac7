"""The text model inside a model that also reads pictures: which it is, its configuration, its tensors.

It is loaded as an ordinary causal language model of its own family, so that all that follows knows nothing of the rest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

WRAPPERS = {
    "gemma3": "gemma3_text",
    "llama4": "llama4_text",
    "llava": "llama",
    "mistral3": "mistral",
    "qwen2_vl": "qwen2",
    "qwen2_5_vl": "qwen2",
    "qwen3_vl": "qwen3",
    "qwen3_5": "qwen3_5_text",
}
"""Model types with a text model inside, and the family it has where the configuration does not name one."""

_SAME = {"qwen2_vl_text": "qwen2", "qwen2_5_vl_text": "qwen2", "qwen3_vl_text": "qwen3"}
"""Text models that on text alone compute what a family does: their three positions per token are then one."""

RENAMED = {r"^(model\.language_model|language_model\.model)\.": "model.", r"^language_model\.lm_head\.": "lm_head."}
"""How the text model's tensors are called by its own class, by pattern of their name in the whole model."""

_BESIDE = re.compile(r"(model\.)?(visual|vision_tower|vision_model|multi_modal_projector|image_newline|mtp)\b")


def text_type(config: Mapping[str, Any]) -> str:
    """The family of the model that a parsed config.json describes, or of the text model inside it."""
    named = config["model_type"]
    if named not in WRAPPERS:
        return named
    inner = config.get("text_config")
    inner = inner.get("model_type") if isinstance(inner, dict) else None
    return _SAME.get(inner, inner) if isinstance(inner, str) else WRAPPERS[named]


def text_config(config: PretrainedConfig) -> PretrainedConfig:
    """The configuration of the text model inside, as its own family's; any other model's own."""
    if config.model_type not in WRAPPERS:
        return config
    text = config.get_text_config()
    if text.model_type in _SAME:
        settings = text.to_dict()
        for name in ("model_type", "architectures", "transformers_version", "_name_or_path"):
            settings.pop(name, None)
        positions = dict(settings.get("rope_parameters") or {})
        for name in ("mrope_section", "mrope_interleaved"):
            positions.pop(name, None)
        from transformers import AutoConfig

        text = AutoConfig.for_model(_SAME[text.model_type], **settings | {"rope_parameters": positions})
    text.tie_word_embeddings = bool(getattr(config, "tie_word_embeddings", False))
    return text


def text_tensor(name: str) -> str | None:
    """What the text model's own class calls a tensor of the whole model; None if the tensor is no part of it."""
    if _BESIDE.match(name):
        return None
    for pattern, replacement in RENAMED.items():
        name = re.sub(pattern, replacement, name)
    return name


def text_class(base: type[PreTrainedModel]) -> type[PreTrainedModel]:
    """The class `base`, which passes over the tensors of the whole model that are not its own."""
    members = {"_keys_to_ignore_on_load_unexpected": [_BESIDE.pattern], "__module__": base.__module__}
    return type(base.__name__, (base,), members)
