"""Tiny random models of real classes that are not in the table of families, and made-up ones that nobody can read."""

from importlib.metadata import version
from pathlib import Path

import torch
from packaging.version import Version
from support.tiny_models import BOS, EOS, PAD, VOCABULARY, tiny_tokenizer
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput

_SINCE = {"apertus1p5_text": "5.24", "exaone": "5.24"}
"""The version of transformers that brought a class, where it is later than the lowest one that FNet takes."""
_ALL = (
    "apertus",
    "apertus1p5_text",
    "bitnet",
    "ctrl",
    "cwm",
    "diffllama",
    "exaone",
    "gpt_bigcode",
    "internlm3",
    "iquestcoder",
    "jais2",
    "lfm2",
    "modernbert-decoder",
    "mpt",
    "nanochat",
    "phi4_multimodal",
    "vaultgemma",
    "xglm",
)
BY_STRUCTURE = tuple(name for name in _ALL if Version(version("transformers")) >= Version(_SINCE.get(name, "5.0")))
"""Classes that are read by their structure, of those that this library has."""
_GROUPED = set(BY_STRUCTURE) - {"ctrl", "gpt_bigcode", "mpt", "xglm"}
UNCLEAR = {
    "bert": "a layer's output is not what entered it and two branches added to it",
    "granite_swa": "what a branch adds to the stream is not what one projection gives",
    "granitemoe": "what a branch adds to the stream is not what one projection gives, as in a mixture of experts",
    "falcon_mamba": "a layer's output is not what entered it and two branches added to it",
    "recurrent_gemma": "it cannot be told which branch is attention and which the MLP",
    "xlm": "4 lists of 3 alike modules could be its decoder layers",
}
"""Classes that are not, and what is said of them."""
_SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 4096,
    "pad_token_id": PAD,
    "bos_token_id": BOS,
    "eos_token_id": EOS,
    "initializer_range": 0.2,
}


_OWN = {
    # eyes and ears, which no text reaches, have 870 million parameters unless they are told to be small
    "phi4_multimodal": {
        "vision_config": {"hidden_size": 16, "intermediate_size": 20, "num_hidden_layers": 2, "num_attention_heads": 2,
                          "image_size": 28, "crop_size": 28},
        "audio_config": {"hidden_size": 16, "intermediate_size": 20, "num_blocks": 2, "num_attention_heads": 2,
                         "ext_pw_out_channel": 16, "depthwise_separable_out_channel": 16, "nemo_conv_channels": 8,
                         "bias_max_distance": 10},
    },
    "ctrl": {"dff": 40, "n_positions": 4096},
    "xglm": {"ffn_dim": 40},
}  # fmt: skip


def unlisted_config(model_type: str) -> PretrainedConfig:
    """A tiny configuration of a class that is not in the table."""
    grouped = {"num_key_value_heads": 2, "head_dim": 6} if model_type in _GROUPED else {}
    return AutoConfig.for_model(model_type, **_SIZES | grouped | _OWN.get(model_type, {}))


def save_unlisted(folder: Path, model_type: str) -> Path:
    """A tiny random model of it in a folder, with a tokenizer."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        AutoModelForCausalLM.from_config(unlisted_config(model_type)).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


class MadeUpConfig(PretrainedConfig):
    """A model that is in no library; `kind` says what is wrong with it."""

    model_type = "made_up"

    def __init__(self, kind="plain", **settings):
        self.kind = kind
        super().__init__(**({name: value for name, value in _SIZES.items() if name != "initializer_range"} | settings))


class _Layer(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.kind = kind
        self.mix_in, self.mix_out = nn.Linear(24, 72), nn.Linear(24, 24)
        self.widen, self.narrow = nn.Linear(24, 40), nn.Linear(40, 24)
        self.other_wide, self.other_narrow = nn.Linear(24, 44), nn.Linear(44, 24)

    def forward(self, hidden):
        query, key, value = self.mix_in(hidden).unflatten(-1, (3, 4, 6)).movedim(-3, 0).transpose(2, 3)
        mixed = nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        hidden = hidden + self.mix_out(mixed.transpose(1, 2).flatten(2))
        added = self.narrow(self.widen(hidden).relu())
        if self.kind == "two MLPs":
            added = added + self.other_narrow(self.other_wide(hidden).relu())
        if self.kind == "scaled":
            added = added * 0.5
        if self.kind == "narrow":
            added = self.mix_out(added)
        return hidden + added


class MadeUp(PreTrainedModel):
    """A causal language model whose layers do as `kind` says."""

    config_class = MadeUpConfig
    base_model_prefix = "body"

    def __init__(self, config):
        super().__init__(config)
        self.embedding, self.head = nn.Embedding(VOCABULARY, 24), nn.Linear(24, VOCABULARY, bias=False)
        self.blocks = nn.ModuleList([_Layer(config.kind) for _ in range(3)])
        if config.kind == "two stacks":
            self.more = nn.ModuleList([_Layer("plain") for _ in range(3)])
        self.post_init()

    def forward(self, input_ids=None, use_cache=None, **_):
        hidden = self.embedding(input_ids)
        for block in (*self.blocks, *getattr(self, "more", ())):
            hidden = block(hidden)
        return CausalLMOutput(logits=self.head(hidden))
