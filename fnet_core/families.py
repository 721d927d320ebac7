"""Where each architecture keeps what FNet reads and changes: one row per family.

A module path is relative to the decoder layer unless it says otherwise. A new family is a new row, and
a tiny random model of its real class in `tests/tiny_models.py` that tests the row at every site.
"""

from dataclasses import dataclass
from functools import reduce
from typing import Literal

from torch import nn
from transformers.pytorch_utils import Conv1D

from fnet_core.errors import RequestError

Site = Literal["mlp", "mlp_out", "residual", "heads"]

SITES: dict[str, str] = {
    "mlp": "MLP neurons: the input of each MLP's down-projection, one neuron per intermediate unit",
    "mlp_out": "MLP output: what each MLP adds to the residual stream",
    "residual": "Residual stream: each decoder layer's output",
    "heads": "Attention heads: the input of the attention output projection, averaged within each head",
}
"""The four sites that can be read, with the sentence that explains each."""


@dataclass(frozen=True)
class Family:
    """One architecture's module paths; `layers` is relative to the model, the others to a decoder layer."""

    layers: str
    down: str
    """The MLP's down-projection: its input is site `mlp`."""
    mlp_out: str
    """The module whose output the MLP branch adds to the residual stream: site `mlp_out`."""
    attention_out: str
    """The attention output projection: its input is site `heads` before averaging."""


_LLAMA = Family("model.layers", "mlp.down_proj", "mlp", "self_attn.o_proj")
_GEMMA = Family("model.layers", "mlp.down_proj", "post_feedforward_layernorm", "self_attn.o_proj")

FAMILIES: dict[str, Family] = {
    "llama": _LLAMA,
    "mistral": _LLAMA,
    "qwen2": _LLAMA,
    "qwen3": _LLAMA,
    "phi3": _LLAMA,
    "glm": _LLAMA,
    "glm4": Family("model.layers", "mlp.down_proj", "post_mlp_layernorm", "self_attn.o_proj"),
    "gemma2": _GEMMA,
    "gemma3_text": _GEMMA,
    "gpt2": Family("transformer.h", "mlp.c_proj", "mlp", "attn.c_proj"),
    "gpt_neox": Family("gpt_neox.layers", "mlp.dense_4h_to_h", "mlp", "attention.dense"),
    "opt": Family("model.decoder.layers", "fc2", "fc2", "self_attn.out_proj"),
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


def _resolve(root: nn.Module, path: str) -> nn.Module:
    return reduce(getattr, path.split("."), root)


def decoder_layers(model: nn.Module) -> list[nn.Module]:
    """The decoder layers of a causal language model, first to last; `RequestError` if unsupported."""
    return list(_resolve(model, family_for(model.config.model_type).layers))


@dataclass(frozen=True)
class Tap:
    """One place to read or edit in one layer: a module, and whether its input or its output is meant."""

    module: nn.Module
    side: Literal["input", "output"]


def taps(model: nn.Module, site: Site) -> list[Tap]:
    """The tap of `site` in every decoder layer, first to last; `RequestError` for an unknown site."""
    family = family_for(model.config.model_type)
    layers = decoder_layers(model)
    match site:
        case "mlp":
            return [Tap(_resolve(layer, family.down), "input") for layer in layers]
        case "mlp_out":
            return [Tap(_resolve(layer, family.mlp_out), "output") for layer in layers]
        case "residual":
            return [Tap(layer, "output") for layer in layers]
        case "heads":
            return [Tap(_resolve(layer, family.attention_out), "input") for layer in layers]
        case _:
            raise RequestError(f"There is no site '{site}'; choose one of {', '.join(SITES)}.")


def head_count(model: nn.Module) -> int:
    """Query heads per layer, the divisor of site `heads`."""
    return model.config.num_attention_heads


def _input_width(projection: nn.Module) -> int:
    return projection.weight.shape[0 if isinstance(projection, Conv1D) else 1]


def site_widths(model: nn.Module, site: Site) -> tuple[int, ...]:
    """Neurons per layer at a site, first layer to last; layers may differ, as after pruning."""
    if site == "mlp":
        return tuple(_input_width(tap.module) for tap in taps(model, site))
    width = head_count(model) if site == "heads" else model.config.hidden_size
    return (width,) * len(taps(model, site))
