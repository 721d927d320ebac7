"""The Networks page: the numbers of the atlas, the address, the tabs, the job."""

import json
import threading
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
from support.atlases import hand_atlas
from support.pages import page, said, save_atlas
from support.pressing import press_for_job

from dashboard import jobs, model_access
from fnet_core import texts
from fnet_core.choices import site_title
from fnet_core.errors import RequestError
from fnet_core.jobs import manager
from fnet_core.models.loading import get_loaded
from fnet_core.networks import finding, listening
from fnet_core.networks.atlas import KIND, Atlas
from fnet_core.networks.finding import AtlasRequest, find_atlas
from fnet_core.networks.listening import Heard
from fnet_core.storage import artifacts
from fnet_core.storage.memo import Found
from fnet_core.texts import Passage


def test_networks_without_an_atlas_say_what_to_do():
    at = page("networks")
    assert "Press 'Find networks'" in at.info[0].value
    assert at.selectbox(key="request_model").value == "smollm2-135m"
    defaults = AtlasRequest("any", (None,))
    assert at.number_input(key="components").value == defaults.components == 32
    assert at.selectbox(key="contrast").value == defaults.contrast


def test_the_page_counts_the_passages_that_were_read_and_says_what_was_cut():
    asked = AtlasRequest(
        "tiny", (Passage("long", "It rained all day, and the boats stayed in. " * 80, "given text"),), components=2
    )
    atlas = find_atlas(asked).answer
    assert len(atlas.passages) > 2
    text = said(page("networks", atlas=atlas.key))
    assert f"{len(atlas.passages)} passages, {atlas.tokens:,} tokens" in text
    assert f"1 passage was cut into {len(atlas.passages)}, for passages of more than 2,358 tokens of tiny" in text


def test_the_page_says_how_many_passages_were_enough():
    atlas = find_atlas(AtlasRequest("tiny", texts.bundled("find")[:6], components=2, restarts=2, enough=True)).answer
    assert "6 passages were taken" in said(page("networks", atlas=atlas.key))


def test_networks_show_the_numbers_of_the_atlas():
    at = page("networks", atlas=save_atlas())
    table = at.dataframe(key="network_table").value
    assert table["network"].tolist() == [0, 1, 2]
    assert table["variance"].tolist() == [50.0, 25.0, 12.5]
    assert table["key_neurons"].tolist() == [3, 3, 0]
    assert table["layers"].tolist() == [2, 1, 0]
    assert "**3 of 15 neurons** are key neurons (20.00 %), |z| > 3.0" in said(at)
    assert "abc · def" in said(at)
    assert "6 tokens" in said(at)


def test_the_threshold_moves_counts_table_and_address():
    at = page("networks", atlas=save_atlas())
    at.slider(key="threshold_slider").set_value(2.9).run()
    assert "**4 of 15 neurons**" in said(at)
    assert at.dataframe(key="network_table").value["key_neurons"].tolist() == [4, 3, 0]
    assert at.query_params["threshold"] == "2.9"


def test_next_and_the_list_choose_a_network_and_the_address_follows():
    at = page("networks", atlas=save_atlas())
    assert at.button(key="previous_network").disabled
    at.button(key="next_network").click().run()
    assert at.query_params["network"] == "1" and "Network 1" in said(at)
    assert at.session_state["network_table"]["selection"]["rows"] == [1]
    at.selectbox(key="network_picker").select(2).run()
    assert "**0 of 15 neurons**" in said(at)
    assert at.button(key="next_network").disabled


def test_a_copied_link_restores_the_view():
    at = page("networks", atlas=save_atlas(), network="1", threshold="3.5", model="hand-made")
    assert "**2 of 15 neurons** are key neurons (13.33 %), |z| > 3.5" in said(at)
    assert at.slider(key="threshold_slider").value == 3.5


def test_the_address_holds_tab_and_passage():
    at = page("networks", atlas=save_atlas(), passage="1")
    assert at.selectbox(key="passage_picker").value == 1
    at.button(key="previous_passage").click().run()
    assert at.query_params["passage"] == "0" and "view" not in at.query_params
    at.session_state["view"] = "Map"
    at.run()
    assert at.query_params["view"] == "Map"
    copied = page("networks", **at.query_params)
    assert copied.session_state["view"] == "Map"
    copied.session_state["view"] = "In text"
    copied.run()
    assert "view" not in copied.query_params and copied.selectbox(key="passage_picker").value == 0


