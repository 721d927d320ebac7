"""The Intervene page: what it shows is what the core measures; what is wrong is a sentence."""

import json
from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest
from support.pages import page, said, save_atlas
from support.pressing import press_for_job

from dashboard import words
from fnet_core import texts
from fnet_core.evaluation.yardstick import Yardstick
from fnet_core.interventions.edits import edit_networks, edits_text
from fnet_core.interventions.measuring import intervene
from fnet_core.jobs import Job
from fnet_core.models.cards import peek
from fnet_core.models.loading import get_loaded
from fnet_core.networks.atlas import KIND, Atlas
from fnet_core.networks.finding import AtlasRequest, find_atlas
from fnet_core.storage import artifacts

PASSAGES, CONTROLS, THRESHOLD = 2, 2, 1.5


def tiny_atlas() -> Atlas:
    """Two networks of the tiny starter, saved."""
    return find_atlas(AtlasRequest("tiny", texts.bundled("find")[:2], components=2, restarts=2)).answer


def intervene_page(key: str, **query: str) -> AppTest:
    at = page("intervene", atlas=key, threshold=str(THRESHOLD), **query)
    at.slider(key="intervene_passages").set_value(PASSAGES)
    at.number_input(key="intervene_controls").set_value(CONTROLS)
    return at.run()


def press(at: AppTest, button: str) -> Job:
    """Press the button and wait until its job has ended."""
    job = press_for_job(at, button)
    at.run()
    assert not at.exception
    return job


def test_without_an_atlas_the_page_says_where_to_go():
    at = page("intervene")
    assert "No networks to edit yet" in at.info[0].value
    assert any(link.proto.label == "Find networks" for link in at.get("page_link"))


def test_a_saved_atlas_can_be_opened():
    key = save_atlas()
    at = page("intervene")
    at.selectbox(key="intervene_picker").select(key).run()
    assert at.query_params["atlas"] == key and at.query_params["model"] == "hand-made"
    assert "**3 of 15 neurons** edited (20.00 %)" in said(at)


def test_the_figures_are_those_of_the_core():
    atlas = tiny_atlas()
    at = intervene_page(atlas.key, model="tiny", network="1")
    assert at.number_input(key="gain_box_1").value == 0.0
    assert press(at, "run_edits").state == "done"
    expected = intervene(
        get_loaded("tiny"),
        [edit_networks(atlas, [1], THRESHOLD, gain=0.0)],
        Yardstick(texts.bundled("score")[:PASSAGES]),
        controls=CONTROLS,
    )
    shown = {metric.label: metric.value for metric in at.metric}
    assert shown["Untouched"] == words.perplexity(expected.baseline.value)
    assert shown["Edited"] == words.perplexity(expected.edited.value)
    assert f"Controls, median of {CONTROLS}" in shown
    table = at.dataframe[0].value
    assert table["edited"].tolist() == pytest.approx(expected.edited.document_values().tolist())
    assert f"{PASSAGES} passages" in said(at) and "window" in said(at)


def test_where_no_control_can_be_drawn_the_edit_is_measured_without():
    at = page("intervene", atlas=tiny_atlas().key, model="tiny", threshold="1.0")
    at.slider(key="intervene_passages").set_value(1)
    at.button(key="preset_amplify").click().run()
    assert press(at, "run_edits").state == "done"
    assert at.metric[2].value == "–" and "too few are left to draw from" in said(at)


def test_a_copied_link_restores_the_edits_and_the_result():
    atlas = tiny_atlas()
    at = intervene_page(atlas.key, model="tiny")
    at.number_input(key="gain_box_0").set_value(1.5).run()
    press(at, "run_edits")
    copied = page("intervene", **{name: at.query_params[name] for name in at.query_params})
    assert copied.number_input(key="gain_box_0").value == 1.5
    assert [m.value for m in copied.metric] == [m.value for m in at.metric]
    assert copied.slider(key="intervene_passages").value == PASSAGES


def test_slider_box_and_presets_say_the_same():
    at = intervene_page(save_atlas())
    at.slider(key="gain_slider_0").set_value(1.2).run()
    assert at.number_input(key="gain_box_0").value == 1.2
    at.number_input(key="gain_box_0").set_value(7.0).run()
    assert at.slider(key="gain_slider_0").value == 2.0 and not at.error
    at.selectbox(key="intervene_add").select(1).run()
    assert at.slider(key="gain_slider_1").value == 0.0
    assert "**6 of 15 neurons** edited" in said(at)  # 4 and 3, one of them in both
    at.button(key="reset_gains").click().run()
    assert [at.number_input(key=f"gain_box_{k}").value for k in (0, 1)] == [1.0, 1.0]
    assert "**0 of 15 neurons**" in said(at)
    at.button(key="preset_amplify").click().run()
    assert at.number_input(key="gain_box_all").value == 1.05
    assert at.button(key="preset_inhibit").label == "Inhibit the largest"
    at.button(key="preset_inhibit").click().run()
    assert at.number_input(key="gain_box_0").value == 0.0
    at.button(key="remove_0").click().run()
    assert [box for box in at.number_input if box.key.startswith("gain_box")] == []


