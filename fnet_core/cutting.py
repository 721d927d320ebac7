"""Where a long text is cut: into pieces of even length, at ends of sentences where there are any.

Length is counted in whatever units the caller gives, such as the tokens of a model.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from itertools import pairwise

Span = tuple[int, int]
"""Start and end character."""

Measure = Callable[[str], tuple[int, Sequence[int]]]
"""How many pieces a text is to become, and at which character each unit of its length begins, in order."""

SLACK = 0.15
"""How far from its even place a cut may go to meet the end of a sentence, as a share of a piece."""

FILLED = 0.75
"""How full pieces are meant to be where there is a longest one, so that a cut may move and the piece still fit."""

_AROUND = 200
"""Characters on either side of a place that tell whether a sentence ends there."""


def spans(text: str, measure: Measure) -> list[Span]:
    """The pieces of a text: in order, not overlapping, with nothing but white space before, between and after them.

    What `measure` wants in several pieces is cut, and its pieces are asked about in turn; a piece in which no unit
    begins but at its start stays whole. A text of white space has none.
    """
    found: list[Span] = []
    left = [_trimmed(text, 0, len(text))]
    while left:
        start, end = left.pop()
        if start == end:
            continue
        count, begins = measure(text[start:end])
        edges = [start, *(_cuts(text, start, end, count, begins) if count > 1 else ()), end]
        if len(edges) == 2:
            found.append((start, end))
        else:
            left.extend(_trimmed(text, *each) for each in reversed(list(pairwise(edges))))
    return found


def _trimmed(text: str, start: int, end: int) -> Span:
    """The same stretch without white space at its ends."""
    piece = text[start:end]
    first = end - len(piece.lstrip())
    return first, max(first, start + len(piece.rstrip()))


def _cuts(text: str, start: int, end: int, count: int, begins: Sequence[int]) -> list[int]:
    """Characters strictly between `start` and `end` that part the units evenly, each as good a place as is near."""
    size = len(begins) / count
    cuts = [start]
    for number in range(1, count):
        ideal = number * size
        first, middle, last = (
            start + begins[min(max(round(unit), 0), len(begins) - 1)]
            for unit in (ideal - SLACK * size, ideal, ideal + SLACK * size)
        )
        at = _best_place(text, max(first, cuts[-1] + 1), middle, min(last, end - 1))
        if cuts[-1] < at < end:
            cuts.append(at)
    return cuts[1:]


def _best_place(text: str, first: int, middle: int, last: int) -> int:
    """The end of a sentence, else of a line, else white space within these characters, the nearest to the middle."""
    for ends in (_sentence_ends, _line_ends, _word_ends):
        if found := ends(text, first, last):
            return min(found, key=lambda at: abs(at - middle))
    return middle


def _sentence_ends(text: str, first: int, last: int) -> list[int]:
    """The library reads the neighbourhood alone, for its time grows with the square of a text without spaces.

    White space outside ASCII becomes plain, one character for one: behind an initial it makes the library panic.
    """
    from sentencex import get_sentence_boundaries

    if first > last:
        return []
    origin = max(first - _AROUND, 0)
    near = re.sub(r"[^\S\n]", " ", text[origin : last + _AROUND])
    ends = [origin + sentence["end_index"] for sentence in get_sentence_boundaries("en", near)][:-1]
    return ends[bisect_left(ends, first) : bisect_right(ends, last)]


def _line_ends(text: str, first: int, last: int) -> list[int]:
    return [at for at in range(first, last + 1) if text[at - 1] == "\n"]


def _word_ends(text: str, first: int, last: int) -> list[int]:
    return [at for at in range(first, last + 1) if text[at - 1].isspace()]
