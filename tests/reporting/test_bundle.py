"""A bundle: the same again when read, equal bytes for equal content, and nothing unpacked that FNet does not write."""

import json
import os
import zipfile
from dataclasses import replace

import pytest
from support.atlases import hand_atlas
from support.fingerprints import hand_fingerprint, waves
from support.lesions import hand_lesions

from fnet_core._version import __version__
from fnet_core.errors import RequestError
from fnet_core.interventions.edits import edit_networks, edits_text
from fnet_core.networks.annotations import Annotation
from fnet_core.reporting import bundle as bundles
from fnet_core.reporting.bundle import (
    MANIFEST,
    Bundle,
    SavedEdits,
    load_bundle,
    parse_plan,
    read_plans,
    read_texts,
    save_bundle,
)
from fnet_core.reporting.figures import digests
from fnet_core.storage import artifacts
from fnet_core.storage.sealed import sealed

PLAN = {"kind": "fnet-prune-plan", "recipe": {"model": "hand-made"}, "summary": {}, "keep": {"mlp": [], "heads": []}}


@pytest.fixture(scope="module")
def made() -> Bundle:
    atlas = replace(hand_atlas(), annotations={1: Annotation("<b>words</b>", "accepted", "a note")})
    edit = edit_networks(atlas, [0], 2.5, gain=0)
    text = edits_text([edit], atlas.recipe)
    saved = SavedEdits(text, (edit,), {"texts_digest": "t", "untouched": {"value": "2", "nll": "00"}})
    lesions, fingerprint = (hand_lesions(atlas),), hand_fingerprint(waves(3))
    return Bundle(atlas, (saved, replace(saved, measured={})), (PLAN,), lesions, fingerprint)


@pytest.fixture(scope="module")
def file(made, tmp_path_factory):
    path = tmp_path_factory.mktemp("bundle") / "atlas.zip"
    save_bundle(made, path)
    return path


def rewritten(file, target, change):
    """The bundle with some of its files changed: `change` takes names to contents."""
    with zipfile.ZipFile(file) as packed:
        contents = {name: packed.read(name) for name in packed.namelist()}
    change(contents)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in contents.items():
            packed.writestr(name, content)
    return target


def told(contents, **changes) -> None:
    """Change the manifest, its own digest with it."""
    manifest = json.loads(contents[MANIFEST]) | changes
    manifest.pop("digest")
    contents[MANIFEST] = json.dumps(manifest | {"digest": artifacts.digest(manifest)}).encode()


