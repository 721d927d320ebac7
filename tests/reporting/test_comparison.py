"""The HTML report: all of the verdict in it, nothing fetched, names from files harmless."""

import json
import re
import shlex
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from support.fingerprints import hand_fingerprint, hand_reference, mixed, waves

from fnet_core.errors import RequestError
from fnet_core.lineage.comparison import compare
from fnet_core.lineage.verdict import INTERVAL_NOTE
from fnet_core.reporting.comparison import beyond_the_command, fingerprint_command, report_html, save_report

SIGNALS = waves(10)
EVIL = '</script><script>alert(1)</script><img src="https://evil.example/x">'


class Page(HTMLParser):
    """Tags with their attributes, and the text outside scripts and styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags, self.words, self._inside = [], [], []
        self.feed(html)
        self.text = re.sub(r"\s+", " ", " ".join(self.words))

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self._inside.append(tag)

    def handle_endtag(self, tag):
        while self._inside and self._inside.pop() != tag:
            pass

    def handle_data(self, data):
        if not {"script", "style"} & {*self._inside}:
            self.words.append(data)


@pytest.fixture(scope="module")
def found():
    a = hand_fingerprint(SIGNALS, "base")
    b = hand_fingerprint(mixed(SIGNALS, 0.3, 3), EVIL, layers=6, seed=5)
    return compare(a, b, reference=hand_reference(a.protocol_digest))


def test_it_says_what_the_comparison_says(found):
    page = Page(report_html(found))
    assert found.verdict.outcome == "derived"
    for sentence in (*found.verdict.reasons, *found.verdict.advice):
        assert re.sub(r"\s+", " ", sentence) in page.text
    assert f"score {found.score:.3f}" in page.text
    for row in found.table().itertuples():
        assert f"{row.value:.3f}" in page.text and row.label_a in page.text
    assert "python -m measure" in page.text
    assert page.text.count("12,345") == 2
    assert found.a.content_digest() in page.text and found.b.content_digest() in page.text


def test_it_says_what_it_is_not(found):
    text = Page(report_html(found)).text
    assert "Evidence that one derives from the other" in text and "not proof" in text
    assert "10 matched pairs of networks on 5 passages" in text
    assert "was withdrawn by arXiv" in text and "Do not accuse anybody on this" in text
    assert "B is turned over where the two go against each other" in text


def test_one_model_given_twice_is_not_called_derived(found):
    twice = compare(found.a, found.a, reference=hand_reference(found.a.protocol_digest))
    assert twice.verdict.outcome == "derived"
    page = Page(report_html(twice))
    assert "same model The same model, given twice" in page.text
    assert not any("derived" in attributes.get("class", "").split() for _, attributes in page.tags)


def test_it_says_how_to_make_it_again(found):
    page = Page(report_html(found))
    options = "--site residual --components 10 --threshold 3.6 --seed 0 --out a.safetensors"
    command = f"python -m fnet_core fingerprint base {options}"
    assert command in page.text and fingerprint_command(found.a, "a.safetensors") == command
    assert "python -m fnet_core compare a.safetensors b.safetensors --seed 0" in page.text
    assert "write its place" in page.text and "--resamples" not in page.text
    more = report_html(replace(found, resamples=500))
    assert "--seed 0 --resamples 500 --report report.html" in Page(more).text


def with_texts(side, *texts):
    return replace(side, recipe=side.recipe | {"texts": [list(sources) for sources in texts]})


def test_the_command_names_the_text_files_and_the_report_what_no_command_can_say(found):
    own = with_texts(found.a, ["file my text.txt"], ["bundled/score"])
    assert "--threshold 3.6 '--find=my text.txt' --seed" in fingerprint_command(own, "a")
    assert beyond_the_command(own) == beyond_the_command(found.a) == []
    mixed_texts = with_texts(found.a, ["bundled/find"], ["file x.txt", "dataset org/name"])
    assert "--score=FILE" in fingerprint_command(mixed_texts, "a")
    (sentence,) = beyond_the_command(mixed_texts)
    assert "--score of base came from file x.txt, dataset org/name;" in sentence
    mean = replace(found.a, recipe=found.a.recipe | {"protocol": found.a.protocol | {"signal": "mean"}})
    (sentence,) = beyond_the_command(mean)
    assert "signal of base is 'mean', which the command line cannot ask for" in sentence
    assert sentence in Page(report_html(replace(found, a=mean))).text


@pytest.mark.parametrize("name", ["$(touch hacked)", "a; rm -rf b", "two words", "it's", "--out=/etc/passwd", "-x"])
def test_a_name_from_a_file_stays_one_word_of_the_command(found, name):
    evil = replace(found.a, model=replace(found.a.model, name=name))
    evil = with_texts(evil, ["file $(touch hacked).txt"], ["file --out"])
    evil = replace(evil, recipe=evil.recipe | {"protocol": evil.protocol | {"site": "`id`"}})
    words = shlex.split(fingerprint_command(evil, "out dir/a"))
    assert words[:4] == ["python", "-m", "fnet_core", "fingerprint"]
    assert words[4] == (name if not name.startswith("-") else f"./{name}") and words[6] == "`id`"
    assert words[11:13] == ["--find=$(touch hacked).txt", "--score=--out"]
    assert words[-2:] == ["--out", "out dir/a"]
    printed = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {fingerprint_command(evil, 'out dir/a')}"], capture_output=True, check=True
    ).stdout
    assert printed.decode().split("\0")[:-1] == words


def test_it_opens_offline_with_one_copy_of_the_script(found):
    html = report_html(found)
    page = Page(html)
    assert html.count('<script id="plotly">') == 1 and html.count("plotly.js v") == 1
    assert len(html) < 8_000_000
    for tag, attributes in page.tags:
        assert tag not in ("link", "img", "iframe", "object", "embed"), tag
        assert not {"src", "href", "srcset"} & attributes.keys()
    assert "url(" not in html[: html.index("<script")] and "@import" not in html[: html.index("<script")]


def test_names_from_files_stay_text(found):
    html = report_html(found)
    assert "<script>alert" not in html and 'evil.example/x">' not in html
    assert EVIL in Page(html).text


def test_cards_from_files_stay_text(found):
    card = replace(found.b.model, family=EVIL, dtype=EVIL, digest=EVIL, layers=EVIL)
    b = replace(found.b, model=card, recipe=found.b.recipe | {"versions": {EVIL: EVIL}})
    html = report_html(replace(found, b=b))
    assert "<script>alert" not in html and 'evil.example/x">' not in html
    assert Page(html).text.count(EVIL) >= 6


def test_without_reference_or_interval(found):
    a, b = (replace(s, signals=s.signals[:1], grids=s.grids[:1], passages=s.passages[:1]) for s in (found.a, found.b))
    alone = compare(a, b, reference=hand_reference("other"))
    page = Page(report_html(replace(alone, reference=None)))
    assert "inconclusive" in page.text and "no reference distribution" in page.text
    assert "no interval" in page.text and "95 % interval" not in page.text
    assert json.loads(json.dumps(alone.summary(), allow_nan=False))["interval"] is None
    assert INTERVAL_NOTE in Page(report_html(found)).text and INTERVAL_NOTE not in page.text


def test_saving(found, tmp_path):
    save_report(found, tmp_path / "new" / "report.html")
    assert (tmp_path / "new" / "report.html").read_text("utf-8").startswith("<!DOCTYPE html>")
    (tmp_path / "file").write_text("here before")
    for path, sentence in (
        (tmp_path / "file" / "report.html", "file is a file; choose another folder"),
        (tmp_path / "file" / "deeper" / "report.html", "file is a file; choose another folder"),
        (tmp_path / "new", "new is a folder; name a file in it"),
        (tmp_path / ("x" * 300 + ".html"), "cannot name a file"),
    ):
        with pytest.raises(RequestError, match=sentence):
            save_report(found, path)
    assert (tmp_path / "file").read_text() == "here before"
    assert {p.name for p in tmp_path.iterdir()} - {"fnet-home"} == {"file", "new"}
