"""The split-half recurrence on the Networks page."""

from dataclasses import replace
from unittest.mock import patch

import pytest
from streamlit.testing.v1 import AppTest
from support.pages import page, said

from dashboard import jobs
from fnet_core import texts
from fnet_core.jobs import Job, manager
from fnet_core.networks.finding import AtlasRequest, find_atlas
from fnet_core.networks.known_halves import known_recurrence


def recurrence_tab(passages: int, halves: bool = False) -> tuple[AppTest, AtlasRequest]:
    """The tab on an atlas of so many passages, which was found with its halves or, as earlier ones were, without."""
    request = AtlasRequest("tiny", texts.bundled("find")[:passages], components=3)
    found = find_atlas(request)
    if not halves:
        replace(found.answer, halves=None).save(found.path)
    at = page("networks", atlas=found.path.stem)
    at.session_state["view"] = "Recurrence"
    return at.run(), request


def test_halves_are_tested_on_demand_and_then_stand_in_the_table():
    at, request = recurrence_tab(6)
    assert "recurrence" not in at.dataframe(key="network_table").value.columns
    with patch.object(jobs, "remember", wraps=jobs.remember) as remembered:
        at.button(key="test_halves").click().run()
    job: Job = remembered.call_args_list[0].args[0]
    assert manager().wait(job.id, 60).state == "done"
    at.run()
    found = known_recurrence(find_atlas(request).answer)
    assert f"maps agree at {found.correlation_K[0]:.2f}" in said(at)
    assert at.dataframe(key="network_table").value["recurrence"].tolist() == pytest.approx(found.correlation_K.tolist())
    assert any("Does each network come back?" in chart.proto.spec for chart in at.get("plotly_chart"))


def test_the_table_says_that_recurrence_is_not_known_and_its_button_opens_the_tab():
    at, _ = recurrence_tab(6)
    at.session_state["view"] = "In text"
    at.run()
    assert "Whether these networks come back in other text is not known, so none is marked as trusted" in said(at)
    with patch.object(jobs, "remember", wraps=jobs.remember) as remembered:
        at.button(key="offer_halves").click().run()
    assert at.query_params["view"] == "Recurrence"
    assert manager().wait(remembered.call_args_list[0].args[0].id, 60).state == "done"
    at.run()
    assert "is not known" not in said(at) and "of 3 are to be trusted" in said(at)


def test_an_atlas_brings_its_recurrence_along():
    at, request = recurrence_tab(6, halves=True)
    atlas = find_atlas(request).answer
    table = at.dataframe(key="network_table").value
    assert table["recurrence"].tolist() == pytest.approx(atlas.halves.correlation_K.tolist())
    assert f"{int(atlas.trusted_K.sum())} of 3 are to be trusted" in said(at)
    assert any("Does each network come back?" in chart.proto.spec for chart in at.get("plotly_chart"))


def test_three_passages_cannot_be_split():
    at, _ = recurrence_tab(3)
    assert at.button(key="test_halves").disabled and "too few passages to split" in said(at)
    assert "there are too few passages to split" in said(at)
    assert not [button for button in at.button if button.key == "offer_halves"]
