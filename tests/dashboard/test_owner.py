"""Several people at one dashboard: nobody sees another's job as their own, or ends it."""

import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from support.pages import page, said, save_atlas

from dashboard import jobs, owner
from fnet_core.jobs import manager
from fnet_core.networks import finding
from fnet_core.networks.atlas import KIND
from fnet_core.progress import Report
from fnet_core.storage import artifacts


def endless(request, report: Report, **_):
    while True:
        report("capturing", 0.5)
        time.sleep(0.01)


def a_running_atlas(monkeypatch) -> str:
    """The id of a job that somebody started on the Networks page and that goes on until it is cancelled."""
    monkeypatch.setattr(finding, "find_atlas", endless)
    at = page("networks")
    at.button(key="find_networks").click().run()
    (job,) = manager().active()
    return job.id


def test_another_person_may_press_the_button_and_sees_no_foreign_job(monkeypatch, person):
    id = a_running_atlas(monkeypatch)
    assert page("networks").button(key="find_networks").disabled  # anna's other tab finds it again
    person[0] = "ben"
    at = page("networks")
    assert not at.button(key="find_networks").disabled
    assert not [button for button in at.button if "cancel" in (button.key or "")]
    assert manager().get(id).state == "running"


def test_a_link_to_a_foreign_job_shows_it_without_cancel(monkeypatch, person):
    id = a_running_atlas(monkeypatch)
    person[0] = "ben"
    at = page("networks", job=id)
    assert at.button(key=f"cancel_{id}").disabled
    person[0] = "anna"
    at = page("networks", job=id)
    at.button(key=f"cancel_{id}").click().run()
    assert manager().wait(id, 20).state == "cancelled"


def test_a_job_that_two_want_goes_on_when_one_leaves(monkeypatch, person):
    id = a_running_atlas(monkeypatch)
    person[0] = "ben"
    at = page("networks")
    at.button(key="find_networks").click().run()
    assert manager().get(id).owners == {"anna", "ben"}
    at.button(key=f"cancel_{id}").click().run()
    assert manager().get(id).owners == {"anna"}
    assert "job" not in at.query_params and not at.button(key="find_networks").disabled
    assert manager().get(id).state == "running"


def test_every_other_page_lists_ones_own_jobs_with_a_way_there_and_out(monkeypatch, person):
    id = a_running_atlas(monkeypatch)
    at = page("compare")
    assert any("Finding networks" in bar.proto.text for bar in at.sidebar.get("progress"))
    assert any(
        link.proto.page.endswith("networks") for link in at.sidebar.get("page_link") if link.proto.label == "Open"
    )
    at.sidebar.button(key=f"sidebar_cancel_{id}").click().run()
    assert manager().wait(id, 20).state == "cancelled"
    person[0] = "ben"
    assert not page("compare").sidebar.get("progress")


def test_a_kept_atlas_waits_for_no_turn(monkeypatch, person):
    a_running_atlas(monkeypatch)
    person[0] = "ben"
    key = save_atlas()
    monkeypatch.setattr(finding, "kept_atlas", lambda request, **_: Kept(key))
    at = page("networks", atlas=key)
    at.session_state["other_networks"] = True
    at.run()
    at.number_input(key="components").set_value(9).run()
    at.button(key="find_networks").click().run()
    job = next(job for job in (*manager().active(), *manager().recent()) if job.result or job.state == "done")
    assert job.result == str(Kept(key).path)
    at.run()
    assert "neurons**" in said(at)


class Kept:
    """What the store would answer."""

    def __init__(self, key: str) -> None:
        self.path = artifacts.artifact_path(KIND, key)


def test_a_browser_is_known_again_behind_another_mask():
    first, second, other = "2|676e04fe|372e16ec|17", "2|b3aa0e4d|e3ea1c5f|17", "2|b3aa0e4d|e3ea1c5e|17"
    assert owner._unmasked(first) == owner._unmasked(second) == "50401212"
    assert owner._unmasked(other) != owner._unmasked(first)
    assert [owner._unmasked(odd) for odd in ("", "3|aa|bb", "2|zz|bb", "2||bb")] == ["", "3|aa|bb", "2|zz|bb", "2||bb"]


def test_every_kind_of_job_has_a_page_that_exists():
    for kind in ("load", "atlas", "recurrence", "listening", "intervention", "comparison", "prune-curves"):
        script = jobs.page_of(kind)
        assert script and (Path(__file__).parents[2] / script).is_file()
    assert jobs.page_of("something else") is None


def stops_the_job_in_the_address():
    import streamlit as st

    from dashboard import jobs, selection

    job = st.query_params["job"]
    selection.start("Prune")
    jobs.cancel(job)


@pytest.mark.parametrize("foreign", [True, False])
def test_a_foreign_or_forgotten_job_is_dropped_where_a_page_would_stop_it(monkeypatch, person, foreign):
    running = a_running_atlas(monkeypatch)
    person[0] = "ben"
    at = AppTest.from_function(stops_the_job_in_the_address)
    at.query_params["job"] = running if foreign else "0" * 16
    at.run()
    assert not at.exception and "job" not in at.query_params
    assert manager().get(running).state == "running"
