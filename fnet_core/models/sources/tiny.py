"""The starter `tiny`: a random 2-layer model with a byte tokenizer, made here, always the same."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from fnet_core.models.older import add_older
from fnet_core.models.sources.starter_table import TINY_SIZES

_SEED = 20250922
_END = "<|end|>"


def build_tiny(folder: Path) -> None:
    """Save the model and its tokenizer into an existing folder; torch's global random state is left alone."""
    end = TINY_SIZES["vocab_size"] - 1
    config = LlamaConfig(**TINY_SIZES, bos_token_id=end, eos_token_id=end, pad_token_id=end, initializer_range=0.14)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    add_older(folder)


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """One token per UTF-8 byte and one end token, with character offsets."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {symbol: index for index, symbol in enumerate([*alphabet, _END])}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=_END, eos_token=_END, pad_token=_END, model_max_length=4096
    )
