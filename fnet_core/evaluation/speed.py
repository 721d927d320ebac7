"""Tokens per second of two models, measured in turns in one run."""

import statistics
import time
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from fnet_core.models.folder import context
from fnet_core.models.running import main_device
from fnet_core.progress import Report, silent


@dataclass(frozen=True)
class Speed:
    """Tokens per second of two models, measured in turns on the same input; medians over the rounds."""

    reading_before: float
    reading_after: float
    writing_before: float
    writing_after: float
    tokens: int
    rounds: int
    device: str


@torch.no_grad()
def compare_speed(
    before: PreTrainedModel,
    after: PreTrainedModel,
    *,
    tokens: int = 256,
    written: int = 16,
    rounds: int = 5,
    report: Report = silent,
) -> Speed:
    """How fast two models read a text of `tokens` tokens and write `written` more, one after the other in each round.

    A first round, not counted, warms both up. Both must be on one device; fewer tokens are read where the context is
    shorter.
    """
    device = main_device(before)
    tokens = min(tokens, (context(before.config) or tokens + written) - written)
    ids = torch.randint(3, before.config.vocab_size, (1, tokens), generator=torch.Generator().manual_seed(0)).to(device)
    reading: dict[str, list[float]] = {"before": [], "after": []}
    writing: dict[str, list[float]] = {"before": [], "after": []}
    for number in range(rounds + 1):
        for name, model in (("before", before), ("after", after)):
            report("timing", number / (rounds + 1))
            read, wrote = _timed(model, ids, written)
            if number:
                reading[name].append(tokens / read)
                writing[name].append(written / wrote)
    report("timing", 1.0)
    middle = {name: statistics.median(values) for name, values in reading.items()}
    middle_writing = {name: statistics.median(values) for name, values in writing.items()}
    return Speed(
        middle["before"],
        middle["after"],
        middle_writing["before"],
        middle_writing["after"],
        tokens,
        rounds,
        str(device),
    )


def _timed(model: PreTrainedModel, ids: torch.Tensor, written: int) -> tuple[float, float]:
    """Seconds to read the ids, and to write `written` tokens one by one."""
    begun = _now(ids.device)
    output = model(input_ids=ids, use_cache=True)
    read = _now(ids.device)
    cache, step = output.past_key_values, output.logits[:, -1:].argmax(-1)
    for _ in range(written):
        output = model(input_ids=step, past_key_values=cache, use_cache=True)
        cache, step = output.past_key_values, output.logits[:, -1:].argmax(-1)
    return read - begun, _now(ids.device) - read


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
