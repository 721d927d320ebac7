"""Background jobs: one queue and one thread per device, with progress, time left and cancel."""

import logging
import secrets
import threading
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any, Literal

from fnet_core.errors import Cancelled, RequestError

JobState = Literal["queued", "running", "done", "failed", "cancelled"]
Work = Callable[["JobReport"], Any]
"""A computation that reports where it is and returns something small: a path or a key, never a tensor."""

_FINISHED_KEPT = 100
_FRACTION_FOR_ESTIMATE = 0.02
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """What is known about a job at one moment."""

    id: str
    key: str
    kind: str
    label: str
    device: str
    state: JobState = "queued"
    stage: str = ""
    fraction: float | None = None
    """Of the whole job, 0 to 1; of the current stage if the job came without the stages' weights."""
    stage_fraction: float | None = None
    seconds: float = 0.0
    """Spent running so far."""
    seconds_left: float | None = None
    """Estimated for what `fraction` measures; None while unknown."""
    partial: Any = None
    """The last value that the work published on its way: a running estimate, say."""
    result: Any = None
    error: str | None = None
    """One sentence for the person who asked."""
    error_detail: str | None = None
    """The traceback, of an unexpected failure only."""


class JobManager:
    """Runs jobs one after the other on each device, different devices at the same time."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        """The one lock; notified when a job is queued or ends."""
        self._records: dict[str, _Record] = {}
        self._shared: dict[tuple[str, str], _Record] = {}
        self._queues: dict[str, deque[_Record]] = {}
        self._finished: deque[_Record] = deque()

    def submit(
        self,
        kind: str,
        key: str,
        work: Work,
        *,
        label: str,
        device: str = "cpu",
        stages: dict[str, float] | None = None,
    ) -> Job:
        """Queue `work` on its device, or return the job that already answers the same kind and key.

        `stages` gives the stages in order, each with its share of the time in any unit.
        """
        with self._changed:
            record = self._shared.get((kind, key))
            if record is None:
                job = Job(secrets.token_hex(8), key, kind, label, device)
                record = _Record(job, work, _Progress(_spans(stages or {})))
                self._records[job.id] = self._shared[kind, key] = record
                self._queue(device).append(record)
                self._changed.notify_all()
            return record.snapshot()

    def get(self, id: str) -> Job:
        """The job as it is now; `RequestError` for an unknown or long forgotten id."""
        with self._changed:
            return self._record(id).snapshot()

    def find(self, kind: str, key: str) -> Job | None:
        """The queued or running job that a request for this kind and key would share."""
        with self._changed:
            record = self._shared.get((kind, key))
            return record.snapshot() if record else None

    def active(self, kind: str | None = None) -> list[Job]:
        """The queued and running jobs, of one kind if given, in the order they were asked for."""
        with self._changed:
            jobs = [record.snapshot() for record in self._records.values()]
        return [job for job in jobs if job.state in ("queued", "running") and kind in (None, job.kind)]

    def recent(self) -> list[Job]:
        """The last finished jobs, newest first."""
        with self._changed:
            return [record.snapshot() for record in reversed(self._finished)]

    def cancel(self, id: str) -> Job:
        """Drop a queued job, or make a running one stop at its next report (stage `stopping` until then)."""
        with self._changed:
            record = self._record(id)
            if record.job.state == "queued":
                self._queues[record.job.device].remove(record)
                self._finish(record, state="cancelled")
            elif record.job.state == "running":
                record.cancelling = True
                record.change(stage="stopping", stage_fraction=None)
                self._stop_sharing(record)
            return record.snapshot()

    def wait(self, id: str, timeout: float | None = None) -> Job:
        """The job once it has ended, or as it is after `timeout` seconds."""
        with self._changed:
            record = self._record(id)
            self._changed.wait_for(lambda: record.job.state not in ("queued", "running"), timeout)
            return record.snapshot()

    def _record(self, id: str) -> "_Record":
        if id not in self._records:
            raise RequestError(f"There is no job {id!r} any more; ask for its result again.")
        return self._records[id]

    def _queue(self, device: str) -> deque["_Record"]:
        if device not in self._queues:
            self._queues[device] = deque()
            threading.Thread(target=self._serve, args=(device,), name=f"jobs-{device}", daemon=True).start()
        return self._queues[device]

    def _serve(self, device: str) -> None:
        queue = self._queues[device]
        while True:
            with self._changed:
                self._changed.wait_for(lambda: queue)
                record = queue.popleft()
                record.start()
            self._run(record)

    def _run(self, record: "_Record") -> None:
        assert record.work is not None
        try:
            result = record.work(JobReport(self._changed, record))
            outcome = {"state": "done", "result": result, "fraction": 1.0, "stage_fraction": 1.0}
        except Cancelled:
            outcome = {"state": "cancelled"}
        except RequestError as error:
            outcome = {"state": "failed", "error": str(error)}
        except BaseException as error:
            detail = traceback.format_exc()
            outcome = {"state": "failed", "error": _sentence(record.job, error), "error_detail": detail}
            _log.error("Job %s (%s) failed\n%s", record.job.id, record.job.label, detail)
        with self._changed:
            self._finish(record, **outcome)

    def _finish(self, record: "_Record", **outcome: Any) -> None:
        """Close a job and let go of its work, with the models and arrays that it holds."""
        record.work = None
        record.change(**{"seconds": record.snapshot().seconds, **outcome})
        self._stop_sharing(record)
        self._finished.append(record)
        if len(self._finished) > _FINISHED_KEPT:
            del self._records[self._finished.popleft().job.id]
        self._changed.notify_all()

    def _stop_sharing(self, record: "_Record") -> None:
        name = (record.job.kind, record.job.key)
        if self._shared.get(name) is record:
            del self._shared[name]


def manager() -> JobManager:
    """The process's one manager, which outlives page reruns and sessions."""
    return _MANAGER


