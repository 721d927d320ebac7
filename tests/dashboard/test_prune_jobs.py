"""Jobs of the Prune page: the slider goes first, outdated work stops, and what failed can be tried again."""

import threading

from support.prune_page import METHODS, expected, metrics, prune_page, run, scored, settled

from dashboard import words
from dashboard.prune import jobs
from fnet_core.evaluation.perplexity import PerplexityResult
from fnet_core.jobs import manager


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
