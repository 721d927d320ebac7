"""Listening: a passage of the atlas gives its own time courses again, and what cannot be heard is refused."""

import numpy as np
import pytest
from support.loading import loaded_tiny

from fnet_core import texts
from fnet_core.choices import MOST_CHARACTERS
from fnet_core.errors import RequestError
from fnet_core.networks.finding import atlas_of
from fnet_core.networks.listening import listen
from fnet_core.networks.request import AtlasRequest


@pytest.fixture(scope="module")
def loaded():
    return loaded_tiny(max_position_embeddings=2048)


@pytest.mark.parametrize("scope", ["model", "layer"])
def test_a_passage_of_the_atlas_gives_its_time_courses_again(loaded, scope):
    passages = texts.bundled("find")[:3]
    atlas = atlas_of(loaded, AtlasRequest(loaded.name, passages, scope=scope, components=4)).answer
    heard = listen(loaded, atlas, passages[1].text)
    scale_K = np.array([atlas.course_scale(network) for network in range(len(atlas))])
    np.testing.assert_allclose(heard.courses_TK, atlas.courses[1] / scale_K, rtol=2e-3, atol=2e-3)
    np.testing.assert_array_equal(heard.offsets_T2, atlas.offsets[1])
    table = heard.table()
    assert sorted(table["network"]) == list(range(len(atlas)))
    assert table["peak"].is_monotonic_decreasing
    top = table.iloc[0]
    assert heard.courses_TK[top["token"], top["network"]] == pytest.approx(top["peak"])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("  \n", "There is no text to listen to"),
        ("a", r"has 1 token\(s\)"),
        ("word " * MOST_CHARACTERS, "characters and at most"),
    ],
)
def test_what_cannot_be_heard_is_refused(loaded, text, sentence):
    atlas = atlas_of(loaded, AtlasRequest(loaded.name, texts.bundled("find")[:3], components=4)).answer
    with pytest.raises(RequestError, match=sentence):
        listen(loaded, atlas, text)


def test_a_text_past_the_context_is_read_in_the_pieces_that_an_atlas_reads():
    loaded = loaded_tiny(max_position_embeddings=256)
    passages = texts.bundled("find")[:2]
    atlas = atlas_of(loaded, AtlasRequest(loaded.name, passages, components=4)).answer
    pieces = [i for i, passage in enumerate(atlas.passages) if passage.name.startswith(f"{passages[1].name}.")]
    heard = listen(loaded, atlas, passages[1].text)
    scale_K = np.array([atlas.course_scale(network) for network in range(len(atlas))])
    expected_TK = np.concatenate([atlas.courses[i] for i in pieces]) / scale_K
    np.testing.assert_allclose(heard.courses_TK, expected_TK, rtol=2e-3, atol=2e-3)
    assert len(pieces) > 2 and heard.cut.startswith(f"1 passage was cut into {len(pieces)}, for tiny-llama reads at")
    words = [passages[1].text[start:end] for start, end in heard.offsets_T2]
    read = "".join(atlas.passages[i].text for i in pieces)
    assert heard.passage.text == passages[1].text and "".join(words).lower() == read.lower()


def test_the_atlas_of_another_model_is_refused(loaded):
    atlas = atlas_of(loaded, AtlasRequest(loaded.name, texts.bundled("find")[:3], components=4)).answer
    atlas.recipe["model_digest"] = "1" * 64
    with pytest.raises(RequestError, match="was found in another model"):
        listen(loaded, atlas, "The rain fell all day.")
