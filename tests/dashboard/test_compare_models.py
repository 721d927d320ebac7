"""Models on the Compare page: how they are chosen and measured, as one job."""

import time

import numpy as np
import pytest
from support.compare_page import FAR, NEAR, A, keep
from support.few import few_passages
from support.pages import page, said
from support.pressing import press_for_job
from support.tiny_models import save_tiny

from dashboard import fingerprints as compare_fingerprints
from dashboard import model_access
from dashboard.compare import jobs
from fnet_core.choices import site_title
from fnet_core.errors import RequestError
from fnet_core.jobs import manager
from fnet_core.lineage.comparison import compare
from fnet_core.lineage.fingerprint import KIND, Fingerprint
from fnet_core.lineage.taking import FingerprintRequest, find_fingerprint
from fnet_core.storage import artifacts
from fnet_core.storage.memo import Found


@pytest.fixture
def small_models(monkeypatch):
    few_passages(monkeypatch)
    save_tiny(artifacts.home() / "models" / "other", "llama", seed=4, max_position_embeddings=2048)


def test_two_tiny_models_are_measured_as_one_job_with_two_tracks(monkeypatch, small_models):
    small = {"components": 9, "threshold": 1.5}
    at = page("compare", a="tiny", b="other")
    at.number_input(key="compare_components").set_value(small["components"])
    at.number_input(key="compare_threshold").set_value(small["threshold"])
    at.run()
    published = []
    publish = jobs.JobReport.publish
    monkeypatch.setattr(jobs.JobReport, "publish", lambda self, value: (published.append(value), publish(self, value)))
    job = press_for_job(at, "compare_run", 120)
    assert job.state == "done", job.error
    at.run()
    assert not at.exception and "job" not in at.query_params
    files = [Fingerprint.load(path) for path in artifacts.list_artifacts(KIND)]
    tiny, other = sorted(files, key=lambda side: side.model.name, reverse=True)
    assert at.metric[0].value == f"{compare(tiny, other).score:.2f}"
    assert (at.query_params["a"], at.query_params["b"]) == ("tiny", "other")
    shares = [tracks.a.fraction for tracks in published]
    assert min(np.diff(shares)) > -1e-9 and shares[-1] == 1
    assert {tracks.b.stage for tracks in published} >= {"waiting", "capturing", "scoring", "measured"}
    assert published[-1].a.stage == "measured"
    assert press_for_job(at, "compare_run").id != job.id
    assert [published[-1].a.stage, published[-1].b.stage] == ["from the store"] * 2
    at.run()
    assert at.button(key="compare_open_a").label.startswith("Map of network")
    at.button(key="compare_open_a").click().run()
    assert at.session_state["selection"].model == "tiny" and at.session_state["selection"].atlas


def test_both_models_are_read_in_the_pieces_of_the_shorter_context(small_models):
    save_tiny(artifacts.home() / "models" / "short", "llama", seed=5, max_position_embeddings=256)
    at = page("compare", a="other", b="short")
    at.number_input(key="compare_components").set_value(9)
    at.number_input(key="compare_threshold").set_value(1.5)
    at.run()
    job = press_for_job(at, "compare_run", 120)
    assert job.state == "done", job.error
    at.run()
    shown = [Fingerprint.load(compare_fingerprints.path_of(side)) for side in compare_fingerprints.split(job.result)]
    assert [side.span for side in shown] == [256, 256]
    assert "Both models read the passages in pieces of at most 256 characters" in said(at)
    at.button(key="compare_open_b").click().run()
    assert at.session_state["selection"].model == "short"
    assert "passages were cut into" in said(at)
    assert "of at most 256 characters" in said(at)


def test_the_map_of_a_network_is_opened_with_the_place_of_its_model(small_models):
    folder = str(artifacts.home() / "models" / "other")
    small = FingerprintRequest(folder, components=9, threshold=1.5)
    key = find_fingerprint(small).path.stem
    at = page("compare", compared=compare_fingerprints.pair(*[compare_fingerprints.saved(key)] * 2))
    assert at.button(key="compare_open_a").label.endswith("of other")
    at.button(key="compare_open_a").click().run()
    assert at.session_state["selection"].model == folder


