"""Tokens on character positions, against counts by hand and real character offsets."""

from itertools import pairwise

import numpy as np
import pytest
from support.tiny_models import tiny_tokenizer

from fnet_core.lineage.grid import grid_positions, tokens_at


def by_hand(length: int, offsets: list[tuple[int, int]]) -> list[int]:
    """The rule, character by character: the last token that covers it, else the value before, else the first."""
    held, owner = None, []
    for character in range(length):
        for token, (start, end) in enumerate(offsets):
            if start <= character < end:
                held = token
        owner.append(held)
    first = next(token for token in owner if token is not None)
    return [first if token is None else token for token in owner]


def test_every_step_th_character():
    assert grid_positions(10, 4).tolist() == [0, 4, 8]
    assert grid_positions(8, 4).tolist() == [0, 4]
    assert len(grid_positions(0, 4)) == 0


def test_swallowed_white_space_belongs_to_the_token_before():
    # "  ab cd" with the blanks swallowed
    assert tokens_at(np.arange(7), np.array([[2, 4], [5, 7]])).tolist() == [0, 0, 0, 0, 0, 1, 1]


def test_empty_tokens_hold_nowhere_and_pieces_of_one_character_end_with_the_last():
    offsets = np.array([[0, 0], [0, 2], [2, 3], [2, 3], [3, 3], [3, 5]])
    assert tokens_at(np.arange(5), offsets).tolist() == [1, 1, 3, 5, 5]


def test_against_the_rule_character_by_character():
    rng = np.random.default_rng(0)
    for _ in range(20):
        cuts = np.sort(rng.choice(np.arange(1, 40), 11, replace=False))
        offsets = [(int(a), int(b)) for a, b in pairwise(cuts) if rng.random() > 0.3]
        assert tokens_at(np.arange(43), np.array(offsets)).tolist() == by_hand(43, offsets)


def test_different_tokenizers_give_the_same_grid():
    text = "The quick brown fox, and so on."
    letters = np.array(tiny_tokenizer()(text, return_offsets_mapping=True)["offset_mapping"])
    starts = [0, *(i + 1 for i, c in enumerate(text) if c == " ")]
    words = np.array([(s, e) for s, e in zip(starts, [*(s - 1 for s in starts[1:]), len(text)], strict=True)])
    positions = grid_positions(len(text), 3)
    at_letters, at_words = tokens_at(positions, letters), tokens_at(positions, words)
    assert len(at_letters) == len(at_words) == 11
    assert at_letters.tolist() == positions.tolist()
    assert [text[a:b] for a, b in words[at_words[:4]]] == ["The", "The", "quick", "quick"]


def test_a_tokenizer_without_positions():
    with pytest.raises(ValueError, match="no character positions"):
        tokens_at(np.arange(4), np.zeros((3, 2), dtype=int))
