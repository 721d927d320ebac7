"""The controls of the Prune page: what is missing or wrong is a sentence, and a link restores what was chosen."""

import json

import pytest
from streamlit.testing.v1 import AppTest
from support.prune_page import PASTED, metrics, prune_page, run, scored

from dashboard.prune.state import settings_of
from fnet_core import texts
from fnet_core.networks.finding import AtlasRequest, find_atlas
from fnet_core.pruning.published import published_groups, published_plan
from fnet_core.pruning.scores import ScoreRequest
from fnet_core.reporting.recipes import prune_commands
from fnet_core.storage import artifacts


def test_without_a_model_the_page_says_where_to_go():
    at = prune_page("", None)
    assert "Choose a model above" in at.info[0].value
    assert any(link.proto.label == "Choose a model" for link in at.get("page_link"))


def test_a_model_that_is_not_here_is_not_fetched():
    at = prune_page("", "smollm2-135m")
    assert "smollm2-135m is not on this machine yet" in at.info[0].value
    assert not (artifacts.home() / "models" / "smollm2-135m").exists()


def test_a_copied_link_restores_the_controls():
    asked = "method:random,percent:35,compensation:bias,share:parameters,first:0,last:1,even:1,heads:1,seed:3"
    at = prune_page(asked)
    assert at.slider(key="prune_percent").value == 35
    boxes = [at.selectbox(key=f"prune_{name}").value for name in ("method", "compensation", "share")]
    assert boxes == ["random", "bias", "parameters"]
    assert [at.number_input(key=f"prune_{name}").value for name in ("first", "last", "seed")] == [0, 1, 3]
    assert at.toggle(key="prune_even").value and at.toggle(key="prune_heads").value
    assert at.query_params["prune"] == asked


def test_the_scale_of_the_paper_is_the_recipe_of_the_command_line():
    def page():
        import streamlit as st

        from dashboard import selection
        from dashboard.prune import state

        selection.start("Prune")
        state.start()
        st.session_state.update({"prune_method": "fn", "prune_published": True})
        state.publish()
        state.write()
        st.session_state["asked"] = state.request("smollm2-135m")

    asked = AppTest.from_function(page).run().session_state["asked"]
    assert asked.plan == published_plan()
    (line,) = prune_commands("smollm2-135m", asked.plan, asked.scores, asked.yardstick).lines
    assert line.split()[3:] == ["prune", "smollm2-135m", "--published", "--passages", "8"]


def test_the_scale_of_the_paper_is_offered_with_its_method_alone_and_stays_in_the_link():
    assert not [box for box in prune_page().toggle if box.key == "prune_published"]
    at = prune_page("method:fn,first:0,last:0")
    at.toggle(key="prune_published").set_value(True)
    run(at)
    assert at.selectbox(key="prune_share").value == "threshold"
    assert at.number_input(key="prune_cutoff").value == 6.03 and at.number_input(key="prune_first").value == 3
    assert at.number_input(key="prune_components").disabled
    assert "published:1" in at.query_params["prune"]
    at.toggle(key="prune_published").set_value(False)
    run(at)
    assert at.selectbox(key="prune_compensation").value == "networks"
    at.toggle(key="prune_published").set_value(True)
    run(at)
    at.selectbox(key="prune_method").set_value("random")
    run(at)
    assert at.selectbox(key="prune_share").value == "neurons" and "published" not in at.query_params["prune"]


def test_a_kept_plan_at_the_scale_of_the_paper_comes_back_as_one():
    asked = published_plan()
    request = ScoreRequest(texts.for_networks(), components=128, groups=published_groups(96))
    scores = {"heads": False, "seed": 0, "texts_digest": request.texts_digest, "components": 128, "groups": 2}
    recipe = {"method": "fn", "ratio": None, "threshold": asked.threshold, "share": "neurons", "even": False}
    recipe |= {"protected": list(asked.protected), "masks_digest": "0", "scores": scores}
    _, values = settings_of(json.dumps({"recipe": recipe}))
    assert values["prune_published"] and values["prune_compensation"] == asked.compensation
    _, values = settings_of(json.dumps({"recipe": recipe | {"scores": scores | {"groups": 4}}}))
    assert "prune_published" not in values and values["prune_components"] == 128


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


def test_a_plan_that_leaves_nothing_is_a_sentence_before_anything_is_scored():
    at = prune_page("method:random,first:1,last:1")
    assert "Protecting 1 first and 1 last of 2 layers leaves nothing to prune" in at.error[0].value
    assert not [button for button in at.button if button.key == "score_neurons"]


@pytest.mark.parametrize(
    ("prune", "sentence"),
    [
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
    run(at)
    assert sentence in at.error[0].value  # until something else is asked for
    assert ("FNET_MODEL_ROOTS" in at.error[0].value.replace("\\", "")) is ("/proc" in folder)
    at.text_input(key="prune_folder").set_value("smaller")
    run(at)
    assert not at.error
