"""A task on a worker: it says where it is, ends when nobody wants it any more, and tells why it failed."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from time import monotonic
from typing import Any

from fnet_core.errors import Cancelled, RequestError
from fnet_core.progress import Report

TOLD_SECONDS = 0.2
"""At least so long passes between two reports of one stage that are sent."""


class WorkFailed(RuntimeError):
    """Something went wrong on a worker; the message is the sentence for people."""


@dataclass(frozen=True)
class Answer:
    """What came of one task."""

    value: Any = None
    why: str = ""
    """Why there is no value, in a sentence; empty where there is one."""
    refused: bool = False
    """Whether the request could not be met, rather than something having gone wrong."""

    def result(self) -> Any:
        """The value; RequestError where the request could not be met, WorkFailed where something went wrong."""
        if self.why:
            raise RequestError(self.why) if self.refused else WorkFailed(self.why)
        return self.value


def perform(where: str, call: Sequence[Any], topic: str, number: int) -> Answer:
    """`function(*call, report)` on the worker that this runs on; its reports are sent under `topic` with `number`.

    The function is named, as module:function, so that the scheduler, which opens what it passes on, loads none of its
    libraries. Raises Cancelled once the scheduler has let go of the task, as it does when its caller cancels it or is
    gone.
    """
    report = _reporting(topic, number)
    report("starting", 0.0)
    try:
        module, _, name = where.partition(":")
        value = getattr(import_module(module), name)(*call, report)
    except Cancelled:
        raise
    except RequestError as error:
        return Answer(why=str(error), refused=True)
    except Exception as error:
        return Answer(why=went_wrong(error))
    report("done", 1.0)
    return Answer(value)


def went_wrong(error: BaseException) -> str:
    """What to say of an unexpected failure, in one line."""
    first = next(iter(str(error).strip().splitlines()), "")
    return f"It failed while running: {type(error).__name__}: {first}"


def _reporting(topic: str, number: int) -> Report:
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()
    told_stage, told_at = "", 0.0

    def report(stage: str, fraction: float) -> None:
        nonlocal told_stage, told_at
        task = worker.state.tasks.get(key)
        if task is None or task.state == "cancelled" or worker.status.name in ("closing", "closed", "failed"):
            raise Cancelled
        now = monotonic()
        if stage != told_stage or now - told_at >= TOLD_SECONDS:
            told_stage, told_at = stage, now
            worker.log_event(topic, (number, stage, float(fraction)))

    return report
