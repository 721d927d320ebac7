"""Passages are cut by the tokens of the models at hand, at the same characters for all, and only when needed."""

import pytest
from support.loading import loaded_tiny
from support.tiny_models import tiny_tokenizer
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from fnet_core import texts
from fnet_core.activations.fitting import Reader, fitted, reader_of
from fnet_core.texts import Passage

CHINESE = "今天天气很好，我们去公园散步吧。他说：“我不去！”然后走了。\n"
ARABIC = "ذهب الولد إلى المدرسة. هل تعلم؟ نعم، أعلم ذلك! ثم عاد. "
TABLE = "| name | a | b |\n|---|---|---|\n" + "".join(f"| row {i} | {i * 1.5} | {i * 7} |\n" for i in range(300))
MINIFIED = "function f(a,b){var c=a*b;if(c>3){return c}else{return-c}};" * 300
OTHERS = {"chinese": CHINESE * 300, "arabic": ARABIC * 60, "table": TABLE, "minified": MINIFIED}


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """One token per byte, so that Chinese has three for a character."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({"<s>": 0} | {symbol: i for i, symbol in enumerate(alphabet, start=1)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>")


def byte_reader(max_tokens: int = 100_000) -> Reader:
    return Reader("bytes", max_tokens, byte_tokenizer)


def character_reader(max_tokens: int = 100_000) -> Reader:
    return Reader("characters", max_tokens, tiny_tokenizer)


def check(passages, found, readers, bound=None):
    """Pieces are the passages but for white space between, each within every reader's context and the bound."""
    assert "".join("".join(p.text for p in found).split()) == "".join("".join(p.text for p in passages).split())
    for piece in found:
        for reader in readers:
            length = len(reader.tokenizer(piece.text)["input_ids"])
            assert length <= min(reader.max_tokens, bound or 2 * max(reader.bundled_lengths))


def test_bundled_passages_within_the_context_stay_without_a_look_at_the_tokenizer():
    def unread():
        raise AssertionError("the tokenizer was loaded")

    passages = texts.bundled("find")
    found = fitted(passages, [Reader("any", 2048, unread)])
    assert found.passages == passages and found.note == ""


@pytest.mark.parametrize("context", [128, 256])
def test_bundled_passages_past_the_context_are_cut_within_it(context):
    reader = reader_of(loaded_tiny(max_position_embeddings=context))
    passages = texts.bundled("find")
    found = fitted(passages, [reader])
    check(passages, found.passages, [reader])
    least = min(len(p.text) for p in found.passages)
    assert least > context // 4
    first = found.passages[0]
    assert first.name.removeprefix(passages[0].name) in (".1", ".01") and first.source == "bundled/find"
    expected = (
        f"24 passages were cut into {len(found.passages)}, for tiny-llama reads at most {context} tokens at once."
    )
    assert found.note == expected
    again = fitted(found.passages, [reader])
    assert again.passages == found.passages and again.note == ""


@pytest.mark.parametrize("name", OTHERS)
def test_passages_far_longer_than_bundled_ones_are_cut_near_their_length(name):
    reader = byte_reader()
    whole = Passage("own", OTHERS[name], "given text")
    found = fitted([whole], [reader])
    check([whole], found.passages, [reader])
    lengths = [len(reader.begins(p.text)) for p in found.passages]
    assert max(lengths) < 2 * min(lengths)
    assert 500 < sum(lengths) / len(lengths) < 1200
    assert found.note.startswith(
        f"1 passage was cut into {len(lengths)}, for passages of more than 2,358 tokens of bytes"
    )


def test_the_context_alone_is_asked_about_where_nothing_else_shall_be_cut():
    whole = Passage("own", OTHERS["arabic"], "given text")
    assert fitted([whole], [byte_reader()], context_only=True).passages == (whole,)
    short = byte_reader(1000)
    found = fitted([whole], [short], context_only=True)
    check([whole], found.passages, [short], 1000)


def test_two_models_get_the_same_pieces_cut_for_the_stricter_one():
    wide, narrow = character_reader(400), byte_reader(390)
    passages = [Passage("own", CHINESE * 20, "given text"), Passage("plain", "It rained all day. " * 15, "given text")]
    both = fitted(passages, [wide, narrow])
    check(passages, both.passages, [wide, narrow])
    assert both.passages == fitted(passages, [narrow, wide]).passages == fitted(passages, [narrow]).passages
    assert len(both.passages) > len(fitted(passages, [wide]).passages)
    assert both.passages[-1] == passages[1] and "for bytes reads at most 390 tokens" in both.note


def test_a_context_too_short_for_any_text_is_left_to_the_reading():
    passages = texts.bundled("find")[:2]
    assert fitted(passages, [character_reader(8)]).passages == passages
