"""The Library page: what it lists is what is kept; rename, delete, import, limit; a full library is a sentence."""

import json

import pytest
from support.atlases import hand_atlas
from support.kin import member
from support.pages import page, said, save_atlas

from dashboard import atlases, fingerprints
from fnet_core.interventions.edits import Edit, edit_networks, edits_text
from fnet_core.lineage.fingerprint import KIND
from fnet_core.networks import annotations
from fnet_core.networks.example import EXAMPLE, example_atlas
from fnet_core.storage import artifacts, library
from fnet_core.storage.contents import contents_of


@pytest.fixture(autouse=True)
def no_variable(monkeypatch):
    monkeypatch.delenv(library.LIMIT_VARIABLE, raising=False)


def opened(at, shelf: str):
    number = {key: sum(e.shelf == key for e in library.library().entries) for key in library.TITLES}
    at.session_state["library_shelf"] = f"{library.TITLES[shelf]} ({number[shelf]})"
    at.run()
    assert not at.exception, at.exception
    return at


def picked(at, shelf: str, row: int = 0):
    at.session_state[f"library_{shelf}"] = {"selection": {"rows": [row], "columns": [], "cells": []}}
    at.run()
    assert not at.exception, at.exception
    return at


def test_an_empty_library_says_where_things_come_from():
    at = page("library")
    assert "Every atlas that is found on the Networks page stands here" in said(at)
    assert {metric.label: metric.value for metric in at.metric} == {"Kept": "0 things", "Made by people": "0 kB"}


def test_an_atlas_is_listed_named_and_deleted():
    key = save_atlas()
    at = page("library")
    table = at.dataframe(key="library_atlas").value
    assert table["model"].tolist() == [hand_atlas().model_name] and table["source"].tolist() == ["computed here"]
    assert table["what"].tolist() == [contents_of(library.entry_of("atlas", key)).what] and "name" not in table
    picked(at, "atlas")
    at.text_input(key=f"library_name_{key}").set_value("my networks")
    at.button(key="library_rename").click().run()
    assert library.entry_of("atlas", key).name == "my networks"
    assert at.dataframe(key="library_atlas").value["name"].tolist() == ["my networks"]
    assert "Delete my networks (" in said(at) and "for good? It can be computed again." in said(at)
    at.button(key="library_delete").click().run()
    assert library.library().entries == () and "None yet" in said(at)


def test_an_atlas_and_a_fingerprint_are_opened():
    key = save_atlas()
    at = picked(page("library"), "atlas")
    at.button(key="library_open").click().run()
    assert not at.exception and at.session_state["selection"].atlas == key and "3 networks" in said(at)
    side = member("ant", 0)
    side.save(artifacts.artifact_path(KIND, side.key))
    at = picked(opened(page("library"), "fingerprint"), "fingerprint")
    at.button(key="library_open").click().run()
    assert at.session_state["selection"].a == f"saved:{side.key}" and "ant-0" in said(at)


def opens(at, shelf: str):
    at = picked(opened(at, shelf), shelf)
    at.button(key="library_open").click().run()
    assert not at.exception, at.exception
    return at


def test_edits_are_opened_on_the_intervene_page():
    atlas, key = hand_atlas(), save_atlas()
    entry = library.add_text("edits", edits_text([edit_networks(atlas, [1], 1.5, gain=2.0)], atlas.recipe), "louder")
    at = opens(page("library"), "edits")
    chosen = at.session_state["selection"]
    assert (chosen.atlas, chosen.edits) == (key, entry.key) and "Edits from the library" in said(at)
    assert any("gain 2" in text.value for text in at.text)
    copied = page("intervene", atlas=key, edits=entry.key)
    assert "Edits from the library" in said(copied)
    next(button for button in copied.button if button.label == "Back to the sliders").click().run()
    assert copied.session_state["selection"].edits is None and "Edits from" not in said(copied)
    library.delete(entry)
    assert "There is no edits" in page("intervene", atlas=key, edits=entry.key).error[0].value


def test_a_plan_is_opened_on_the_prune_page():
    recipe = {"model": "tiny", "method": "wanda-sp", "ratio": 0.3, "threshold": None, "share": "neurons", "even": True}
    recipe |= {"protected": [0, 1], "scores": {"heads": False, "seed": 3}, "masks_digest": "m"}
    entry = library.add_text("plan", json.dumps({"kind": "fnet-prune-plan", "recipe": recipe}))
    at = opens(page("library"), "plan")
    chosen = at.session_state["selection"]
    assert (chosen.model, chosen.plan) == ("tiny", entry.key)
    assert chosen.prune == "method:wanda-sp,percent:30,first:0,last:1,even:1,seed:3"


def test_labels_are_opened_with_their_atlas():
    key = save_atlas()
    annotations.changed(hand_atlas(), 1, label="rain")
    at = opens(page("library"), "labels")
    assert at.session_state["selection"].atlas == key and "3 networks" in said(at)
    artifacts.artifact_path("atlas", key).unlink()
    assert "find them again on the Networks page" in opens(page("library"), "labels").error[0].value


def test_edits_whose_networks_are_not_here_say_what_to_do():
    atlas = hand_atlas()
    library.add_text("edits", edits_text([edit_networks(atlas, [1], 1.5)], atlas.recipe))
    at = opens(page("library"), "edits")
    assert "that these edits change are not here; find them again" in at.error[0].value


