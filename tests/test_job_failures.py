"""Jobs that fail: one sentence, a logged traceback, and nothing that stays behind."""

import gc
import logging
import weakref

import pytest
from support.waiting import DEADLINE

from fnet_core.errors import RequestError
from fnet_core.jobs import JobManager


def test_request_errors_are_shown_as_they_are(caplog):
    manager = JobManager()

    def work(report):
        raise RequestError("40 components need at least 40 tokens; add text or ask for fewer.")

    with caplog.at_level(logging.ERROR):
        job = manager.wait(manager.submit("x", "k", work, label="x").id, DEADLINE)
    assert job.state == "failed"
    assert job.error == "40 components need at least 40 tokens; add text or ask for fewer."
    assert job.error_detail is None
    assert caplog.records == []


class OutOfMemoryError(RuntimeError):
    """Named like torch's."""


@pytest.mark.parametrize(
    ("raised", "sentence"),
    [
        (KeyError("maps"), "Something went wrong in Find networks: KeyError: 'maps'"),
        (
            RuntimeError("shapes differ\nlong\nstory"),
            "Something went wrong in Find networks: RuntimeError: shapes differ",
        ),
        (ZeroDivisionError(), "Something went wrong in Find networks: ZeroDivisionError"),
        (SystemExit(3), "Something went wrong in Find networks: SystemExit: 3"),
        (
            MemoryError(),
            "Find networks ran out of memory on cuda:0; free some memory or choose a smaller model.",
        ),
        (
            OutOfMemoryError("CUDA out of memory"),
            "Find networks ran out of memory on cuda:0; free some memory or choose a smaller model.",
        ),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory"),
            "Find networks ran out of memory on cuda:0; free some memory or choose a smaller model.",
        ),
    ],
)
def test_unexpected_failures_are_one_sentence_and_a_logged_traceback(raised, sentence, caplog):
    manager = JobManager()

    def failing_work(report):
        raise raised

    with caplog.at_level(logging.ERROR):
        asked = manager.submit("x", "k", failing_work, label="Find networks", device="cuda:0")
        job = manager.wait(asked.id, DEADLINE)
    assert (job.state, job.error) == ("failed", sentence)
    assert "in failing_work" in job.error_detail
    assert job.error_detail in caplog.text
    after = manager.submit("x", "k2", lambda report: "still serving", label="x", device="cuda:0")
    assert manager.wait(after.id, DEADLINE).result == "still serving"


@pytest.mark.parametrize("fails", [False, True])
def test_a_finished_job_lets_go_of_what_its_work_held(fails):
    class Model:
        pass

    def submit() -> tuple[str, weakref.ref]:
        model = Model()

        def work(report):
            report("using", 0.5)
            if fails:
                raise RuntimeError(f"{model} broke")
            return str(model)

        return manager.submit("x", "k", work, label="x").id, weakref.ref(model)

    manager = JobManager()
    id, model = submit()
    manager.wait(id, DEADLINE)
    manager.wait(manager.submit("x", "next", lambda report: None, label="x").id, DEADLINE)
    gc.collect()
    assert model() is None


def test_only_the_last_finished_jobs_are_kept():
    manager = JobManager()
    ids = [manager.submit("x", str(number), lambda report: None, label="x").id for number in range(103)]
    manager.wait(ids[-1], DEADLINE)
    assert [job.id for job in manager.recent()] == ids[:2:-1]
    with pytest.raises(RequestError):
        manager.get(ids[2])
    assert manager.get(ids[3]).state == "done"
