"""Labels of a person: kept apart from the atlas, merged part by part, never lost to another session or a lost atlas."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from support.atlases import hand_atlas

from fnet_core.errors import RequestError
from fnet_core.networks.annotations import Annotation, annotated, changed, from_json, sought
from fnet_core.networks.atlas import ATLASES, KIND, Atlas
from fnet_core.networks.opening import opened
from fnet_core.storage import artifacts, library
from fnet_core.storage.place import home

ROOT = Path(__file__).parents[2]
MARKUP = "<script>alert('x')</script> **bold** [a](b)"


def test_what_is_said_stands_beside_the_automatic_label():
    atlas = changed(hand_atlas(), 1, label="  words \n of place ", verdict="accepted")
    atlas = changed(atlas, 2, note="only in lists")
    assert atlas.named == ("abc · def", "words of place", "ij") and atlas.labels[1] == "gh"
    table = atlas.table(3.0)
    assert table["label"].tolist() == list(atlas.named)
    assert table["verdict"].tolist() == ["", "accepted", ""] and table["note"].tolist() == ["", "", "only in lists"]
    assert set(atlas.key_neurons(1, 3.0)["label"]) == {"words of place"}
    assert atlas.summary(3.0)["networks"][1]["automatic"] == "gh"
    assert "automatic" not in atlas.summary(3.0)["networks"][0]
    assert "verdict" not in hand_atlas().table(3.0).columns


def test_it_outlives_the_atlas_and_whatever_makes_room():
    path = artifacts.artifact_path(KIND, hand_atlas().key)
    hand_atlas().save(path)
    changed(hand_atlas(), 0, label="first words")
    library.set_limit(10**6)
    library.make_room(needed=10**6)
    assert not path.exists()
    assert annotated(hand_atlas()).named[0] == "first words"
    assert next(entry for entry in library.library().entries if entry.kind == "labels").computed is False


def test_a_saved_atlas_carries_it_and_what_is_kept_here_goes_before(tmp_path, monkeypatch):
    file = tmp_path / "a.safetensors"
    changed(changed(hand_atlas(), 0, label=MARKUP), 1, verdict="rejected").save(file)
    monkeypatch.setenv("FNET_HOME", str(tmp_path / "elsewhere"))
    brought = opened(str(file))
    assert brought.annotations == {0: Annotation(label=MARKUP), 1: Annotation(verdict="rejected")}
    assert changed(brought, 0, verdict="accepted").annotations[0] == Annotation(MARKUP, "accepted")
    taken_back = changed(brought, 0, label="", verdict="")
    assert 0 not in taken_back.annotations and 0 not in opened(str(file)).annotations
    assert opened(str(file)).named[0] == "abc · def"


def test_an_atlas_without_it_is_the_same_file_as_ever(tmp_path):
    hand_atlas().save(tmp_path / "a")
    replace(hand_atlas(), annotations={1: Annotation()}).save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert "annotations" not in artifacts.read_header(tmp_path / "a")


def test_sessions_at_once_lose_nothing_of_each_others():
    program = (
        "import sys; from support.atlases import hand_atlas; from fnet_core.networks.annotations import changed\n"
        "part = sys.argv[1]\n"
        "for turn in range(15):\n"
        "    for network in range(3): changed(hand_atlas(), network, **{part: f'{part} {turn}'})"
    )
    command = [sys.executable, "-c", f"import sys; sys.path[:0] = ['.', 'tests']\n{program}"]
    runs = [subprocess.Popen([*command, part], cwd=ROOT) for part in ("label", "note")]
    assert [run.wait(60) for run in runs] == [0, 0]
    assert annotated(hand_atlas()).annotations == {k: Annotation("label 14", "", "note 14") for k in range(3)}


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ({"label": "x" * 81}, "A label of 81 characters is too long; write 80 at most"),
        ({"note": "x" * 2001}, "A note of 2,001 characters is too long"),
        ({"verdict": "maybe"}, "'maybe' is no verdict"),
    ],
)
def test_what_cannot_be_said(parts, sentence):
    with pytest.raises(RequestError, match=sentence):
        changed(hand_atlas(), 0, **parts)
    with pytest.raises(RequestError, match="There is no network 7"):
        changed(hand_atlas(), 7, label="none")
    assert annotated(hand_atlas()).annotations == {}


def test_a_file_that_cannot_be_read_is_not_written_over():
    changed(hand_atlas(), 0, label="mine")
    (file,) = (home() / "labels").glob("*.json")
    whole = file.read_text()
    for damaged, sentence in (
        (whole[:-9], "cannot be read and were left"),
        (whole.replace('"format": 1', '"format": 9'), "of format 9 and this FNet reads 1"),
        (json.dumps({"format": 1, "networks": {"0": {"colour": "red"}}}), "no labels that FNet saved"),
    ):
        file.write_text(damaged)
        with pytest.raises(RequestError, match=sentence):
            changed(hand_atlas(), 1, label="other")
        assert file.read_text() == damaged
    with pytest.raises(RequestError, match="no labels that FNet saved"):
        from_json([1, 2])


def test_a_damaged_atlas_file_with_labels_of_no_kind_is_refused(tmp_path):
    atlas = hand_atlas()
    object.__setattr__(atlas, "annotations", {0: Annotation(label="fine")})
    atlas.save(tmp_path / "a.safetensors")
    arrays, header = artifacts.load_artifact(tmp_path / "a.safetensors", KIND)
    artifacts.save_artifact(tmp_path / "a.safetensors", KIND, arrays, header | {"annotations": {"x": 1}})
    with pytest.raises(RequestError, match="no labels that FNet saved"):
        Atlas.load(tmp_path / "a.safetensors")


def test_networks_are_found_by_number_label_and_note():
    atlas = changed(hand_atlas(), 1, note="At the End of lists")
    assert sought(atlas, "end") == [1] and sought(atlas, "ABC") == [0] and sought(atlas, "2") == [2]
    assert sought(atlas, "nothing") == []


def test_a_kept_atlas_is_opened_by_the_beginning_of_its_key(tmp_path):
    key = ATLASES.key(hand_atlas().recipe)
    hand_atlas().save(artifacts.artifact_path(KIND, key))
    assert opened(key[:8]).model_name == "hand-made"
    with pytest.raises(RequestError, match="begins the keys of 0 kept atlases"):
        opened("abcdef0")
    with pytest.raises(RequestError, match="There is no file"):
        opened(str(tmp_path / "none.safetensors"))
