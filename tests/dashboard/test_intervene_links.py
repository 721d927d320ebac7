"""A link to Intervene shows what it showed: in the same server, after a restart, and without what others measured."""

import time

import pytest
from streamlit.testing.v1 import AppTest
from support.pages import page, said, save_atlas
from support.pressing import press_for_job

from dashboard import selection
from dashboard.intervene import address
from dashboard.intervene.address import Asked
from fnet_core import texts
from fnet_core.interventions.edits import edit_networks, edits_text
from fnet_core.networks.atlas import Atlas
from fnet_core.networks.finding import AtlasRequest, find_atlas

THRESHOLD = 1.5


@pytest.fixture
def atlas() -> Atlas:
    """Two networks of the tiny starter, saved."""
    return find_atlas(AtlasRequest("tiny", texts.bundled("find")[:2], components=2, restarts=2)).answer


def opened(atlas: Atlas, **query: str) -> AppTest:
    return page("intervene", **{"atlas": atlas.key, "model": "tiny", "threshold": str(THRESHOLD)} | query)


def measured(atlas: Atlas) -> AppTest:
    at = opened(atlas)
    at.slider(key="intervene_passages").set_value(1)
    at.number_input(key="intervene_controls").set_value(2)
    at.number_input(key="gain_box_0").set_value(1.5).run()
    assert press_for_job(at, "run_edits").state == "done"
    return at.run()


def test_a_link_shows_the_same_result_without_its_job(atlas):
    at = measured(atlas)
    shown = [metric.value for metric in at.metric]
    link = {name: at.query_params[name] for name in at.query_params if name != "job"}
    assert link["edit"] == "0:1.5,controls:2,passages:1"
    copied = page("intervene", **link)
    assert [metric.value for metric in copied.metric] == shown and len(shown) == 3
    assert copied.number_input(key="gain_box_0").value == 1.5
    assert copied.number_input(key="intervene_controls").value == 2
    forgotten = page("intervene", **link, job="gone")
    assert [metric.value for metric in forgotten.metric] == shown and "job" not in forgotten.query_params


def test_a_link_with_a_ranking_leaves_the_settings_alone(atlas):
    at = opened(atlas, edit="passages:1")
    at.session_state["intervene_view"] = "Ranking"
    at.run()
    assert press_for_job(at, "rank_networks").state == "done"
    at.run()
    copied = page("intervene", **{name: at.query_params[name] for name in at.query_params})
    assert "job" in at.query_params and copied.number_input(key="intervene_controls").value == Asked.controls
    assert copied.slider(key="intervene_passages").value == 1


@pytest.mark.parametrize("seconds", [1, 60])
def test_an_address_that_comes_late_takes_nothing_back(atlas, monkeypatch, seconds):
    """Keys pressed faster than the browser hears of new addresses; a minute later the same address was gone back to."""
    at = opened(atlas)
    at.slider(key="intervene_passages").set_value(5).run()
    late = at.query_params["edit"]
    at.slider(key="intervene_passages").set_value(4).run()
    assert at.query_params["edit"] != late
    now = time.monotonic()
    monkeypatch.setattr(selection.time, "monotonic", lambda: now + seconds)
    at.query_params["edit"] = late
    at.slider(key="intervene_passages").set_value(3).run()
    assert at.slider(key="intervene_passages").value == (3 if seconds == 1 else 5)


def test_what_was_measured_before_needs_no_run(atlas):
    at = measured(atlas)
    shown = at.metric[1].value
    at.number_input(key="gain_box_0").set_value(1.25).run()
    assert "The controls were changed since" in said(at)
    at.number_input(key="gain_box_0").set_value(1.5).run()
    assert at.metric[1].value == shown and "changed since" not in said(at)


def test_a_pasted_text_and_edits_from_a_file_come_back_by_their_digests(atlas):
    text = edits_text([edit_networks(atlas, [1], THRESHOLD, gain=0.5)], atlas.recipe)
    at = opened(atlas, edit=f"edits:{address.keep(text)},text:{address.keep('It rained all day.')}")
    assert "Edits from a file" in said(at) and at.text_area(key="intervene_pasted").value == "It rained all day."
    lost = opened(atlas, edit=f"text:{'0' * 64}")
    assert "not kept on this machine" in lost.error[0].value and lost.number_input(key="gain_box_0").value == 0.0


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        ("colour:3", "asks for 'colour' on the Intervene page"),
        ("9:0", "There is no network 9"),
        ("0:much", "asks for gain 'much'; choose a number"),
        ("controls:99", "choose a whole number from 0 to 50"),
        ("passages:0", "choose a whole number from 1 to 24"),
        ("definition:page", "choose one of token, word, byte"),
        ("text:short", "copy the whole link"),
    ],
)
def test_a_wrong_address_is_a_sentence(edit, sentence):
    at = page("intervene", atlas=save_atlas(), edit=edit)
    assert sentence in at.error[0].value.replace("\\", "")
    assert at.number_input(key="gain_box_0").value == 0.0


def test_rows_that_were_taken_away_stay_away():
    at = page("intervene", atlas=save_atlas())
    assert "edit" not in at.query_params
    at.button(key="remove_0").click().run()
    assert at.query_params["edit"] == "none:0"
    copied = page("intervene", **at.query_params)
    assert [box for box in copied.number_input if box.key.startswith("gain_box")] == []


def test_two_edits_stand_side_by_side_and_the_link_keeps_both(atlas):
    at = measured(atlas)
    first = [metric.value for metric in at.metric]
    at.button(key="pin_edit").click().run()
    assert at.query_params["pinned"] == "0:1.5,controls:2,passages:1,threshold:1.5"
    at.number_input(key="gain_box_0").set_value(0.5).run()
    assert press_for_job(at, "run_edits").state == "done"
    at.run()
    both = [metric.value for metric in at.metric]
    assert len(both) == 6 and both[3:] == first and "network 0 x1.5" in said(at)
    copied = page("intervene", **{name: at.query_params[name] for name in at.query_params if name != "job"})
    assert [metric.value for metric in copied.metric] == both
    copied.button(key="unpin_edit").click().run()
    assert len(copied.metric) == 3 and "pinned" not in copied.query_params


def test_the_page_has_its_commands(atlas):
    at = opened(atlas, edit="1:0")
    at.session_state["intervene_view"] = "Save and export"
    at.run()
    assert "--gain=1=0" in at.code[-1].value and at.code[-1].value.count("python -m fnet_core") == 2


def test_what_is_asked_for_is_written_and_read_again():
    asked = Asked(((3, 0.0), ("all", 1.05)), 2, 7, "word", 128, 4, "a" * 64, "b" * 64, 2.5)
    assert address.parsed(asked.written() or "") == asked
    assert Asked().written() is None and address.parsed("") == Asked()
