"""A model made by hand of which one network carries figures and another letters, and what asks it for both."""

from dataclasses import replace

import numpy as np
import torch
from support.atlases import hand_atlas
from support.loading import loaded_tiny
from support.tiny_models import tiny_model, tiny_tokenizer

from fnet_core.capability.battery import Battery, Item
from fnet_core.models.loading import LoadedModel
from fnet_core.networks.atlas import Atlas

WIDTH, LAYERS = 90, 2
FIGURES, LETTERS = "0123456789", "abcdefghijklmnopqrstuvwxyz"
PLANTED = Battery(
    ("sums", "tense"),
    tuple(Item("sums", f"x{a}", b, c) for a, b, c in zip(FIGURES, FIGURES[1:], FIGURES[2:], strict=False))
    + tuple(Item("tense", f"1{a}", b, c) for a, b, c in zip(LETTERS, LETTERS[1:], LETTERS[2:], strict=False)),
    {"items": 24, "seed": 0},
)
"""The next figure, and the next letter; a model that knows neither gives both continuations the same likelihood."""


def planted_model() -> LoadedModel:
    """A llama that knows what comes next by one neuron of layer 0 for each figure (0 to 9) and letter (10 to 35).

    Attention adds nothing, and the other neurons are idle.
    """
    tokenizer = tiny_tokenizer()
    model = tiny_model(
        "llama", hidden_size=64, intermediate_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=4, head_dim=16
    )
    states = {name: torch.zeros_like(weight) for name, weight in model.state_dict().items()}
    for name in states:
        if "norm" in name:
            states[name] = torch.ones_like(states[name])
    embeddings = torch.eye(model.config.vocab_size, 64)
    states["model.embed_tokens.weight"] = states["lm_head.weight"] = embeddings
    prefix = "model.layers.0.mlp"
    neuron = 0
    for row in (FIGURES, LETTERS):
        for this, following in zip(row, row[1:] + row[0], strict=True):
            now, then = (embeddings[tokenizer.convert_tokens_to_ids(symbol)] for symbol in (this, following))
            states[f"{prefix}.gate_proj.weight"][neuron] = states[f"{prefix}.up_proj.weight"][neuron] = now
            states[f"{prefix}.down_proj.weight"][:, neuron] = 0.1 * then
            neuron += 1
    model.load_state_dict(states)
    return loaded_tiny(model=model, tokenizer=tokenizer)


def planted_atlas() -> Atlas:
    """Network 0 is the figures' neurons, 1 the letters', 2 ten idle ones, 3 an idle one in layer 1."""
    maps = np.zeros((4, LAYERS * WIDTH), dtype=np.float32)
    maps[0, :10], maps[1, 10:36], maps[2, 40:50], maps[3, WIDTH] = 5.0, 5.0, 5.0, 5.0
    hand = hand_atlas()
    model = {"model": "tiny-llama", "model_digest": "0" * 64, "device": "cpu", "dtype": "float32"}
    return replace(
        hand,
        recipe=hand.recipe | model,
        widths_L=(WIDTH,) * LAYERS,
        maps=(maps,),
        courses=tuple(np.pad(course, ((0, 0), (0, 1))) for course in hand.courses),
        variance_K=np.array([0.4, 0.3, 0.2, 0.1], dtype=np.float32),
        recurrence_SK=np.full((2, 4), 0.25, dtype=np.float32),
        stability_K=np.ones(4, dtype=np.float32),
        labels=("figures", "letters", "idle", "one"),
    )
