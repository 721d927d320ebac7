"""The report of an audit: one page, nothing fetched, names escaped, all pairs in it."""

import re

import pytest
from support.fingerprints import hand_reference
from support.kin import member

from fnet_core.lineage.audit import audit
from fnet_core.lineage.subjects import Failure, Taken, subject_of
from fnet_core.reporting.audit import report_html, save_report


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FNET_HOME", str(tmp_path_factory.mktemp("home")))
        sides = [member("ant", 0).called("<script>x</script>"), member("ant", 1), member("bee", 0)]
        taken = Taken(tuple(map(subject_of, sides)), (Failure("lost & gone", "There is no file."),))
        return audit(taken, reference=hand_reference(sides[0].protocol_digest))


def test_it_stands_alone_and_says_everything(found, tmp_path):
    save_report(found, tmp_path / "audit.html")
    page = (tmp_path / "audit.html").read_text("utf-8")
    without_script = page.replace(page[page.index('<script id="plotly">') : page.index("</script>")], "")
    assert not re.search(r'(src|href)="?https?://', without_script) and "<script>x" not in page
    assert "&lt;script&gt;x&lt;/script&gt;" in page and "lost &amp; gone could not be read" in page
    assert page.count('class="plotly-graph-div') == 2 and "Holm" in page
    rows = page[page.index("<h2>Numbers</h2>") : page.index("<h2>What is said")]
    assert rows.count("<tr>") == 4 and f"{found.pairs[0].score:.3f}".rstrip("0") in rows
    assert found.pairs[0].verdict.statement.split(";")[0] in page.replace("&lt;", "<").replace("&gt;", ">")


def test_without_a_relation_there_is_no_tree():
    sides = Taken((subject_of(member("ant", 0)), subject_of(member("bee", 0))), ())
    page = report_html(audit(sides, reference=hand_reference(member("ant", 0).protocol_digest)))
    assert page.count('class="plotly-graph-div') == 1 and "There is none." in page
    assert "No two of the 2 models are shown to be related." in page
