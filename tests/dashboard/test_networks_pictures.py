"""The Networks page's pictures: flow, neurons in the plane, connectivity twice, tokens, two side by side; clicks."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from support.atlases import hand_atlas
from support.pages import page, said, save_atlas
from support.pressing import press_for_job

from dashboard.networks import scan
from fnet_core import texts
from fnet_core.models.loading import get_loaded
from fnet_core.networks.direct import direct_effect
from fnet_core.networks.finding import AtlasRequest, find_atlas
from fnet_core.networks.territories import territories


def titles(at) -> list[str]:
    return [json.loads(chart.proto.spec)["layout"]["title"]["text"] for chart in at.get("plotly_chart")]


def test_the_layers_have_a_flow_where_networks_run_through_all_of_them():
    assert "Shares of networks over depth, network 0" in titles(page("networks", atlas=save_atlas(), view="By layer"))
    at = page("networks", atlas=save_atlas("layer"), view="By layer")
    assert "lives in one part of the depth" in said(at) and not any("Shares" in title for title in titles(at))


def test_neurons_in_the_plane_say_how_many_were_drawn():
    at = page("networks", atlas=save_atlas(), view="Neurons")
    assert titles(at) == ["Key neurons in two dimensions, network 0"] and "All 6 key neurons" in said(at)
    at.segmented_control(key="neuron_map_way").set_value("neighbours").run()
    assert "distances between groups mean little" in said(at)
    high = page("networks", atlas=save_atlas(), view="Neurons", threshold="8.0")
    assert any("lower the threshold" in notice.value for notice in high.info)


def test_connectivity_is_a_matrix_and_a_graph_with_a_level_in_the_address():
    at = page("networks", atlas=save_atlas(), view="Connectivity", linked="0.3")
    assert titles(at) == ["Connectivity of networks", "Links at |r| of 0.30 or more"]
    at.slider(key="links_from").set_value(0.9).run()
    assert at.query_params["linked"] == "0.9" and "Links at |r| of 0.90 or more" in titles(at)
    wrong = page("networks", atlas=save_atlas(), linked="2")
    assert any("choose a number from 0 to 0.95" in error.value for error in wrong.error)


def test_tokens_are_read_out_on_demand_and_stand_there_afterwards():
    atlas = find_atlas(AtlasRequest("tiny", texts.bundled("find")[:2], components=2, restarts=2)).answer
    asked = {"atlas": atlas.key, "model": "tiny", "view": "Contexts", "threshold": "1.5"}
    at = page("networks", **asked)
    assert "What it writes" in [element.value for element in at.header]
    assert press_for_job(at, "read_out_tokens").state == "done"
    at.run()
    expected = direct_effect(get_loaded("tiny"), atlas, 1.5)
    fresh = page("networks", **asked)
    table = fresh.dataframe[2].value
    assert table["promoted_sd"].tolist() == expected.table(0)["promoted_sd"].tolist()
    assert f"{expected.random_of(0).min():.1f} to {expected.random_of(0).max():.1f} SD" in said(fresh)
    assert "read as if nothing came after" in said(fresh)


def test_heads_say_why_they_write_no_tokens():
    atlas = find_atlas(AtlasRequest("tiny", texts.bundled("find")[:2], components=2, restarts=2, site="heads")).answer
    at = page("networks", atlas=atlas.key, model="tiny", view="Contexts")
    assert "has no direction of its own" in said(at)
    assert [button for button in at.button if button.key == "read_out_tokens"] == []


def test_two_networks_stand_side_by_side_and_the_link_keeps_both():
    at = page("networks", atlas=save_atlas(), view="Side by side", threshold="2.9")
    assert "Pin a network, then select another" in said(at)
    at.button(key="pin_network").click().run()
    assert at.query_params["beside"] == "0" and "select another" in said(at)
    at.button(key="next_network").click().run()
    assert "**1 key neuron in common** (IoU 0.17)" in said(at)
    copied = page("networks", **at.query_params)
    assert "**1 key neuron in common** (IoU 0.17)" in said(copied)
    assert titles(copied) == ["Key neurons of networks 0 and 1", "Time courses of networks 0 and 1"]
    gone = page("networks", atlas=save_atlas(), view="Side by side", beside="99")
    assert titles(gone) == [] and "Pin a network, then select another" in said(gone)
    apart = page("networks", atlas=save_atlas("layer"), view="Side by side", network="2", beside="1")
    assert "they have no layer in common, their time courses correlate at r = " in said(apart)


@pytest.mark.parametrize(("most", "soon"), [(10, False), (15, True)])
def test_every_neuron_is_sent_apart_from_the_page(most, soon, monkeypatch):
    kept: dict[str, bytes] = {}

    class Files:
        def add(self, data: bytes, kind: str, place: str) -> str:
            kept["/media/neurons.bin"] = data
            return "/media/neurons.bin"

    monkeypatch.setattr(scan, "MOST_NEURONS", most)
    server = SimpleNamespace(get_instance=lambda: SimpleNamespace(media_file_mgr=Files()))
    monkeypatch.setattr(scan, "runtime", server)
    at = page("networks", atlas=save_atlas(), threshold="2.5")
    every = [json.loads(element.proto.mixed.json or element.proto.json) for element in at.get("bidi_component")]
    (sent,) = [data for data in every if "widths" in data]
    assert sent["layer"] == "/media/neurons.bin" and sent["soon"] is soon
    assert not {"neurons", "z"} & sent.keys()
    ordered = territories(hand_atlas(), 2.5)
    neurons = np.frombuffer(kept[sent["layer"]][: 4 * 15], dtype=np.int32)
    assert neurons.tolist() == np.concatenate(ordered.neurons).tolist()
    z = np.frombuffer(kept[sent["layer"]][4 * 15 :], dtype=np.int16)
    np.testing.assert_allclose(z / 100, np.concatenate(ordered.z), atol=0.005)


def test_the_curve_of_a_passage_holds_its_tokens_in_standard_deviations():
    at = page("networks", atlas=save_atlas(), passage="0")
    every = [json.loads(element.proto.mixed.json or element.proto.json) for element in at.get("bidi_component")]
    (sent,) = [data for data in every if "tokens" in data]
    atlas = hand_atlas()
    together = np.concatenate([course[:, 0] for course in atlas.courses])
    wanted = atlas.courses[0][:, 0] / np.sqrt(np.mean(together**2))
    np.testing.assert_allclose(sent["values"], wanted, atol=0.005)
    assert sent["tokens"] == [atlas.passages[0].text[a:b] for a, b in atlas.offsets[0]]
    assert sent["described"].startswith(f"Time course of network 0: activity at {len(wanted)} tokens, from ")


def test_the_recipe_has_its_command():
    at = page("networks", atlas=save_atlas(), view="Recipe")
    assert at.code[-1].value.startswith("python -m fnet_core atlas hand-made")
