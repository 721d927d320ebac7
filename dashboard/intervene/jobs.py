"""The computations of the Intervene page as background jobs, and which of them this session shows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import streamlit as st

from dashboard import jobs, model_access, notices, selection, words
from fnet_core.errors import RequestError
from fnet_core.evaluation.yardstick import Yardstick
from fnet_core.interventions.edits import Edit, check_recipe
from fnet_core.jobs import Job, JobReport, manager
from fnet_core.models.loading import LoadedModel, get_loaded
from fnet_core.storage import artifacts

INTERVENTION, WRITING, DOSES, RANKING, BAKING = "intervention", "writing", "doses", "ranking", "baking"
_KINDS = (INTERVENTION, WRITING, DOSES, RANKING, BAKING)
_FOLLOWED = "intervene_jobs"
Gains = dict[int | str, float]


@dataclass(frozen=True)
class EditRequest:
    """What was asked for: the edits of a model and what to measure them by."""

    model: str
    atlas: str
    """The key of the atlas on the page."""
    gains: Gains
    """What the sliders say; empty when the edits come from a file."""
    edits: tuple[Edit, ...]
    recipe: dict[str, Any]
    threshold: float
    yardstick: Yardstick
    controls: int
    seed: int

    def key(self, *more: object) -> str:
        """The digest of all that decides the result, behind the atlas's key."""
        edits = [edit.to_dict() for edit in self.edits]
        content = [self.model, edits, self.yardstick.to_dict(), self.controls, self.seed, *more]
        return f"{self.atlas}:{artifacts.digest(content)}"


@dataclass(frozen=True)
class Outcome:
    """A result, or a running estimate of one, with what was asked; `value` is None until there is something."""

    request: EditRequest
    value: Any


Compute = Callable[[LoadedModel, JobReport, Callable[[Any], None]], Any]
"""From the loaded model, the report and a way to publish running results to the result."""


def submit(kind: str, request: EditRequest, compute: Compute, label: str, *more: object) -> None:
    """Queue the computation, or join the one under way for the same request, and follow it."""
    allowed = model_access.roots()

    def work(report: JobReport) -> Outcome:
        report.publish(Outcome(request, None))
        loaded = get_loaded(request.model, roots=allowed, report=report)
        check_recipe(loaded, request.recipe)
        value = compute(loaded, report, lambda value: report.publish(Outcome(request, value)))
        return Outcome(request, value)

    key = request.key(*more)
    job = manager().submit(kind, key, work, label=label, device=model_access.device())
    _followed()[kind] = job.id
    jobs.watch(job)


def current(kind: str, atlas: str) -> Job | None:
    """The job of this kind that the session shows, or one under way for anybody, on this atlas."""
    followed = _followed()
    named = _find(selection.current().job)
    if named and named.kind in _KINDS:
        followed.setdefault(named.kind, named.id)
    job = _find(followed.get(kind))
    if job and job.key.startswith(f"{atlas}:"):
        return job
    active = (job for job in manager().active(kind) if job.key.startswith(f"{atlas}:"))
    return next(active, None)


def outcome(job: Job | None) -> Outcome | None:
    """What the job has found, or has found so far."""
    found = job and (job.result or job.partial)
    return found if found and found.value is not None else None


def requested(atlas: str) -> EditRequest | None:
    """What the job in the address was asked for, so that a copied link restores the edits."""
    job = _find(selection.current().job)
    found = job and job.kind in _KINDS and (job.result or job.partial)
    return found.request if found and found.request.atlas == atlas else None


def _find(id: str | None) -> Job | None:
    try:
        return manager().get(id) if id else None
    except RequestError:
        return None


def _followed() -> dict[str, str]:
    return st.session_state.setdefault(_FOLLOWED, {})


def under_way(job: Job | None) -> bool:
    """Whether the job is queued or running."""
    return job is not None and job.state in jobs.ACTIVE


@st.fragment(run_every=0.7)
def live(id: str, draw: Callable[[Outcome], None]) -> None:
    """Progress, Cancel and the running result of a job; the whole page is drawn once more at its end."""
    job = manager().get(id)
    if not under_way(job):
        st.rerun()
    jobs.progress(job)
    if found := outcome(job):
        draw(found)


def ended(job: Job | None) -> None:
    """A sentence about a job that failed or was cancelled."""
    if job is None or under_way(job):
        return
    if job.state == "cancelled":
        notices.info(f"{job.label} was cancelled; what was measured is kept.", icon=":material/cancel:")
    else:
        jobs.show(job)


def label(doing: str, request: EditRequest) -> str:
    """What a job is called in progress lines: "Measuring 2 edits of smollm2-135m"."""
    return f"{doing} {words.count(len(request.edits), 'edit')} of {request.model}"
