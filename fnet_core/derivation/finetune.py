"""Train a model on a text: the loop that full fine-tuning, LoRA and training from scratch share.

Shape legend: B windows of a step, T tokens of a window, S steps.

Dropout is off, so that the seed decides all that is random: which windows are read.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from fnet_core.checks import check_range
from fnet_core.derivation.lora import adapters
from fnet_core.derivation.training import DEFAULT_WINDOW, LEARNING_RATES, Training
from fnet_core.errors import RequestError
from fnet_core.evaluation.windows import start_tokens
from fnet_core.models.loading import LoadedModel
from fnet_core.progress import Report, silent
from fnet_core.storage.artifacts import file_digest
from fnet_core.texts import Passage, whole_file

FEWEST_TOKENS = 32
"""What a text must have to be trained on."""


def fine_tune(
    loaded: LoadedModel, file: str, how: str, training: Training, seed: int, report: Report = silent
) -> dict[str, object]:
    """Train `loaded.model`, the caller's own copy, in place on a text file; `how` is finetune or lora.

    Returns what the text was and the mean loss (nats per token) of the first and of the last tenth of the steps.
    RequestError for an unusable text or number, and for a loss that becomes infinite.
    """
    ids, prefix, training = prepared(loaded, file, how, training)
    losses = train_by(loaded, ids, prefix, how, training, seed, report)
    return facts_of(file, ids, training, losses)


def train_by(
    loaded: LoadedModel,
    ids: Tensor,
    prefix: Sequence[int],
    how: str,
    training: Training,
    seed: int,
    report: Report = silent,
    after_step: Callable[[int], None] = lambda step: None,
) -> list[float]:
    """Train `loaded.model` in place by finetune or lora, whose adapters are merged in the end; returns the losses."""
    model, generator = loaded.model, torch.Generator().manual_seed(seed)
    if how == "finetune":
        model.requires_grad_(True)
        losses = train(model, list(model.parameters()), ids, prefix, training, generator, report, after_step=after_step)
    else:
        with adapters(model, training.rank, generator) as added:
            weights = [weight for adapter in added for weight in (adapter.down, adapter.up)]
            losses = train(model, weights, ids, prefix, training, generator, report, after_step=after_step)
        for adapter in added:
            adapter.merge()
    model.requires_grad_(False)
    return losses


def prepared(loaded: LoadedModel, file: str, how: str, training: Training) -> tuple[Tensor, tuple[int, ...], Training]:
    """The tokens of a text file, what stands before each window, and the training with every choice made.

    RequestError for an unusable text or number.
    """
    prefix, training = chosen(loaded, how, training)
    return text_ids(loaded, whole_file(file)), prefix, training


def chosen(loaded: LoadedModel, how: str, training: Training) -> tuple[tuple[int, ...], Training]:
    """What stands before each window of a training, and the training with every choice made.

    RequestError for a window that the model cannot read, or that has no room for the text.
    """
    prefix = start_tokens(loaded)
    longest = loaded.max_tokens
    window = training.window or min(DEFAULT_WINDOW, longest)
    training = replace(training, window=window, learning_rate=training.learning_rate or LEARNING_RATES[how])
    check_range(window, 0, longest, f"A window of {window} tokens is", f"{loaded.name} reads {longest}")
    if len(prefix) + 2 > window:
        raise RequestError(f"A window of {window} tokens has no room behind the start tokens; choose more.")
    return tuple(prefix), training


def facts_of(file: str, ids: Tensor, training: Training, losses: Sequence[float]) -> dict[str, object]:
    """What a card says of a training: the text, the rate, and the mean loss of the first and of the last tenth."""
    tenth = max(1, len(losses) // 10)
    return {
        "text": Path(file).name,
        "text_sha256": file_digest(Path(file)),
        "text_tokens": len(ids),
        "learning_rate": training.learning_rate,
        "loss": [sum(losses[:tenth]) / tenth, sum(losses[-tenth:]) / tenth],
    }


def text_ids(loaded: LoadedModel, passages: Sequence[Passage]) -> Tensor:
    """The tokens of passages as one text, (tokens,) int64, no special ones added; RequestError if they are too few."""
    text = "\n\n".join(passage.text for passage in passages)
    ids = loaded.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    if len(ids) < FEWEST_TOKENS:
        raise RequestError(
            f"The text '{passages[0].name}' has {len(ids)} tokens; give at least {FEWEST_TOKENS} to train on, better "
            "pages."
        )
    return torch.tensor(ids)


def train(
    model: nn.Module,
    weights: Sequence[nn.Parameter],
    ids: Tensor,
    prefix: Sequence[int],
    training: Training,
    generator: torch.Generator,
    report: Report = silent,
    loss_of: Callable[[Tensor], Tensor] | None = None,
    after_step: Callable[[int], None] = lambda step: None,
) -> list[float]:
    """Change `weights` in place so that the model predicts `ids`; the loss of each step, nats per token.

    `training` must name a window and a learning rate. `loss_of` gives another loss of windows, (batch, window).
    `after_step` is called with the number of steps taken.

    AdamW with gradients clipped to norm 1; the rate rises over the first tenth of the steps and falls to a tenth of
    the learning rate as a cosine. RequestError when the loss becomes infinite.
    """
    assert training.learning_rate is not None
    optimiser = torch.optim.AdamW(weights, lr=training.learning_rate, betas=(0.9, 0.95), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: rate_factor(step, training.steps))
    device = next(model.parameters()).device
    losses = []
    for step in range(training.steps):
        report("training", step / training.steps)
        windows_BT = sample_windows(ids, prefix, training, generator).to(device)
        labels_BT = windows_BT.clone()
        labels_BT[:, : len(prefix)] = -100
        loss = loss_of(windows_BT) if loss_of else model(input_ids=windows_BT, labels=labels_BT, use_cache=False).loss
        if not torch.isfinite(loss):
            raise RequestError(
                f"The loss became infinite at step {step + 1} with the learning rate "
                f"{training.learning_rate:g}; choose a lower one."
            )
        loss.backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad(set_to_none=True)
        losses.append(loss.item())
        after_step(step + 1)
    report("training", 1.0)
    return losses


def rate_factor(step: int, steps: int) -> float:
    """The learning rate of a step as a part of the highest: linear warm-up over a tenth, then cosine to a tenth."""
    warm = max(1, steps // 10)
    if step < warm:
        return (step + 1) / warm
    return 0.1 + 0.45 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def sample_windows(ids: Tensor, prefix: Sequence[int], training: Training, generator: torch.Generator) -> Tensor:
    """Windows that start anywhere in the text, (batch, window) int64, each behind the start tokens.

    A text shorter than a window gives windows as long as itself.
    """
    assert training.window is not None
    length = min(training.window - len(prefix), len(ids))
    begins = torch.randint(0, len(ids) - length + 1, (training.batch, 1), generator=generator)
    windows_BT = ids[begins + torch.arange(length)]
    return torch.cat([torch.tensor([prefix], dtype=torch.int64).expand(training.batch, -1), windows_BT], dim=1)
