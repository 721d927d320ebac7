"""The HTML report: all of the verdict in it, nothing fetched, names from files harmless."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from fingerprints import hand_fingerprint, hand_reference, mixed, waves

from fnet_core.comparison import compare
from fnet_core.comparison_report import fingerprint_command, report_html, save_report
from fnet_core.errors import RequestError

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


def test_it_says_how_to_make_it_again(found):
    page = Page(report_html(found))
    options = "--site residual --components 10 --threshold 3.6 --seed 0 --out a.safetensors"
    command = f"python -m fnet_core fingerprint base {options}"
    assert command in page.text and fingerprint_command(found.a, "a.safetensors") == command
    assert "python -m fnet_core compare a.safetensors b.safetensors --seed 0" in page.text
    own = replace(found.a, recipe=found.a.recipe | {"texts": [["file x.txt"], ["bundled/score"]]})
    assert "--find FILE --seed" in fingerprint_command(own, "a")


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


def test_without_reference_or_interval(found):
    a, b = (replace(s, signals=s.signals[:1], grids=s.grids[:1], passages=s.passages[:1]) for s in (found.a, found.b))
    alone = compare(a, b, reference=hand_reference("other"))
    page = Page(report_html(replace(alone, reference=None)))
    assert "inconclusive" in page.text and "no reference distribution" in page.text


def test_saving(found, tmp_path):
    save_report(found, tmp_path / "new" / "report.html")
    assert (tmp_path / "new" / "report.html").read_text("utf-8").startswith("<!DOCTYPE html>")
    (tmp_path / "locked").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises((RequestError, NotADirectoryError, FileExistsError)):
        save_report(found, tmp_path / "file" / "report.html")
