"""The Prune page: what it shows is what the core measures; the slider goes first; what is wrong is a sentence."""

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest
from support.pages import ROOT, said
from support.pressing import press_for_job
from support.pruning_cases import PASSAGES

from dashboard import words
from dashboard.prune import jobs
from dashboard.prune import state as prune_state
from fnet_core import texts
from fnet_core.evaluation.perplexity import PerplexityResult
from fnet_core.evaluation.yardstick import Yardstick
from fnet_core.jobs import Job, manager
from fnet_core.models.loading import get_loaded
from fnet_core.networks.finding import AtlasRequest, find_atlas
from fnet_core.pruning.curves import curves
from fnet_core.pruning.masking import prepare
from fnet_core.pruning.measuring import measure_pruning
from fnet_core.pruning.plan import plan_for
from fnet_core.pruning.request import PlanRequest
from fnet_core.pruning.scores import ScoreRequest, find_scores
from fnet_core.pruning.survival import network_survival
from fnet_core.storage import artifacts

METHODS = ["wanda-sp", "random"]
PASTED = "\n\n".join(passage.text for passage in PASSAGES)
BARE = "method:wanda-sp,first:0,last:0"
FREE = BARE + ",compensation:none"
"""Nothing is protected: the tiny model has two layers."""


def prune_page(prune: str = FREE, model: str | None = "tiny", **state: object) -> AppTest:
    """The page on the tiny starter with a small calibration text and yardstick; curves are not filled."""
    if model == "tiny":
        get_loaded("tiny")
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    small = {
        "prune_source": prune_state.PASTE,
        "prune_pasted": PASTED,
        "prune_passages": 2,
        "prune_components": 4,
        "prune_methods": METHODS,
        "prune_fill": False,
    }
    for name, value in (small | state).items():
        at.session_state[name] = value
    if model:
        at.query_params["model"] = model
    if prune:
        at.query_params["prune"] = prune
    at.switch_page("pages/prune.py")
    return run(at)


def run(at: AppTest) -> AppTest:
    at.run()
    assert not at.exception, at.exception
    return at


def settled(at: AppTest) -> AppTest:
    """The page once no job is under way any more and drawing it starts none."""
    for _ in range(20):
        before = ended_jobs()
        run(at)
        if ended_jobs() == before:
            return at
    raise AssertionError(f"jobs go on and on: {manager().active()}")


def ended_jobs() -> set[str]:
    """The ids of all jobs of the page, which are waited for."""
    for job in manager().active():
        if job.kind.startswith("prune"):
            manager().wait(job.id, 60)
    return {job.id for job in manager().recent() if job.kind.startswith("prune")}


@pytest.fixture(autouse=True)
def own_jobs() -> Iterator[None]:
    """No test leaves a job to the next one, whose store is another."""
    yield
    for job in manager().active():
        manager().cancel(job.id)
        manager().wait(job.id, 60)


def scored(at: AppTest) -> AppTest:
    """The page once the neurons are scored and the perplexity is measured."""
    at.button(key="score_neurons").click().run()
    return settled(at)


def press(at: AppTest, key: str) -> Job:
    job = press_for_job(at, key)
    settled(at)
    return job


def metrics(at: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in at.metric}


def request(heads: bool = False) -> ScoreRequest:
    return ScoreRequest(texts.from_text(PASTED), heads=heads, components=4, groups=1)


def expected(method: str = "wanda-sp", ratio: float = 0.2, compensation: str = "none", heads: bool = False):
    """The core's own answer, and the plan."""
    loaded = get_loaded("tiny")
    asked = PlanRequest(method, ratio, protected=(0, 0), compensation=compensation, heads=heads)
    plan = plan_for(loaded, asked, request())
    yardstick = Yardstick(texts.bundled("score")[:2])
    return plan, measure_pruning(loaded, prepare(loaded, plan, compensation, request()), yardstick)


def test_without_a_model_the_page_says_where_to_go():
    at = prune_page("", None)
    assert "Choose a model above" in at.info[0].value
    assert any(link.proto.label == "Choose a model" for link in at.get("page_link"))


def test_a_model_that_is_not_here_is_not_fetched():
    at = prune_page("", "smollm2-135m")
    assert "smollm2-135m is not on this machine yet" in at.info[0].value
    assert not (artifacts.home() / "models" / "smollm2-135m").exists()