class JobReport:
    """What a job's work is called with: a `Report`, and a way to show what it has so far."""

    def __init__(self, lock: threading.Condition, record: "_Record") -> None:
        self._lock = lock
        self._record = record

    def __call__(self, stage: str, fraction: float) -> None:
        """Say where the work is; raises `Cancelled` once it should stop."""
        with self._lock:
            self._go_on()
            self._record.progress_to(stage, fraction)

    def publish(self, value: Any) -> None:
        """Show a frozen intermediate result as the job's `partial`; raises `Cancelled` once it should stop."""
        with self._lock:
            self._go_on()
            self._record.change(partial=value)

    def _go_on(self) -> None:
        if self._record.cancelling or self._record.job.state != "running":
            raise Cancelled


class _Progress:
    """Turns reports into a fraction of the whole job and the time left; all times are clock seconds."""

    def __init__(self, spans: dict[str, tuple[float, float]]) -> None:
        self.spans = spans
        self.fraction: float | None = None
        self._stage = ""
        self._began = 0.0
        self._skipped: float | None = None
        """What was done before `_began`, for instance loaded from disk: it says nothing about the speed."""
        self._estimate: tuple[float, float] | None = None
        """(seconds left, when that was known)."""

    def begin(self, now: float) -> None:
        self._began = now

    def update(self, stage: str, fraction: float, now: float) -> None:
        start, share = self.spans.get(stage, (self.fraction or 0.0, 0.0)) if self.spans else (0.0, 1.0)
        if not self.spans and self._stage and stage != self._stage:
            self._began, self._skipped, self.fraction = now, fraction, None
        if self._skipped is None:
            self._skipped = start
        self._stage = stage
        self.fraction = max(self.fraction or 0.0, min(1.0, start + share * fraction))
        worked = self.fraction - self._skipped
        if worked >= _FRACTION_FOR_ESTIMATE:
            self._estimate = ((now - self._began) * (1.0 - self.fraction) / worked, now)
        else:
            self._estimate = None

    def seconds_left(self, now: float) -> float | None:
        if self._estimate is None:
            return None
        left, known = self._estimate
        return max(0.0, left - (now - known))


class _Record:
    """A job as the manager changes it, always under the manager's lock."""

    def __init__(self, job: Job, work: Work, progress: _Progress) -> None:
        self.job = job
        self.work: Work | None = work
        self.cancelling = False
        self._progress = progress
        self._started = 0.0

    def start(self) -> None:
        self._started = monotonic()
        self._progress.begin(self._started)
        self.change(state="running")

    def progress_to(self, stage: str, fraction: float) -> None:
        fraction = min(1.0, max(0.0, fraction))
        self._progress.update(stage, fraction, monotonic())
        self.change(stage=stage, stage_fraction=fraction, fraction=self._progress.fraction)

    def change(self, **fields: Any) -> None:
        self.job = replace(self.job, **fields)

    def snapshot(self) -> Job:
        if self.job.state != "running":
            return self.job
        now = monotonic()
        return replace(self.job, seconds=now - self._started, seconds_left=self._progress.seconds_left(now))


def _spans(weights: dict[str, float]) -> dict[str, tuple[float, float]]:
    """Where each stage starts in the whole job and how much of it it is, both 0 to 1."""
    total = sum(weights.values())
    assert not weights or (total > 0 and min(weights.values()) >= 0), f"weights of stages: {weights}"
    spans, start = {}, 0.0
    for stage, weight in weights.items():
        spans[stage] = (start, weight / total)
        start += weight / total
    return spans


def _sentence(job: Job, error: BaseException) -> str:
    """What to tell the person about an unexpected failure; torch's memory errors are known by name alone."""
    names = {base.__name__ for base in type(error).__mro__}
    if names & {"MemoryError", "OutOfMemoryError"} or "DefaultCPUAllocator" in str(error):
        return f"{job.label} ran out of memory on {job.device}; free some memory or choose a smaller model."
    first_line = next(iter(str(error).strip().splitlines()), "")
    kind = type(error).__name__
    return f"Something went wrong in {job.label}: {kind}" + (f": {first_line}" if first_line else "")


_MANAGER = JobManager()
