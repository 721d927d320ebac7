"""Independent twins: one small configuration trained from scratch on one text, with another seed for each model.

    python -m benchmarks.twins --text FILE --out DIR [--seeds 1 2 3] [--steps N | --minutes M]

Everything but the seed is the same: tokenizer (byte-level BPE trained on the text), configuration, recipe and number
of steps. The seed decides the first weights and the order of the windows. Each model is saved as DIR/twin-SEED, an
ordinary model folder. The last tenth of the text is held out and gives the bits per byte; JSON, a line per model.
`--minutes` chooses the steps that take about so long per model here, measured once and used for every seed.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers, trainers
from tokenizers.models import BPE
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from fnet_core.derivation.finetune import train
from fnet_core.derivation.training import Training
from fnet_core.errors import RequestError
from fnet_core.evaluation.perplexity import measure
from fnet_core.models import loading as models
from fnet_core.progress import Report, silent
from fnet_core.storage import artifacts
from fnet_core.texts import Passage, whole_file

VOCABULARY = 4096
HELD_OUT = 0.1
END = "<|end|>"
DEFAULT_TRAINING = Training(steps=600, learning_rate=2e-3, window=512, batch=4)
_TIMED_STEPS = 5


@dataclass(frozen=True)
class Recipe:
    """What all twins share; `context` is both the training window and the most tokens that the model reads."""

    layers: int = 6
    width: int = 192
    mlp_width: int = 512
    heads: int = 6
    context: int = 512
    vocabulary: int = VOCABULARY
    training: Training = DEFAULT_TRAINING

    def config(self, tokenizer: PreTrainedTokenizerFast) -> LlamaConfig:
        """The models' configuration."""
        return LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=self.width,
            intermediate_size=self.mlp_width,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.heads,
            max_position_embeddings=self.context,
            tie_word_embeddings=True,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )


def split(text: str) -> tuple[str, str]:
    """The part to train on and the last tenth, which is held out, cut at the end of a line."""
    cut = text.find("\n", int(len(text) * (1 - HELD_OUT)))
    if cut < 0 or not text[cut:].strip():
        raise RequestError("The text has no lines to hold out at its end; give a longer text with several lines.")
    return text[: cut + 1], text[cut + 1 :]


def train_tokenizer(text: str, vocabulary: int, context: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of at most `vocabulary` tokens, with one end token and no added start token."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(text.splitlines(keepends=True), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=END, eos_token=END, pad_token=END, model_max_length=context
    )


def new_model(recipe: Recipe, tokenizer: PreTrainedTokenizerFast, seed: int) -> LlamaForCausalLM:
    """A model with random weights of this seed; torch's global random state is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlamaForCausalLM(recipe.config(tokenizer)).eval()


def steps_for(minutes: float, recipe: Recipe, tokenizer: PreTrainedTokenizerFast, ids: torch.Tensor) -> int:
    """How many steps take about so many minutes here, measured on a model that is thrown away."""
    model = new_model(recipe, tokenizer, seed=0)
    trial = replace(recipe.training, steps=_TIMED_STEPS)
    generator = torch.Generator().manual_seed(0)
    start = perf_counter()
    train(model, list(model.parameters()), ids, (), trial, generator)
    return max(1, int(minutes * 60 / ((perf_counter() - start) / _TIMED_STEPS)))


def train_twins(
    text_file: Path,
    out: Path,
    seeds: Sequence[int] = (1, 2, 3),
    recipe: Recipe | None = None,
    minutes: float | None = None,
    report: Report = silent,
) -> list[dict[str, object]]:
    """Train and save a twin per seed; returns what is printed of each. RequestError for a bad text, seed or folder."""
    recipe = recipe or Recipe()
    folders = [Path(out) / f"twin-{seed}" for seed in seeds]
    if len(set(seeds)) < len(seeds):
        raise RequestError("A seed is given twice; twins need different seeds.")
    if there := [folder for folder in folders if folder.exists()]:
        raise RequestError(f"{there[0]} exists already; choose a new folder.")
    (whole,) = whole_file(text_file)
    training_text, held_out = split(whole.text)
    tokenizer = train_tokenizer(training_text, recipe.vocabulary, recipe.context)
    ids = torch.tensor(tokenizer(training_text, verbose=False)["input_ids"])
    if minutes is not None:
        recipe = replace(recipe, training=replace(recipe.training, steps=steps_for(minutes, recipe, tokenizer, ids)))
    recipe.training.check()
    return [
        _train_twin(seed, folder, recipe, tokenizer, ids, held_out, whole.name, report)
        for seed, folder in zip(seeds, folders, strict=True)
    ]


def _train_twin(
    seed: int,
    folder: Path,
    recipe: Recipe,
    tokenizer: PreTrainedTokenizerFast,
    ids: torch.Tensor,
    held_out: str,
    text_name: str,
    report: Report,
) -> dict[str, object]:
    model = new_model(recipe, tokenizer, seed)
    generator = torch.Generator().manual_seed(seed)
    start = perf_counter()
    losses = train(model, list(model.parameters()), ids, (), recipe.training, generator, report)
    seconds = perf_counter() - start
    with artifacts.atomic_folder(folder) as temporary:
        model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
    loaded = models.load(str(folder.resolve()), device_map="cpu")
    passage = Passage("held out", held_out, f"the end of {text_name}")
    for measured in measure(loaded, [passage], definition="byte", window=recipe.context):
        report("measuring", len(measured.nll_W) / measured.total_windows)
    last = losses[-max(1, len(losses) // 10) :]
    return {
        "model": str(folder),
        "seed": seed,
        "parameters": model.num_parameters(),
        "vocabulary": len(tokenizer),
        "text_tokens": len(ids),
        "steps": len(losses),
        "tokens_per_step": recipe.training.batch * recipe.training.window,
        "seconds": round(seconds, 1),
        "final_loss": round(sum(last) / len(last), 4),
        "held_out_bits_per_byte": round(measured.bits_per_byte, 4),
    }


def main() -> None:
    """Train and print a JSON line per model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--steps", type=int, default=DEFAULT_TRAINING.steps)
    length.add_argument("--minutes", type=float)
    options = parser.parse_args()

    recipe = Recipe(training=replace(DEFAULT_TRAINING, steps=options.steps))
    try:
        for line in train_twins(options.text, options.out, options.seeds, recipe, options.minutes, _to_stderr):
            print(json.dumps(line))
    except RequestError as error:
        sys.exit(f"twins: {error}")


def _to_stderr(stage: str, fraction: float) -> None:
    if sys.stderr.isatty() or fraction in (0.0, 1.0):
        print(f"\r{stage} {fraction:4.0%}", end="\n" if fraction == 1.0 else "", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
