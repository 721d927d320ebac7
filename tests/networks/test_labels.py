"""Labels by hand on a text small enough to count."""

import numpy as np

from fnet_core.networks.labels import label_networks, words_of_tokens


def test_sub_word_tokens_stand_for_their_whole_word():
    text = "Un\tbelievable, isn't it?\n\nYes"
    pieces = ["Un", "\t", "bel", "iev", "able", ",", " is", "n't", " it", "?", "\n\n", "Yes"]
    ends = np.cumsum([len(p) for p in pieces])
    offsets = np.stack([ends - [len(p) for p in pieces], ends], axis=1)
    assert words_of_tokens(text, offsets) == [
        "Un", "space", "believable", "believable", "believable", ",", "isn't", "isn't", "it", "?",
        "line break", "Yes",
    ]  # fmt: skip


def test_the_words_with_the_highest_peaks_name_the_network():
    words = ["sea", "the", "ship", "the", "The", "sail"]
    courses = np.array([[9, 0], [1, 5], [4, 0], [0, 4], [0, 3], [6, -9]], dtype=np.float32)
    assert label_networks(words, courses) == ("sea · sail · ship", "the")


def test_a_network_that_never_rises_says_so():
    assert label_networks(["a", "b"], -np.ones((2, 1), dtype=np.float32)) == ("no positive peak",)


def test_a_rare_strong_word_beats_a_frequent_weak_one():
    words = ["the"] * 300 + ["comet"] * 3
    course = np.array([0.2] * 300 + [8.0] * 3, dtype=np.float32)[:, None]
    assert label_networks(words, course)[0].startswith("comet")
