"""A small GGUF file of a tiny Llama, written as llama.cpp's converter does it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from gguf import GGUFWriter, TokenType
from support.tiny_models import tiny_model
from tokenizers import pre_tokenizers
from transformers import PreTrainedModel

ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())
TOKENS = [*ALPHABET, "th", "the", "<|start|>", "<|end|>"]
MERGES = ["t h", "th e"]
START, END = len(TOKENS) - 2, len(TOKENS) - 1
_LAYER = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def write_tiny_gguf(
    path: Path,
    architecture: str = "llama",
    leave_out: str = "",
    more: Callable[[GGUFWriter], None] = lambda _: None,
    parts: int = 1,
    **changes,
) -> PreTrainedModel:
    """Write a random Llama and a byte tokenizer of 260 tokens, and return the model it holds.

    `leave_out`: the name of one tensor that the file then lacks; `more` adds keys and tensors; `changes` are those of
    the model's configuration, which the file does not tell by itself; `parts`: in how many files with at most 20
    tensors in each, of which `path` is the first.
    """
    model = tiny_model(
        "llama", vocab_size=len(TOKENS), bos_token_id=START, eos_token_id=END, pad_token_id=END, **changes
    )
    config = model.config
    writer = GGUFWriter(path, architecture, split_max_tensors=20 if parts > 1 else 0)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(len(TOKENS))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(TOKENS)
    writer.add_token_types([TokenType.NORMAL] * START + [TokenType.CONTROL] * 2)
    writer.add_token_merges(MERGES)
    writer.add_bos_token_id(START)
    writer.add_eos_token_id(END)
    more(writer)
    for name, array in _tensors(model).items():
        if name != leave_out:
            writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return model


def write_tiny_mixture_gguf(path: Path) -> PreTrainedModel:
    """Write a random Qwen 3 mixture of experts as llama.cpp's converter does, and return the model it holds."""
    model = tiny_model(
        "qwen3_moe", vocab_size=len(TOKENS), bos_token_id=START, eos_token_id=END, pad_token_id=END, norm_topk_prob=True
    )
    config = model.config
    writer = GGUFWriter(path, "qwen3moe")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_expert_count(config.num_experts)
    writer.add_expert_used_count(config.num_experts_per_tok)
    writer.add_expert_feed_forward_length(config.moe_intermediate_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(TOKENS)
    writer.add_token_types([TokenType.NORMAL] * START + [TokenType.CONTROL] * 2)
    writer.add_token_merges(MERGES)
    names = _LAYER | {"mlp.gate": "ffn_gate_inp", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm"}
    for name, weight in (("token_embd", model.model.embed_tokens), ("output_norm", model.model.norm)):
        writer.add_tensor(f"{name}.weight", weight.weight.numpy())
    writer.add_tensor("output.weight", model.lm_head.weight.numpy())
    for number, layer in enumerate(model.model.layers):
        for ours, parameter in layer.named_parameters():
            block, array = f"blk.{number}", parameter.numpy()
            if ours == "mlp.experts.gate_up_proj":
                for theirs, half in zip(("gate", "up"), np.split(array, 2, axis=1), strict=True):
                    writer.add_tensor(f"{block}.ffn_{theirs}_exps.weight", np.ascontiguousarray(half))
            elif ours == "mlp.experts.down_proj":
                writer.add_tensor(f"{block}.ffn_down_exps.weight", array)
            else:
                writer.add_tensor(f"{block}.{names[ours.removesuffix('.weight')]}.weight", array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return model


def _tensors(model: PreTrainedModel) -> dict[str, np.ndarray]:
    """The model's weights under llama.cpp's names, with the rows of q and k in llama.cpp's rotary order."""
    heads = {"attn_q": model.config.num_attention_heads, "attn_k": model.config.num_key_value_heads}
    found = {
        "token_embd.weight": model.model.embed_tokens.weight.numpy(),
        "output_norm.weight": model.model.norm.weight.numpy(),
        "output.weight": model.lm_head.weight.numpy(),
    }
    for number, layer in enumerate(model.model.layers):
        for ours, theirs in _LAYER.items():
            weight = layer.get_submodule(ours).weight.numpy()
            if theirs in heads:
                rows, columns = weight.shape
                halves = weight.reshape(heads[theirs], 2, rows // heads[theirs] // 2, columns)
                weight = halves.swapaxes(1, 2).reshape(rows, columns)
            found[f"blk.{number}.{theirs}.weight"] = np.ascontiguousarray(weight)
    return found
