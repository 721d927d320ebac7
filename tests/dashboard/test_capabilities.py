"""Lesions on the Networks page, and keeping only the networks on Intervene: the core's numbers, from the store."""

import json

import pytest
from streamlit.testing.v1 import AppTest
from support.kept_capabilities import known_lesions, known_preservation
from support.pages import page, said
from support.pressing import press_for_job
from support.prune_page import expected, press, prune_page, request, run, scored

from dashboard.intervene import keeping
from dashboard.networks import capabilities
from dashboard.prune import capabilities as pruned
from fnet_core import texts
from fnet_core.capability.battery import make_battery
from fnet_core.capability.comparing import known_rows
from fnet_core.capability.keeping import KeepRequest
from fnet_core.capability.lesions import LesionRequest
from fnet_core.evaluation.yardstick import Yardstick
from fnet_core.models.loading import get_loaded
from fnet_core.networks.atlas import Atlas
from fnet_core.networks.finding import AtlasRequest, find_atlas
from fnet_core.pruning.masking import prepare

THRESHOLD, ITEMS = 2.0, 4


@pytest.fixture(autouse=True)
def few_items(monkeypatch) -> None:
    monkeypatch.setattr(capabilities, "SIZES", (ITEMS, 20))
    monkeypatch.setattr(keeping, "ITEMS", ITEMS)
    monkeypatch.setattr(pruned, "ITEMS", ITEMS)


def tiny_atlas() -> Atlas:
    """Three networks of the tiny starter, saved."""
    return find_atlas(AtlasRequest("tiny", texts.bundled("find")[:2], components=3, restarts=2)).answer


def tab(atlas: Atlas) -> AppTest:
    at = page("networks", atlas=atlas.key, model="tiny", threshold=str(THRESHOLD), view="Capabilities")
    at.number_input(key="lesion_draws").set_value(1)
    return at.run()


def figures(at: AppTest) -> dict[str, dict]:
    """The figures by their titles."""
    specs = [json.loads(chart.proto.spec) for chart in at.get("plotly_chart")]
    return {spec["layout"].get("title", {}).get("text", ""): spec for spec in specs}


def test_the_matrix_is_measured_and_then_comes_from_the_store():
    atlas = tiny_atlas()
    at = tab(atlas)
    assert "Each network is changed alone" in said(at)
    assert press_for_job(at, "measure_lesions").state == "done"
    at.run()
    found = known_lesions(atlas, make_battery(ITEMS), LesionRequest(THRESHOLD, 0.0, 1))
    assert found is not None
    shown = at.dataframe(key="lesion_table").value
    assert shown["changed"].tolist() == pytest.approx(found.table()["changed"].tolist())
    assert f"of {len(found.table())} cells are a loss" in said(at)

    later = tab(atlas)
    matrix = figures(later)["Accuracy with each network inhibited, change"]
    assert len(matrix["data"]) == 2 and not later.exception
    later.segmented_control(key="lesion_gain").set_value("x1.5").run()
    assert "Each network is changed alone" in said(later) and not later.exception


def test_keeping_only_the_networks_is_one_button():
    atlas = tiny_atlas()
    at = page("intervene", atlas=atlas.key, model="tiny", threshold=str(THRESHOLD))
    at.slider(key="intervene_passages").set_value(1)
    at.session_state["intervene_view"] = "Keep only"
    at.run()
    assert "Silences all but the key neurons of 1, 3 networks at |z| above 2, 1.5" in said(at)
    assert press_for_job(at, "keep_only").state == "done"
    at.run()
    yardstick = Yardstick(texts.bundled("score")[:1])
    found = known_preservation(atlas, make_battery(ITEMS), yardstick, KeepRequest((1, 3), (2.0, 1.5), 2))
    assert found is not None and f"perplexity is {found.points[1].perplexity:.4g}" in said(at)
    assert "Keep only the networks" in figures(at)


def test_a_pruned_model_is_asked_beside_its_original():
    at = scored(prune_page(prune_view="Capabilities"))
    assert press(at, "prune_capabilities").state == "done"
    run(at)
    plan, _ = expected()
    pruning = prepare(get_loaded("tiny"), plan, "none", request())
    rows = known_rows(get_loaded("tiny"), make_battery(ITEMS), pruning.changes)
    figure = figures(at)["Capabilities before and after"]
    after = next(trace for trace in figure["data"] if trace.get("name") == "after")
    assert len(rows) == 17 and list(after["y"]) == [row["title"] for row in rows]
    assert "of 17 capabilities suffer" in said(at) and pruned.rows_for_card(get_loaded("tiny"), pruning) == rows
