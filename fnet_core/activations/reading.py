"""Texts through a model: one subject per passage at a site, streamed.

Shape legend: T tokens, N neurons (all layers side by side), L layers.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from fnet_core.activations.hooks import touching
from fnet_core.choices import Site
from fnet_core.errors import RequestError
from fnet_core.models.loading import LoadedModel
from fnet_core.models.modules import head_size, site_widths
from fnet_core.models.running import main_device
from fnet_core.progress import Report, silent
from fnet_core.texts import Passage

Write = Callable[[Tensor, Tensor], object]
"""Called with a layer's values on the text, (T, its neurons), and their place in the subject, which it fills."""


@dataclass(frozen=True)
class Tokens:
    """A passage as the model reads it; `text_T` is False for special tokens, which stand for no text."""

    ids_T: Tensor
    """int64, special tokens included."""
    text_T: Tensor
    """bool."""
    offsets_T2: Tensor
    """int64, start and end character of each token in the passage."""

    @property
    def before_text(self) -> int:
        """How many special tokens stand before the text."""
        return int(self.text_T.int().argmax())

    @cached_property
    def _text_rows(self) -> slice | Tensor:
        begin, count = self.before_text, int(self.text_T.sum())
        follow_one_another = bool(self.text_T[begin : begin + count].all())
        return slice(begin, begin + count) if follow_one_another else self.text_T

    def of_text(self, values_TN: Tensor) -> Tensor:
        """The rows of the tokens that carry text: a view where they follow one another, as they nearly always do."""
        rows = self._text_rows
        return values_TN[rows if isinstance(rows, slice) else rows.to(values_TN.device)]


@dataclass(frozen=True)
class Subject:
    """One passage's activations at a site, special tokens left out."""

    passage: Passage
    ids_T: Tensor
    offsets_T2: Tensor
    activations_TN: Tensor
    """float32 on the model's device, layers side by side."""
    widths_L: tuple[int, ...]


def tokenize(loaded: LoadedModel, passage: Passage) -> Tokens:
    """The passage's tokens with the special tokens the model expects around them.

    Raises RequestError when fewer than two tokens carry text, or the model cannot read so many.
    """
    encoded = loaded.tokenizer(
        passage.text, return_offsets_mapping=True, return_special_tokens_mask=True, verbose=False
    )
    ids = torch.tensor(encoded["input_ids"])
    text = torch.tensor(encoded["special_tokens_mask"]) == 0
    if text.sum() < 2:
        raise RequestError(
            f"The passage '{passage.name}' has {int(text.sum())} token(s); give at least a few sentences."
        )
    if loaded.max_tokens is not None and len(ids) > loaded.max_tokens:
        raise RequestError(
            f"The passage '{passage.name}' has {len(ids)} tokens and {loaded.name} reads at most "
            f"{loaded.max_tokens}; split it into shorter passages."
        )
    return Tokens(ids, text, torch.tensor(encoded["offset_mapping"]))


def copied(values_TN: Tensor, place_TN: Tensor) -> None:
    """The values as they are, float32 in their place."""
    place_TN.copy_(values_TN)


@torch.no_grad()
def read_subjects(
    loaded: LoadedModel,
    passages: Sequence[Passage],
    site: Site,
    report: Report = silent,
    *,
    write: Write = copied,
    reuse: bool = False,
    tokens: Sequence[Tokens] | None = None,
) -> Iterator[Subject]:
    """Run each passage through the model and yield its activations at `site`, one subject at a time.

    The language-model head is not computed. A passage that cannot be read raises RequestError before any is run;
    activations that are not finite raise it too. `report` is called at every layer as stage "capturing" and may
    raise to stop. `write` may work on a layer's values while they are in the processor's cache. With `reuse` all
    subjects lie in the same memory, so that each holds until the next is asked for. `tokens` are those of the passages
    where a caller has them.
    """
    if tokens is None:
        tokens = [tokenize(loaded, passage) for passage in passages]
    widths = site_widths(loaded.model, site)
    size = head_size(loaded.model)
    device = main_device(loaded.model)
    body = loaded.model.base_model
    starts = [sum(widths[:layer]) for layer in range(len(widths))]
    longest = max((int(token.text_T.sum()) for token in tokens), default=0) if reuse else 0
    memory_TN = torch.empty(longest, sum(widths), device=device)
    for i, (passage, token) in enumerate(zip(passages, tokens, strict=True)):
        keep = token.text_T
        kept = int(keep.sum())
        activations_TN = memory_TN[:kept] if reuse else torch.empty(kept, sum(widths), device=device)
        total = torch.zeros((), device=device)

        def store(layer: int, activation: Tensor, i=i, token=token, out_TN=activations_TN, total=total) -> None:
            report("capturing", (i + layer / len(widths)) / len(passages))
            values = token.of_text(activation.reshape(-1, activation.shape[-1]))
            if site == "heads":
                values = values.unflatten(-1, (-1, size)).mean(dim=-1)
            total.add_(values.sum(dtype=torch.float32).to(total.device))
            write(values, out_TN[:, starts[layer] : starts[layer] + widths[layer]])

        with touching(loaded.model, site, store):
            body(input_ids=token.ids_T[None].to(device), use_cache=False)
        if not torch.isfinite(total):
            raise RequestError(
                f"{loaded.name} gives infinite activations at site {site} on the passage '{passage.name}'; "
                "its weights are damaged, or its numbers are too large for this precision."
            )
        yield Subject(passage, token.ids_T[keep], token.offsets_T2[keep], activations_TN, widths)
    report("capturing", 1.0)