def test_a_failed_side_is_one_sentence(monkeypatch, small_models):
    def taken(request, report, **_) -> Found[Fingerprint]:
        if request.model == "other":
            raise RequestError("The weights of [other] are damaged; fetch them again.")
        return Found(A, artifacts.artifact_path(KIND, A.key), True)

    monkeypatch.setattr(jobs, "find_fingerprint", taken)
    at = page("compare", a="tiny", b="other")
    assert press_for_job(at, "compare_run", 20).state == "failed"
    at.run()
    assert [box.value for box in at.error] == [r"The weights of \[other\] are damaged; fetch them again."]
    assert not at.button(key="compare_run").disabled


def test_a_running_comparison_is_found_by_another_session_and_can_be_cancelled(monkeypatch, small_models):
    def endless(request, report, **_):
        while True:
            report("scoring", 0.5)
            time.sleep(0.01)

    monkeypatch.setattr(jobs, "find_fingerprint", endless)
    at = page("compare", a="tiny", b="other")
    at.button(key="compare_run").click().run()
    job = at.session_state["selection"].job
    try:
        other = page("compare", a="tiny", b="other")
        assert other.button(key="compare_run").disabled and other.button(key=f"cancel_{job}")
        assert not page("compare", a="other", b="tiny").button(key="compare_run").disabled
    finally:
        manager().cancel(job)
        manager().wait(job, 20)
    at.run()
    assert "Comparing tiny and other was cancelled; a fingerprint that was finished is kept." in at.info[0].value


def test_an_old_comparison_says_so_while_a_new_one_is_made(monkeypatch, small_models):
    def endless(request, report, **_):
        while True:
            report("scoring", 0.5)
            time.sleep(0.01)

    monkeypatch.setattr(jobs, "find_fingerprint", endless)
    at = page("compare", a="tiny", b="other", compared=compare_fingerprints.pair(*keep(A, NEAR)))
    assert "press 'Compare' to compare that" in said(at)
    at.button(key="compare_run").click().run()
    job = at.session_state["selection"].job
    try:
        assert "This is the comparison before" in said(at) and "press 'Compare' to compare that" not in said(at)
    finally:
        manager().cancel(job)
        manager().wait(job, 20)


def test_the_controls_know_when_they_ask_for_something_else():
    a, b, far = keep(A, NEAR, FAR)
    at = page("compare", a=a, b=b, compared=compare_fingerprints.pair(a, b))
    assert "was changed since" not in said(at)
    at.selectbox(key="compare_saved_b").select(far).run()
    assert "was changed since" in said(at)
    assert at.query_params["b"] == far


def test_only_sites_that_both_models_have_are_offered(tmp_path, monkeypatch):
    for name in ("mix", "other-mix"):
        save_tiny(artifacts.home() / "models" / name, "mixtral")
    save_tiny(artifacts.home() / "models" / "dense", "llama")
    typed = save_tiny(tmp_path / "elsewhere", "mamba")
    monkeypatch.setenv("FNET_MODEL_ROOTS", str(tmp_path))
    model_access.cards.clear()
    dense = ("mlp", "mlp_out", "residual", "heads")
    for pair, sites in {
        ("mix", "other-mix"): (*dense[1:], "experts"),
        ("mix", "dense"): dense[1:],
        ("dense", "dense"): dense,
        ("mix", str(typed)): ("residual",),
        ("mix", keep(A)[0]): (*dense[1:], "experts"),
    }.items():
        at = page("compare", a=pair[0], b=pair[1])
        assert at.selectbox(key="compare_site").options == [site_title(site) for site in sites]
    at = page("compare", a="mix", b="other-mix")
    at.selectbox(key="compare_site").select("experts").run()
    at.selectbox(key="compare_model_b").select("dense").run()
    assert not at.exception and at.selectbox(key="compare_site").value == "residual"


def test_own_texts_have_to_be_given():
    at = page("compare", a="tiny", b="tiny")
    at.selectbox(key="compare_source").select("Own texts").run()
    assert len(at.error) == 1 and "There is no 'Text to find networks on' yet" in at.error[0].value
    assert at.button(key="compare_run").disabled
    for split in ("find", "score"):
        at.file_uploader(key=f"compare_text_{split}").upload(f"{split}.txt", b"A sentence of some words. " * 90)
    at.run()
    assert not at.error and not at.button(key="compare_run").disabled
