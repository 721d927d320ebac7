"""The Prune page: what it shows, writes and exports is what the core measures."""

import json
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest
from support.pages import page, said
from support.prune_page import (
    BARE,
    FREE,
    METHODS,
    expected,
    metrics,
    press,
    prune_page,
    request,
    run,
    scored,
    settled,
)
from support.tiny_models import save_tiny

from dashboard import words
from dashboard.prune import state as prune_state
from dashboard.prune.plan import plan_text
from fnet_core import texts
from fnet_core.errors import RequestError
from fnet_core.evaluation.yardstick import Yardstick
from fnet_core.jobs import manager
from fnet_core.models.cards import peek
from fnet_core.models.loading import get_loaded
from fnet_core.networks.finding import AtlasRequest, find_atlas
from fnet_core.pruning.curves import curves
from fnet_core.pruning.masking import prepare
from fnet_core.pruning.measuring import measure_pruning
from fnet_core.pruning.plan import plan_for
from fnet_core.pruning.request import PlanRequest
from fnet_core.pruning.scores import find_scores
from fnet_core.pruning.survival import network_survival
from fnet_core.storage import artifacts, library


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


def test_a_mixture_with_a_short_context_loses_heads_and_says_how_its_text_is_cut():
    save_tiny(artifacts.home() / "models" / "mix", "mixtral", max_position_embeddings=64)
    at = prune_page(model="mix")
    assert "is a mixture of experts and pruning is made for one MLP per layer; let attention heads go" in said(at)
    at.toggle(key="prune_heads").set_value(True).run()
    at.session_state["prune_percent"] = 50
    at.session_state["prune_view"] = "Keep and drop"
    scored(at)
    shown = metrics(at)
    assert shown["Heads"] == "6" and "MLP neurons" not in shown
    assert "Calibration: 1 passage was cut into 8, for mix reads at most 64 tokens at once." in said(at)
    assert [chart.proto.spec.count("Attention heads that stay") for chart in at.get("plotly_chart")].count(1) == 1


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
            assert "At 20 %, no method is better than the chosen one beyond the error of this text" in said(at)
            assert not any(button.key == "use_better" for button in at.button)
        assert words.perplexity(at_20[best]) in said(at)


@pytest.mark.parametrize(("flap", "advised"), [((20.0, 30.0, 40.0), True), ((20.0, 34.0, 46.0), False)])
def test_another_method_is_advised_only_beyond_the_error(flap, advised):
    def page(flap):
        from types import SimpleNamespace

        from support.perplexities import result

        from dashboard.prune.curves import best
        from fnet_core.pruning.curves import CurvePoint

        points = [
            CurvePoint("flap", 0.2, None, result(*flap)),
            CurvePoint("wanda-sp", 0.2, None, result(22.0, 33.2, 44.1)),
        ]
        best(SimpleNamespace(points=points, position=0.2, asked=SimpleNamespace(method="wanda-sp")))

    at = AppTest.from_function(page, kwargs={"flap": flap}).run()
    assert not at.exception
    assert ("no method is better than the chosen one beyond the error" in said(at)) is not advised
    assert ("**FLAP** is better than the chosen method: 28.8 against 31.8" in said(at)) is advised
    assert [button.key for button in at.button] == ["use_better"] * advised
    if advised:
        at.button(key="use_better").click().run()
        assert at.session_state["prune_method"] == "flap"


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


def test_what_networks_keep_is_what_the_core_counts():
    atlas = find_atlas(AtlasRequest("tiny", texts.bundled("find")[:2], components=2, restarts=2)).answer
    at = scored(prune_page())
    at.slider(key="prune_threshold").set_value(1.5).run()
    plan, _ = expected()
    found = network_survival(atlas, plan, 1.5)
    table = at.dataframe[0].value
    assert table["key_neurons"].tolist() == found.key_neurons_K.tolist()
    assert table["kept"].tolist() == pytest.approx((100 * found.kept_K).tolist())
    assert "of 2 networks** keep more of their key neurons" in said(at)


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
    removed = 1 - expected()[0].parameters / expected()[0].anatomy.parameters
    assert peek("tiny-smaller").description == f"Pruned from tiny: {removed:.1%} fewer parameters."
    plan, measured = expected()
    smaller = get_loaded("tiny-smaller")
    assert sum(p.numel() for p in smaller.model.parameters()) == plan.parameters
    card = (Path(artifacts.home()) / "models" / "tiny-smaller" / "README.md").read_text("utf-8")
    assert f"{measured.pruned.value:.4g}" in card and "Wanda-sp" in card
    at.button(key="prune_export").click().run()
    assert "exists already; choose a new folder" in at.error[0].value
    at.button(key="load_saved").click().run()
    assert manager().get(at.session_state["followed_jobs"]["load"]).label == "Loading tiny-smaller"


def test_a_plan_of_the_library_sets_the_controls_until_they_change():
    plan, _ = expected(ratio=0.3, heads=True)
    entry = library.add_text("plan", plan_text(plan))
    at = settled(prune_page("", plan=entry.key))
    assert at.session_state["selection"].plan == entry.key and at.session_state["selection"].model == "tiny"
    assert at.session_state["prune_percent"] == 30 and at.session_state["prune_method"] == "wanda-sp"
    assert at.session_state["prune_heads"] and at.session_state["prune_first"] == 0
    assert "method:wanda-sp" in at.session_state["selection"].prune
    assert "Settings of a plan in the library: the same neurons and heads go." in said(at)
    at.slider(key="prune_percent").set_value(40)
    settled(run(at))
    assert at.session_state["selection"].plan is None and "of a plan in the library" not in said(at)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"ratio": 0.125}, "takes 12.5 % and this page whole per cents"),
        ({"ratio": 0.9}, "whole per cents up to 80"),
        ({"method": "guessing"}, "pruning method"),
        ({"protected": [1]}, "This is no whole plan"),
        ({"scores": None}, "This is no whole plan"),
    ],
)
def test_a_plan_that_the_page_cannot_show_is_a_sentence(change, sentence):
    asked = {"method": "wanda-sp", "ratio": 0.2, "threshold": None, "share": "neurons", "protected": [0, 0]}
    recipe = asked | {"even": False, "scores": {"heads": False}, "masks_digest": "m"}
    assert prune_state.settings_of(json.dumps({"recipe": recipe}))[1]["prune_percent"] == 20
    with pytest.raises(RequestError, match=sentence):
        prune_state.settings_of(json.dumps({"recipe": recipe | change}))
    entry = library.add_text("plan", json.dumps({"recipe": recipe | change}))
    at = page("prune", plan=entry.key)
    assert sentence in at.error[0].value and at.session_state["selection"].plan is None
