"""Fingerprint files on the Compare page: uploaded, damaged, of other probes."""

import json
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from support.compare_page import FAR, NEAR, A, keep, shown, upload
from support.pages import page, said

from dashboard import fingerprints as compare_fingerprints
from fnet_core.lineage.fingerprint import KIND, Fingerprint
from fnet_core.storage import artifacts


def test_an_uploaded_file_compares_at_once_and_survives_a_refresh(tmp_path, with_reference):
    path = tmp_path / "copy.safetensors"
    NEAR.save(path)
    at = page("compare", a=keep(A)[0])
    upload(at, "b", "copy.safetensors", path.read_bytes())
    assert "copy, weights copy" in said(at) and "Two fingerprints compare at once" in said(at)
    at.button(key="compare_run").click().run()
    assert "derived" in said(at) and not at.exception and "job" not in at.query_params
    again = page("compare", **{name: at.query_params[name] for name in at.query_params})
    assert [metric.value for metric in again.metric] == [metric.value for metric in at.metric]
    assert "copy, weights copy" in said(again)


def test_a_file_for_one_side_leaves_the_other_side_as_it_was(tmp_path):
    for a, b in (("a", "b"), ("b", "a")):
        at = page("compare")
        default = at.selectbox(key=f"compare_model_{b}").value
        at.segmented_control(key=f"compare_kind_{b}").set_value("file").run()
        path = tmp_path / f"{a}.safetensors"
        A.save(path)
        upload(at, a, path.name, path.read_bytes())
        assert at.segmented_control(key=f"compare_kind_{b}").value == "file"
        at.segmented_control(key=f"compare_kind_{b}").set_value("model").run()
        assert at.selectbox(key=f"compare_model_{b}").value == default


def test_an_uploaded_file_never_stands_in_for_a_measured_one():
    forged = replace(A, signals=NEAR.signals)
    assert forged.key == A.key
    keep(A)
    path = artifacts.home() / "forged.safetensors"
    forged.save(path)
    reference = compare_fingerprints.keep(path.read_bytes(), "forged.safetensors")
    measured = Fingerprint.load(artifacts.artifact_path(KIND, A.key))
    assert measured.content_digest() == A.content_digest()
    assert compare_fingerprints.load(reference).content_digest() == forged.content_digest()


def damaged(kind: str, folder) -> bytes:
    """A fingerprint file that something happened to."""
    path = folder / "f.safetensors"
    A.save(path)
    if kind == "cut":
        return path.read_bytes()[:-100]
    if kind == "foreign":
        return b"not a fingerprint at all"
    if kind == "edited":
        arrays = load_file(path)
        arrays["variance"] = arrays["variance"] + 1
        with_header = artifacts.read_header(path)
        save_file(arrays, path, metadata={"fnet": json.dumps(with_header)})
    if kind == "unfit":
        replace(A, grids=tuple(grid + 1000 for grid in A.grids)).save(path)
    if kind == "infinite":
        replace(A, curves_4L=np.full((4, 4), np.inf)).save(path)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("cut", "sent.safetensors is cut short or damaged"),
        ("foreign", "sent.safetensors is not a safetensors file"),
        ("edited", "sent.safetensors was changed after it was made"),
        ("unfit", "sent.safetensors is no whole fingerprint"),
        ("infinite", "sent.safetensors is no whole fingerprint"),
    ],
)
def test_a_damaged_file_is_one_sentence_about_the_file_as_it_was_named(tmp_path, kind, sentence):
    at = upload(page("compare", a=keep(A)[0]), "b", "sent.safetensors", damaged(kind, tmp_path))
    assert len(at.error) == 1 and sentence in at.error[0].value
    assert at.button(key="compare_run").disabled


def test_fingerprints_of_other_probes_are_refused_before_anything_is_measured():
    other = replace(FAR, recipe=FAR.recipe | {"protocol": FAR.protocol | {"find": "else"}})
    a, b = keep(A, other)
    at = page("compare", a=a, b=b)
    at.button(key="compare_run").click().run()
    assert len(at.error) == 1 and "differ in: passages to find networks on; make both again" in at.error[0].value
    at = page("compare", a=a, b="tiny")
    at.button(key="compare_run").click().run()
    assert "base and tiny cannot be compared, because they differ in" in at.error[0].value
    assert "job" not in at.query_params


def test_a_shown_pair_that_cannot_be_compared_is_one_sentence():
    other = replace(FAR, recipe=FAR.recipe | {"protocol": FAR.protocol | {"site": "mlp"}})
    at = shown(A, other)
    assert len(at.error) == 1 and "they differ in: site" in at.error[0].value
