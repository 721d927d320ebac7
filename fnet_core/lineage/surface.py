"""What a text shows to anybody without a model, at grid positions: its characters, words, their counts and places.

Shape legend: G grid positions of one passage, F features, D directions that they span.
"""

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from fnet_core.lineage.grid import grid_positions
from fnet_core.lineage.spearman import ranks

COMMON_WORDS, COMMON_BEFORE, COMMON_MARKS = 30, 15, 6
"""The most frequent words, words as the one before, and punctuation marks that count as features of their own."""

LARGEST_SHARE = 0.25
"""At most so many directions for each grid position, so that a short text leaves something to compare."""

_PIECE = re.compile(r"\w+|[^\w\s]")
_SMALLEST = 1e-3
"""Directions below this share of the strongest are repetitions of others."""


@lru_cache(maxsize=8)
def surface_directions(texts: tuple[str, ...]) -> tuple[np.ndarray, ...]:
    """Centred orthonormal directions of each text's surface features at its grid positions, (G, D) float64.

    Words are runs of letters and digits whatever their case; what is frequent is counted over all texts. Numbers enter
    as they are and as ranks. Where the features span more than `LARGEST_SHARE` of the positions, their strongest
    principal components stand for them.
    """
    counts = Counter(piece.group().lower() for text in texts for piece in _PIECE.finditer(text))
    found = tuple(_directions(_features(text, grid_positions(len(text)), counts)) for text in texts)
    for directions_GD in found:
        directions_GD.setflags(write=False)
    return found


def _features(text: str, positions_G: np.ndarray, counts: Counter) -> np.ndarray:
    """(G, F) float64."""
    frequent = sorted(counts, key=lambda piece: (-counts[piece], piece))
    words = [piece for piece in frequent if piece[0].isalnum()][:COMMON_WORDS]
    marks = [piece for piece in frequent if not piece[0].isalnum()][:COMMON_MARKS]
    pieces = list(_PIECE.finditer(text))
    if not pieces:
        return np.zeros((len(positions_G), 1))
    ends = np.array([piece.end() for piece in pieces])
    known = _of_pieces([piece.group() for piece in pieces], counts, words, marks)
    at_G = np.minimum(np.searchsorted(ends, positions_G, side="right"), len(pieces) - 1)
    rows = []
    for position, at in zip(positions_G, at_G, strict=True):
        character, begin = text[position], pieces[at].start()
        rows.append(
            [
                character.isupper(),
                character.isdigit(),
                character == " ",
                character == "\n",
                not (character.isalnum() or character.isspace()),
                position <= begin,
                (position - begin) / (ends[at] - begin),
                position / len(text),
                np.log1p(position),
                *known[at],
            ]
        )
    return np.array(rows, dtype=np.float64)


def _of_pieces(pieces: Sequence[str], counts: Counter, words: Sequence[str], marks: Sequence[str]) -> list[list[float]]:
    """What is known of each word or mark from itself, its neighbours and what came before it."""
    lower = [piece.lower() for piece in pieces]
    seen: Counter = Counter()
    since_stop = since_mark = 0
    rows = []
    for i, piece in enumerate(lower):
        before, after = lower[i - 1] if i else "", lower[i + 1] if i + 1 < len(lower) else ""
        rows.append(
            [
                pieces[i][0].isupper(),
                piece.isdigit(),
                not piece[0].isalnum(),
                np.log(len(piece)),
                np.log(counts[piece]),
                np.log1p(seen[piece]),
                seen[piece] > 0,
                np.log1p(since_stop),
                np.log1p(since_mark),
                since_mark == 0,
                np.log1p(len(before)),
                np.log1p(counts[before]),
                np.log1p(counts[after]),
                *(piece == word for word in words),
                *(piece == mark for mark in marks),
                *(before == word for word in words[:COMMON_BEFORE]),
                *(before == mark for mark in marks),
            ]
        )
        seen[piece] += 1
        since_stop = 0 if piece in ".!?" else since_stop + 1
        since_mark = since_mark + 1 if piece[0].isalnum() else 0
    return rows


def _directions(features_GF: np.ndarray) -> np.ndarray:
    both = np.concatenate([features_GF, ranks(features_GF.T).T], axis=1)
    centred = both - both.mean(axis=0)
    spread = centred.std(axis=0)
    scaled = centred[:, spread > 1e-9] / spread[spread > 1e-9]
    left, strength, _ = np.linalg.svd(scaled, full_matrices=False)
    most = int(LARGEST_SHARE * len(features_GF))
    return left[:, strength > _SMALLEST * strength.max(initial=0)][:, :most]
