"""Taking a fingerprint: once, under a key that holds all that affects it, and published by the model's own name."""

from dataclasses import replace

import pytest
from support.loading import loaded_tiny
from support.taking import ASK, FIND, LONG, SCORE, take
from support.tiny_models import save_tiny

from fnet_core.errors import Cancelled, RequestError
from fnet_core.lineage import taking
from fnet_core.lineage.fingerprint import Fingerprint
from fnet_core.lineage.request import STAGES
from fnet_core.lineage.taking import FingerprintRequest, find_fingerprint
from fnet_core.models import loading as models
from fnet_core.models.folder import published_name
from fnet_core.models.running import Running
from fnet_core.storage import artifacts


def test_taken_once_and_then_read(tmp_path, monkeypatch):
    folder = save_tiny(tmp_path / "model", **LONG)
    monkeypatch.setenv("FNET_ROOTS", str(tmp_path))
    request = FingerprintRequest(str(folder), **ASK)
    seen = []
    first = find_fingerprint(request, lambda stage, fraction: seen.append(stage))
    assert first.computed and set(seen) <= {*STAGES, "checking"} and "scoring" in seen
    assert len(artifacts.list_artifacts("atlas")) == 1

    def forbidden(*_, **__):
        raise AssertionError("the model was loaded again")

    monkeypatch.setattr(taking.models, "get_loaded", forbidden)
    second = find_fingerprint(request)
    assert not second.computed and second.answer.content_digest() == first.answer.content_digest()


def test_a_damaged_file_of_the_store_is_made_again(tmp_path, monkeypatch):
    folder = save_tiny(tmp_path / "model", **LONG)
    monkeypatch.setenv("FNET_ROOTS", str(tmp_path))
    request = FingerprintRequest(str(folder), **ASK)
    first = find_fingerprint(request)
    (atlas,) = artifacts.list_artifacts("atlas")
    for path in (first.path, atlas):
        path.write_bytes(path.read_bytes()[:-7])
    again = find_fingerprint(request)
    assert again.computed and again.path == first.path
    unclocked = {"seconds": {}, "peak_memory_bytes": 0}
    assert (
        replace(Fingerprint.load(first.path), **unclocked).content_digest()
        == replace(first.answer, **unclocked).content_digest()
    )
    assert not find_fingerprint(request).computed


def test_a_folder_is_published_by_its_own_name_and_answered_by_the_name_asked_for(tmp_path, monkeypatch):
    folder = save_tiny(tmp_path / "secret place" / "model", **LONG)
    monkeypatch.setenv("FNET_ROOTS", str(tmp_path))
    first = find_fingerprint(FingerprintRequest(str(folder), **ASK))
    assert (first.answer.model.name, first.answer.recipe["model"]) == ("model", "model")
    assert b"secret place" not in first.path.read_bytes()
    renamed = folder.rename(folder.parent / "renamed")
    second = find_fingerprint(FingerprintRequest(str(renamed), **ASK))
    assert not second.computed and second.path == first.path
    assert (second.answer.model.name, second.answer.recipe["model"]) == ("renamed", "renamed")
    assert second.answer.model.digest == first.answer.model.digest
    loaded = models.load(str(renamed))
    live = take(loaded)
    assert (live.model.name, live.recipe["model"]) == ("renamed", "renamed")


def test_published_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models" / "mine").mkdir(parents=True)
    for name in (str(tmp_path / "models" / "mine"), "models/mine", "./models/mine/", "models/../models/mine"):
        assert published_name(name, tmp_path / "models" / "mine") == "mine"
    assert published_name("/home/me/small.gguf", tmp_path / "models" / "small-0123") == "small.gguf"
    for name in ("owner/model", "smollm2-135m"):
        assert published_name(name, tmp_path / "models" / "mine") == name


def test_a_model_loaded_elsewhere_than_expected_is_kept_where_it_ran(monkeypatch):
    """A machine that says it has an accelerator and loads on the CPU all the same."""
    first = find_fingerprint(FingerprintRequest("tiny", **ASK))
    assert first.computed and first.answer.recipe["device"] == "cpu"
    loaded = replace(loaded_tiny(**LONG), digest=first.answer.model.digest)
    monkeypatch.setattr(models, "get_loaded", lambda *_, **__: loaded)
    monkeypatch.setattr("fnet_core.models.running.expected_device", lambda: "cuda")
    second = find_fingerprint(FingerprintRequest("tiny", **ASK))
    assert not second.computed and second.path == first.path


@pytest.mark.parametrize(
    "change",
    [{"seed": 1}, {"components": 7}, {"site": "mlp"}, {"threshold": 2.0}, {"score": SCORE[:4]}, {"find": FIND[:5]},
     {"signal": "mean"}],
)  # fmt: skip
def test_everything_that_affects_the_result_is_in_the_key(change):
    def key(request):
        return taking.FINGERPRINTS.key(request.recipe(Running("m", "d", "cpu", "float32")))

    assert key(FingerprintRequest("m", **ASK)) != key(FingerprintRequest("m", **ASK | change))
    protocols = [FingerprintRequest("m", **ASK | extra).protocol() for extra in ({}, change)]
    assert (protocols[0] == protocols[1]) == (change == {"seed": 1})


def test_cancelling_leaves_no_fingerprint():
    def report(stage, fraction):
        if stage == "scoring":
            raise Cancelled

    with pytest.raises(Cancelled):
        find_fingerprint(FingerprintRequest("tiny", **ASK), report)
    assert artifacts.list_artifacts("fingerprint") == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"threshold": -1.0}, "threshold -1.0 is out of range"),
        ({"threshold": float("nan")}, "threshold nan"),
        ({"site": "skull"}, "no site 'skull'"),
        ({"components": 0}, "0 components"),
        ({"seed": -3}, "seed -3"),
        ({"signal": "loud"}, "no signal 'loud'"),
    ],
)
def test_requests_that_cannot_be_met(change, words):
    with pytest.raises(RequestError, match=words):
        FingerprintRequest("tiny", **ASK | change)
