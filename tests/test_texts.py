"""Passages: the bundled ones keep their promises, other texts are cut without losing a character."""

import calendar as calendar_names
import re

import pytest

from fnet_core import inputs, texts
from fnet_core.errors import RequestError


@pytest.mark.parametrize("split", ["find", "score"])
def test_bundled_passages_are_24_of_150_to_200_words_of_twelve_kinds(split):
    passages = texts.bundled(split)
    assert len(passages) == 24
    assert all(150 <= len(p.text.split()) <= 200 for p in passages)
    kinds = {p.name.split("-")[1] for p in passages}
    assert kinds == {
        "encyclopaedic", "narrative", "dialogue", "instructions", "news", "review",
        "science", "law", "code", "arithmetic", "list", "letter",
    }  # fmt: skip
    assert [p.name[:2] for p in passages] == [f"{i:02d}" for i in range(1, 25)]


def test_no_passage_is_in_both_splits():
    words = [set(re.findall(r"[a-z]{4,}", p.text.lower())) for s in ("find", "score") for p in texts.bundled(s)]
    overlap = [len(a & b) / min(len(a), len(b)) for i, a in enumerate(words) for b in words[:i]]
    assert max(overlap) < 0.5


def test_the_passages_of_an_atlas_begin_with_those_to_find_on_and_go_on_in_many_kinds():
    passages = texts.for_networks()
    assert len(passages) == 96 and passages[:24] == texts.bundled("find")
    assert [p.name[:2] for p in passages] == [f"{i:02d}" for i in range(1, 97)]
    more = passages[24:]
    assert {p.source for p in more} == {"bundled/more"}
    assert all(120 <= len(p.text.split()) <= 235 for p in more)
    assert len({p.name.split("-")[1] for p in more}) >= 25
    words = [set(re.findall(r"[a-z]{4,}", p.text.lower())) for p in (*passages, *texts.bundled("score"))]
    assert max(len(a & b) / min(len(a), len(b)) for i, a in enumerate(words) for b in words[:i]) < 0.5


def test_no_name_comes_back_in_another_of_the_later_passages():
    """Words with a capital inside a sentence that are nowhere written small, weekdays and months left out."""
    every = (*texts.for_networks(), *texts.bundled("score"))
    small = {word for p in every for word in re.findall(r"\b[a-z]+\b", p.text)}
    calendar = {*calendar_names.day_name, *calendar_names.month_name, "Sundays"}
    seen: dict[str, set[str]] = {}
    for passage in every:
        for name in set(re.findall(r"(?<=[a-z,;] )[A-Z][a-z]{2,}", passage.text)):
            if name.lower() not in small and name not in calendar:
                seen.setdefault(name, set()).add(f"{passage.source}/{passage.name}")
    shared = {name: where for name, where in seen.items() if len(where) > 1}
    assert not [name for name, where in shared.items() if any("/more/" in place for place in where)]


def test_an_unknown_split_is_refused():
    with pytest.raises(RequestError, match="find or score"):
        texts.bundled("train")


def test_a_short_text_is_one_passage_and_a_long_one_is_cut_at_sentences():
    sentence = "The boat left the harbour at nine and did not return. "
    (one,) = texts.from_text(sentence * 3, "note")
    assert (one.name, one.text) == ("note", (sentence * 3).strip())
    many = texts.from_text(sentence * 100, "note")
    assert len(many) == 6
    assert all(p.text.endswith("return.") and 140 <= len(p.text.split()) <= 210 for p in many)
    assert " ".join(p.text for p in many) == (sentence * 100).strip()
    assert [p.name for p in many] == [f"note {i}" for i in range(1, 7)]


def test_a_text_without_sentences_is_cut_all_the_same():
    pieces = texts.from_text("word " * 1000)
    assert all(len(p.text.split()) <= 210 for p in pieces)
    assert sum(len(p.text.split()) for p in pieces) == 1000


CHINESE = "今天天气很好，我们去公园散步吧。他说：“我不去！”然后走了。"