@pytest.mark.parametrize("gain", [-1.0, 101.0, float("nan"), float("inf")])
def test_a_wrong_gain_is_a_sentence(gain):
    at = intervene_page(save_atlas())
    at.session_state["intervene_gains"] = {0: gain}
    at.run()
    assert not at.exception
    assert f"A gain of {gain} is out of range; choose 0 (inhibit) to 100" in at.error[0].value


def test_nothing_to_measure_is_a_sentence():
    at = intervene_page(save_atlas())
    at.button(key="reset_gains").click().run()
    at.button(key="run_edits").click().run()
    assert "There is no edit to measure; choose a network and a gain other than 1." in at.error[0].value


def test_a_network_that_does_not_exist_is_a_sentence():
    at = page("intervene", atlas=save_atlas(), network="99")
    assert "There is no network 99" in at.error[0].value
    assert at.number_input(key="gain_box_0").value == 0.0


def test_an_atlas_that_is_not_there_is_a_sentence():
    assert "There is no saved atlas 'nowhere'" in page("intervene", atlas="nowhere").error[0].value


def test_an_atlas_of_another_model_is_a_sentence():
    atlas = tiny_atlas()
    other = replace(atlas, recipe=atlas.recipe | {"model": "stranger", "model_digest": "f" * 64})
    other.save(artifacts.artifact_path(KIND, other.key))
    at = intervene_page(other.key, model="tiny")
    assert press(at, "run_edits").state == "failed"
    assert "was found in stranger (ffffffffffff) and the model is tiny" in at.error[0].value


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("not json", "This is not a file of saved edits"),
        ("[" * 200_000, "This is not a file of saved edits"),
        (json.dumps({"kind": "fnet-edits", "format": 0, "recipe": {}, "edits": []}), "are of format 0"),
    ],
)
def test_a_wrong_file_of_edits_is_a_sentence(content, sentence):
    at = intervene_page(save_atlas())
    at.session_state["intervene_view"] = "Save and export"
    at.run()
    at.file_uploader(key="edits_upload").upload("edits.json", content.encode())
    at.run()
    assert sentence in at.error[0].value


def test_saved_edits_come_back_and_give_the_same_perplexity():
    atlas = tiny_atlas()
    at = intervene_page(atlas.key, model="tiny")
    press(at, "run_edits")
    before = at.metric[1].value
    at.session_state["intervene_view"] = "Save and export"
    at.run()
    edits = [edit_networks(atlas, [0], THRESHOLD, gain=0.0)]
    at.file_uploader(key="edits_upload").upload("edits.json", edits_text(edits, atlas.recipe).encode())
    at.run()
    assert "Edits from a file" in said(at) and "network 0" in said(at)
    press(at, "run_edits")
    assert at.metric[1].value == before


def test_writing_shows_three_continuations_and_probabilities():
    at = intervene_page(tiny_atlas().key, model="tiny")
    at.session_state["intervene_view"] = "Writing"
    at.run()
    at.number_input(key="writing_tokens").set_value(3)
    assert press(at, "writing_write").state == "done"
    assert said(at).count("3 tokens") == 3
    table = at.dataframe[0].value
    assert len(table) >= 5
    assert (table["after"] - table["before"]).tolist() == pytest.approx(table["difference"].tolist())


@pytest.mark.parametrize(("prompt", "sentence"), [(" ", "The prompt is empty"), ("word " * 9000, "shorten it")])
def test_a_wrong_prompt_is_a_sentence(prompt, sentence):
    at = intervene_page(tiny_atlas().key, model="tiny")
    at.session_state["intervene_view"] = "Writing"
    at.run()
    at.text_area(key="writing_prompt").set_value(prompt)
    assert press(at, "writing_write").state == "failed"
    assert sentence in at.error[0].value


def test_dose_response_and_ranking_draw():
    at = intervene_page(tiny_atlas().key, model="tiny")
    at.session_state["intervene_view"] = "Dose-response"
    at.run()
    assert press(at, "measure_doses").state == "done"
    assert '"Dose and response"' in at.get("plotly_chart")[0].proto.spec
    at.session_state["intervene_view"] = "Ranking"
    at.run()
    assert press(at, "rank_networks").state == "done"
    table = at.dataframe[0].value
    assert sorted(table["network"]) == [0, 1]
    assert table["inhibited"].is_monotonic_decreasing


def test_the_text_tab_colours_the_tokens_that_got_worse():
    at = intervene_page(tiny_atlas().key, model="tiny")
    at.session_state["intervene_view"] = "Text"
    press(at, "run_edits")
    assert "nats (" in said(at)


def test_baking_takes_a_name():
    at = intervene_page(tiny_atlas().key, model="tiny")
    at.session_state["intervene_view"] = "Save and export"
    at.run()
    at.text_input(key="bake_folder").set_value("tiny-without-0")
    assert press(at, "bake").state == "done"
    assert at.code[0].value == "tiny-without-0"
    assert peek("tiny-without-0").description == "tiny with edits of its neurons in the weights."
    assert get_loaded("tiny-without-0").layers == get_loaded("tiny").layers
