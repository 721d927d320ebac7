"""The Compare page: what it shows is what the core finds; what cannot be compared is a sentence."""

import json
import re
import time
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from streamlit.testing.v1 import AppTest
from support.fingerprints import hand_fingerprint, hand_reference, mixed, waves, with_neurons
from support.pages import page, said
from support.pressing import press_for_job
from support.tiny_models import save_tiny

from dashboard import model_access
from dashboard.compare import fingerprints as compare_fingerprints
from dashboard.compare import jobs
from fnet_core.choices import site_title
from fnet_core.errors import RequestError
from fnet_core.jobs import manager
from fnet_core.lineage import comparison
from fnet_core.lineage.comparison import compare
from fnet_core.lineage.fingerprint import KIND, Fingerprint
from fnet_core.lineage.taking import FingerprintRequest, find_fingerprint
from fnet_core.storage import artifacts
from fnet_core.storage.memo import Found

SIGNALS = waves(10)
A = hand_fingerprint(SIGNALS, "base")
NEAR = hand_fingerprint(mixed(SIGNALS, 0.3, 2), "copy", seed=3)
FAR = hand_fingerprint(waves(10, seed=9), "other", layers=6, seed=5)


def keep(*fingerprints: Fingerprint) -> list[str]:
    """References to these fingerprints, saved as if they had been measured here."""
    for one in fingerprints:
        one.save(artifacts.artifact_path(KIND, one.key))
    return [compare_fingerprints.saved(one.key) for one in fingerprints]


def shown(a: Fingerprint, b: Fingerprint, **query: str) -> AppTest:
    """The page with the comparison of two saved fingerprints."""
    return page("compare", compared=compare_fingerprints.pair(*keep(a, b)), **query)


def opened(at: AppTest, view: str) -> AppTest:
    at.session_state["compare_view"] = view
    at.run()
    assert not at.exception
    return at


def upload(at: AppTest, side: str, name: str, content: bytes) -> AppTest:
    at.segmented_control(key=f"compare_kind_{side}").set_value("file").run()
    at.file_uploader(key=f"compare_upload_{side}").upload(name, content)
    at.run()
    assert not at.exception
    return at


@pytest.fixture
def with_reference(monkeypatch):
    monkeypatch.setattr(comparison, "load_reference", lambda: hand_reference(A.protocol_digest))


@pytest.fixture
def small_models():
    save_tiny(artifacts.home() / "models" / "other", "llama", seed=4, max_position_embeddings=2048)


def test_the_first_visit_offers_the_starters_and_says_what_to_do():
    at = page("compare")
    assert [at.selectbox(key=f"compare_model_{side}").value for side in "ab"] == ["smollm2-135m", "gemma3-270m"]
    assert "Press 'Compare': each model reads the same 48 passages" in at.info[0].value
    assert at.button(key="compare_run").disabled
    assert "Accept the licence of model B first." in said(at)
    at.checkbox(key="compare_accept_b").check().run()
    assert not at.button(key="compare_run").disabled


def test_the_model_in_use_is_one_side_and_a_starter_the_other():
    at = page("compare", model="gemma3-270m")
    assert [at.selectbox(key=f"compare_model_{side}").value for side in "ab"] == ["gemma3-270m", "smollm2-135m"]


def test_the_page_shows_the_numbers_of_the_core(with_reference):
    at = shown(A, FAR)
    found = compare(A, FAR, reference=hand_reference(A.protocol_digest))
    metrics = {metric.label: metric.value for metric in at.metric}
    assert metrics["Score"] == f"{found.score:.2f}"
    assert metrics["95 % interval"] == "{:.2f} to {:.2f}".format(*found.interval)
    assert metrics["Mismatched text"] == f"≤ {max(found.null_scores):.2f}"
    table = at.dataframe(key="compare_table").value
    assert list(table["value"]) == pytest.approx(list(found.values_M))
    assert table[["network_a", "network_b"]].to_numpy().tolist() == found.matched_M2.tolist()
    assert table["key_neurons_b"].tolist() == FAR.key_counts_KL.sum(axis=1)[found.matched_M2[:, 1]].tolist()
    assert "base (base) compared with other (other)" in said(at)
    assert "6 reference pairs, once, on paper" in said(at)


@pytest.mark.parametrize(("other", "outcome"), [(NEAR, "derived"), (FAR, "independent")])
def test_a_verdict_is_named_reasoned_and_limited(with_reference, other, outcome):
    at = shown(A, other)
    found = compare(A, other, reference=hand_reference(A.protocol_digest))
    assert found.verdict.outcome == outcome
    text = said(at)
    assert outcome in text and "Evidence that" in text + "".join(h.value for h in at.subheader)
    assert "The matched networks of base and" in text and "What would change it" in text
    assert "evidence from what the models do on these passages, not proof" in text
    assert "Second opinion" not in text
    assert "Second opinion, attention-weight curves" in said(opened(at, "Second opinions"))


