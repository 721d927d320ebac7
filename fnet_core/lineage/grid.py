"""Values of tokens on a grid of character positions, so that models with different tokenizers can be compared.

Shape legend: T tokens, G grid positions of one passage.
"""

from collections.abc import Sequence

import numpy as np

from fnet_core.texts import Passage

STEP = 4
"""Characters from one grid position to the next: about one token of English."""

POINTS = 2048
"""The most grid points at which neurons are read; longer texts are read at wider steps."""


def grid_positions(length: int, step: int = STEP) -> np.ndarray:
    """The characters of a text of `length` that the grid reads: every `step`-th from the first, (G,) int64."""
    return np.arange(0, length, step)


def points_of(passages: Sequence[Passage]) -> list[np.ndarray]:
    """The characters at which neurons are read, `STEP` apart or as many times that as keeps all within `POINTS`."""
    count = sum(len(grid_positions(len(passage.text))) for passage in passages)
    step = STEP * -(-count // POINTS)
    return [grid_positions(len(passage.text), step) for passage in passages]


def tokens_at(positions_G: np.ndarray, offsets_T2: np.ndarray) -> np.ndarray:
    """The token whose value holds at each character position, (G,) int64.

    `offsets_T2` are the tokens' start and end characters, in reading order. A token holds over its own characters; a
    character that no token covers, such as white space that a tokenizer swallows, belongs to the token before it, and
    to the first token where there is none. Of several tokens in one character the last holds. `ValueError` if no
    token covers any character.
    """
    covering = np.flatnonzero(offsets_T2[:, 1] > offsets_T2[:, 0])
    if not len(covering):
        raise ValueError("No token covers a character of the text; the tokenizer gives no character positions.")
    starts = np.maximum.accumulate(offsets_T2[covering, 0])
    found = np.searchsorted(starts, positions_G, side="right") - 1
    return covering[np.maximum(found, 0)]
