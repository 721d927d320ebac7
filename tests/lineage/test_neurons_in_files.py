"""The neurons in fingerprint files: as the model gives them, older files without them, and files that do not fit."""

import json
from dataclasses import replace

import numpy as np
import pytest
from support.fingerprints import hand_fingerprint, waves
from support.loading import loaded_tiny
from support.tiny_models import save_tiny

from fnet_core import texts
from fnet_core.errors import RequestError
from fnet_core.lineage import fingerprint as fingerprint_module
from fnet_core.lineage import taking
from fnet_core.lineage.fingerprint import Fingerprint
from fnet_core.lineage.neuron_signals import read_signatures
from fnet_core.lineage.request import FingerprintRequest
from fnet_core.lineage.taking import find_fingerprint, fingerprint
from fnet_core.storage import artifacts

FIND, SCORE = texts.bundled("find")[:6], texts.bundled("score")[:5]
ASK = {"find": FIND, "score": SCORE, "components": 8, "threshold": 1.8}
LONG = {"max_position_embeddings": 2048}


def take(loaded, **changes) -> Fingerprint:
    return fingerprint(loaded, **ASK | changes)


@pytest.fixture(scope="module")
def llama():
    return loaded_tiny(**LONG)


@pytest.fixture(scope="module")
def taken(llama):
    return take(llama)


def as_before(found) -> Fingerprint:
    """Replace a fingerprint in the store by what an earlier version kept: format 1, without neurons."""
    replace(found.answer, neurons=None, untested=fingerprint_module.TAKEN_BEFORE).save(found.path)
    assert artifacts.read_header(found.path)["format"] == 1
    return Fingerprint.load(found.path)


def test_a_file_holds_the_neurons_as_the_model_gives_them(llama, taken, tmp_path):
    path = tmp_path / "f.safetensors"
    taken.save(path)
    assert artifacts.read_header(path)["format"] == 2
    read, live = Fingerprint.load(path).neurons, read_signatures(llama, taken.passages[:4])
    assert (read.form, read.widths, read.points) == (live.form, live.widths, live.points)
    np.testing.assert_array_equal(read.gate_MPB, live.gate_MPB)
    np.testing.assert_array_equal(read.up_MPB, live.up_MPB)


def test_a_file_of_the_first_format_is_read_and_written_as_it_was(tmp_path):
    first, second = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    hand_fingerprint(waves(9)).save(first)
    read = Fingerprint.load(first)
    assert artifacts.read_header(first)["format"] == 1 and read.is_old and read.summary()["independence_test"] is False
    read.save(second)
    assert first.read_bytes() == second.read_bytes()
    with pytest.raises(RequestError, match="taken before FNet kept them; take it again"):
        read.recorded()


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays, header: header["neurons"].update(widths=[40, 40]),
        lambda arrays, header: header["neurons"].update(points=[3, 3, 3, 3]),
        lambda arrays, header: header["neurons"].update(points=[]),
        lambda arrays, header: header["neurons"].update(form=["gated"]),
        lambda arrays, header: header.update(neurons=None),
        lambda arrays, header: header.update(neurons={"untested": ""}),
        lambda arrays, header: header.pop("neurons"),
        lambda arrays, header: arrays.update({"neurons.up": arrays["neurons.up"][1:]}),
        lambda arrays, header: arrays.update({"neurons.gate": arrays["neurons.gate"].astype(np.int32)}),
    ],
)
def test_neurons_that_do_not_fit(taken, tmp_path, change):
    path = tmp_path / "f.safetensors"
    arrays, header = taken._parts()
    arrays, header = dict(arrays), json.loads(json.dumps(header))
    change(arrays, header)
    header["content"] = fingerprint_module._content_digest(arrays, header)
    artifacts.save_artifact(path, "fingerprint", arrays, header, 2)
    with pytest.raises(RequestError, match="is no whole fingerprint"):
        Fingerprint.load(path)


def test_an_older_file_answers_what_asks_for_no_test_and_is_completed_for_one(tmp_path, monkeypatch):
    folder = save_tiny(tmp_path / "model", **LONG)
    monkeypatch.setenv("FNET_ROOTS", str(tmp_path))
    request = FingerprintRequest(str(folder), **ASK)
    first = find_fingerprint(request)
    old = as_before(first)
    content = first.path.read_bytes()
    alone = find_fingerprint(request, test=False)
    assert not alone.computed and alone.answer.is_old and first.path.read_bytes() == content

    def forbidden(*_, **__):
        raise AssertionError("the networks were read again")

    monkeypatch.setattr(taking, "compute_fingerprint", forbidden)
    whole = find_fingerprint(request)
    assert whole.computed and whole.path == first.path
    np.testing.assert_array_equal(whole.answer.neurons.up_MPB, first.answer.neurons.up_MPB)
    for before, after in zip(old.signals, whole.answer.signals, strict=True):
        np.testing.assert_array_equal(before, after)
    assert not find_fingerprint(request).computed and not Fingerprint.load(first.path).is_old


def test_a_mixture_says_why_it_has_no_neurons(tmp_path):
    taken = take(loaded_tiny("olmoe", **LONG), components=4)
    assert taken.neurons is None and "mixture of experts" in taken.untested and not taken.is_old
    taken.save(tmp_path / "f.safetensors")
    again = Fingerprint.load(tmp_path / "f.safetensors")
    assert again.untested == taken.untested and again.neurons is None
