"""Perplexity against paper, hand-written loops and lm-evaluation-harness's own rolling windows."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from support.loading import loaded_tiny
from support.perplexities import result
from support.tiny_models import starting_tokenizer, tiny_tokenizer

from fnet_core.errors import Cancelled, RequestError
from fnet_core.evaluation.perplexity import PerplexityResult, measure, on_same_windows, ratio
from fnet_core.evaluation.windows import disjoint_windows, sliding_windows
from fnet_core.texts import Passage

PASSAGES = (
    Passage("long", "the tide came in at dawn and the boats went out with it; nobody spoke. " * 3, "test"),
    Passage("short", "two boats, both old.", "test"),
    Passage("middle", "rain on the roof, then sun.\nthen rain again, for a week.", "test"),
)


def last(loaded, passages=PASSAGES, **options) -> PerplexityResult:
    *_, result = measure(loaded, passages, **options)
    return result


@pytest.mark.parametrize(("window", "stride"), [(32, 32), (32, 16), (128, 128), (50, 7)])
@pytest.mark.parametrize("family", ["llama", "gpt2", "opt"])
def test_token_perplexity_is_the_strided_loop_over_the_models_own_loss(family, window, stride):
    loaded = loaded_tiny(family)
    total, count = 0.0, 0
    for passage in PASSAGES:
        ids = torch.tensor([loaded.tokenizer(passage.text)["input_ids"]])
        previous_end = 0
        for begin in range(0, ids.shape[1], stride):
            end = min(begin + window, ids.shape[1])
            piece = ids[:, begin:end]
            labels = piece.clone()
            labels[:, : -(end - previous_end)] = -100
            counted = int((labels[:, 1:] != -100).sum())
            if counted:
                with torch.no_grad():
                    total += float(loaded.model(piece, labels=labels).loss) * counted
                count += counted
            previous_end = end
            if end == ids.shape[1]:
                break
    result = last(loaded, window=window, stride=stride)
    assert result.tokens == count
    assert result.value == pytest.approx(math.exp(total / count), rel=1e-5)


def test_batching_changes_nothing():
    loaded = loaded_tiny("gemma3_text")
    alone, together = (last(loaded, window=40, stride=20, batch_tokens=n) for n in (1, 10_000))
    np.testing.assert_allclose(alone.nll_W, together.nll_W, rtol=1e-4)
    assert alone.value == pytest.approx(together.value, rel=1e-4)


def test_a_model_that_knows_two_tokens_by_chance():
    """A head of zeros makes every token of the vocabulary equally likely: perplexity is its size, on paper."""
    loaded = loaded_tiny("llama", tie_word_embeddings=False)
    loaded.model.lm_head.weight.data.zero_()
    result = last(loaded)
    assert result.value == pytest.approx(61, rel=1e-5)
    assert result.interval == pytest.approx((61, 61), rel=1e-5)


def test_a_two_token_vocabulary_on_paper():
    """Logits (log 3, 0) whatever came before: the first token costs log(4/3) nats and the second log 4."""
    loaded = loaded_tiny("llama", tie_word_embeddings=False)
    model = loaded.model
    model.model.norm.weight.data.zero_()
    model.model.norm.weight.data[0] = 1.0
    direction = torch.zeros(24)
    direction[0] = 1.0
    model.model.embed_tokens.weight.data[:] = direction
    for layer in model.model.layers:
        layer.self_attn.o_proj.weight.data.zero_()
        layer.mlp.down_proj.weight.data.zero_()
    model.lm_head.weight.data.fill_(0)
    model.lm_head.weight.data[:, 0] = -1e4
    a, b = (loaded.tokenizer.convert_tokens_to_ids(t) for t in "ab")
    scale = 24**0.5  # the norm brings a one-hot vector to this length
    model.lm_head.weight.data[a, 0] = math.log(3) / scale
    model.lm_head.weight.data[b, 0] = 0.0
    result = last(loaded, (Passage("ab", "aab", "test"),))
    expected = math.exp((math.log(4 / 3) + math.log(4)) / 2)
    assert result.tokens == 2
    assert result.value == pytest.approx(expected, rel=1e-4)
    assert np.nan_to_num(result.token_nll[0], nan=-1).tolist() == pytest.approx(
        [-1, math.log(4 / 3), math.log(4)], rel=1e-4
    )


def test_a_start_token_stands_before_each_window_and_scores_the_first_token():
    loaded = loaded_tiny(tokenizer=starting_tokenizer())
    result = last(loaded, PASSAGES[1:2], window=8, stride=7)
    ids = tiny_tokenizer()(PASSAGES[1].text)["input_ids"]
    total = 0.0
    for begin in range(0, len(ids), 7):
        piece = torch.tensor([[loaded.tokenizer.bos_token_id, *ids[begin : begin + 7]]])
        with torch.no_grad():
            total += float(loaded.model(piece, labels=piece).loss) * (piece.shape[1] - 1)
    assert result.tokens == len(ids) and result.start == "<s>"
    assert result.value == pytest.approx(math.exp(total / len(ids)), rel=1e-5)


@pytest.mark.parametrize(("window", "stride"), [(8, 8), (8, 3), (2, 2), (128, 128)])
def test_behind_a_start_token_every_token_is_scored_once(window, stride):
    loaded = loaded_tiny(tokenizer=starting_tokenizer())
    result = last(loaded, window=window, stride=stride)
    assert result.tokens == sum(len(p.text) for p in PASSAGES)
    assert not any(np.isnan(nll).any() for nll in result.token_nll)


def test_a_tokenizer_without_start_and_end_token_cannot_count_words():
    tokenizer = tiny_tokenizer()
    tokenizer.bos_token = tokenizer.eos_token = None
    with pytest.raises(RequestError, match="no start or end token"):
        last(loaded_tiny(tokenizer=tokenizer), definition="word")


def test_an_interval_that_json_cannot_hold_is_left_out():
    result = last(loaded_tiny(), window=32, stride=32)
    wild = replace(result, nll_W=np.where(np.arange(len(result.nll_W)) % 2, 1e5, 10.0))
    assert wild.summary()["interval"] is None
    json.dumps(wild.summary(), allow_nan=False)


def test_sliding_windows_by_hand():
    assert list(sliding_windows(10, 4, 4, start=0)) == [(0, 4, 1), (4, 8, 5), (8, 10, 9)]
    assert list(sliding_windows(10, 4, 2, start=0)) == [(0, 4, 1), (2, 6, 4), (4, 8, 6), (6, 10, 8)]
    assert list(sliding_windows(7, 4, 4, start=1)) == [(0, 3, 0), (3, 6, 3), (6, 7, 6)]


@pytest.mark.parametrize(("length", "window"), [(10, 4), (8, 4), (3, 4), (4, 4), (5, 4), (9, 2)])
def test_disjoint_windows_cover_every_token_once_behind_one_token_and_the_last_is_filled(length, window):
    spans = list(disjoint_windows(length, window))
    scored = [t for begin, end, first in spans for t in range(first, end)]
    assert scored == list(range(length))
    for begin, _, first in spans[:-1]:
        assert first == begin + 1
    if length > window:
        begin, end, _ = spans[-1]
        assert end - begin == window + 1


def test_words_and_bytes_are_those_of_the_text():
    loaded = loaded_tiny()
    word, byte = (last(loaded, definition=d, window=64) for d in ("word", "byte"))
    words = sum(len(p.text.split()) for p in PASSAGES[1:]) + len(PASSAGES[0].text.split(" "))
    size = sum(len(p.text.encode()) for p in PASSAGES)
    assert word.units_W.sum() == pytest.approx(words) and byte.units_W.sum() == pytest.approx(size)
    assert word.nll_W.sum() == pytest.approx(byte.nll_W.sum())
    assert math.log(word.value) * words == pytest.approx(math.log(byte.value) * size)
    assert byte.bits_per_byte == pytest.approx(byte.nll_W.sum() / size / math.log(2))
    assert word.tokens == sum(len(p.text) for p in PASSAGES)  # one token per character, each scored


def test_the_running_estimate_ends_at_the_result_and_its_interval_covers_the_truth():
    loaded = loaded_tiny()
    steps = list(measure(loaded, PASSAGES, window=16, stride=16, batch_tokens=16))
    assert [len(s.nll_W) for s in steps] == list(range(1, steps[-1].total_windows + 1))
    assert steps[0].interval is None
    low, high = steps[-1].interval
    assert low < steps[-1].value < high


def test_interval_by_simulation():
    """Windows of unequal size with a known mean: the 95 % interval covers it about 95 times in 100."""
    from fnet_core.evaluation.perplexity import _ratio_interval

    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(2000):
        units = rng.integers(50, 500, 24).astype(float)
        low, high = _ratio_interval(units * 3.0 + rng.normal(0, 0.3, 24) * units, units)
        covered += low < 3.0 < high
    assert 0.92 < covered / 2000 < 0.97


def test_ratio_is_paired():
    loaded = loaded_tiny()
    base = last(loaded, window=32, stride=32)
    same = ratio(base, base)
    assert same.value == 1.0 and same.interval == (1.0, 1.0)
    with pytest.raises(ValueError, match="same windows"):
        ratio(base, last(loaded, PASSAGES[:2], window=32, stride=32))


def test_logits_that_are_not_finite_are_said_not_hidden():
    loaded = loaded_tiny(tie_word_embeddings=False)
    loaded.model.lm_head.weight.data[5] = float("inf")
    result = last(loaded)
    assert not result.finite and math.isinf(result.value) and result.interval is None
    assert result.summary()["value"] is None and result.summary()["finite"] is False


def test_document_values_and_saving(tmp_path):
    loaded = loaded_tiny()
    result = last(loaded, window=32, stride=32)
    each = [last(loaded, (p,), window=32, stride=32).value for p in PASSAGES]
    np.testing.assert_allclose(result.document_values(), each, rtol=1e-4)
    result.save(tmp_path / "r.safetensors")
    back = PerplexityResult.load(tmp_path / "r.safetensors")
    assert back.summary() == result.summary()
    for a, b in zip(result.token_nll, back.token_nll, strict=True):
        np.testing.assert_array_equal(a, b)


def test_cancelling_between_batches():
    def report(stage, fraction):
        if fraction > 0.3:
            raise Cancelled

    with pytest.raises(Cancelled):
        list(measure(loaded_tiny(), PASSAGES, window=16, stride=16, batch_tokens=16, report=report))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"window": 1}, "window of 1 tokens is out of range"),
        ({"window": 4096, "stride": 9}, "reads 2 to 128"),
        ({"stride": 0, "window": 64}, "stride of 0"),
        ({"stride": 65, "window": 64}, "stride of 65"),
        ({"definition": "line", "window": 64}, "no definition 'line'"),
        ({"passages": (), "window": 64}, "no text"),
        ({"passages": (Passage("x", "a", "t"),), "window": 64}, "'x' has 1 token"),
    ],
)
def test_requests_that_cannot_be_met(options, sentence):
    options = {"passages": PASSAGES, "stride": 64} | options
    with pytest.raises(RequestError, match=sentence):
        last(loaded_tiny(), **options)


def test_one_long_word_is_said_to_be_too_large_instead_of_infinite():
    wordless = (Passage("wordless", "的一是不了人我在有他这为之大来以个中上们" * 12, "test"),)
    per_word = last(loaded_tiny(), wordless, definition="word")
    assert per_word.finite and per_word.too_large and math.isfinite(per_word.log_value)
    assert "too large for a number" in per_word.sentence and "per token or per byte" in per_word.sentence
    assert per_word.summary()["value"] is None and per_word.summary()["too_large"]
    per_byte = last(loaded_tiny(), wordless, definition="byte")
    assert not per_byte.too_large and per_byte.log_value == pytest.approx(
        per_word.log_value / len(wordless[0].text.encode())
    )


def test_a_ratio_beyond_every_number_is_null_in_json():
    fine = last(loaded_tiny())
    broken = replace(fine, nll_W=np.full_like(fine.nll_W, math.inf))
    found = ratio(broken, fine)
    assert json.loads(json.dumps(found.summary(), allow_nan=False)) == {"value": None, "interval": None}


def test_running_estimates_are_compared_on_the_windows_that_all_have():
    whole, part = result(10.0, 20.0, 40.0), result(12.0, 24.0, 48.0)
    part = replace(part, nll_W=part.nll_W[:2], units_W=part.units_W[:2], document_W=part.document_W[:2])
    first, second = on_same_windows((whole, part))
    assert first.value == pytest.approx(200**0.5) and second.value == pytest.approx(288**0.5)
    assert second.value / first.value == pytest.approx(ratio(part, whole).value)
    assert first.total_windows == 3
