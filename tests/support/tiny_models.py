"""Tiny random models of the real class of every family, and a character tokenizer to go with them.

All sizes differ, so that a mixed-up axis fails; heads are grouped (4 query, 2 key-value) where the class can.
"""

import string
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from fnet_core.models.families import FAMILIES
from fnet_core.models.wrappers import WRAPPERS

VOCABULARY = 61
PAD, BOS, EOS, UNKNOWN = range(4)

_SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 128,
    "pad_token_id": PAD,
    "bos_token_id": BOS,
    "eos_token_id": EOS,
    "initializer_range": 0.2,
}
_GROUPED = {"num_key_value_heads": 2, "head_dim": 6}
_ATTENTION = {"num_attention_heads", "max_position_embeddings", "intermediate_size", *_GROUPED}
_EXPERTS = {"num_experts": 5, "num_experts_per_tok": 2}
_ALTERNATING = ["sliding_attention", "full_attention", "sliding_attention"]
_CHANGES = {
    "gemma2": {"query_pre_attn_scalar": 6, "sliding_window": 16},
    "gemma3_text": {"query_pre_attn_scalar": 6, "sliding_window": 16, "layer_types": None},
    # half of each head is rotated, which must be an even number
    "glm": {"head_dim": 8},
    "glm4": {"head_dim": 8},
    "gpt_neox": {"rotary_pct": 1.0},
    # no multiplier is 1, so that one that is forgotten shows
    "granite": {
        "embedding_multiplier": 3.0,
        "residual_multiplier": 0.5,
        "attention_multiplier": 0.3,
        "logits_scaling": 2.0,
    },
    "phi": {"partial_rotary_factor": 1.0},
    "opt": {"word_embed_proj_dim": 24},
    "bloom": {"seq_length": 128},
    "falcon": {"new_decoder_architecture": True, "num_kv_heads": 2},
    "gptj": {"rotary_dim": 4},
    "qwen3_5_text": {
        "head_dim": 8,
        "layer_types": ["linear_attention", "full_attention", "linear_attention"],
        "linear_key_head_dim": 4,
        "linear_value_head_dim": 6,
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 4,
    },
    "bamba": {
        "head_dim": 8,
        "attn_layer_indices": [1],
        "mamba_n_heads": 4,
        "mamba_d_head": 12,
        "mamba_d_state": 8,
        "mamba_chunk_size": 16,
    },
    "mamba": {"state_size": 4, "time_step_rank": 3, "seq_length": 128},
    "mixtral": _EXPERTS | {"num_local_experts": 5},
    "qwen2_moe": _EXPERTS | {"moe_intermediate_size": 16, "shared_expert_intermediate_size": 20},
    "qwen3_moe": _EXPERTS | {"moe_intermediate_size": 16, "norm_topk_prob": True},
    "olmoe": _EXPERTS,
    "qwen3_next": _EXPERTS
    | {
        "head_dim": 8,
        "moe_intermediate_size": 16,
        "shared_expert_intermediate_size": 20,
        "layer_types": ["linear_attention", "full_attention", "linear_attention"],
        "linear_key_head_dim": 4,
        "linear_value_head_dim": 6,
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 4,
    },
    # the layers between see the four tokens before, and the others are scaled by how far on they are
    "llama4_text": _EXPERTS
    | {
        "num_local_experts": 5,
        "intermediate_size_mlp": 44,
        "no_rope_layer_interval": 2,
        "attention_chunk_size": 4,
        "floor_scale": 4,
    },
    "gpt_oss": _EXPERTS | {"num_local_experts": 5, "sliding_window": 16, "layer_types": _ALTERNATING},
}
_OWN_NAMES = {
    "gpt2": {"intermediate_size": "n_inner"},
    "falcon": {"intermediate_size": "ffn_hidden_size"},
    "gptj": {"intermediate_size": "n_inner"},
    "opt": {"intermediate_size": "ffn_dim", "initializer_range": "init_std"},
}
_UNGROUPED = ("gpt2", "gpt_neox", "opt", "bloom", "falcon", "gptj")
UNGATED = (*_UNGROUPED, "arcee", "nemotron", "phi", "starcoder2")
"""Families whose MLP has no gate."""
HEADS_NOT_IN_CONFIG = (*_UNGROUPED, "helium", "phi", "stablelm")
"""Families whose configuration cannot count heads apart from the model's width."""
HEADLESS = ("qwen3_5_text", "bamba", "qwen3_next")
"""Families of which only some layers have attention heads."""
HEADS_STAY = ("olmo2", "olmo3", "bloom", *HEADLESS)
"""Families of which no head can be pruned."""
WIDTH_NOT_IN_CONFIG = ("bloom",)
"""Families whose MLP is four times as wide as the model, whatever the configuration says."""
_CHARACTERS = string.ascii_lowercase + string.digits + " \n.,;:!?'\"-()[]/&%$#+"


def _settings(model_type: str, **changes) -> dict:
    settings = _SIZES | ({} if model_type in _UNGROUPED else _GROUPED) | _CHANGES.get(model_type, {}) | changes
    if model_type == "mamba":
        settings = {key: value for key, value in settings.items() if key not in _ATTENTION}
    if model_type == "gemma3_text":
        settings["layer_types"] = ["sliding_attention", "full_attention"] * settings["num_hidden_layers"]
        settings["layer_types"] = settings["layer_types"][: settings["num_hidden_layers"]]
    return settings