def test_layers_that_match_are_named(with_reference):
    """An older fingerprint has none; with neurons the page shows p, the words and the map."""
    at = opened(shown(A, NEAR), "Layers")
    assert "It was not tested whether the two were trained apart: the fingerprint of" in said(at)
    a, near = with_neurons(A), with_neurons(NEAR)
    found = compare(a, near, reference=hand_reference(A.protocol_digest))
    at = opened(shown(a, near), "Layers")
    assert {metric.label: metric.value for metric in at.metric}["p, trained apart"] == f"≤ {found.independence.p:.2g}"
    assert found.independence.layers_in_words[0] in said(at) and found.independence.calibration.sentence in said(at)
    figure = json.loads(at.get("plotly_chart")[1].proto.spec)
    assert figure["layout"]["yaxis"]["title"]["text"].startswith("layer of A: base")


def test_without_a_reference_the_page_says_so(monkeypatch):
    monkeypatch.setattr(comparison, "load_reference", lambda: None)
    at = shown(A, NEAR)
    assert "inconclusive" in said(at) and "There is no reference distribution" in said(at)
    assert "No reference pairs are stored yet" in said(at)


def test_a_picked_pair_is_drawn_and_stands_in_the_address(with_reference):
    at = shown(A, NEAR, pair="3")
    found = compare(A, NEAR, reference=hand_reference(A.protocol_digest))
    at.selectbox(key="compare_passage").select(2).run()
    at.button(key="next_pair").click().run()
    assert at.query_params["pair"] == "4"
    figure = json.loads(at.get("plotly_chart")[1].proto.spec)
    k, j = found.matched_M2[4]
    assert figure["data"][0]["name"].startswith(f"base, network {k}:")
    assert f"network {j}:" in figure["data"][1]["name"]
    assert f"abs(ρ) = {found.passage_values_MP[4, 2]:.2f}" in figure["layout"]["title"]["text"]
    value = A.grid_signals(2)[k][1]
    assert f'title="character 4: {value:+.1f} SD"' in said(at)


def test_a_pair_that_does_not_exist_falls_back_to_the_strongest():
    at = shown(A, NEAR, pair="99")
    assert at.selectbox(key="pair_picker").value == 0 and "pair" not in at.query_params
    assert "a pair is a whole number" in shown(A, NEAR, pair="x").error[0].value


@pytest.mark.parametrize("view", ["Matrix", "Second opinions", "Save"])
def test_every_tab_draws(view):
    at = opened(shown(A, FAR), view)
    seen = {
        "Matrix": lambda: "All pairs of networks" in at.get("plotly_chart")[1].proto.spec,
        "Second opinions": lambda: "withdrawn by arXiv" in said(at) and "CKA" in at.get("plotly_chart")[2].proto.spec,
        "Save": lambda: "python -m fnet_core compare a.safetensors b.safetensors --seed 0" in at.code[0].value,
    }
    assert seen[view]()


def test_the_commands_say_what_they_cannot(with_reference):
    own = replace(A, recipe=A.recipe | {"texts": [["dataset org/name"], ["bundled/score"]]})
    at = opened(shown(own, NEAR), "Save")
    assert "--find=FILE" in at.code[0].value
    text = re.sub(r"\\(.)", r"\1", said(at))
    assert "The passages for --find of base came from dataset org/name" in text and "write its place" in text


def test_the_downloads_are_the_files_the_json_and_the_report(with_reference):
    at = opened(shown(A, NEAR), "Save")
    labels = [button.proto.label for button in at.get("download_button")]
    assert [label.split(":")[0] for label in labels] == [
        "Report (HTML)",
        "Result (JSON)",
        "Matched networks (CSV)",
        "Fingerprint A",
        "Fingerprint B",
    ]


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


def test_one_model_given_twice_is_said(with_reference):
    at = shown(A, A)
    assert "Both sides are one and the same model" in at.info[0].value
    assert "The same model, given twice" in [heading.value for heading in at.subheader]
    badges = [element.value for element in at.markdown if "-badge[" in element.value]
    assert any("same model" in badge for badge in badges) and not any("derived" in badge for badge in badges)
    assert at.metric[0].value == "1.00"


def test_a_model_that_does_not_read_the_passages_is_said(with_reference):
    at = shown(A, replace(FAR, bits_per_byte=4.0))
    assert len(at.info) == 1
    assert "other hardly reads the language of the passages: it needs 4.00 bits per byte" in at.info[0].value
    assert "inconclusive" in said(at)


def test_a_model_without_a_signal_is_one_sentence():
    silent = replace(FAR, signals=tuple(np.zeros_like(signal) for signal in FAR.signals))
    at = shown(A, silent)
    assert len(at.error) == 1 and "No network of other gives a signal" in at.error[0].value


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"compared": "nowhere"}, "does not name two fingerprints"),
        ({"compared": "saved:none,saved:none"}, "There is no fingerprint 'none' here"),
        ({"compared": "saved:../x,file:y"}, "cannot name an artifact"),
        ({"a": "saved:gone"}, "There is no fingerprint 'gone' here"),
        ({"a": "/etc"}, "outside the folders that this server may read"),
        ({"b": "gpt5"}, "There is no starter 'gpt5'"),
    ],
)
def test_a_wrong_address_is_a_sentence(query, sentence):
    at = page("compare", **query)
    assert len(at.error) == 1 and sentence in re.sub(r"\\(.)", r"\1", at.error[0].value)


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
