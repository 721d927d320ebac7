"""Background jobs: one queue and one thread per device, with progress, time left and cancel.

Several people share the queues. Each job knows who asked for it: turns go round between them, one of them alone cannot
end what another waits for too, and what a page measures by itself comes after what a person asked for and ends when
nobody looks any more. What may be on disk is looked for at once, beside the queues.
"""

import logging
import secrets
import threading
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any, Literal

from fnet_core.errors import Cancelled, RequestError, ran_out_of_memory
from fnet_core.time_left import Pace, Stages

JobState = Literal["queued", "running", "done", "failed", "cancelled"]
Work = Callable[["JobReport"], Any]
"""A computation that reports where it is and returns something small: a path or a key, never a tensor."""

MOST_WAITING = 20
"""The most jobs of one owner that may wait for their turn."""
UNSEEN_SECONDS = 180.0
"""A background job that no page has asked about for so long is ended; browsers let a hidden page ask once a minute."""
_STORE = "the store"
"""The lane in which kept answers are looked for."""
_FINISHED_KEPT = 100
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
    """Of the whole job, 0 to 1, and it never falls; None until the job is done if it came without stages."""
    stage_fraction: float | None = None
    seconds: float = 0.0
    """Spent running so far."""
    seconds_left: float | None = None
    """Estimated; None while unknown."""
    owners: frozenset[str] = frozenset()
    """Those who asked for it and still want it."""
    background: bool = False
    """Nobody pressed a button for it."""
    ahead: int = 0
    """How many jobs come before it on its device, a running one included; 0 once it runs."""
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
        self._queues: dict[str, list[_Record]] = {}
        self._running: dict[str, _Record] = {}
        self._turns: dict[str, int] = {}
        """When each owner last had a turn, counted in turns."""
        self._finished: deque[_Record] = deque()

    def submit(
        self,
        kind: str,
        key: str,
        work: Work,
        *,
        label: str,
        device: str = "cpu",
        stages: Stages | None = None,
        owner: str = "",
        background: bool = False,
        kept: Callable[[], Any] | None = None,
    ) -> Job:
        """Queue `work` on its device for `owner`, or join the job that already answers the same kind and key.

        `stages` gives the stages in order, each with its share of the time in any unit. `kept` looks for an answer on
        disk, in a moment and without waiting for a turn; what it finds, other than None, ends the job. A named
        owner with MOST_WAITING jobs in the queues gets one that has failed and says so.
        """
        with self._changed:
            record = self._shared.get((kind, key))
            if record is not None:
                record.join(owner, background)
                return self._snapshot(record)
            job = Job(secrets.token_hex(8), key, kind, label, device, owners=frozenset([owner]), background=background)
            record = _Record(job, work, Pace(stages) if stages else None, kept)
            self._records[job.id] = self._shared[kind, key] = record
            if owner and not background and self._waiting(owner) >= MOST_WAITING:
                self._finish(
                    record,
                    state="failed",
                    error=f"You have {MOST_WAITING} computations waiting; let one end, or cancel one, and ask again.",
                )
            else:
                self._enqueue(record, _STORE if kept else device)
            return self._snapshot(record)

    def get(self, id: str) -> Job:
        """The job as it is now; `RequestError` for an unknown or long forgotten id."""
        with self._changed:
            return self._snapshot(self._record(id))

    def look(self, id: str) -> Job:
        """As `get`, by somebody who waits for it: a background job goes on only while it is looked at."""
        with self._changed:
            record = self._record(id)
            record.seen = monotonic()
            return self._snapshot(record)

    def find(self, kind: str, key: str, owner: str | None = None) -> Job | None:
        """The queued or running job that a request for this kind and key would share; `owner` joins it if given."""
        with self._changed:
            record = self._shared.get((kind, key))
            if record is not None and owner is not None:
                record.join(owner, background=True)
            return self._snapshot(record) if record else None

    def active(self, kind: str | None = None, owner: str | None = None) -> list[Job]:
        """The queued and running jobs, of one kind and one owner if given, in the order they were asked for."""
        with self._changed:
            jobs = [self._snapshot(record) for record in self._records.values() if record.under_way]
        return [job for job in jobs if kind in (None, job.kind) and (owner is None or owner in job.owners)]

    def recent(self) -> list[Job]:
        """The last finished jobs, newest first."""
        with self._changed:
            return [self._snapshot(record) for record in reversed(self._finished)]

    def cancel(self, id: str, owner: str | None = None) -> Job:
        """Drop a queued job, or make a running one stop at its next report (stage `stopping` until then).

        With `owner` the job ends only if no other owner wants it; RequestError for a job of others. Without, it ends.
        """
        with self._changed:
            record = self._record(id)
            if owner is not None and record.under_way:
                if owner not in record.job.owners:
                    raise RequestError("This computation was asked for by somebody else, who alone can cancel it.")
                if len(record.job.owners) > 1:
                    record.change(owners=record.job.owners - {owner})
                    return self._snapshot(record)
            if record.job.state == "queued":
                self._queues[record.lane].remove(record)
                self._finish(record, state="cancelled")
            elif record.job.state == "running":
                record.cancelling = True
                record.change(stage="stopping", stage_fraction=None)
                self._stop_sharing(record)
            return self._snapshot(record)

    def wait(self, id: str, timeout: float | None = None) -> Job:
        """The job once it has ended, or as it is after `timeout` seconds."""
        with self._changed:
            record = self._record(id)
            self._changed.wait_for(lambda: not record.under_way, timeout)
            return self._snapshot(record)

    def _record(self, id: str) -> "_Record":
        if id not in self._records:
            raise RequestError(f"There is no job {id!r} any more; ask for its result again.")
        return self._records[id]

    def _snapshot(self, record: "_Record") -> Job:
        job = record.snapshot()
        if job.state != "queued":
            return job
        before = self._order(record.lane).index(record)
        return replace(job, ahead=before + (record.lane in self._running))

    def _waiting(self, owner: str) -> int:
        return sum(
            owner in record.job.owners and not record.job.background
            for queue in self._queues.values()
            for record in queue
        )

    def _enqueue(self, record: "_Record", lane: str) -> None:
        record.lane = lane
        if lane not in self._queues:
            self._queues[lane] = []
            threading.Thread(target=self._serve, args=(lane,), name=f"jobs-{lane}", daemon=True).start()
        self._queues[lane].append(record)
        self._changed.notify_all()

    def _order(self, lane: str) -> "list[_Record]":
        """The queue as it will be worked off: people before background, the owner who waits longest first."""
        left, order, turns = list(self._queues[lane]), [], dict(self._turns)
        while left:
            record = min(left, key=lambda r: (r.job.background, min(turns.get(o, 0) for o in r.job.owners)))
            left.remove(record)
            order.append(record)
            _take_turn(turns, record)
        return order

    def _serve(self, lane: str) -> None:
        queue = self._queues[lane]
        while True:
            with self._changed:
                self._changed.wait_for(lambda: queue)
                record = self._order(lane)[0]
                queue.remove(record)
                if record.forgotten:
                    self._finish(record, state="cancelled")
                    continue
                if lane != _STORE:
                    _take_turn(self._turns, record)
                self._running[lane] = record
                record.start()
            if lane == _STORE:
                self._look_for(record)
            else:
                self._run(record)
            with self._changed:
                del self._running[lane]

    def _look_for(self, record: "_Record") -> None:
        """End a job with its kept answer, or queue it on its device; why there is none is for the work to tell."""
        assert record.kept is not None
        try:
            answer = record.kept()
        except BaseException:  # a library's panic is no Exception, and this lane serves everybody
            _log.debug("Nothing is kept for %s", record.job.label, exc_info=True)
            answer = None
        with self._changed:
            if answer is not None:
                self._finish(record, state="done", result=answer, fraction=1.0, stage_fraction=1.0)
            elif record.cancelling:
                self._finish(record, state="cancelled")
            else:
                record.change(state="queued", stage="")
                self._enqueue(record, record.job.device)

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
        record.work = record.kept = None
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
        if self._record.cancelling or self._record.forgotten or self._record.job.state != "running":
            raise Cancelled