def tiny_model(model_type: str, seed: int = 0, **changes) -> PreTrainedModel:
    """A random float32 model of the family's real class; `changes` are named as in Llama's configuration."""
    names = _OWN_NAMES.get(model_type, {})
    settings = {names.get(key, key): value for key, value in _settings(model_type, **changes).items()}
    config = AutoConfig.for_model(model_type, **settings)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return AutoModelForCausalLM.from_config(config).eval().requires_grad_(False)


def mlp_width(model_type: str) -> int:
    """MLP neurons per layer of the tiny model."""
    return 0 if model_type in NO_MLP else 4 * 24 if model_type in WIDTH_NOT_IN_CONFIG else 40


_VISION = {
    "gemma3": {"hidden_size": 16, "intermediate_size": 20, "num_hidden_layers": 1, "num_attention_heads": 2,
               "image_size": 8, "patch_size": 4},
    "llama4": {"hidden_size": 16, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2,
               "image_size": 8, "patch_size": 4, "vision_output_dim": 16, "projector_input_dim": 16,
               "projector_output_dim": 16},
    "llava": {"hidden_size": 16, "intermediate_size": 20, "num_hidden_layers": 1, "num_attention_heads": 2,
              "image_size": 8, "patch_size": 4},
    "mistral3": {"hidden_size": 16, "intermediate_size": 20, "num_hidden_layers": 1, "num_attention_heads": 2,
                 "image_size": 8, "patch_size": 4, "head_dim": 8},
    "qwen2_vl": {"depth": 1, "embed_dim": 16, "num_heads": 2, "hidden_size": 24, "mlp_ratio": 2},
    "qwen2_5_vl": {"depth": 1, "hidden_size": 16, "intermediate_size": 20, "num_heads": 2, "out_hidden_size": 24},
    "qwen3_5": {"depth": 1, "hidden_size": 16, "intermediate_size": 20, "num_heads": 2, "out_hidden_size": 24},
    "qwen3_vl": {"depth": 1, "hidden_size": 16, "intermediate_size": 20, "num_heads": 2, "out_hidden_size": 24,
                 "deepstack_visual_indexes": [0]},
}  # fmt: skip


def tiny_wrapper(model_type: str, seed: int = 0, **changes) -> PreTrainedModel:
    """A random float32 model of the real class that reads pictures too; `changes` are those of the text model."""
    text = {"tie_word_embeddings": False} | _settings(WRAPPERS[model_type], **changes)
    if model_type.startswith("qwen"):
        sections = {"mrope_section": [1, 1, 1], "rope_type": "default", "rope_theta": 10_000.0}
        text = text | {"rope_parameters": sections}
    if model_type in ("gemma3", "llama4", "llava", "mistral3"):
        text = text | {"model_type": WRAPPERS[model_type]}
    config = AutoConfig.for_model(
        model_type, text_config=text, vision_config=_VISION[model_type], image_token_index=60, image_token_id=60
    )
    config.tie_word_embeddings = text["tie_word_embeddings"]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return AutoModelForImageTextToText.from_config(config).eval().requires_grad_(False)


def tiny_tokenizer(vocab_size: int = VOCABULARY) -> PreTrainedTokenizerFast:
    """One token per character, lower-cased, with character offsets and no added start token."""
    symbols = ["<pad>", "<s>", "</s>", "<unk>", *_CHARACTERS]
    symbols += [f"<unused{number}>" for number in range(vocab_size - len(symbols))]
    tokenizer = Tokenizer(
        models.WordLevel({symbol: index for index, symbol in enumerate(symbols[:vocab_size])}, "<unk>")
    )
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )


def starting_tokenizer() -> PreTrainedTokenizerFast:
    """The tiny tokenizer with a start token put before every text, as Llama's and Gemma's do."""
    tokenizer = tiny_tokenizer()
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", tokenizer.bos_token_id)]
    )
    return tokenizer


def save_tiny(folder: Path, model_type: str = "llama", seed: int = 0, **changes) -> Path:
    """Save a tiny model and its tokenizer as `save_pretrained` does, and return the folder."""
    model = tiny_model(model_type, seed, **changes)
    model.save_pretrained(folder)
    tiny_tokenizer(model.config.vocab_size).save_pretrained(folder)
    return folder


def mixture_of(layer: torch.nn.Module) -> tuple[torch.nn.Module, torch.nn.Module | None]:
    """The module of a mixture's layer that stands in for the MLP, and its router (none where the layer is dense)."""
    block = layer.feed_forward if hasattr(layer, "feed_forward") else layer.mlp
    return block, getattr(block, "router", getattr(block, "gate", None))


MIXTURES = tuple(name for name, family in FAMILIES.items() if family.router)
NO_MLP = ("mamba",)
"""Families with neither MLPs nor attention."""
TINY_FAMILIES = tuple(name for name in FAMILIES if name not in (*MIXTURES, *NO_MLP))
"""Families with one MLP per layer."""
ALL_FAMILIES = (*TINY_FAMILIES, *MIXTURES, *NO_MLP)
