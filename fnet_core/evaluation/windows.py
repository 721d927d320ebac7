"""How a text is cut into the windows that a model's perplexity is measured on.

Token perplexity slides a window with a stride, as the Hugging Face documentation does; words and bytes use the
disjoint windows of lm-evaluation-harness behind a prefix token.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fnet_core.checks import check_choice, check_range
from fnet_core.choices import DEFAULT_WINDOW, DEFINITIONS, Definition
from fnet_core.errors import RequestError
from fnet_core.texts import Passage

if TYPE_CHECKING:
    from fnet_core.models.loading import LoadedModel


@dataclass(frozen=True)
class Window:
    """A stretch of tokens to run at once, of which the last `scored` are predicted and counted."""

    document: int
    ids: tuple[int, ...]
    scored: int
    first_scored: int
    """Index in the document's tokens of the first scored one."""


def sliding_windows(length: int, window: int, stride: int, start: int) -> Iterator[tuple[int, int, int]]:
    """(begin, end, first scored) of each window over a document's tokens; `start` places are for start tokens.

    Without start tokens nothing comes before a window's first token, which is then not scored. A stride longer than
    the room that start tokens leave is shortened to it, so that no token is passed over.
    """
    room = window - start
    stride = min(stride, room)
    done = begin = 0
    while done < length:
        end = min(begin + room, length)
        first = max(done, begin if start else begin + 1)
        if end > first:
            yield begin, end, first
        done = max(done, end)
        begin += stride


def disjoint_windows(length: int, window: int) -> Iterator[tuple[int, int, int]]:
    """(begin, end, first scored) as lm-evaluation-harness rolls: begin -1 stands for the prefix token.

    Every window but the first and last is read behind the one token before it; the last is filled up with the
    tokens before it.
    """
    end = min(window, length)
    yield -1, end, 0
    while end < length:
        done, end = end, min(end + window, length)
        yield end - window - 1, end, done


def start_tokens(loaded: LoadedModel) -> tuple[int, ...]:
    """The special tokens that the model's tokenizer puts before a text; empty if it puts none."""
    encoded = loaded.tokenizer("a", return_special_tokens_mask=True)
    special = encoded["special_tokens_mask"]
    return tuple(encoded["input_ids"][: special.index(0)])


def prefix_token(loaded: LoadedModel) -> int:
    """The token that lm-evaluation-harness puts before a document; RequestError if the tokenizer has none."""
    tokenizer = loaded.tokenizer
    for token in (tokenizer.bos_token_id, tokenizer.eos_token_id):
        if token is not None:
            return token
    raise RequestError(f"The tokenizer of {loaded.name} has no start or end token; choose the definition token.")


def text_windows(
    loaded: LoadedModel, passages: Sequence[Passage], definition: Definition, window: int, stride: int
) -> tuple[list[Window], list[np.ndarray], str]:
    """Windows of every document, character offsets of their tokens, and the start tokens in words."""
    tokenizer = loaded.tokenizer
    start = start_tokens(loaded) if definition == "token" else (prefix_token(loaded),)
    if len(start) >= window:
        raise RequestError(f"A window of {window} tokens has no room behind {len(start)} start tokens; choose more.")
    windows, offsets = [], []
    for number, passage in enumerate(passages):
        encoded = tokenizer(passage.text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        ids = encoded["input_ids"]
        offsets.append(np.asarray(encoded["offset_mapping"], dtype=np.int64).reshape(-1, 2))
        if len(ids) < 2:
            raise RequestError(f"The text '{passage.name}' has {len(ids)} token(s); give at least a few sentences.")
        if definition == "token":
            spans = sliding_windows(len(ids), window, stride, len(start))
        else:
            spans = disjoint_windows(len(ids), window)
        for begin, end, first in spans:
            prefix = start if definition == "token" or begin < 0 else ()
            windows.append(Window(number, (*prefix, *ids[max(begin, 0) : end]), end - first, first))
    return windows, offsets, "".join(tokenizer.convert_ids_to_tokens(list(start)))


def window_and_stride(
    loaded: LoadedModel, definition: Definition, window: int | None, stride: int | None
) -> tuple[int, int]:
    """Window and stride in tokens where the caller leaves them open."""
    return fitting_window(loaded.max_tokens, definition, window, stride)


def fitting_window(most: int | None, definition: Definition, window: int | None, stride: int | None) -> tuple[int, int]:
    """`window_and_stride` of a model that reads `most` tokens at once; None where nothing limits it."""
    window = min(DEFAULT_WINDOW, most or DEFAULT_WINDOW) if window is None else window
    return window, window if stride is None or definition != "token" else stride


def check_cut(definition: str, window: int | None, stride: int | None) -> None:
    """`RequestError` for a definition, a window or a stride in tokens that no model could be measured with."""
    check_choice(definition, DEFINITIONS, "definition")
    if window is not None:
        remedy = f"choose 2 or more, such as {DEFAULT_WINDOW}"
        check_range(window, 2, math.inf, f"A window of {window} tokens is", remedy)
    if stride is not None:
        most, remedy = (math.inf, "the window") if window is None else (window, f"the window, {window}")
        check_range(stride, 1, most, f"A stride of {stride} tokens is", f"choose 1 to {remedy}")


def check_windows(loaded: LoadedModel, passages: Sequence[Passage], definition: str, window: int, stride: int) -> None:
    """`RequestError` for what cannot be cut into windows of this model, before anything runs."""
    if not passages:
        raise RequestError("There is no text to measure; give at least one passage.")
    longest = loaded.max_tokens
    check_range(window, -math.inf, longest, f"A window of {window} tokens is", f"{loaded.name} reads 2 to {longest}")
    check_cut(definition, window, stride)
