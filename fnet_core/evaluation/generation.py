"""What a model goes on to write, and what it expects next."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from transformers.generation.logits_process import TemperatureLogitsWarper, TopPLogitsWarper

from fnet_core.checks import check_range
from fnet_core.errors import RequestError
from fnet_core.models.loading import LoadedModel
from fnet_core.models.running import main_device
from fnet_core.progress import Report, silent


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn; None in its place means greedy, always the likeliest token."""

    seed: int = 0
    temperature: float = 0.8
    top_p: float = 0.95

    def __post_init__(self) -> None:
        check_range(self.temperature, 0, 10, f"A temperature of {self.temperature} is", "choose above 0 to 10", "(]")
        check_range(self.top_p, 0, 1, f"A top-p of {self.top_p} is", "choose above 0 to 1", "(]")


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
    """False when the logits ceased to be finite; the text ends there."""
    done: bool = True
    """False while more may be written; a character of which a part is written is left out until it is whole."""


def prompt_ids(loaded: LoadedModel, prompt: str, new_tokens: int) -> torch.Tensor:
    """(1, T) int64 with the special tokens before it; RequestError if empty or too long for the context."""
    if not prompt.strip():
        raise RequestError("The prompt is empty; write the beginning of a text.")
    check_range(new_tokens, 1, 1024, f"{new_tokens} new tokens are", "choose 1 to 1024")
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
    *,
    new_tokens: int = 40,
    sampling: Sampling | None = None,
    candidates: int = 10,
    report: Report = silent,
    publish: Callable[[Continuation], None] = lambda found: None,
) -> Continuation:
    """Go on from the prompt, greedily or by sampling with a seed of its own; as changed where a context changes it.

    Tokens come from the model's plain logits: penalties and other decoding habits of its own configuration are not
    applied. The candidates are the softmax behind the prompt. Writing ends at the model's end token or where logits
    are no longer finite. Raises RequestError as `prompt_ids`; `report` gets the stage "writing" at every
    token and may raise to stop; `publish` gets what is written so far, after each.
    """
    device = main_device(loaded.model)
    step = prompt_ids(loaded, prompt, new_tokens).to(device)
    draw = _drawing(sampling, device)
    ends = _end_tokens(loaded)
    cache, finite = None, True
    written: list[int] = []
    next_tokens: tuple[NextToken, ...] = ()
    while len(written) < new_tokens and (not written or written[-1] not in ends):
        report("writing", len(written) / new_tokens)
        output = loaded.model(input_ids=step, past_key_values=cache, use_cache=True)
        cache, logits = output.past_key_values, output.logits[0, -1].float()
        finite = bool(torch.isfinite(logits).all())
        if not finite:
            break
        if not written:
            next_tokens = _candidates(loaded, logits, candidates)
        written.append(draw(step, logits))
        step = torch.tensor([written[-1:]], device=device)
        so_far = _text(loaded, written, skip_special_tokens=True).rstrip("\N{REPLACEMENT CHARACTER}")
        publish(Continuation(so_far, len(written), next_tokens, finite, done=False))
    report("writing", 1.0)
    return Continuation(_text(loaded, written, skip_special_tokens=True), len(written), next_tokens, finite)


def _text(loaded: LoadedModel, ids: list[int], skip_special_tokens: bool = False) -> str:
    text = loaded.tokenizer.decode(ids, skip_special_tokens=skip_special_tokens)
    assert isinstance(text, str)
    return text


def _drawing(sampling: Sampling | None, device: torch.device) -> Callable[[torch.Tensor, torch.Tensor], int]:
    """How the next token is chosen from (ids, logits)."""
    if sampling is None:
        return lambda ids, logits: int(logits.argmax())
    generator = torch.Generator(device).manual_seed(sampling.seed)
    warpers = (TemperatureLogitsWarper(sampling.temperature), TopPLogitsWarper(sampling.top_p))

    def draw(ids: torch.Tensor, logits: torch.Tensor) -> int:
        scores = logits[None]
        for warper in warpers:
            scores = warper(ids, scores)
        return int(torch.multinomial(scores[0].softmax(-1), 1, generator=generator))

    return draw


def _end_tokens(loaded: LoadedModel) -> set[int]:
    ends = loaded.model.generation_config.eos_token_id
    return set(ends) if isinstance(ends, list) else {ends}


def _candidates(loaded: LoadedModel, logits: torch.Tensor, count: int) -> tuple[NextToken, ...]:
    top = logits.softmax(-1).topk(min(count, len(logits)))
    return tuple(NextToken(_text(loaded, [int(i)]), float(p)) for p, i in zip(top.values, top.indices, strict=True))
