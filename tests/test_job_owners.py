"""Several people at the queues: whose a job is, whose turn it is, and what is answered without a turn."""

import threading

import pytest
from support.waiting import DEADLINE, until

from fnet_core import jobs
from fnet_core.errors import RequestError
from fnet_core.jobs import MOST_WAITING, UNSEEN_SECONDS, JobManager


class Busy:
    """A manager whose device is held until the gate opens, and the order in which its jobs ran."""

    def __init__(self, gate: threading.Event) -> None:
        self.manager, self.order = JobManager(), []
        running = threading.Event()

        def hold(report):
            running.set()
            until(gate)

        self.holder = self.manager.submit("hold", "hold", hold, label="Holding", owner="holder")
        until(running)

    def ask(self, name: str, owner: str, **more):
        return self.manager.submit("ask", name, lambda report: self.order.append(name), label=name, owner=owner, **more)


def test_turns_go_round_between_owners(gate):
    busy = Busy(gate)
    asked = [busy.ask(f"a{i}", "anna") for i in range(3)] + [busy.ask("b0", "ben"), busy.ask("b1", "ben")]
    assert [busy.manager.get(job.id).ahead for job in asked] == [1, 3, 5, 2, 4]
    gate.set()
    for job in asked:
        busy.manager.wait(job.id, DEADLINE)
    assert busy.order == ["a0", "b0", "a1", "b1", "a2"]


def test_background_comes_after_everybody(gate):
    busy = Busy(gate)
    asked = [busy.ask("curves", "anna", background=True), busy.ask("b0", "ben"), busy.ask("a0", "anna")]
    gate.set()
    for job in asked:
        busy.manager.wait(job.id, DEADLINE)
    assert busy.order[-1] == "curves" and set(busy.order[:2]) == {"a0", "b0"}


def test_a_background_job_that_somebody_presses_for_comes_in_turn(gate):
    busy = Busy(gate)
    first = busy.ask("curves", "anna", background=True)
    other = busy.ask("b0", "ben", background=True)
    assert busy.ask("curves", "ben").id == first.id
    assert not busy.manager.get(first.id).background
    gate.set()
    busy.manager.wait(other.id, DEADLINE)
    assert busy.order == ["curves", "b0"]


def test_only_an_owner_cancels_and_the_last_one_ends_it(gate):
    busy = Busy(gate)
    job = busy.ask("shared", "anna")
    assert busy.ask("shared", "ben").id == job.id
    with pytest.raises(RequestError, match="asked for by somebody else"):
        busy.manager.cancel(job.id, "carla")
    left = busy.manager.cancel(job.id, "anna")
    assert left.state == "queued" and left.owners == {"ben"}
    assert [j.id for j in busy.manager.active(owner="ben")] == [job.id]
    assert busy.manager.active(owner="anna") == []
    assert busy.manager.cancel(job.id, "ben").state == "cancelled"


def test_whoever_finds_a_job_and_waits_for_it_joins_it(gate):
    busy = Busy(gate)
    job = busy.ask("shared", "anna", background=True)
    assert busy.manager.find("ask", "shared").owners == {"anna"}
    assert busy.manager.find("ask", "shared", "ben").owners == {"anna", "ben"}
    assert busy.manager.cancel(job.id, "anna").state == "queued"


def test_a_background_job_ends_when_nobody_looks(gate, monkeypatch):
    busy = Busy(gate)
    watched, left = busy.ask("watched", "anna", background=True), busy.ask("left", "anna", background=True)
    now = jobs.monotonic()
    monkeypatch.setattr(jobs, "monotonic", lambda: now + UNSEEN_SECONDS + 1)
    busy.manager.look(watched.id)
    busy.manager.get(left.id)  # a glance at a list keeps nothing going
    gate.set()
    assert busy.manager.wait(left.id, DEADLINE).state == "cancelled"
    assert busy.manager.wait(watched.id, DEADLINE).state == "done"
    assert busy.order == ["watched"]


def test_a_running_background_job_stops_at_its_next_report_when_nobody_looks(monkeypatch):
    manager, running = JobManager(), threading.Event()
    now = jobs.monotonic()

    def work(report):
        while True:
            report("measuring", 0.5)
            running.set()

    job = manager.submit("curves", "k", work, label="Curves", owner="anna", background=True)
    assert running.wait(DEADLINE) and manager.get(job.id).state == "running"
    monkeypatch.setattr(jobs, "monotonic", lambda: now + UNSEEN_SECONDS + 5)
    assert manager.wait(job.id, DEADLINE).state == "cancelled"


def test_what_is_kept_waits_for_no_turn(gate):
    busy = Busy(gate)
    job = busy.ask("answer", "anna", kept=lambda: "the answer")
    found = busy.manager.wait(job.id, DEADLINE)
    assert (found.state, found.result, found.fraction) == ("done", "the answer", 1.0)
    assert busy.order == []
    assert busy.manager.get(busy.holder.id).state == "running"


def panic():
    raise SystemExit("a library's panic")


@pytest.mark.parametrize("looks", [lambda: None, lambda: 1 / 0, panic])
def test_what_is_not_kept_is_computed_in_its_turn(gate, looks):
    busy = Busy(gate)
    job = busy.ask("answer", "anna", kept=looks)
    gate.set()
    assert busy.manager.wait(job.id, DEADLINE).state == "done"
    assert busy.order == ["answer"]


def test_an_owner_may_not_fill_the_queue(gate):
    busy = Busy(gate)
    for number in range(MOST_WAITING):
        assert busy.ask(f"a{number}", "anna").state == "queued"
    refused = busy.ask("one more", "anna")
    assert refused.state == "failed" and f"You have {MOST_WAITING} computations waiting" in refused.error
    assert busy.manager.get(refused.id).error == refused.error
    assert busy.ask("b0", "ben").state == "queued"
    assert busy.ask("curves", "anna", background=True).state == "queued"