class _Record:
    """A job as the manager changes it, always under the manager's lock."""

    def __init__(self, job: Job, work: Work, pace: Pace | None, kept: Callable[[], Any] | None = None) -> None:
        self.job = job
        self.work: Work | None = work
        self.kept = kept
        self.cancelling = False
        self.lane = job.device
        """The queue that it stands in, or stood in last."""
        self.seen = monotonic()
        self._pace = pace
        self._started = 0.0

    @property
    def under_way(self) -> bool:
        return self.job.state in ("queued", "running")

    @property
    def forgotten(self) -> bool:
        """Whether nobody looks at this background job any more."""
        return self.job.background and monotonic() - self.seen > UNSEEN_SECONDS

    def join(self, owner: str, background: bool) -> None:
        """One more who wants it; a person's wish makes it a person's job."""
        self.change(owners=self.job.owners | {owner}, background=self.job.background and background)
        self.seen = monotonic()

    def start(self) -> None:
        self._started = monotonic()
        if self._pace:
            self._pace.begin(self._started)
        self.change(state="running")

    def progress_to(self, stage: str, fraction: float) -> None:
        fraction = min(1.0, max(0.0, fraction))
        self.change(stage=stage, stage_fraction=fraction)
        if self._pace:
            self._pace.update(stage, fraction, monotonic())
            self.change(fraction=self._pace.fraction)

    def change(self, **fields: Any) -> None:
        self.job = replace(self.job, **fields)

    def snapshot(self) -> Job:
        if self.job.state != "running":
            return self.job
        now = monotonic()
        left = self._pace.seconds_left(now) if self._pace else None
        return replace(self.job, seconds=now - self._started, seconds_left=left)


def _take_turn(turns: dict[str, int], record: _Record) -> None:
    """Note that the job's owners have their turn now."""
    now = 1 + max(turns.values(), default=0)
    turns.update(dict.fromkeys(record.job.owners, now))


def _sentence(job: Job, error: BaseException) -> str:
    """What to tell the person about an unexpected failure."""
    if ran_out_of_memory(error):
        return f"{job.label} ran out of memory on {job.device}; free some memory or choose a smaller model."
    first_line = next(iter(str(error).strip().splitlines()), "")
    kind = type(error).__name__
    return f"Something went wrong in {job.label}: {kind}" + (f": {first_line}" if first_line else "")


_MANAGER = JobManager()
