"""Cuts lose no character, fall at ends of sentences where there are any, and keep every piece within its bound."""

import random
import time

import pytest

from fnet_core.cutting import FILLED, spans

CHINESE = "今天天气很好，我们去公园散步吧。他说：“我不去！”然后走了。"
ARABIC = "ذهب الولد إلى المدرسة. هل تعلم؟ نعم، أعلم ذلك! ثم عاد. "
TABLE = "| name | a | b |\n|---|---|---|\n" + "".join(f"| row {i} | {i * 1.5} | {i * 7} |\n" for i in range(80))
MINIFIED = "var a=b.c;if(x){y()}" * 200
ALPHABET = [*"aB .!?。！؟\n\r\t\"'”)「」…1😀é\u0301\u200d।-|,\u00a0\u3000\u2028", "Mr. ", "B.\u00a0", "e.g. ", "\n\n"]


def at_most(bound: int):
    """A measure of characters that wants pieces of at most so many."""
    return lambda text: (1 if len(text) <= bound else max(2, -(-len(text) // int(FILLED * bound))), range(len(text)))


def check(text: str, found: list[tuple[int, int]], bound: int) -> None:
    """The pieces are in order, within the bound, trimmed, and part nothing but white space."""
    last = 0
    for start, end in found:
        assert text[last:start].strip() == "" and start < end <= start + bound
        assert text[start:end] == text[start:end].strip()
        last = end
    assert text[last:].strip() == ""


@pytest.mark.parametrize("seed", range(200))
def test_pieces_put_together_are_the_text_and_none_is_past_the_bound(seed):
    draw = random.Random(seed)
    text = "".join(draw.choice(ALPHABET) for _ in range(draw.randint(0, 400)))
    bound = draw.choice((3, 20, 50))
    check(text, spans(text, at_most(bound)), bound)


@pytest.mark.parametrize(
    ("text", "ends"),
    [(CHINESE * 40, "。”！"), (ARABIC * 40, ".؟!"), ("Mr. Smith ate 3.5 apples! He left. " * 40, ".!")],
)
def test_cuts_fall_at_ends_of_sentences_in_every_script(text, ends):
    found = spans(text, at_most(300))
    check(text, found, 300)
    assert len(found) > 3
    assert all(text[end - 1] in ends and not text[:end].endswith("Mr.") for _, end in found)


def test_a_table_is_cut_at_lines_and_a_line_of_code_between_characters():
    table = spans(TABLE, at_most(300))
    check(TABLE, table, 300)
    assert all(TABLE[start] == "|" and TABLE[end - 1] == "|" for start, end in table)
    code = spans(MINIFIED, at_most(300))
    check(MINIFIED, code, 300)
    assert min(end - start for start, end in code) > 100


def test_pieces_are_about_as_long_as_each_other():
    lengths = [end - start for start, end in spans("It rained all day. " * 400, at_most(400))]
    assert max(lengths) < 1.5 * min(lengths)


def test_what_cannot_be_cut_stays_whole_and_white_space_has_no_piece():
    assert spans("word", lambda text: (7, [0, 0, 0, 0])) == [(0, 4)]
    assert spans(" \n\t ", at_most(2)) == []


def test_a_long_line_without_spaces_is_cut_in_a_time_that_grows_with_its_length():
    begun = time.perf_counter()
    text = CHINESE * 10_000
    found = spans(text, at_most(400))
    check(text, found, 400)
    assert time.perf_counter() - begun < 60