def test_an_export_is_the_file(monkeypatch):
    key = save_atlas()
    given = {}
    monkeypatch.setattr(
        "streamlit.download_button", lambda label, data, name, *rest, **more: given.update(name=name, data=data())
    )
    picked(page("library"), "atlas")
    assert given["data"] == artifacts.artifact_path("atlas", key).read_bytes()
    assert given["name"].startswith("atlas-hand-made-3-networks") and given["name"].endswith(".safetensors")


def upload(at, *files: tuple[str, bytes]):
    for name, content in files:
        at.file_uploader(key="library_upload").upload(name, content)
    at.run()
    assert not at.exception, at.exception
    return at


def test_files_are_imported_apart_from_what_was_computed(tmp_path):
    hand_atlas().save(tmp_path / "a.safetensors")
    member("ant", 0).save(tmp_path / "f.safetensors")
    edits = edits_text([Edit("mlp", ((0, 1),), 0.0)], {"model": "base"})
    plan = json.dumps({"kind": "fnet-prune-plan", "recipe": {"model": "tiny"}, "summary": {}, "keep": {}})
    files = [(name, (tmp_path / name).read_bytes()) for name in ("a.safetensors", "f.safetensors")]
    at = upload(page("library"), *files, ("e.json", edits.encode()), ("p.json", plan.encode()))
    assert len(at.error) == 0 and "The plan in p.json was imported." in at.success[0].value
    kinds = {entry.kind: entry for entry in library.library().entries}
    assert set(kinds) == {"atlas-upload", "fingerprint-upload", "edits", "plan"}
    assert not any(entry.computed for entry in kinds.values())
    assert {contents_of(entry).model for entry in kinds.values()} == {hand_atlas().model_name, "ant-0", "base", "tiny"}
    at = picked(opened(page("library"), "atlas"), "atlas")
    at.button(key="library_open").click().run()
    assert not at.exception and not at.error and "3 networks" in said(at)


def test_edits_find_an_imported_atlas_and_the_example(tmp_path):
    atlas = hand_atlas()
    atlas.save(tmp_path / "a.safetensors")
    edits = edits_text([edit_networks(atlas, [1], 1.5)], atlas.recipe)
    at = upload(
        page("library"), ("a.safetensors", (tmp_path / "a.safetensors").read_bytes()), ("e.json", edits.encode())
    )
    at = opens(at, "edits")
    assert at.session_state["selection"].atlas.startswith(atlases.IMPORTED) and "Edits from the library" in said(at)
    assert atlases.key_of(example_atlas().recipe) == EXAMPLE and atlases.key_of({"model": {1, 2}}) is None


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("x.safetensors", b"nothing at all", "x.safetensors is not a safetensors file"),
        ("x.json", b"[1]", "x.json is neither a plan nor edits"),
        ("x.json", b"\xff", "x.json is neither a plan nor edits"),
        ("x.json", b'{"kind": "fnet-edits", "format": 99, "edits": [], "recipe": {}}', "edits are of format 99"),
    ],
)
def test_what_cannot_be_imported_is_a_sentence(name, content, sentence):
    at = upload(page("library"), (name, content))
    assert sentence in at.error[0].value and library.library().entries == ()


def test_the_limit_takes_what_can_be_computed_again_and_a_full_library_is_told():
    for child in (0, 1):
        side = member("ant", child)
        side.save(artifacts.artifact_path(KIND if child else f"{KIND}-upload", side.key))
    at = page("library")
    at.number_input(key="library_limit").set_value(0.001)
    at.button(key="library_set_limit").click().run()
    assert library.limit() == 1_000_000 and len(library.library().entries) == 2
    big = json.dumps({"kind": "fnet-prune-plan", "recipe": {}, "summary": {}, "keep": {"mlp": ["f" * 10**6]}}).encode()
    at = upload(at, ("p.json", big))
    assert "The library is full: " in at.error[0].value
    assert [entry.kind for entry in library.library().entries] == [f"{KIND}-upload"]


def test_a_fingerprint_for_a_comparison_or_an_audit_finds_the_library_full_too(monkeypatch, tmp_path):
    member("ant", 0).save(tmp_path / "f.safetensors")
    content = (tmp_path / "f.safetensors").read_bytes()
    monkeypatch.setattr(library, "LEAST_LIMIT", 1)
    monkeypatch.setenv(library.LIMIT_VARIABLE, f"{1.5 * len(content) / 1e6} MB")
    reference = fingerprints.keep(content, "f.safetensors")
    assert fingerprints.keep(content, "f.safetensors") == reference  # it is there already
    member("ant", 1).save(tmp_path / "g.safetensors")
    at = page("audit")
    at.file_uploader(key="audit_upload").upload("g.safetensors", (tmp_path / "g.safetensors").read_bytes())
    at.run()
    assert "The library is full: " in at.error[0].value and len(library.library().entries) == 1


def test_a_variable_fixes_the_limit(monkeypatch):
    monkeypatch.setenv(library.LIMIT_VARIABLE, "3 GB")
    at = page("library")
    assert at.number_input(key="library_limit").disabled and f"{library.LIMIT_VARIABLE} sets it." in said(at)
    monkeypatch.setenv(library.LIMIT_VARIABLE, "lots")
    assert "The limit 'lots' is no size" in page("library").error[0].value
