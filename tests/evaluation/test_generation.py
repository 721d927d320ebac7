"""Continuations against a hand-written loop, with seeds, edits, and prompts that cannot be read."""

from dataclasses import replace

import pytest
import torch
from support.loading import loaded_tiny

from fnet_core.errors import Cancelled, RequestError
from fnet_core.evaluation import generation
from fnet_core.evaluation.generation import Sampling, continuation
from fnet_core.interventions.editing import editing
from fnet_core.interventions.edits import Edit
from fnet_core.models.loading import get_loaded

PROMPT = "the sea was "
EDIT = Edit("mlp", tuple((1, i) for i in range(40)), 0.0)


def test_greedy_is_the_likeliest_token_again_and_again():
    loaded = loaded_tiny()
    loaded.model.generation_config.eos_token_id = None
    ids = torch.tensor([loaded.tokenizer(PROMPT)["input_ids"]])
    start = ids.shape[1]
    for _ in range(6):
        ids = torch.cat([ids, loaded.model(ids).logits[:, -1].argmax(-1, keepdim=True)], dim=1)
    got = continuation(loaded, PROMPT, new_tokens=6)
    assert got.text == loaded.tokenizer.decode(ids[0, start:], skip_special_tokens=True) and got.tokens == 6


def test_the_models_own_decoding_habits_are_not_applied():
    plain, changed = loaded_tiny(), loaded_tiny()
    changed.model.generation_config.repetition_penalty = 1.7
    changed.model.generation_config.no_repeat_ngram_size = 2
    assert continuation(changed, PROMPT, new_tokens=30) == continuation(plain, PROMPT, new_tokens=30)


def test_what_is_written_so_far_is_told_after_every_token():
    loaded = loaded_tiny()
    loaded.model.generation_config.eos_token_id = None
    told = []
    whole = continuation(loaded, PROMPT, new_tokens=6, publish=told.append)
    assert [found.tokens for found in told] == [1, 2, 3, 4, 5, 6]
    assert not any(found.done for found in told) and replace(told[-1], done=True) == whole


def test_a_character_that_is_not_whole_is_left_out_until_it_is(monkeypatch):
    loaded = get_loaded("tiny")  # a token for every byte
    euro = iter(loaded.tokenizer("€", add_special_tokens=False)["input_ids"])
    monkeypatch.setattr(generation, "_drawing", lambda *_: lambda ids, logits: next(euro))
    told = []
    assert continuation(loaded, PROMPT, new_tokens=3, publish=told.append).text == "€"
    assert [found.text for found in told] == ["", "", "€"]


def test_next_tokens_are_the_softmax_behind_the_prompt():
    loaded = loaded_tiny()
    ids = torch.tensor([loaded.tokenizer(PROMPT)["input_ids"]])
    expected = loaded.model(ids).logits[0, -1].softmax(-1).sort(descending=True)
    got = continuation(loaded, PROMPT, new_tokens=1).next_tokens
    assert len(got) == 10
    assert [t.probability for t in got] == pytest.approx(expected.values[:10].tolist())
    assert [t.text for t in got] == [loaded.tokenizer.decode([i]) for i in expected.indices[:10].tolist()]


def test_an_edit_changes_the_candidates_and_is_gone_afterwards():
    loaded = loaded_tiny()
    before = continuation(loaded, PROMPT, new_tokens=4)
    with editing(loaded, [EDIT]):
        edited = continuation(loaded, PROMPT, new_tokens=4)
    assert edited.next_tokens != before.next_tokens
    assert continuation(loaded, PROMPT, new_tokens=4) == before


def test_sampling_repeats_with_its_seed_and_leaves_the_global_generator_alone():
    loaded = loaded_tiny()
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    texts = [continuation(loaded, PROMPT, new_tokens=20, sampling=Sampling(seed)).text for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]
    assert torch.equal(torch.rand(3), expected)


def test_cancelling_between_tokens():
    def report(stage, fraction):
        if fraction >= 0.5:
            raise Cancelled

    with pytest.raises(Cancelled):
        continuation(loaded_tiny(), PROMPT, new_tokens=10, report=report)


def test_infinite_logits_are_said():
    loaded = loaded_tiny(tie_word_embeddings=False)
    loaded.model.lm_head.weight.data[5] = float("inf")
    got = continuation(loaded, PROMPT)
    assert not got.finite and got.text == "" and got.next_tokens == ()


@pytest.mark.parametrize(
    ("prompt", "options", "sentence"),
    [
        ("  \n", {}, "prompt is empty"),
        ("a" * 120, {"new_tokens": 40}, "120 tokens, which with 40 new ones is more than the 128"),
        ("a", {"new_tokens": 0}, "0 new tokens"),
    ],
)
def test_prompts_that_cannot_be_continued(prompt, options, sentence):
    with pytest.raises(RequestError, match=sentence):
        continuation(loaded_tiny(), prompt, **options)


@pytest.mark.parametrize(("temperature", "top_p"), [(0, 1), (11, 1), (1, 0), (1, 1.1)])
def test_sampling_out_of_range(temperature, top_p):
    with pytest.raises(RequestError, match="out of range"):
        Sampling(0, temperature, top_p)