def test_what_is_read_is_what_was_bundled(made, file, tmp_path):
    found = load_bundle(file)
    assert digests(found.atlas) == digests(made.atlas) and found.atlas.annotations == made.atlas.annotations
    assert [each.measured for each in found.edits] == [each.measured for each in made.edits]
    assert found.edits[0].edits == made.edits[0].edits and found.plans == (PLAN,)
    assert found.lesions[0].recipe == made.lesions[0].recipe and found.made_by == __version__
    assert found.fingerprint.content_digest() == made.fingerprint.content_digest()
    save_bundle(found, tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == file.read_bytes()
    assert found.summary()["labels"] == 1 and json.dumps(found.summary())


def test_another_format_is_refused_with_both(file, tmp_path):
    other = rewritten(file, tmp_path / "b.zip", lambda c: told(c, format=7, made_by="9.9"))
    with pytest.raises(RequestError, match=f"format 7, made by FNet 9.9, and this is FNet {__version__}.*format 1"):
        load_bundle(other)


def test_damage_is_told(file, tmp_path):
    whole = file.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    damaged = tmp_path / "b.zip"
    for content in (whole[: len(whole) // 2], bytes(flipped), b"", b"PK" * 40):
        damaged.write_bytes(content)
        with pytest.raises(RequestError, match="damaged, or was changed"):
            load_bundle(damaged)
    for change in (
        lambda c: c.update({"edits-1.json": c["edits-1.json"].replace(b"0.0", b"2.0")}),
        lambda c: c.update({MANIFEST: c[MANIFEST].replace(b"hand-made", b"some-made")}),
        lambda c: c.pop("labels.json"),
        lambda c: c.update({"plan-9.json": b"{}"}),
        lambda c: told(c, measured=5),
    ):
        with pytest.raises(RequestError, match="damaged, or was changed"):
            load_bundle(rewritten(file, damaged, change))
    with pytest.raises(RequestError, match="There is no file"):
        load_bundle(tmp_path / "none.zip")


@pytest.mark.parametrize("name", ["../../evil.json", "/etc/passwd", "a/b.json", "C:\\x", "edits-1.json\x00", "x" * 300])
def test_names_that_no_bundle_has_are_not_unpacked(file, tmp_path, name):
    evil = rewritten(file, tmp_path / "b.zip", lambda c: c.update({name: b"evil"}))
    with pytest.raises(RequestError, match=r"that no bundle has|damaged"):
        load_bundle(evil)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["b.zip"]


def test_two_files_of_one_name_are_refused(file, tmp_path):
    twice = tmp_path / "b.zip"
    twice.write_bytes(file.read_bytes())
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(twice, "a") as packed:
        packed.writestr("labels.json", b"{}")
    with pytest.raises(RequestError, match="some files of one name"):
        load_bundle(twice)


def test_what_would_unpack_to_too_much_is_left_packed(file, tmp_path, monkeypatch):
    bomb = rewritten(file, tmp_path / "b.zip", lambda c: c.update({"labels.json": b" " * 3_000_000}))
    monkeypatch.setattr(bundles, "MOST_TEXT_BYTES", 2_000_000)
    with pytest.raises(RequestError, match="more than a bundle may; it was not unpacked"):
        load_bundle(bomb)
    monkeypatch.setattr(bundles, "MOST_BYTES", 1000)
    with pytest.raises(RequestError, match="it was not unpacked"):
        load_bundle(file)


def test_more_than_nine_matrices_keep_their_order_and_too_many_files_are_not_written(made, tmp_path):
    lesions = tuple(hand_lesions(made.atlas, gain=number / 20) for number in range(11))
    save_bundle(replace(made, lesions=lesions), tmp_path / "b.zip")
    assert [matrix.gain for matrix in load_bundle(tmp_path / "b.zip").lesions] == [number / 20 for number in range(11)]
    with pytest.raises(RequestError, match="would have 105 files, and 100 are the most"):
        save_bundle(replace(made, edits=(), plans=(PLAN,) * 100), tmp_path / "c.zip")
    assert not (tmp_path / "c.zip").exists()


def test_an_entry_that_lies_about_its_size_is_damage(file, tmp_path):
    content = bytearray(file.read_bytes())
    with zipfile.ZipFile(file) as packed:
        entry = packed.getinfo("labels.json")
    place = content.rindex(b"labels.json") - 46 + 24  # the uncompressed size in the central directory
    assert int.from_bytes(content[place : place + 4], "little") == entry.file_size
    content[place : place + 4] = (3).to_bytes(4, "little")
    (tmp_path / "b.zip").write_bytes(content)
    with pytest.raises(RequestError, match="damaged, or was changed"):
        load_bundle(tmp_path / "b.zip")


def test_what_is_no_bundle_and_no_plan(file, tmp_path):
    with zipfile.ZipFile(tmp_path / "empty.zip", "w"):
        pass
    with pytest.raises(RequestError, match="it has no manifest"):
        load_bundle(tmp_path / "empty.zip")
    with pytest.raises(RequestError, match="says otherwise"):
        load_bundle(rewritten(file, tmp_path / "b.zip", lambda c: told(c, kind="other")))
    for text in ("{}", "[1]", "nothing", json.dumps({"kind": "fnet-prune-plan", "recipe": 1, "keep": {}})):
        with pytest.raises(RequestError, match="no pruning plan"):
            parse_plan(text)


def test_what_was_changed_or_is_no_plain_file_is_not_bundled(tmp_path):
    changed = sealed(PLAN) | {"summary": {"neurons": 1}}
    (tmp_path / "p.json").write_text(json.dumps(changed))
    with pytest.raises(RequestError, match=r"p\.json was changed after it was saved"):
        read_plans([tmp_path / "p.json"])
    os.mkfifo(tmp_path / "pipe")
    for name, sentence in (("pipe", "is a device or a pipe"), ("none.json", "There is no text file")):
        with pytest.raises(RequestError, match=sentence):
            read_texts([tmp_path / name])
