"""Replaying a bundle: nothing from the store, the same digests in another process, and a change is told."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from fnet_core import texts
from fnet_core.capability.battery import make_battery
from fnet_core.capability.lesions import LesionRequest, lesions
from fnet_core.cli.main import main
from fnet_core.errors import RequestError
from fnet_core.interventions.edits import edit_networks, edits_text
from fnet_core.models.loading import get_loaded
from fnet_core.networks.atlas import KIND
from fnet_core.networks.finding import AtlasRequest, find_atlas
from fnet_core.parallel import threads
from fnet_core.pruning.plan import plan_for
from fnet_core.pruning.request import PlanRequest
from fnet_core.pruning.scores import ScoreRequest
from fnet_core.reporting import replay as replaying
from fnet_core.reporting.bundle import PLAN_KIND, load_bundle, save_bundle
from fnet_core.reporting.replay import bundle_of, replay
from fnet_core.storage import artifacts, memo
from fnet_core.storage.sealed import sealed

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FNET_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setattr(texts, "bundled", lambda split, whole=texts.bundled: whole(split)[:2])
        torch.set_num_threads(1)  # as in every test: other sums, other bits
        loaded, passages = get_loaded("tiny"), texts.bundled("find")
        atlas = find_atlas(AtlasRequest("tiny", passages, components=3, restarts=2)).answer
        edits = edits_text([edit_networks(atlas, [0], 2.0, gain=0)], atlas.recipe)
        asked = PlanRequest(ratio=0.2, method="wanda-sp", protected=(0, 0))
        made = plan_for(loaded, asked, ScoreRequest(passages))
        plan = {"kind": PLAN_KIND, "recipe": made.recipe(), "summary": made.summary(), "keep": made.masks()}
        battery = make_battery(2, only=("sums",))
        matrix = lesions(loaded, atlas, battery, LesionRequest(2.0, draws=1))
        yield bundle_of(atlas, edits=[edits], plans=[plan], lesions=[matrix], loaded=loaded)


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(texts, "bundled", lambda split, whole=texts.bundled: whole(split)[:2])


def test_everything_is_computed_again_and_identical(bundle, few, tmp_path):
    save_bundle(bundle, tmp_path / "b.zip")
    found = replay(load_bundle(tmp_path / "b.zip"), get_loaded("tiny"), everything=True)
    assert found.agrees and {each.outcome for each in found.lines} == {"identical"} and not found.notes
    assert len(found.lines) == len(found.table()) == 7 + 2 + 1 + 3
    assert "13 figures are identical" in found.sentence
    assert not artifacts.list_artifacts(KIND)  # nothing is kept, as nothing is read


def test_a_bundle_is_replayed_on_as_many_threads_as_it_was_made_on(bundle, few):
    assert bundle.atlas.recipe["threads"] == bundle.edits[0].measured["threads"] == threads()
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        found = replay(replace(bundle, lesions=()), get_loaded("tiny"))
        assert {each.outcome for each in found.lines} == {"identical"}
        assert f"Computed on {before} torch thread" in found.notes[0] and torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("recorded", "problem"),
    [(None, None), ({"torch": 10**6, "blas": 1}, "no number of threads"), ({"torch": True}, "no number of threads")],
)
def test_threads_that_are_not_told_or_cannot_be(bundle, few, recorded, problem):
    recipe = {name: value for name, value in bundle.atlas.recipe.items() if name != "threads"}
    recipe |= {"threads": recorded} if recorded else {}
    odd = replace(bundle, atlas=replace(bundle.atlas, recipe=recipe), edits=(), plans=(), lesions=())
    if problem:
        with pytest.raises(RequestError, match=problem):
            replay(odd, get_loaded("tiny"))
    else:
        assert "does not say on how many threads" in replay(odd, get_loaded("tiny")).notes[0]


def test_what_was_changed_is_told(bundle, few):
    atlas = replace(bundle.atlas, variance_K=bundle.atlas.variance_K * np.float32(1.01))
    measured = bundle.edits[0].measured
    nats = 2 * np.frombuffer(bytes.fromhex(measured["edited"]["nll"]), dtype="<f8")
    edited = {"value": "9.9", "nll": nats.tobytes().hex()}
    plan = bundle.plans[0]
    masks = plan["keep"] | {"mlp": ["00" + layer[2:] for layer in plan["keep"]["mlp"]]}
    changed = replace(
        bundle,
        atlas=atlas,
        edits=(replace(bundle.edits[0], measured=measured | {"edited": edited}),),
        plans=(plan | {"keep": masks},),
    )
    found = replay(changed, get_loaded("tiny"))
    differing = [each.figure for each in found.lines if each.outcome == "differs"]
    expected = ["atlas: variance", "edits 1: perplexity under them", "plan 1: neurons and heads that stay"]
    assert differing == expected and not found.agrees
    assert [each.figure for each in found.lines if each.outcome == "not replayed"] == ["lesions at gain 0"]


def test_what_cannot_be_replayed_says_why(bundle, few):
    recipe = bundle.atlas.recipe
    with pytest.raises(RequestError, match="find the networks of this model first"):
        replay(
            replace(bundle, atlas=replace(bundle.atlas, recipe=recipe | {"model_digest": "0" * 64})), get_loaded("tiny")
        )
    without = {name: value for name, value in recipe.items() if name != "restarts"}
    with pytest.raises(RequestError, match="does not say its restarts"):
        replay(replace(bundle, atlas=replace(bundle.atlas, recipe=without)), get_loaded("tiny"))
    content = json.loads(bundle.edits[0].text)
    foreign = sealed(content | {"recipe": {"model_digest": "1"}})
    with pytest.raises(RequestError, match="The edits are of another model"):
        bundle_of(bundle.atlas, edits=[json.dumps(foreign)])
    plan = bundle.plans[0]
    elsewhere = plan | {"recipe": plan["recipe"] | {"scores": plan["recipe"]["scores"] | {"texts_digest": "2"}}}
    old = recipe | {"versions": recipe["versions"] | {"torch": "1.0"}, "method_version": 1}
    odd = replace(bundle, atlas=replace(bundle.atlas, recipe=old), edits=(), plans=(elsewhere,), lesions=())
    found = replay(odd, get_loaded("tiny"))
    assert "is not in the bundle" in found.lines[-1].said and found.agrees
    assert "torch 1.0 then" in found.notes[0] and "The method has changed" in found.notes[1]


def test_a_plan_is_scored_as_it_was(bundle, few, monkeypatch):
    loaded, passages = get_loaded("tiny"), texts.bundled("find")
    chosen = ScoreRequest(passages, heads=True, seed=2, components=3, groups=1)
    asked = PlanRequest(ratio=0.2, method="wanda-sp", protected=(0, 0), heads=True)
    recipe = plan_for(loaded, asked, chosen).recipe() | {"scores": chosen.recipe(loaded, "fn")}
    seen = []
    monkeypatch.setattr(replaying, "plan_for", lambda *given: seen.append(given[2]) or plan_for(*given))
    replay(replace(bundle, edits=(), lesions=(), plans=(bundle.plans[0] | {"recipe": recipe},)), loaded)
    assert seen == [chosen]


def test_inside_afresh_the_store_is_neither_read_nor_written(bundle):
    loaded, request = get_loaded("tiny"), AtlasRequest("tiny", bundle.atlas.passages, components=3, restarts=2)
    kept = find_atlas(request)
    before = kept.path.stat().st_mtime_ns
    with memo.afresh():
        assert find_atlas(request).computed and kept.path.stat().st_mtime_ns == before
    assert not find_atlas(request).computed and loaded.name == "tiny"


def test_another_process_gives_identical_digests(bundle, tmp_path):
    file = tmp_path / "b.zip"
    save_bundle(replace(bundle, edits=(), plans=(), lesions=()), file)
    command = [sys.executable, "-m", "fnet_core", "replay", str(file), "--json", "--quiet"]
    environment = os.environ | {"FNET_HOME": str(tmp_path / "other-home"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)["figures"]
    assert len(figures) == 7
    assert all(figure["recorded"] == figure["found"] and figure["outcome"] == "identical" for figure in figures)


def test_the_command_line(bundle, tmp_path, capsys, few):
    atlas, edits, plan, out = (str(tmp_path / name) for name in ("a.safetensors", "e.json", "p.json", "b.zip"))
    bundle.atlas.save(Path(atlas))
    Path(edits).write_text(bundle.edits[0].text)
    Path(plan).write_text(json.dumps(bundle.plans[0]))
    assert main(["labels", atlas, "--label", "1=<b>mine</b>"]) == 0
    assert main(["bundle", atlas, "--edits", edits, "--plans", plan, "--out", out]) == 0
    assert "1 labels, 1 edits, 1 plans, 0 lesions, no fingerprint" in capsys.readouterr().out
    assert main(["replay", out]) == 0
    said = capsys.readouterr().out
    assert "identical     atlas: maps" in said and "10 figures are identical" in said and " then, " in said
    wrong = load_bundle(Path(out))
    save_bundle(replace(wrong, atlas=replace(wrong.atlas, stability_K=wrong.atlas.stability_K * 0.5)), Path(out))
    assert main(["replay", out, "--json"]) == 3
    assert main(["report", atlas, "--out", str(tmp_path / "r.html"), "--json"]) == 0
    assert "&lt;b&gt;mine&lt;/b&gt;" in (tmp_path / "r.html").read_text("utf-8")
    assert main(["replay", edits]) == 2 and main(["report", "example", "--out", str(tmp_path)]) == 2
