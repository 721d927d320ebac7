"""Labels on the Networks page: said, searched, taken back, shown as text, and in what is downloaded."""

import io
import zipfile

import pytest
from support.atlases import hand_atlas
from support.lesions import hand_lesions
from support.pages import page, said, save_atlas

from dashboard import atlases
from dashboard.networks import capabilities, files
from fnet_core.networks.annotations import Annotation, annotated, changed
from fnet_core.networks.atlas import Atlas
from fnet_core.networks.example import EXAMPLE
from fnet_core.storage import artifacts
from fnet_core.storage.place import home

MARKUP = "<script>alert('x')</script> **bold** [a](b)"


def test_a_label_a_verdict_and_a_note_are_kept_and_shown():
    at = page("networks", atlas=save_atlas(), network="1")
    at.text_input(key="person_label").input("words of place").run()
    at.button(key="accepted_label").click().run()
    at.text_area(key="person_note").input("in lists").run()
    assert annotated(hand_atlas()).annotations == {1: Annotation("words of place", "accepted", "in lists")}
    table = at.dataframe(key="network_table").value
    assert table["label"].tolist() == ["abc · def", "words of place", "ij"] and table["mark"].tolist() == ["", "✓✎", ""]
    assert "words of place" in said(at) and "Automatic: gh." in said(at)
    at.button(key="next_network").click().run()
    assert at.text_input(key="person_label").value == "" and at.text_area(key="person_note").value == ""
    at.button(key="rejected_label").click().run()
    later = page("networks", atlas=hand_atlas().key, network="2")
    assert later.dataframe(key="network_table").value["mark"].tolist() == ["", "✓✎", "✗"]
    later.button(key="rejected_label").click().run()
    assert 2 not in annotated(hand_atlas()).annotations and not later.exception


def test_markup_is_shown_as_text():
    key = save_atlas()
    changed(hand_atlas(), 0, label=MARKUP, note=MARKUP)
    at = page("networks", atlas=key)
    assert not any("<script>" in element.value for element in [*at.html, *at.markdown, *at.caption])
    assert any("&lt;script&gt;" in element.value for element in at.html)


def test_intervene_and_home_show_them_too():
    key = save_atlas()
    changed(hand_atlas(), 1, label="words of place")
    at = page("intervene", atlas=key, network="1")
    assert any("1 · words of place" in element.value for element in at.html)
    assert atlases.annotated(key)[0].named[1] == "words of place"


def test_the_search_goes_to_what_it_finds():
    key = save_atlas()
    changed(hand_atlas(), 2, note="ends of lists")
    at = page("networks", atlas=key)
    at.text_input(key="network_search").input("lists").run()
    assert at.query_params["network"] == "2" and at.dataframe(key="network_table").value["network"].tolist() == [2]
    at.text_input(key="network_search").input("*nothing*").run()
    assert "No network has" in said(at) and len(at.dataframe(key="network_table").value) == 3


def test_every_key_has_its_button():
    at = page("networks", atlas=save_atlas(), network="1")
    keys = {name: at.button(key=name).proto.shortcut for name in ("previous_network", "next_network")}
    keys |= {name: at.button(key=name).proto.shortcut for name in ("accepted_label", "rejected_label")}
    assert keys == {"previous_network": "p", "next_network": "n", "accepted_label": "a", "rejected_label": "x"}


def test_an_imported_atlas_brings_its_labels_and_keeps_to_itself():
    key = f"{atlases.IMPORTED}{'a' * 64}"
    path = atlases.file_of(key)
    path.parent.mkdir(parents=True)
    changed(hand_atlas(), 0, label="brought").save(path)
    (home() / "labels").rename(home() / "labels-of-another-machine")
    at = page("networks", atlas=key)
    assert at.text_input(key="person_label").value == "brought"
    at.button(key="rejected_label").click().run()
    assert at.dataframe(key="network_table").value["mark"].tolist()[0] == "✗"
    assert annotated(hand_atlas()).annotations == {}


def test_labels_that_cannot_be_read_are_told_and_left():
    key = save_atlas()
    changed(hand_atlas(), 0, label="mine")
    (file,) = (home() / "labels").glob("*")
    file.write_text("{")
    at = page("networks", atlas=key)
    assert any("cannot be read and were left" in error.value for error in at.error)
    at.button(key="accepted_label").click().run()
    assert file.read_text() == "{" and at.dataframe(key="network_table").value["label"][0] == "abc · def"


def test_downloads_have_what_is_said(tmp_path):
    atlas = changed(hand_atlas(), 1, label="carried <along>")
    assert b"carried &lt;along&gt;" in files.report(atlas, 3.0)
    (tmp_path / "a.safetensors").write_bytes(files.saved(atlas))
    assert Atlas.load(tmp_path / "a.safetensors").named[1] == "carried <along>"
    with zipfile.ZipFile(io.BytesIO(files.bundle(atlas))) as packed:
        assert b"carried <along>" in packed.read("labels.json")


@pytest.mark.parametrize(("gain", "shown"), [("Inhibit", True), ("x2", False)])
def test_the_example_shows_its_matrix_before_anything_is_downloaded(monkeypatch, gain, shown):
    example = atlases.load(EXAMPLE)
    matrix = hand_lesions(example, threshold=6.0)
    monkeypatch.setattr(capabilities, "bundled_lesions", lambda atlas: matrix)
    at = page("networks", atlas=EXAMPLE, threshold="6.0", view="Capabilities")
    at.segmented_control(key="lesion_gain").set_value(gain).run()
    assert ("This matrix comes with FNet: 2 items per capability" in said(at)) is shown
    assert not at.exception and not artifacts.list_artifacts("lesions")