def test_the_first_visit_scores_and_shows_the_numbers_of_the_core():
    at = prune_page(BARE + ",compensation:bias,heads:1")
    assert "has no scores by 'Wanda-sp' yet" in at.info[0].value
    scored(at)
    plan, measured = expected(compensation="bias", heads=True)
    shown = metrics(at)
    assert shown["Untouched"] == words.perplexity(measured.baseline.value)
    assert shown["Pruned"] == words.perplexity(measured.pruned.value)
    neurons = plan.summary()["neurons"]
    assert shown["MLP neurons"] == f"{neurons['after']:,}"
    deltas = {metric.label: metric.delta for metric in at.metric}
    gone = 100 * (neurons["before"] - neurons["after"]) / neurons["before"]
    assert deltas["MLP neurons"] == f"-{gone:.1f} % of {neurons['before']:,}"
    assert shown["Heads"] == str(plan.summary()["heads"]["after"]) and plan.removed_heads > 0
    assert shown["Speed, estimated"] == f"x {plan.estimated_speed:.2f}"
    assert f"**{words.factor(measured.effect.value)}**" in said(at)
    assert "2 passages" in said(at)


def test_a_ratio_seen_before_needs_no_job():
    scored(prune_page())
    known = {job.id for job in manager().recent()}
    again = prune_page()
    _, measured = expected()
    assert metrics(again)["Pruned"] == words.perplexity(measured.pruned.value)
    new = [job for job in [*manager().recent(), *manager().active()] if job.id not in known]
    assert {job.kind for job in new} <= {"prune-opening"}


def test_moving_the_slider_measures_at_once():
    at = scored(prune_page())
    at.slider(key="prune_percent").set_value(50)
    settled(run(at))
    _, measured = expected(ratio=0.5)
    assert metrics(at)["Pruned"] == words.perplexity(measured.pruned.value)
    assert at.query_params["prune"] == "method:wanda-sp,percent:50,compensation:none,first:0,last:0"


def test_the_slider_replaces_its_job_and_the_curves_give_way():
    at = scored(prune_page())
    free = threading.Event()
    blocker = manager().submit("blocking", "x", lambda report: free.wait(60), label="Blocking")
    try:
        at.session_state["prune_fill"] = True
        at.slider(key="prune_percent").set_value(30)
        run(at)
        first = {job.kind: job.id for job in manager().active() if job.kind.startswith("prune")}
        assert list(first) == [jobs.MEASURING, jobs.CURVES]
        at.slider(key="prune_percent").set_value(40)
        run(at)
        assert manager().get(first[jobs.MEASURING]).state == "cancelled"
        second = [job for job in manager().active() if job.kind.startswith("prune")]
        assert [job.kind for job in second] == [jobs.MEASURING, jobs.CURVES]
        assert "40 %" in second[0].label and second[1].id != first[jobs.CURVES]
    finally:
        free.set()
        manager().wait(blocker.id, 60)
    settled(at)
    assert metrics(at)["Pruned"] == words.perplexity(expected(ratio=0.4)[1].pruned.value)


def test_other_curves_do_not_wait_behind_outdated_ones():
    at = scored(prune_page())
    free = threading.Event()
    blocker = manager().submit("blocking", "x", lambda report: free.wait(60), label="Blocking")
    try:
        at.session_state["prune_fill"] = True
        run(at)
        (outdated,) = [job for job in manager().active() if job.kind.startswith("prune")]
        at.session_state["prune_methods"] = METHODS[:1]
        run(at)
        assert manager().get(outdated.id).state == "cancelled"
        (job,) = [job for job in manager().active() if job.kind.startswith("prune")]
        assert job.kind == jobs.CURVES and job.key != outdated.key
    finally:
        free.set()
        manager().wait(blocker.id, 60)
    settled(at)


def test_the_curves_are_those_of_the_core_and_the_best_is_named():
    at = scored(prune_page(prune_fill=True))
    at.session_state["prune_view"] = "Points measured"
    settled(at)
    yardstick = Yardstick(texts.bundled("score")[:2])
    template = PlanRequest(ratio=0.0, compensation="none", protected=(0, 0))
    points = curves(get_loaded("tiny"), METHODS, prune_state.CURVE_RATIOS, template, request(), yardstick)
    table = at.dataframe[0].value
    found = {(row.title, round(row.ratio)): row.perplexity for row in table.itertuples()}
    names = {"wanda-sp": "Wanda-sp", "random": "Random"}
    assert len(found) == len(points)
    for p in points:
        assert found[names[p.method], round(100 * p.ratio)] == pytest.approx(p.perplexity.value)
    at_20 = {p.method: p.perplexity.value for p in points if p.ratio == 0.2}
    best = min(at_20, key=at_20.get)
    for method in METHODS:
        at.selectbox(key="prune_method").select(method)
        settled(run(at))
        if method == best:
            assert f"At 20 %, **{names[best]}** is the best of 2 methods" in said(at)
        else:
            assert f"At 20 %, **{names[best]}** is better than the chosen method" in said(at)
        assert words.perplexity(at_20[best]) in said(at)
    at.selectbox(key="prune_method").select(max(at_20, key=at_20.get))
    settled(run(at))
    at.button(key="use_better").click().run()
    assert at.selectbox(key="prune_method").value == best


