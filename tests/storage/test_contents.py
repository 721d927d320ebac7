"""What a kept thing is called: from files that FNet wrote, and from headers that mean nothing."""

import json

import numpy as np
import pytest
from support.atlases import hand_atlas
from support.kin import member

from fnet_core.errors import RequestError
from fnet_core.interventions.edits import Edit, edits_text
from fnet_core.lineage.pairs import evidence_or_why
from fnet_core.lineage.subjects import Subject, subject_of
from fnet_core.networks import annotations
from fnet_core.storage import artifacts, contents, library
from fnet_core.storage.contents import Contents, contents_of, file_name

PLAN = {
    "kind": "fnet-prune-plan",
    "recipe": {
        **{"model": "tiny", "method": "wanda-sp", "ratio": 0.2, "threshold": None, "share": "neurons"},
        "protected": [3, 2],
    },
}
HEADERS = [
    ("prune-scores", {"recipe": {"method": "flap", "heads": True, "passages": 4}}, "by flap, heads too, 4 passages"),
    ("prune-scores", {"recipe": {"method": "random", "heads": False}}, "scores for pruning by random"),
    ("perplexity", {"texts": ["a"], "definition": "word"}, "perplexity per word, 1 passage"),
    ("layer-factors", {"layers": 30, "recipe": {"components": 32}}, "32 in each of 30 layers"),
    ("lesions", {"networks": [0, 7], "capabilities": ["quotes"]}, "answers under lesions, 2 networks, 1 capability"),
    ("preservation", {"capabilities": ["a", "b"]}, "what is left with the networks alone, 2 capabilities"),
    ("logits", {"networks": [4]}, "tokens made likelier by 1 network"),
    ("singles", {"recipe": {"count": 6}}, "networks of single texts, 6 texts"),
]


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("FNET_HOME", str(tmp_path))


def entry(kind: str, key: str = "") -> library.Entry:
    return next(each for each in library.library().entries if each.kind == kind and each.key.startswith(key))


def put(kind: str, header: dict) -> library.Entry:
    artifacts.save_artifact(artifacts.artifact_path(kind, "x" * 12), kind, {"x": np.zeros(1)}, header)
    return entry(kind)


def test_an_atlas_a_fingerprint_and_a_pair_say_what_they_are():
    atlas = hand_atlas()
    atlas.save(artifacts.artifact_path("atlas", atlas.key))
    sides = [member("ant", child) for child in (0, 1)]
    for side in sides:
        side.save(artifacts.artifact_path("fingerprint", side.key))
    read = dict(zip(map(subject_of, sides), sides, strict=True))

    def of(subject: Subject):
        return read[subject]

    found = evidence_or_why(*read, of)
    assert not isinstance(found, str)
    said = f"3 networks, MLP neurons, whole model, {len(atlas.passages)} passages"
    assert contents_of(entry("atlas")) == Contents("hand-made", said)
    assert contents_of(entry("fingerprint")) == Contents(
        library_name(entry("fingerprint")), "10 networks, Residual stream, 5 passages, with neurons"
    )
    pair = contents_of(entry("pair"))
    assert set(pair.model.split(" and ")) == {"ant-0", "ant-1"}
    assert pair.what == f"comparison of two fingerprints, score {found.score:.2f}"


def library_name(found: library.Entry) -> str:
    return artifacts.read_header(found.path)["model"]["name"]


def test_edits_and_plans_say_what_they_do():
    made = [
        Edit("mlp", ((0, n),), gain, 0.0, name) for n, (gain, name) in enumerate([(0.0, "commas"), (2, ""), (1, "x")])
    ]
    library.add_text("edits", edits_text(made, {"model": "base"}))
    assert contents_of(entry("edits")) == Contents("base", "commas times 0; MLP neurons times 2; 1 more")
    library.add_text("plan", json.dumps(PLAN))
    what = "20% of neurons by wanda-sp, the first 3 and the last 2 layers whole"
    assert contents_of(entry("plan")) == Contents("tiny", what)
    assert file_name(entry("plan"), contents_of(entry("plan"))).startswith("plan-tiny-20-of-neurons-by-wanda-sp")
    library.rename(entry("plan"), "the / best one")
    assert file_name(entry("plan"), contents_of(entry("plan"))) == "the-best-one.json"


def test_labels_say_what_they_are_on():
    atlas = hand_atlas()
    atlas.save(artifacts.artifact_path("atlas", atlas.key))
    annotations.changed(atlas, 1, label="rain")
    assert contents_of(entry("labels")) == Contents("hand-made", "what was written on 1 network")


@pytest.mark.parametrize(("kind", "header", "what"), HEADERS)
def test_measurements(kind, header, what):
    assert what in contents_of(put(kind, header)).what


@pytest.mark.parametrize("kind", [kind for kind in library.COMPUTED if kind != "perplexity"])
def test_a_header_that_lacks_everything_still_has_a_name(kind):
    found = contents_of(put(kind, {"recipe": {"model": "m"}}))
    assert found.model == "m" and found.what and len(found.what) < 60


def test_every_kind_has_its_words():
    assert set(contents._SAID) == {*library.COMPUTED, *library.MADE}


def test_damaged_things_are_refused():
    path = artifacts.artifact_path("atlas", "a" * 12)
    path.parent.mkdir()
    path.write_bytes(b"nothing at all")
    with pytest.raises(RequestError, match="not a safetensors file"):
        contents_of(entry("atlas"))
    (artifacts.home() / "plan").mkdir()
    (artifacts.home() / "plan" / "b.json").write_text("{")
    with pytest.raises(RequestError, match="cannot be read"):
        contents_of(entry("plan"))
