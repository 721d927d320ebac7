"""Log-likelihoods of continuations as lm-evaluation-harness counts them, each stretch of text run once.

A continuation's tokens are those of prefix and continuation together behind as many as the prefix alone has; white
space at the end of a prefix belongs to the continuation; an empty prefix is the tokenizer's start or end token. Of the
texts to run, one that another begins with is not run by itself: two continuations of one token cost one pass over their
prefix. Shape legend: I items, B texts of one batch, P positions at the end of a text whose logits are needed.
"""

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch

from fnet_core.capability.battery import Item
from fnet_core.evaluation.windows import prefix_token, start_tokens
from fnet_core.models.loading import LoadedModel
from fnet_core.models.running import main_device
from fnet_core.progress import Report, silent

_CPU_BATCH_TOKENS = 1024
_GPU_BATCH_TOKENS = 16_384
_LOGIT_BYTES = 1 << 29

Ids = tuple[int, ...]


@dataclass(frozen=True)
class Choice:
    """An item in tokens: both texts whole, and where their continuations begin."""

    right: Ids
    wrong: Ids
    begin: int


@dataclass(frozen=True)
class Text:
    """Tokens to run once, and what is read off at their end: (answer, tokens of it, its first position)."""

    ids: Ids
    answers: tuple[tuple[int, Ids, int], ...]

    @property
    def needed(self) -> int:
        """How many of the last positions give logits that are needed."""
        return len(self.ids) - min(first for _, _, first in self.answers)


def choices(loaded: LoadedModel, items: Sequence[Item]) -> list[Choice | None]:
    """Every item in tokens; None where both continuations are the same tokens or the model cannot read so many."""
    tokenizer = loaded.tokenizer
    start = start_tokens(loaded)
    pieces = [
        text for item in items for text in (item.prefix.rstrip(), item.prefix + item.right, item.prefix + item.wrong)
    ]
    encoded = tokenizer(pieces, add_special_tokens=False, verbose=False)["input_ids"]
    found: list[Choice | None] = []
    for number, item in enumerate(items):
        prefix, right, wrong = (tuple(ids) for ids in encoded[3 * number : 3 * number + 3])
        before = start if item.prefix.strip() or start else (prefix_token(loaded),)
        begin = len(before) + len(prefix)
        choice = Choice((*before, *right), (*before, *wrong), begin)
        told = choice.right != choice.wrong and begin < min(len(choice.right), len(choice.wrong)) and begin > 0
        fits = max(len(choice.right), len(choice.wrong)) <= loaded.max_tokens
        found.append(choice if told and fits else None)
    return found


def texts_of(found: Sequence[Choice | None]) -> list[Text]:
    """The fewest texts that answer every choice: what another begins with is read off in that.

    Answer 2 i is the right continuation of choice i, 2 i + 1 the wrong one.
    """
    wanted: dict[Ids, list[tuple[int, Ids, int]]] = {}
    for number, choice in enumerate(found):
        if choice is not None:
            for side, ids in enumerate((choice.right, choice.wrong)):
                answer = (2 * number + side, ids[choice.begin :], choice.begin - 1)
                wanted.setdefault(ids[:-1], []).append(answer)
    kept: list[Text] = []
    for ids in sorted(wanted, reverse=True):
        if kept and kept[-1].ids[: len(ids)] == ids:
            kept[-1] = Text(kept[-1].ids, (*kept[-1].answers, *wanted[ids]))
        else:
            kept.append(Text(ids, tuple(wanted[ids])))
    return kept


def _batches(texts: Sequence[Text], vocabulary: int) -> Iterator[list[Text]]:
    """Texts of one length together, so that nothing is padded, those that need few logits first."""
    tokens = _GPU_BATCH_TOKENS if torch.cuda.is_available() else _CPU_BATCH_TOKENS
    logits = _LOGIT_BYTES // (4 * vocabulary)
    batch: list[Text] = []
    for text in sorted(texts, key=lambda t: (len(t.ids), t.needed, t.ids)):
        size = len(batch) + 1
        full = size * len(text.ids) > tokens or size * text.needed > logits
        if batch and (full or len(text.ids) != len(batch[0].ids)):
            yield batch
            batch = []
        batch.append(text)
    if batch:
        yield batch


@torch.no_grad()
def log_likelihoods(
    loaded: LoadedModel,
    found: Sequence[Choice | None],
    around: Callable[[], AbstractContextManager] = nullcontext,
    report: Report = silent,
) -> tuple[np.ndarray, np.ndarray]:
    """Log-likelihood of every right and every wrong continuation, (I,) float32 in nats each; NaN for no choice.

    `around` is opened around every batch, for edits. `report` gets the stage "scoring" and may raise to stop.
    """
    device = main_device(loaded.model)
    short = "logits_to_keep" in inspect.signature(loaded.model.forward).parameters
    texts = texts_of(found)
    total = sum(len(text.ids) for text in texts)
    answers = np.full(2 * len(found), np.nan, dtype=np.float32)
    done = 0
    for batch in _batches(texts, loaded.model.config.vocab_size):
        report("scoring", done / total)
        length, needed = len(batch[0].ids), max(text.needed for text in batch)
        ids_BT = torch.tensor([text.ids for text in batch], device=device)
        kept = {"logits_to_keep": needed} if short else {}
        with around():
            logits_BPV = loaded.model(input_ids=ids_BT, use_cache=False, **kept).logits[:, -needed:].float()
        whole_BP = logits_BPV.logsumexp(-1)
        for row, text in enumerate(batch):
            for answer, tokens, first in text.answers:
                at = torch.arange(len(tokens), device=logits_BPV.device) + first - (length - needed)
                chosen = logits_BPV[row, at, torch.tensor(tokens, device=logits_BPV.device)] - whole_BP[row, at]
                answers[answer] = float(chosen.double().sum())
        done += length * len(batch)
    report("scoring", 1.0)
    return answers[0::2], answers[1::2]