def test_a_threshold_removes_what_scores_at_most_so_much():
    at = scored(prune_page(FREE + ",share:threshold,cutoff:0.4"))
    loaded = get_loaded("tiny")
    scores = find_scores(loaded, ["wanda-sp"], request())["wanda-sp"]
    middle = float(np.median(np.concatenate(scores.mlp)))
    at.number_input(key="prune_cutoff").set_value(middle)
    settled(run(at))
    plan = plan_for(loaded, PlanRequest("wanda-sp", threshold=middle, protected=(0, 0)), request())
    assert 0 < plan.removed_neurons == sum(int((s <= middle).sum()) for s in scores.mlp)
    found = measure_pruning(loaded, prepare(loaded, plan, "none", request()), Yardstick(texts.bundled("score")[:2]))
    assert metrics(at)["Pruned"] == words.perplexity(found.pruned.value)
    assert f"half of them below {middle:.3g}" in said(at)
    assert f"share:threshold,cutoff:{middle}," in at.query_params["prune"]
    at.number_input(key="prune_cutoff").set_value(1e6)
    settled(run(at))
    assert "choose a smaller ratio or a lower threshold" in at.error[0].value


def test_a_copied_link_restores_the_controls():
    asked = "method:random,percent:35,compensation:bias,share:parameters,first:0,last:1,even:1,heads:1,seed:3"
    at = prune_page(asked)
    assert at.slider(key="prune_percent").value == 35
    boxes = [at.selectbox(key=f"prune_{name}").value for name in ("method", "compensation", "share")]
    assert boxes == ["random", "bias", "parameters"]
    assert [at.number_input(key=f"prune_{name}").value for name in ("first", "last", "seed")] == [0, 1, 3]
    assert at.toggle(key="prune_even").value and at.toggle(key="prune_heads").value
    assert at.query_params["prune"] == asked


@pytest.mark.parametrize(
    ("prune", "sentence"),
    [
        ("method:best", "The address asks for method 'best'; choose one of networks"),
        ("percent:95", "The address asks for percent '95'; choose a whole number from 0 to 80."),
        ("percent:-1", "The address asks for percent '-1'"),
        ("compensation:magic", "The address asks for compensation 'magic'"),
        ("cutoff:much", "The address asks for cutoff 'much'; choose a number such as 3."),
        ("heads:2", "The address asks for heads '2'"),
        ("colour:red", "The address asks for 'colour' on the Prune page, which has no such setting."),
    ],
)
def test_a_wrong_address_is_a_sentence(prune, sentence):
    at = prune_page(prune)
    assert sentence in at.error[0].value
    assert at.slider(key="prune_percent").value == 20


@pytest.mark.parametrize(
    ("prune", "sentence"),
    [
        ("method:random,first:1,last:1", "Protecting 1 first and 1 last of 2 layers leaves nothing to prune"),
        ("method:random,first:1,last:0,percent:60", "are to go and only"),
        ("method:random,first:0,last:0,share:parameters,percent:80", "80% of all parameters is more than"),
    ],
)
def test_a_plan_that_cannot_be_is_a_sentence(prune, sentence):
    at = scored(prune_page(prune))
    assert sentence in at.error[0].value
    assert at.slider(key="prune_percent").value > 0 and "Pruned" not in metrics(at)


def test_an_empty_calibration_text_is_a_sentence():
    at = prune_page(prune_pasted=" ")
    assert "The text 'pasted' is empty" in at.error[0].value


def test_what_networks_keep_is_what_the_core_counts():
    atlas = find_atlas(AtlasRequest("tiny", texts.bundled("find")[:2], components=2, restarts=2)).atlas
    at = scored(prune_page())
    at.slider(key="prune_threshold").set_value(1.5).run()
    plan, _ = expected()
    found = network_survival(atlas, plan, 1.5)
    table = at.dataframe[0].value
    assert table["key_neurons"].tolist() == found.key_neurons_K.tolist()
    assert table["kept"].tolist() == pytest.approx((100 * found.kept_K).tolist())
    assert "of 2 networks** keep more of their key neurons" in said(at)


