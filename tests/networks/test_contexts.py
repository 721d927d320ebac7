"""What drives a network: places, words and positions, counted by hand."""

import re
from dataclasses import replace

import numpy as np
import pytest
from support.atlases import hand_atlas

from fnet_core.errors import RequestError
from fnet_core.networks.atlas import Atlas
from fnet_core.networks.contexts import contexts, led_by_position, networks_of_word, position_shares
from fnet_core.texts import Passage

TEXT = 'The cat sat. "A dog ran."\nThe end came.'


def atlas_of(text: str, ends: list[int], courses_TK: list[list[float]]) -> Atlas:
    """One passage whose tokens end at `ends`, with the given time courses."""
    offsets_T2 = np.array([[start, end] for start, end in zip([0, *ends], ends, strict=False)])
    courses = np.array(courses_TK, dtype=np.float32)
    return replace(
        hand_atlas(),
        passages=(Passage("one", text, "test"),),
        offsets=(offsets_T2,),
        courses=(courses,),
        labels=tuple("abc"[: courses.shape[1]]),
    )


def by_words(text: str = TEXT) -> tuple[list[int], list[str]]:
    """Where the tokens of the text end when each is a word with the white space before it, and their words."""
    found = list(re.finditer(r"\s?[\w\"]+|[.,]+\"?|\n", text))
    return [match.end() for match in found], [match.group().strip() for match in found]


def test_places_come_strongest_first_with_what_stands_around_them():
    atlas = atlas_of("one two three four", [3, 7, 13, 18], [[0.0], [3.0], [-1.0], [1.0]])
    found = contexts(atlas, 0, count=2)
    assert found["word"].tolist() == ["two", "four"]
    assert found["before"].tolist() == ["one ", "one two three "]
    assert found["after"].tolist() == [" three four", ""]
    assert found["token"].tolist() == [1, 3]
    scale = np.std([0.0, 3.0, -1.0, 1.0])
    np.testing.assert_allclose(found["activity"], [3 / scale, 1 / scale], rtol=1e-6)
    assert contexts(atlas, 0, count=1, silent=True)["word"].tolist() == ["three"]


def test_tokens_of_one_word_are_one_place_and_the_word_is_whole():
    atlas = atlas_of("un believ able story", [2, 9, 14, 20], [[1.0], [5.0], [4.0], [0.0]])
    assert contexts(atlas, 0, count=3)["word"].tolist() == ["believ", "able", "un"]
    joined = atlas_of("unbelievable story", [2, 8, 12, 18], [[1.0], [5.0], [4.0], [0.0]])
    assert contexts(joined, 0, count=3)["word"].tolist() == ["unbelievable", "story"]


def test_a_line_break_is_a_place_of_its_own_beside_the_word_behind_it():
    atlas = atlas_of("one two\nthree four", [3, 7, 8, 13, 18], [[0.0], [0.0], [5.0], [4.0], [-1.0]])
    found = contexts(atlas, 0, count=2)
    assert found["word"].tolist() == ["↵", "three"]
    assert found["before"].tolist() == ["one two", "one two↵"] and found["after"].tolist() == ["three four", " four"]


def test_a_network_that_does_not_exist_is_refused():
    with pytest.raises(RequestError, match="There is no network 3"):
        contexts(hand_atlas(), 3)


def test_a_word_ranks_the_networks_by_their_mean_there():
    atlas = atlas_of("Cat dog cat dog", [3, 7, 11, 15], [[1.0, 0.0], [0.0, 2.0], [3.0, 0.0], [0.0, 1.0]])
    found = networks_of_word(atlas, " CAT ")
    assert found["network"].tolist() == [0, 1] and found["times"].tolist() == [2, 2]
    scale = np.std([1.0, 0.0, 3.0, 0.0])
    np.testing.assert_allclose(found["activity"], [2 / scale, 0], atol=1e-6)
    np.testing.assert_allclose(found["error"][0], np.std([1, 3], ddof=1) / scale / np.sqrt(2), rtol=1e-6)
    with pytest.raises(RequestError, match="'horse' is no word of the text"):
        networks_of_word(atlas, "horse")
    with pytest.raises(RequestError, match="is no word"):
        networks_of_word(atlas, "  ")


@pytest.mark.parametrize("position", ["first token", "sentence start", "line start"])
def test_a_network_that_marks_a_position_is_told(position):
    ends, words = by_words()
    ends, words = [*ends, *range(len(TEXT) + 1, len(TEXT) + 41)], [*words, *"x" * 40]
    starts = {"first token": [0], "line start": [i for i, w in enumerate(words) if w == "The"][1:]}
    starts["sentence start"] = [0, words.index('"A'), *starts["line start"]]
    marked = np.zeros(len(words))
    marked[starts[position]] = 2.0
    other = np.arange(len(words)) // 3 % 2
    atlas = atlas_of(TEXT + "x" * 40, ends, np.stack([marked, other], axis=1).tolist())
    shares = position_shares(atlas)
    assert shares[position][0] == pytest.approx(1.0)
    assert f"being a {position} explains 100 %" in led_by_position(atlas, 0)
    assert led_by_position(atlas, 1) is None


def test_a_silent_network_is_led_by_no_position():
    ends, words = by_words()
    atlas = atlas_of(TEXT, ends, [[0.0]] * len(words))
    assert position_shares(atlas).iloc[0, 1:].tolist() == [0, 0, 0]
    assert led_by_position(atlas, 0) is None