@pytest.mark.parametrize(
    ("text", "count", "longest"),
    [
        ("\n".join([CHINESE] * 60), 6, 350),
        ("\n".join([CHINESE] * 2000), 194, 450),
        (CHINESE * 60, 5, 450),
        ("東京は雨です。「はい。」と言った。\n" * 100, 5, 450),
        ("สวัสดีครับวันนี้อากาศดีเราไปเดินเล่นกันเถอะ " * 60, 4, 900),
        ("ذهب الولد إلى المدرسة. هل تعلم؟ نعم، أعلم ذلك! ثم عاد. " * 60, 4, 1000),
        ("a=b.c;if(x){y()};" * 1000, 16, 1400),
        ("".join(f"| row {i} | {i * 1.5} | {i * 7} |\n" for i in range(200)), 9, 800),
    ],
    ids=["lines", "2000-lines", "one-line", "japanese", "thai", "arabic", "minified", "table"],
)
def test_text_of_any_script_is_cut_into_passages_of_about_one_length(text, count, longest):
    passages = texts.from_text(text, "own")
    assert len(passages) == count and max(len(p.text) for p in passages) <= longest
    assert "".join("".join(p.text for p in passages).split()) == "".join(text.split())


def test_chinese_is_cut_at_ends_of_sentences_and_quotations_stay_whole():
    passages = texts.from_text(CHINESE * 100)
    assert all(p.text[-1] in "。”" and p.text[0] in "今他然" for p in passages)


def test_files(tmp_path):
    (tmp_path / "a.txt").write_bytes("\ufeffGrüße aus dem Süden. Alles gut.\n".encode())
    (passage,) = texts.from_file(tmp_path / "a.txt")
    assert passage.text == "Grüße aus dem Süden. Alles gut." and passage.name == "a"
    (tmp_path / "b.bin").write_bytes(b"\x89PNG\x00\x01")
    (tmp_path / "c.txt").write_bytes(b"   \n\t ")
    (tmp_path / "d.txt").write_bytes("naïve".encode("latin-1"))
    for name, sentence in (("b.bin", "not a text file"), ("c.txt", "empty"), ("d.txt", "UTF-8"), ("e", "no text file")):
        with pytest.raises(RequestError, match=sentence):
            texts.from_file(tmp_path / name)


def test_an_endless_line_is_refused_whether_on_disk_or_uploaded(tmp_path, monkeypatch):
    monkeypatch.setattr(inputs, "LONGEST_LINE", 2_000_000)
    lines = b"one two three. " * 100_000
    (tmp_path / "book.txt").write_bytes((lines + b"\n") * 2)
    assert texts.whole_file(tmp_path / "book.txt")
    endless = b"a short line\n" + lines * 2 + b"\nanother"
    (tmp_path / "endless.txt").write_bytes(endless)
    for read in (lambda: texts.from_file(tmp_path / "endless.txt"), lambda: texts.from_bytes(endless, "endless.txt")):
        with pytest.raises(RequestError, match=r"'endless.txt' has a line of 3 MB, and a line of at most 2 MB is read"):
            read()


def test_a_dataset_that_cannot_be_reached_says_so(monkeypatch):
    datasets = pytest.importorskip("datasets")

    def refuse(*_, **__):
        raise ConnectionError("no route to the hub")

    monkeypatch.setattr(texts.HfApi, "dataset_info", lambda *_, **__: None)
    monkeypatch.setattr(datasets, "load_dataset", refuse)
    with pytest.raises(RequestError, match=r"'org/none' could not be read \(no route to the hub\)"):
        texts.from_dataset("org/none")


def test_a_dataset_is_read_until_enough_passages(monkeypatch):
    datasets = pytest.importorskip("datasets")
    asked = []

    def stream(repository, configuration, split, streaming):
        asked.append((repository, configuration, split, streaming))
        return [{"id": i, "text": "Rain fell on the hills that day. " * 10} for i in range(1000)]

    monkeypatch.setattr(texts.HfApi, "dataset_info", lambda *_, **__: None)
    monkeypatch.setattr(datasets, "load_dataset", stream)
    passages = texts.from_dataset("org/rain:small", passages=5)
    assert len(passages) == 5 and asked == [("org/rain", "small", "test", True)]
    assert all(140 <= len(p.text.split()) <= 215 for p in passages)
