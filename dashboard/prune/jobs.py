"""The computations of the Prune page as background jobs, and which of them this session shows.

What the slider asks for goes first: a job for another position is stopped, and the job that fills the curves gives
way and is queued again behind it. Nothing is lost by that, for every finished measurement is in the store.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import streamlit as st

from dashboard import jobs, model_access, notices, selection
from dashboard.prune import model as prune_model
from dashboard.prune.state import CURVE_RATIOS, PruneRequest
from fnet_core.errors import RequestError
from fnet_core.jobs import Job, JobReport, manager
from fnet_core.models.loading import LoadedModel, get_loaded
from fnet_core.progress import Report, silent
from fnet_core.pruning.masking import Pruning, prepare
from fnet_core.pruning.measuring import PruneResult, curves, measure_pruning, plan_for
from fnet_core.pruning.plan import PrunePlan
from fnet_core.pruning.scores import find_scores

SCORING, MEASURING, CURVES = "prune-scoring", "prune-measuring", "prune-curves"
SPEED, WRITING, EXPORT = "prune-speed", "prune-writing", "prune-export"
KINDS = (SCORING, MEASURING, CURVES, SPEED, WRITING, EXPORT, prune_model.OPENING)
_ASKED = (SPEED, WRITING, EXPORT)
"""Kinds that a button starts and whose results this session keeps on the page."""
_FOLLOWED, _LAST, _REDRAWN = "prune_jobs_followed", "prune_jobs_last", "prune_jobs_redrawn"


@dataclass(frozen=True)
class Outcome:
    """A result, or a running part of one, with what was asked; `value` is None until there is something."""

    request: PruneRequest
    value: Any


Compute = Callable[[LoadedModel, JobReport, Callable[[Any], None]], Any]
"""From the loaded model, the report and a way to publish running results to the result."""


def _submit(kind: str, key: str, label: str, request: PruneRequest, compute: Compute) -> Job:
    allowed = model_access.roots()

    def work(report: JobReport) -> Outcome:
        report.publish(Outcome(request, None))
        loaded = get_loaded(request.model, roots=allowed, report=report)
        value = compute(loaded, report, lambda value: report.publish(Outcome(request, value)))
        return Outcome(request, value)

    job = manager().submit(kind, key, work, label=label, device=model_access.device())
    _last()[kind] = job.id
    return job


def score(request: PruneRequest, methods: list[str]) -> None:
    """Score all neurons by these methods."""

    def compute(loaded: LoadedModel, report: JobReport, publish) -> None:
        find_scores(loaded, methods, request.score_request(), report)

    give_way()
    label = "Scoring the neurons"
    _submit(SCORING, request.scores_key(), label, request, compute)


def measure(request: PruneRequest) -> Job:
    """Measure the perplexity at the slider's position, before anything else of this session."""
    give_way()

    def compute(loaded: LoadedModel, report: JobReport, publish: Callable[[PruneResult], None]) -> PruneResult:
        return measure_pruning(loaded, prepared(loaded, request, report), request.yardstick, report, publish)

    label = f"Measuring at {request.amount}"
    return _submit(MEASURING, request.key(), label, request, compute)


def plan_of(loaded: LoadedModel, request: PruneRequest, report: Report = silent) -> PrunePlan:
    """The plan that a request asks for, its scores from the store or computed."""
    return plan_for(
        loaded, request.method, request.ratio, request.settings, request.scores, report, threshold=request.threshold
    )


def prepared(loaded: LoadedModel, request: PruneRequest, report: JobReport) -> Pruning:
    """The pruning that a request asks for, its scores from the store or computed."""
    plan = plan_of(loaded, request, report)
    return prepare(loaded, plan, request.settings.compensation, request.scores, report)


def fill_curves(request: PruneRequest, methods: list[str]) -> Job:
    """Measure what the curves of these methods lack, in the background."""

    nearest_first = tuple(sorted(CURVE_RATIOS, key=lambda r: abs(r - (request.ratio or 0.0))))
    settings = request.with_ratios(nearest_first)

    def compute(loaded: LoadedModel, report: JobReport, publish) -> Any:
        return curves(loaded, methods, settings, request.scores, request.yardstick, report, publish)

    return _submit(CURVES, curves_key(request, methods), "Filling the curves", request, compute)


def curves_key(request: PruneRequest, methods: list[str]) -> str:
    """What jobs that fill curves are shared by."""
    return f"{request.measure_key()}:{','.join(methods)}"


def ask(kind: str, request: PruneRequest, compute: Compute, label: str, *more: object) -> None:
    """Start what a button asks for, follow it in the session and in the address."""
    give_way()
    job = _submit(kind, request.key(*more), label, request, compute)
    _followed()[kind] = job.id
    jobs.watch(job)


def stop_outdated(request: PruneRequest, methods: list[str]) -> None:
    """Stop what this session still measures for other controls, so that nothing waits behind it."""
    for kind, key in ((MEASURING, request.key()), (CURVES, curves_key(request, methods))):
        if under_way(job := last(kind)) and job.key != key:
            manager().cancel(job.id)


def give_way() -> None:
    """Stop the curves for now; the page queues them again behind what comes."""
    if under_way(job := last(CURVES)):
        manager().cancel(job.id)


def find(kind: str, key: str) -> Job | None:
    """The job under way that answers this, whoever asked for it, or the last one of this session if it answers it."""
    job = manager().find(kind, key)
    if job:
        _last()[kind] = job.id
        return job
    job = last(kind)
    return job if job and job.key == key else None


def last(kind: str) -> Job | None:
    """The last job of this kind that the session has seen."""
    return _get(_last().get(kind))


def asked(kind: str, model: str) -> Job | None:
    """The job of this kind that a button started: in this session, or the one in the address."""
    followed = _followed()
    named = _get(selection.current().job)
    if named and named.kind in _ASKED:
        followed.setdefault(named.kind, named.id)
    job = _get(followed.get(kind))
    found = job and (job.result or job.partial)
    return None if job is None or (found and found.request.model != model) else job


def outcome(job: Job | None) -> Outcome | None:
    """What the job has found, or has found so far."""
    found = job and (job.result or job.partial)
    return found if found and found.value is not None else None


def under_way(job: Job | None) -> bool:
    """Whether the job is queued or running."""
    return job is not None and job.state in jobs.ACTIVE


def draw_again(job: Job | None) -> None:
    """Draw the page once more when a job ended well after the page had looked into the store."""
    redrawn: set[str] = st.session_state.setdefault(_REDRAWN, set())
    if job and job.state == "done" and job.id not in redrawn:
        redrawn.add(job.id)
        st.rerun()


def show(job: Job | None, draw: Callable[[Outcome], None]) -> None:
    """A job that a button started: live, or its result, or a sentence."""
    if under_way(job):
        _live(job.id, draw)
    elif job and job.state == "cancelled":
        notices.info(f"{job.label} was cancelled.", icon=":material/cancel:")
    elif job and job.state == "failed":
        jobs.show(job)
    elif found := outcome(job):
        draw(found)


@st.fragment(run_every=0.7)
def _live(id: str, draw: Callable[[Outcome], None]) -> None:
    job = manager().get(id)
    if not under_way(job):
        st.rerun()
    jobs.progress(job)
    if found := outcome(job):
        draw(found)


def _get(id: str | None) -> Job | None:
    try:
        return manager().get(id) if id else None
    except RequestError:
        return None


def _followed() -> dict[str, str]:
    return st.session_state.setdefault(_FOLLOWED, {})


def _last() -> dict[str, str]:
    return st.session_state.setdefault(_LAST, {})