def test_the_selection_survives_a_change_of_page():
    at = page("networks", atlas=save_atlas(), network="1", threshold="3.5", model="hand-made")
    at.switch_page("home.py").run()
    at.query_params.clear()
    at.switch_page("pages/networks.py").run()
    assert "**2 of 15 neurons**" in said(at)


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"atlas": "nowhere"}, "There is no saved atlas 'nowhere'"),
        ({"atlas": "../../etc/passwd"}, "cannot name an artifact"),
        ({"atlas": "saved", "network": "99"}, "There is no network 99"),
        ({"atlas": "saved", "network": "-1"}, "a network is a whole number"),
        ({"atlas": "saved", "threshold": "nan"}, "choose a number from 1 to 8"),
        ({"atlas": "saved", "threshold": "99"}, "choose a number from 1 to 8"),
        ({"atlas": "saved", "view": "Inside"}, "asks for the view 'Inside'; choose one of In text, Contexts"),
        ({"atlas": "saved", "passage": "first"}, "a passage is a whole number from 0"),
    ],
)
def test_a_wrong_address_is_a_sentence(query, sentence):
    key = save_atlas()
    at = page("networks", **{name: key if value == "saved" else value for name, value in query.items()})
    assert any(sentence in error.value.replace("\\", "") for error in at.error), at.error
    if query["atlas"] == "saved":
        assert "**3 of 15 neurons**" in said(at)


def test_an_atlas_of_layers_lists_one_layer_at_a_time():
    at = page("networks", atlas=save_atlas("layer"))
    assert at.dataframe(key="network_table").value["network"].tolist() == [0]
    at.selectbox(key="network_layer").select(2).run()
    assert at.dataframe(key="network_table").value["network"].tolist() == [2]
    assert "**2 of 5 neurons** are key neurons (40.00 %)" in said(at)


def test_the_scan_is_sent_with_the_page():
    key = save_atlas()
    at = page("networks", atlas=key, threshold="2.5")
    every = [json.loads(element.proto.mixed.json or element.proto.json) for element in at.get("bidi_component")]
    (sent,) = [data for data in every if "runs" in data]
    assert sent["selected"] == 0 and sent["networks"] == 3 and sent["widths"] == [4, 6, 5]
    areas = {network: 0 for network in range(3)}
    for runs in sent["runs"]:
        for network, core, _ in runs:
            areas[network] += core
    assert areas == {0: 3, 1: 3, 2: 0}
    assert [len(places) for places in sent["elsewhere"]] == [0, 1, 0]
    assert sorted(sent["order"]) == [0, 1, 2]


@pytest.mark.parametrize(
    "tab", ["In text", "Map", "Key neurons", "Parcellation", "Connectivity", "Recurrence", "Recipe"]
)
def test_every_tab_draws(tab):
    at = page("networks", atlas=save_atlas())
    at.session_state["view"] = tab
    at.run()
    assert not at.exception
    shown = {
        "In text": lambda: "token 0: +1.5 SD" in said(at),
        "Map": lambda: "Map of network 0" in at.get("plotly_chart")[0].proto.spec,
        "Key neurons": lambda: at.dataframe[1].value["z"].tolist() == [9.0, 5.0, -3.5],
        "Parcellation": lambda: '"Parcellation"' in at.get("plotly_chart")[0].proto.spec,
        "Connectivity": lambda: "Connectivity of networks" in at.get("plotly_chart")[0].proto.spec,
        "Recurrence": lambda: (
            "Where network 0 works" in at.get("plotly_chart")[0].proto.spec
            and at.code[-1].value.endswith("recur atlas.safetensors")
        ),
        "Recipe": lambda: '"site": "mlp"' in at.code[0].value and "2.0 s" in str(at.table[0].value),
    }
    assert shown[tab]()


def test_finding_networks_is_a_job_whose_atlas_appears(monkeypatch):
    asked: list[AtlasRequest] = []

    def found(request: AtlasRequest, report, **_) -> Found[Atlas]:
        asked.append(request)
        report("capturing", 0.5)
        return Found(hand_atlas(), artifacts.artifact_path(KIND, save_atlas()), True)

    monkeypatch.setattr(finding, "find_atlas", found)
    at = page("networks")
    at.slider(key="passages").set_value(2)
    at.number_input(key="components").set_value(5)
    press_for_job(at, "find_networks", 20)
    at.run()
    assert "**3 of 15 neurons**" in said(at)
    assert (asked[0].model, asked[0].components, len(asked[0].passages)) == ("smollm2-135m", 5, 2)
    assert "job" not in at.query_params and not asked[0].enough
    at.session_state["other_networks"] = True
    at.run()
    at.slider(key="passages").set_value(60)
    at.toggle(key="enough").set_value(True)
    press_for_job(at, "find_networks", 20)
    assert asked[1].enough and len(asked[1].passages) == 60


