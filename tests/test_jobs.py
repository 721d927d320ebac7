"""Jobs: shared, queued per device, cancellable, and honest about how far they are."""

import threading
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from itertools import pairwise

import pytest
from support.waiting import DEADLINE, until

from fnet_core import jobs
from fnet_core.errors import RequestError
from fnet_core.jobs import JobManager


class Clock:
    """Stands still until told."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(jobs, "monotonic", clock)
    return clock


def held(gate: threading.Event, running: threading.Event, result: object = None) -> Callable:
    """Work that says it is running and ends when the gate opens."""

    def work(report):
        running.set()
        until(gate)
        return result

    return work


def loop_until_cancelled(running: threading.Event) -> Callable:
    def work(report):
        while True:
            report("looping", 0.5)
            running.set()

    return work


def test_result_and_states(gate):
    manager, running = JobManager(), threading.Event()
    first = manager.submit("atlas", "k1", held(gate, running, "path/k1"), label="Find networks", device="cpu")
    until(running)
    second = manager.submit("prune", "k2", lambda report: "path/k2", label="Prune")
    assert (second.state, second.seconds, second.seconds_left) == ("queued", 0.0, None)
    assert manager.get(first.id).state == "running"
    assert manager.find("atlas", "k1").id == first.id
    assert manager.find("atlas", "k2") is None
    assert [job.id for job in manager.active()] == [first.id, second.id]
    assert [job.id for job in manager.active("prune")] == [second.id]
    gate.set()
    done = manager.wait(second.id, DEADLINE)
    assert (done.state, done.result, done.fraction, done.error) == ("done", "path/k2", 1.0, None)
    assert (done.kind, done.key, done.label, done.device) == ("prune", "k2", "Prune", "cpu")
    assert manager.active() == []
    assert [job.id for job in manager.recent()] == [second.id, first.id]
    assert manager.get(first.id).result == "path/k1"
    with pytest.raises(FrozenInstanceError):
        done.state = "running"


def test_wait_returns_the_running_job_when_time_is_up(gate):
    manager, running = JobManager(), threading.Event()
    job = manager.submit("atlas", "k", held(gate, running), label="x")
    until(running)
    assert manager.wait(job.id, 0.01).state == "running"


def test_unknown_id_is_a_request_error():
    manager = JobManager()
    for ask in (manager.get, manager.cancel, manager.wait):
        with pytest.raises(RequestError, match="There is no job 'gone' any more"):
            ask("gone")


def test_simultaneous_requests_share_one_job(gate):
    manager, barrier, calls, ids = JobManager(), threading.Barrier(8), [], []

    def work(report):
        calls.append(1)
        until(gate)

    def ask():
        barrier.wait(DEADLINE)
        ids.append(manager.submit("atlas", "k", work, label="Find networks").id)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gate.set()
    assert len(ids) == 8
    assert len(set(ids)) == 1
    assert manager.wait(ids[0], DEADLINE).state == "done"
    assert calls == [1]


def test_a_finished_job_is_not_reused():
    manager = JobManager()
    first = manager.wait(manager.submit("atlas", "k", lambda report: 1, label="x").id, DEADLINE)
    second = manager.wait(manager.submit("atlas", "k", lambda report: 2, label="x").id, DEADLINE)
    assert (first.result, second.result) == (1, 2)
    assert first.id != second.id
    assert manager.get(first.id) == first


def test_one_device_works_in_order_and_one_at_a_time(gate):
    manager, running, log, at_work = JobManager(), threading.Event(), [], threading.Lock()

    def work(number):
        def inner(report):
            assert at_work.acquire(blocking=False)
            log.append(number)
            at_work.release()

        return inner

    manager.submit("x", "first", held(gate, running), label="x")
    until(running)
    ids = [manager.submit("x", str(number), work(number), label="x").id for number in range(20)]
    assert {manager.get(id).state for id in ids} == {"queued"}
    gate.set()
    assert [manager.wait(id, DEADLINE).state for id in ids] == ["done"] * 20
    assert log == list(range(20))


def test_two_devices_work_at_the_same_time():
    manager, meeting = JobManager(), threading.Barrier(2)

    def meet(report):
        meeting.wait(DEADLINE)

    ids = [manager.submit("x", device, meet, label="x", device=device).id for device in ("cpu", "cuda:0")]
    assert [manager.wait(id, DEADLINE).state for id in ids] == ["done", "done"]


def test_cancel_stops_a_running_job_at_its_next_report():
    manager, running = JobManager(), threading.Event()
    job = manager.submit("atlas", "k", loop_until_cancelled(running), label="x")
    until(running)
    assert manager.cancel(job.id).state in ("running", "cancelled")
    ended = manager.wait(job.id, 2.0)
    assert (ended.state, ended.error, ended.result) == ("cancelled", None, None)
    assert manager.cancel(job.id) == ended


def test_cancel_drops_a_queued_job_at_once(gate):
    manager, running, calls = JobManager(), threading.Event(), []
    first = manager.submit("x", "1", held(gate, running), label="x")
    until(running)
    second = manager.submit("x", "2", lambda report: calls.append(2), label="x")
    third = manager.submit("x", "3", lambda report: calls.append(3), label="x")
    assert manager.cancel(second.id).state == "cancelled"
    assert manager.find("x", "2") is None
    gate.set()
    assert manager.wait(third.id, DEADLINE).state == "done"
    assert [job.id for job in manager.recent()] == [third.id, first.id, second.id]
    assert [job.state for job in manager.recent()] == ["done", "done", "cancelled"]
    assert calls == [3]


def test_asking_again_while_a_job_stops_starts_anew(gate):
    manager, running, open_end = JobManager(), threading.Event(), threading.Event()

    def stubborn(report):
        running.set()
        until(gate)
        report("late", 1.0)

    stopping = manager.submit("x", "k", stubborn, label="x")
    until(running)
    assert manager.cancel(stopping.id).stage == "stopping"
    again = manager.submit("x", "k", held(open_end, threading.Event(), "fresh"), label="x")
    assert again.id != stopping.id
    gate.set()
    assert manager.wait(stopping.id, DEADLINE).state == "cancelled"
    assert manager.find("x", "k").id == again.id
    open_end.set()
    assert manager.wait(again.id, DEADLINE).result == "fresh"


def test_reports_after_the_end_change_nothing():
    manager, kept = JobManager(), []
    job = manager.wait(manager.submit("x", "k", kept.append, label="x").id, DEADLINE)
    with pytest.raises(jobs.Cancelled):
        kept[0]("late", 0.1)
    assert manager.get(job.id) == job


def watched(clock: Clock, steps: list[tuple[float, str, float]], stages: dict[str, float] | None) -> list[jobs.Job]:
    """The snapshots after each (seconds since the start, stage, fraction) report, then the finished job."""
    manager, seen = JobManager(), []

    def work(report):
        for seconds, stage, fraction in steps:
            clock.now = 1000.0 + seconds
            report(stage, fraction)
            seen.append(manager.active()[0])

    job = manager.submit("x", "k", work, label="x", stages=stages)
    seen_last = manager.wait(job.id, DEADLINE)
    return [*seen, seen_last]


def test_weighted_stages_give_the_whole_jobs_fraction_and_time_left(clock):
    steps = [
        (1, "load", 0.0),
        (4, "load", 0.5),
        (8, "capture", 0.0),
        (20, "capture", 0.5),
        (70, "solve", 0.5),
    ]
    seen = watched(clock, steps, {"load": 1, "capture": 3, "solve": 4})
    assert [job.fraction for job in seen] == [0.0, 0.0625, 0.125, 0.3125, 0.75, 1.0]
    assert [job.stage_fraction for job in seen] == [0.0, 0.5, 0.0, 0.5, 0.5, 1.0]
    assert [job.stage for job in seen] == ["load", "load", "capture", "capture", "solve", "solve"]
    assert [job.seconds for job in seen] == [1, 4, 8, 20, 70, 70]
    # Hand numbers: seconds so far x what is left / what is done.
    assert [job.seconds_left for job in seen] == [None, 60.0, 56.0, 44.0, pytest.approx(70 / 3), None]


def test_time_left_counts_only_what_was_worked_for(clock):
    """The first stage came from disk at no cost: half of the rest took 10 seconds, so 10 remain."""
    seen = watched(clock, [(0, "solve", 0.0), (10, "solve", 0.5)], {"capture": 9, "solve": 1})
    assert [job.fraction for job in seen] == [0.9, pytest.approx(0.95), 1.0]
    assert [job.seconds_left for job in seen] == [None, pytest.approx(10.0), None]


def test_time_left_runs_down_between_reports(clock, gate):
    manager, running = JobManager(), threading.Event()

    def work(report):
        clock.now += 30
        report("solve", 0.6)
        running.set()
        until(gate)

    job = manager.submit("x", "k", work, label="x", stages={"solve": 1})
    until(running)
    assert manager.get(job.id).seconds_left == pytest.approx(20.0)
    clock.now += 5
    assert (manager.get(job.id).seconds, manager.get(job.id).seconds_left) == (35.0, pytest.approx(15.0))
    clock.now += 50
    # Half of the rest was foreseen by now, 85 seconds have brought 0.8 of it at best.
    assert manager.get(job.id).seconds_left == pytest.approx(85 / 0.8 * 0.2)


def test_the_whole_jobs_fraction_never_goes_backwards(clock):
    reports = [
        ("a", 0.2),
        ("b", 0.5),
        ("a", 0.9),
        ("unplanned", 0.9),
        ("b", 0.1),
        ("c", 0.0),
        ("c", 7.0),
        ("c", -1.0),
    ]
    reports += [("c", float("nan")), ("b", 1.0)]
    steps = [(second, *report) for second, report in enumerate(reports)]
    seen = watched(clock, steps, {"a": 1, "b": 1, "c": 2})
    fractions = [job.fraction for job in seen]
    assert fractions == [0.05, 0.375, 0.375, 0.375, 0.375, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0]
    assert all(before <= after for before, after in pairwise(fractions))
    assert [job.stage_fraction for job in seen] == [0.2, 0.5, 0.9, 0.9, 0.1, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0]


def test_without_weights_only_the_stage_has_a_fraction(clock):
    steps = [
        (2, "load", 0.01),
        (10, "load", 0.5),
        (20, "solve", 0.25),
        (30, "solve", 0.5),
        (40, "solve", 0.4),
    ]
    seen = watched(clock, steps, None)
    assert [job.stage_fraction for job in seen] == [0.01, 0.5, 0.25, 0.5, 0.4, 1.0]
    assert [job.fraction for job in seen] == [None, None, None, None, None, 1.0]
    assert [job.seconds_left for job in seen] == [None] * 6


def test_the_manager_is_one_for_the_process():
    found, barrier = [], threading.Barrier(4)

    def ask():
        barrier.wait(DEADLINE)
        found.append(jobs.manager())

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert {id(manager) for manager in found} == {id(jobs.manager())}
