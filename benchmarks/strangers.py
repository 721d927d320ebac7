"""Small models that were trained apart: several families, widths, ages, texts and seeds, and a few fine-tuned copies.

    python -m benchmarks.strangers --texts FILE FILE --out DIR [--form gated | ungated] [--only PART/PARTS]

Every model has a seed of its own, which decides its first weights and the order of its windows. Age 0: random weights.
A copy (`Stranger.parent`) is a model fine-tuned on another text than its own. Each is saved as DIR/NAME, an ordinary
model folder, unless it is there; one line per model. `--only 1/2` makes the first half, for a second process.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from time import perf_counter

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from benchmarks.twins import train_tokenizer
from fnet_core.derivation.finetune import train
from fnet_core.derivation.training import Training
from fnet_core.models import loading as models
from fnet_core.storage import artifacts

CONTEXT, VOCABULARY = 256, 1024
AGES = (0, 40, 120, 360)
"""Steps of training."""
RATE, COPY_RATE, COPY_STEPS, COPY_CHARACTERS = 2e-3, 5e-4, 60, 200_000

SHAPES: dict[str, tuple[tuple[str, int, int, int], ...]] = {
    "gated": (
        ("llama", 64, 160, 3),
        ("llama", 96, 256, 4),
        ("qwen2", 64, 192, 3),
        ("gemma3_text", 48, 144, 4),
        ("phi3", 64, 128, 2),
        ("olmo2", 80, 160, 3),
    ),
    "ungated": (
        ("gpt2", 64, 256, 3),
        ("gpt2", 96, 192, 4),
        ("opt", 64, 192, 3),
        ("gpt_neox", 48, 144, 4),
        ("phi", 64, 128, 2),
        ("bloom", 64, 256, 3),
    ),
}
"""Family, width, neurons of an MLP, and layers, by whether the MLPs have a gate."""

_NAMES = {"gpt2": {"intermediate_size": "n_inner"}, "opt": {"intermediate_size": "ffn_dim"}}
_OWN = {"opt": ("word_embed_proj_dim", "hidden_size"), "bloom": ("seq_length", "max_position_embeddings")}


@dataclass(frozen=True)
class Stranger:
    """One model of the collection; `parent` is the name of the one it was fine-tuned from, if any."""

    family: str
    width: int
    mlp_width: int
    layers: int
    age: int
    text: int
    seed: int
    parent: str = ""

    @property
    def name(self) -> str:
        """Its folder."""
        made = f"{self.family}-{self.width}-{self.age}-text{self.text}-{self.seed}"
        return f"{made}-copy" if self.parent else made

    @property
    def lineage(self) -> str:
        """The name of the model that it descends from: its own, or its parent's."""
        return self.parent or self.name


def strangers(form: str, texts: int) -> tuple[Stranger, ...]:
    """Two models of every shape and age, two more of the first shape, and a copy of one model of every shape."""
    found = []
    for number, shape in enumerate(SHAPES[form]):
        for age_number, age in enumerate(AGES):
            count = 4 if number == 0 and age else 2
            for twin in range(count):
                text = (number + age_number + twin // 2) % texts
                found.append(Stranger(*shape, age, text, seed=1000 * number + 10 * age + twin))
    for shape in SHAPES[form]:
        of_shape = [each for each in found if (each.family, each.width) == shape[:2] and each.age == AGES[-1]]
        parent = of_shape[0]
        found.append(replace(parent, text=(parent.text + 1) % texts, parent=parent.name))
    return tuple(found)


def made(stranger: Stranger, texts: Sequence[Path], out: Path) -> float | None:
    """Train and save one model unless it is there; its last loss, nats per token."""
    folder = out / stranger.name
    if folder.exists():
        return None
    generator = torch.Generator().manual_seed(stranger.seed + bool(stranger.parent))
    if stranger.parent:
        loaded = models.load(str((out / stranger.parent).resolve()), device_map="cpu")
        model, tokenizer = loaded.model.requires_grad_(True), loaded.tokenizer
        steps, rate = COPY_STEPS, COPY_RATE
        text = (texts[stranger.text].read_text("utf-8"))[:COPY_CHARACTERS]
        ids = torch.tensor(tokenizer(text, verbose=False)["input_ids"])
    else:
        tokenizer, ids = tokens_of(texts[stranger.text])
        model, steps, rate = new_model(stranger, tokenizer), stranger.age, RATE
    training = Training(steps=max(1, steps), learning_rate=rate, window=CONTEXT, batch=2)
    losses = train(model, list(model.parameters()), ids, (), training, generator) if steps else [float("nan")]
    with artifacts.atomic_folder(folder) as temporary:
        model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
    return losses[-1]


@cache
def tokens_of(text: Path) -> tuple[PreTrainedTokenizerFast, torch.Tensor]:
    """A tokenizer of the text's own, and the text in its tokens, (T,) int64."""
    content = text.read_text("utf-8")
    tokenizer = train_tokenizer(content, VOCABULARY, CONTEXT)
    return tokenizer, torch.tensor(tokenizer(content, verbose=False)["input_ids"])


def new_model(stranger: Stranger, tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    """The model before its training, with weights drawn by its seed."""
    settings: dict[str, object] = {
        "vocab_size": len(tokenizer),
        "hidden_size": stranger.width,
        "intermediate_size": stranger.mlp_width,
        "num_hidden_layers": stranger.layers,
        "num_attention_heads": 4,
        "max_position_embeddings": CONTEXT,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    if stranger.family not in ("gpt2", "opt", "bloom"):
        settings |= {"num_key_value_heads": 2, "head_dim": stranger.width // 4}
    if stranger.family in _OWN:
        name, like = _OWN[stranger.family]
        settings[name] = settings[like]
    names = _NAMES.get(stranger.family, {})
    config = AutoConfig.for_model(stranger.family, **{names.get(key, key): value for key, value in settings.items()})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stranger.seed)
        return AutoModelForCausalLM.from_config(config).eval()


def main() -> None:
    """Train what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--form", choices=SHAPES, default="gated")
    parser.add_argument("--only", default="1/1", metavar="PART/PARTS")
    options = parser.parse_args()
    part, parts = map(int, options.only.split("/"))
    for stranger in strangers(options.form, len(options.texts)):
        if stranger.seed // 1000 % parts == part - 1:
            began = perf_counter()
            loss = made(stranger, options.texts, options.out)
            told = "there already" if loss is None else f"loss {loss:.2f}, {perf_counter() - began:.0f} s"
            print(f"{stranger.name}: {told}", flush=True)


if __name__ == "__main__":
    main()
