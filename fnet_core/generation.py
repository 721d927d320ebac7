"""What a model goes on to write, and what it expects next, under edits."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import GenerationConfig, StoppingCriteria, StoppingCriteriaList

from fnet_core.activations import main_device
from fnet_core.edits import Edit, editing
from fnet_core.errors import RequestError
from fnet_core.models import LoadedModel
from fnet_core.progress import Report, silent


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn; None in its place means greedy, always the likeliest token."""

    seed: int = 0
    temperature: float = 0.8
    top_p: float = 0.95

    def __post_init__(self) -> None:
        if not 0 < self.temperature <= 10:
            raise RequestError(f"A temperature of {self.temperature} is out of range; choose above 0 to 10.")
        if not 0 < self.top_p <= 1:
            raise RequestError(f"A top-p of {self.top_p} is out of range; choose above 0 to 1.")


@dataclass(frozen=True)
class NextToken:
    """One candidate for the next token, as text, with its probability."""

    text: str
    probability: float


@dataclass(frozen=True)
class Continuation:
    """The text that follows a prompt and the candidates for its first token, likeliest first."""

    text: str
    tokens: int
    next_tokens: tuple[NextToken, ...]
    finite: bool
    """False when the logits were not; text and candidates are empty then."""


class _Reporting(StoppingCriteria):
    """Tells how many tokens are written; what `report` raises ends the generation."""

    def __init__(self, report: Report, prompt: int, most: int) -> None:
        self._report, self._prompt, self._most = report, prompt, most

    def __call__(self, input_ids, scores, **_) -> torch.Tensor:
        self._report("writing", (input_ids.shape[1] - self._prompt) / self._most)
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)


def prompt_ids(loaded: LoadedModel, prompt: str, new_tokens: int) -> torch.Tensor:
    """(1, T) int64 with the special tokens before it; RequestError if empty or too long for the context."""
    if not prompt.strip():
        raise RequestError("The prompt is empty; write the beginning of a text.")
    if not 1 <= new_tokens <= 1024:
        raise RequestError(f"{new_tokens} new tokens are out of range; choose 1 to 1024.")
    ids = loaded.tokenizer(prompt, verbose=False)["input_ids"]
    if len(ids) + new_tokens > loaded.max_tokens:
        raise RequestError(
            f"The prompt has {len(ids)} tokens, which with {new_tokens} new ones is more than the {loaded.max_tokens} "
            f"that {loaded.name} reads; shorten it."
        )
    return torch.tensor([ids])


@torch.no_grad()
def continuation(
    loaded: LoadedModel,
    prompt: str,
    edits: Sequence[Edit] = (),
    *,
    new_tokens: int = 40,
    sampling: Sampling | None = None,
    candidates: int = 10,
    report: Report = silent,
) -> Continuation:
    """Go on from the prompt under the edits, greedily or by sampling with a seed of its own.

    The candidates are the softmax of the logits behind the prompt. Raises RequestError as `prompt_ids` and `editing`;
    `report` gets the stage "writing" at every token and may raise to stop.
    """
    device = main_device(loaded.model)
    ids = prompt_ids(loaded, prompt, new_tokens).to(device)
    with editing(loaded, edits), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        logits = loaded.model(input_ids=ids, use_cache=False).logits[0, -1].float()
        if not torch.isfinite(logits).all():
            return Continuation("", 0, (), finite=False)
        top = logits.softmax(-1).topk(min(candidates, len(logits)))
        torch.manual_seed(sampling.seed if sampling else 0)
        written = loaded.model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            generation_config=_generation_config(loaded, new_tokens, sampling),
            stopping_criteria=StoppingCriteriaList([_Reporting(report, ids.shape[1], new_tokens)]),
        )[0, ids.shape[1] :]
    report("writing", 1.0)
    return Continuation(
        loaded.tokenizer.decode(written, skip_special_tokens=True),
        len(written),
        tuple(
            NextToken(loaded.tokenizer.decode([int(i)]), float(p)) for p, i in zip(top.values, top.indices, strict=True)
        ),
        finite=True,
    )


def _generation_config(loaded: LoadedModel, new_tokens: int, sampling: Sampling | None) -> GenerationConfig:
    tokenizer = loaded.tokenizer
    own = loaded.model.generation_config
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    drawing = (
        {"do_sample": True, "temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0}
        if sampling
        else {"do_sample": False}
    )
    return GenerationConfig(max_new_tokens=new_tokens, eos_token_id=own.eos_token_id, pad_token_id=pad, **drawing)