def test_provisional_networks_stand_there_until_the_whole_takes_their_place(monkeypatch):
    shown, go_on = threading.Event(), threading.Event()

    def found(request: AtlasRequest, report, *, publish, **_) -> Found[Atlas]:
        atlas = hand_atlas()
        publish(replace(atlas, recipe=atlas.recipe | {"provisional": 96}))
        shown.set()
        assert go_on.wait(20)
        return Found(atlas, artifacts.artifact_path(KIND, save_atlas()), True)

    monkeypatch.setattr(finding, "find_atlas", found)
    at = page("networks")
    try:
        at.button(key="find_networks").click().run()
        assert shown.wait(20)
        at.run()
        assert "Provisional, 2 of 96 passages" in said(at) and "abc · def" in said(at)
        assert "No networks yet" not in said(at) and at.query_params.get("atlas") is None
        assert artifacts.list_artifacts(KIND) == []
    finally:
        go_on.set()
    manager().wait(at.session_state["followed_jobs"][KIND], 20)
    at.run()
    assert "Provisional" not in said(at) and "**3 of 15 neurons**" in said(at)


def test_a_failed_job_shows_its_sentence(monkeypatch):
    def fails(*_, **__):
        raise RequestError("The [model] is not here; load it.")

    monkeypatch.setattr(finding, "find_atlas", fails)
    at = page("networks")
    at.number_input(key="seed").set_value(3)
    press_for_job(at, "find_networks", 20)
    at.run()
    assert at.error[0].value == r"The \[model\] is not here; load it."


def test_an_empty_text_is_a_sentence():
    at = page("networks")
    at.selectbox(key="text_source").select("Pasted text").run()
    at.button(key="find_networks").click().run()
    assert "is empty; give at least a few sentences" in at.error[0].value
    at.selectbox(key="text_source").select("Text file").run()
    at.button(key="find_networks").click().run()
    assert "No text file was uploaded yet" in at.error[0].value
    at.file_uploader[0].upload("b.txt", b"\x00\xff")
    at.run()
    at.button(key="find_networks").click().run()
    assert "is not a text file" in at.error[0].value


def test_a_dataset_that_is_not_named_is_asked_for():
    at = page("networks")
    at.selectbox(key="text_source").select("Hub dataset").run()
    assert at.text_input(key="text_dataset").value == ""
    at.button(key="find_networks").click().run()
    assert "No dataset was named" in at.error[0].value


def test_only_the_sites_of_the_model_are_offered():
    get_loaded("tiny")
    model_access.cards.clear()
    at = page("networks", model="tiny")
    assert at.selectbox(key="site").options == [site_title(name) for name in ("mlp", "mlp_out", "residual", "heads")]


def test_places_and_the_networks_of_a_word_are_listed():
    at = page("networks", atlas=save_atlas())
    at.session_state["view"] = "Contexts"
    at.run()
    places = at.dataframe[1].value
    assert places["word"].iloc[0] == "abc" and places["activity"].is_monotonic_decreasing
    at.segmented_control(key="contexts_which").set_value("Silent").run()
    assert at.dataframe[1].value["activity"].is_monotonic_increasing
    at.text_input(key="word_sought").set_value("gh").run()
    assert at.dataframe(key="networks_of_word").value["network"].tolist()[0] == 2
    at.text_input(key="word_sought").set_value("<b>zebra").run()
    assert any("is no word of the text" in notice.value for notice in at.info)


def test_a_text_of_ones_own_is_coloured(monkeypatch):
    asked = []

    def heard(loaded, atlas, text, report):
        asked.append(text)
        courses_TK = np.array([[0.0, 1.0, 0.5], [2.5, 0.0, 0.0]], dtype=np.float32)
        return Heard(Passage("your text", text, "typed"), np.array([[0, 3], [4, 7]]), courses_TK, atlas.labels)

    monkeypatch.setattr(listening, "listen", heard)
    monkeypatch.setattr("fnet_core.models.loading.get_loaded", lambda *_, **__: None)
    at = page("networks", atlas=save_atlas())
    at.session_state["view"] = "In text"
    at.run()
    at.segmented_control(key="text_shown").set_value("Your own text").run()
    at.text_area(key="own_text").set_value("Tea <i>time").run()
    with patch.object(jobs, "remember", wraps=jobs.remember) as remembered:
        at.button(key="listen").click().run()
    manager().wait(remembered.call_args.args[0].id, 20)
    at.run()
    assert asked == ["Tea <i>time"]
    assert "token 1: +2.5 SD" in said(at) and "<i>" not in said(at)
    assert at.dataframe(key="heard_networks").value["network"].tolist() == [0, 1, 2]
    at.selectbox(key="second_network").set_value(1).run()
    assert "token 0: +1.0 SD" in said(at)
