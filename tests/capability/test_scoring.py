"""Log-likelihoods against the harness's rule computed by itself, one text at a time."""

import numpy as np
import pytest
import torch
from support.loading import loaded_tiny
from support.tiny_models import starting_tokenizer, tiny_tokenizer

from fnet_core.capability.battery import Item, make_battery
from fnet_core.capability.profiles import PROFILES, profile, profile_recipe
from fnet_core.capability.scoring import Choice, choices, log_likelihoods, texts_of
from fnet_core.models.running import running

ONLY = ["sums", "word-order", "indentation", "quotes", "polarity"]


def as_the_harness(loaded, item: Item, continuation: str, start: bool) -> float:
    """What lm-evaluation-harness's `loglikelihood` gives: it moves trailing white space, and cuts whole by prefix."""
    tokenizer, context = loaded.tokenizer, item.prefix
    spaces = len(context) - len(context.rstrip())
    if spaces:
        context, continuation = context[:-spaces], context[-spaces:] + continuation
    before = tokenizer(context, add_special_tokens=start)["input_ids"] if context else [tokenizer.bos_token_id]
    after = tokenizer(context + continuation, add_special_tokens=start and bool(context))["input_ids"][
        len(before) if context else 0 :
    ]
    ids = torch.tensor([before + after])
    with torch.no_grad():
        logp = loaded.model(input_ids=ids[:, :-1]).logits[0].float().log_softmax(-1)
    return float(sum(logp[len(before) - 1 + i, token] for i, token in enumerate(after)))


@pytest.mark.parametrize(
    ("family", "start"), [("llama", False), ("gemma3_text", True), ("gpt2", False), ("granite", True), ("bamba", False)]
)
def test_log_likelihoods_are_those_of_the_harness(family, start):
    tokenizer = starting_tokenizer() if start else tiny_tokenizer()
    loaded = loaded_tiny(family, tokenizer=tokenizer)
    items = make_battery(6, only=ONLY).items
    found = choices(loaded, items)
    right_I, wrong_I = log_likelihoods(loaded, found)
    assert right_I.shape == wrong_I.shape == (30,) and all(choice is not None for choice in found)
    for number, item in enumerate(items):
        assert right_I[number] == pytest.approx(as_the_harness(loaded, item, item.right, start), abs=2e-3, rel=1e-4)
        assert wrong_I[number] == pytest.approx(as_the_harness(loaded, item, item.wrong, start), abs=2e-3, rel=1e-4)


def test_what_a_text_begins_with_is_not_run_by_itself():
    same = Choice((5, 6, 7), (5, 6, 8), 2)
    longer = Choice((5, 6, 7, 1), (5, 6, 9), 2)
    apart = Choice((4, 1, 2), (4, 3, 2), 1)
    found = texts_of([same, None, longer, apart])
    assert sorted(text.ids for text in found) == [(4, 1), (4, 3), (5, 6, 7)]
    shared = next(text for text in found if text.ids == (5, 6, 7))
    assert sorted(shared.answers) == [(0, (7,), 1), (1, (8,), 1), (4, (7, 1), 1), (5, (9,), 1)] and shared.needed == 2


def test_what_a_tokenizer_cannot_tell_apart_is_left_out_and_counted():
    loaded = loaded_tiny()  # its tokenizer knows no capitals
    table = profile(loaded, make_battery(8, only=["capital-letters", "sums"])).table().set_index("capability")
    assert table.loc["capital-letters", ["items", "left_out"]].tolist() == [0, 8]
    assert np.isnan(table.loc["capital-letters", "accuracy"])
    assert table.loc["sums", ["items", "left_out"]].tolist() == [8, 0]


def test_what_a_model_cannot_read_is_left_out():
    loaded = loaded_tiny(max_position_embeddings=20)
    items = [Item("sums", "1 + 2 =", " 3", " 4"), Item("sums", "a sum of two numbers: 1 + 2 =", " 3", " 4")]
    assert [choice is not None for choice in choices(loaded, items)] == [True, False]


def test_answers_are_measured_once_and_all_that_decides_them_is_in_the_key(monkeypatch):
    loaded, battery = loaded_tiny(), make_battery(4, only=["sums"])
    first = profile(loaded, battery)
    monkeypatch.setattr("fnet_core.capability.profiles.log_likelihoods", None)
    again = profile(loaded, battery)
    assert (again.right_I == first.right_I).all() and again.recipe == first.recipe
    others = [make_battery(4, 1, only=["sums"]), make_battery(5, only=["sums"]), make_battery(4, only=["tense"])]
    recipes = [profile_recipe(running(loaded), each, ()) for each in (battery, *others)]
    recipes.append(profile_recipe(running(loaded), battery, ["something"]))
    assert len({PROFILES.key(recipe) for recipe in recipes}) == 5