def test_after_a_sentence_the_threshold_is_the_one_of_the_selection():
    find_atlas(AtlasRequest("tiny", texts.bundled("find")[:2], components=2, restarts=2))
    at = scored(prune_page())
    assert at.slider(key="prune_threshold").value == 3.0
    at.session_state["prune_pasted"] = " "
    run(at)
    assert at.error and "prune_threshold" not in at.session_state  # the browser has forgotten the slider as well
    at.session_state["prune_pasted"] = PASTED
    run(at)
    assert at.slider(key="prune_threshold").value == 3.0


def test_without_an_atlas_survival_says_where_to_go():
    at = scored(prune_page())
    assert any("find the networks of tiny first" in box.value for box in at.info)


def test_the_map_and_the_layers_are_drawn():
    at = scored(prune_page(FREE + ",heads:1"))
    at.session_state["prune_view"] = "Keep and drop"
    run(at)
    specs = "".join(chart.proto.spec for chart in at.get("plotly_chart"))
    for title in ("Perplexity by ratio", "MLP neurons that stay", "Removed by layer", "Attention heads that stay"):
        assert f'"{title}"' in specs


def test_writing_shows_both_texts():
    at = scored(prune_page())
    at.session_state["prune_view"] = "Writing"
    run(at)
    at.number_input(key="prune_writing_tokens").set_value(3)
    assert press(at, "prune_writing_write").state == "done"
    assert said(at).count("3 tokens") == 2 and "Original" in said(at)


def test_speed_is_measured_before_and_after():
    at = scored(prune_page())
    at.session_state["prune_view"] = "Speed"
    run(at)
    job = press(at, "measure_speed")
    assert job.state == "done", job.error
    found = job.result.value
    assert metrics(at)["Reading, pruned"].startswith(f"{found.reading_after:,.0f}")
    assert f"Medians of {found.rounds} rounds" in said(at)
    at.slider(key="prune_percent").set_value(30)
    settled(run(at))
    assert "The controls were changed since" in said(at)


def test_export_saves_a_model_that_loads_with_its_figures():
    at = scored(prune_page())
    at.session_state["prune_view"] = "Save and export"
    run(at)
    at.text_input(key="prune_folder").set_value("tiny-smaller")
    job = press(at, "prune_export")
    assert job.state == "done", job.error
    assert at.code[0].value == "tiny-smaller"
    plan, measured = expected()
    smaller = get_loaded("tiny-smaller")
    assert sum(p.numel() for p in smaller.model.parameters()) == plan.parameters
    card = (Path(artifacts.home()) / "models" / "tiny-smaller" / "README.md").read_text("utf-8")
    assert f"{measured.pruned.value:.4g}" in card and "Wanda-sp" in card
    at.button(key="prune_export").click().run()
    assert "exists already; choose a new folder" in at.error[0].value


@pytest.mark.parametrize(
    ("folder", "sentence"),
    [
        ("x" * 300, "more than 200 bytes cannot be saved; give a shorter one"),
        ("/proc/1/smaller", "is outside the folders that this server may use"),
        ("tiny", "is the name of a starter; choose another"),
    ],
)
def test_a_folder_that_cannot_be_is_a_sentence(folder, sentence):
    at = scored(prune_page())
    at.session_state["prune_view"] = "Save and export"
    run(at)
    at.text_input(key="prune_folder").set_value(folder)
    at.button(key="prune_export").click()
    run(at)
    assert sentence in at.error[0].value


def test_switching_the_curves_off_stops_them():
    at = scored(prune_page())
    free = threading.Event()
    blocker = manager().submit("blocking", "x", lambda report: free.wait(60), label="Blocking")
    try:
        at.toggle(key="prune_fill").set_value(True)
        run(at)
        (job,) = [job for job in manager().active() if job.kind == jobs.CURVES]
        at.toggle(key="prune_fill").set_value(False)
        run(at)
        assert manager().get(job.id).state == "cancelled"
        assert not [job for job in manager().active() if job.kind == jobs.CURVES]
    finally:
        free.set()
        manager().wait(blocker.id, 60)


def test_a_failed_measurement_is_a_sentence_and_can_be_tried_again(monkeypatch):
    at = scored(prune_page())

    def full(self, path):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(PerplexityResult, "save", full)
        at.slider(key="prune_percent").set_value(60)
        settled(run(at))
        assert "No space left on device" in at.error[0].value
    at.button(key="measure_pruning").click().run()
    settled(at)
    assert not at.error and metrics(at)["Pruned"] == words.perplexity(expected(ratio=0.6)[1].pruned.value)
