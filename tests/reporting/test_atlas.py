"""The report of an atlas: one page, nothing fetched, markup shown as text, the atlas's own numbers in it."""

import re
from dataclasses import replace

import pytest
from support.atlases import hand_atlas
from support.fingerprints import hand_fingerprint, waves
from support.lesions import hand_lesions

from fnet_core.networks.annotations import Annotation
from fnet_core.networks.contexts import contexts
from fnet_core.reporting.atlas import report_html, save_report
from fnet_core.reporting.figures import digests
from fnet_core.texts import Passage

MARKUP = "<script>alert('x')</script><b>bold</b>"


@pytest.fixture(scope="module")
def atlas():
    said = {0: Annotation(MARKUP, "accepted", f"note {MARKUP}\nsecond line"), 2: Annotation(verdict="rejected")}
    passages = (Passage("p0", "<i> def", "test"), Passage("p1 <u>", "gh ij kl", "test"))
    return replace(hand_atlas(), annotations=said, labels=("abc · def", "<img src=x>", "ij"), passages=passages)


@pytest.fixture(scope="module")
def page(atlas, tmp_path_factory):
    file = tmp_path_factory.mktemp("report") / "atlas.html"
    save_report(atlas, file, 3.0, [hand_lesions(atlas)], hand_fingerprint(waves(3)))
    return file.read_text("utf-8")


def test_it_stands_alone_in_both_themes(page):
    without_script = page.replace(page[page.index('<script id="plotly">') : page.index("</script>")], "")
    assert not re.search(r'(src|href)="?https?://', without_script) and "@import" not in without_script
    assert "prefers-color-scheme: dark" in page and "color-scheme: light dark" in page
    assert len(page.encode()) < 6_000_000


def test_markup_is_shown_as_text(page):
    after = page[page.index("<body>") :]
    for wrong in ("<script>alert", "<b>bold", "<img src=x", "<i> def", "p1 <u>"):
        assert wrong not in re.sub(r'<script type="text/javascript">.*?</script>', "", after, flags=re.S)
    assert after.count("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;") >= 3 and "&lt;img src=x&gt;" in after
    assert "<script>alert" not in after and "<img src=x" not in after


def test_it_has_the_atlass_own_numbers(atlas, page):
    table = page[page.index("<h2>Networks</h2>") : page.index("<h2>What drives")]
    assert table.count("<tr>") == 4 and "50.00%" in table and "rejected" in table and "second line" in table
    strongest = contexts(atlas, 1, 8)
    places = page[page.index('id="network-1"') : page.index('id="network-2"')]
    assert places.count(" SD</td>") == len(strongest) and f"{strongest['activity'][0]:.1f} SD" in places
    assert f'title="{atlas.courses[1][0, 1] / atlas.course_scale(1):+.1f} SD"' in places
    for digest in (atlas.key, *digests(atlas).values()):
        assert digest in page


def test_lesions_and_fingerprint_are_told_or_how_to_get_them(atlas, page):
    assert page.count('class="plotly-graph-div') == 2 and "2 items per capability" in page
    assert hand_fingerprint(waves(3)).content_digest() in page
    alone = report_html(hand_atlas())
    assert "No lesion matrix of these networks" in alone and "No fingerprint of this model" in alone
    assert alone.count('class="plotly-graph-div') == 1 and "0 of 3 have something said" in alone
