"""The computations of the Prune page as background jobs, and which of them this session shows.

What the slider asks for goes first: a job for another position is stopped, and the job that fills the curves gives
way and is queued again behind it. Nothing is lost by that, for every finished measurement is in the store.
"""

from collections.abc import Callable
from typing import Any

import streamlit as st

from dashboard import jobs, owner
from dashboard.jobs import Compute, Outcome
from dashboard.prune.model import OPENING
from dashboard.prune.state import CURVE_RATIOS, PruneRequest
from fnet_core.jobs import Job, JobReport, manager
from fnet_core.models.loading import LoadedModel
from fnet_core.pruning.curves import curves
from fnet_core.pruning.masking import Pruning, prepare
from fnet_core.pruning.measuring import PruneResult, measure_pruning
from fnet_core.pruning.plan import plan_for
from fnet_core.pruning.scores import find_scores
from fnet_core.time_left import PREPARING

SCORING, MEASURING, CURVES = "prune-scoring", "prune-measuring", "prune-curves"
SPEED, WRITING, EXPORT = "prune-speed", "prune-writing", "prune-export"
CAPABILITIES = "prune-capabilities"
TARGET, RECOVERY = "prune-target", "prune-recovery"
_STAGES = {
    SCORING: PREPARING,
    MEASURING: PREPARING | {"measuring": 8.0},
    CURVES: PREPARING | {"measuring": 100.0},
    SPEED: PREPARING | {"cutting": 0.2, "timing": 8.0},
    WRITING: PREPARING | {"writing": 8.0},
    CAPABILITIES: PREPARING | {"asking": 20.0},
    EXPORT: PREPARING | {"measuring": 8.0, "cutting": 0.2, "saving": 2.0},
    TARGET: PREPARING | {"measuring": 40.0, "timing": 10.0},
    RECOVERY: PREPARING | {"measuring": 8.0, "cutting": 0.2, "training": 60.0, "saving": 2.0},
}
KINDS = (*_STAGES, OPENING)
_REDRAWN = "prune_jobs_redrawn"


def _submit(kind: str, key: str, label: str, request: PruneRequest, compute: Compute, background: bool = False) -> Job:
    job = jobs.submit(kind, key, request, compute, label, stages=_STAGES[kind], background=background)
    jobs.remember(job)
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


def prepared(loaded: LoadedModel, request: PruneRequest, report: JobReport) -> Pruning:
    """The pruning that a request asks for, its scores from the store or computed."""
    plan = plan_for(loaded, request.plan, request.scores, report)
    return prepare(loaded, plan, request.plan.compensation, request.scores, report)


def fill_curves(request: PruneRequest, methods: list[str]) -> Job:
    """Measure what the curves of these methods lack, in the background."""

    nearest_first = sorted(CURVE_RATIOS, key=lambda r: abs(r - (request.plan.ratio or 0.0)))

    def compute(loaded: LoadedModel, report: JobReport, publish) -> Any:
        settings = (nearest_first, request.plan, request.scores, request.yardstick)
        return curves(loaded, methods, *settings, report, publish)

    return _submit(CURVES, curves_key(request, methods), "Filling the curves", request, compute, background=True)


def curves_key(request: PruneRequest, methods: list[str]) -> str:
    """What jobs that fill curves are shared by."""
    return f"{request.measure_key()}:{','.join(methods)}"


def ask(kind: str, request: PruneRequest, compute: Compute, label: str, *more: object) -> None:
    """Start what a button asks for, follow it in the session and in the address."""
    give_way()
    jobs.watch(_submit(kind, request.key(*more), label, request, compute))


def search(request: PruneRequest, key: str, compute: Compute, label: str) -> None:
    """Start looking for the ratio that reaches the target of this key."""
    give_way()
    jobs.watch(_submit(TARGET, key, label, request, compute))


def stop_outdated(request: PruneRequest, methods: list[str]) -> None:
    """Stop what this session still measures for other controls, so that nothing waits behind it."""
    for kind, key in ((MEASURING, request.key()), (CURVES, curves_key(request, methods))):
        if jobs.under_way(job := jobs.remembered(kind)) and job.key != key:
            jobs.cancel(job.id)


def give_way() -> None:
    """Stop the curves for now; the page queues them again behind what comes."""
    if jobs.under_way(job := jobs.remembered(CURVES)):
        jobs.cancel(job.id)


def find(kind: str, key: str) -> Job | None:
    """The job under way that answers this, whoever asked for it, or the last one of this session if it answers it."""
    job = manager().find(kind, key, owner.current())
    if job:
        jobs.remember(job)
        return job
    job = jobs.remembered(kind)
    return job if job and job.key == key else None


def asked(kind: str, model: str) -> Job | None:
    """The job of this kind that a button started: in this session, or the one in the address."""
    job = jobs.remembered(kind)
    request = jobs.request_of(job)
    return None if request and request.model != model else job


def draw_again(job: Job | None) -> None:
    """Draw the page once more when a job ended well after the page had looked into the store."""
    redrawn: set[str] = st.session_state.setdefault(_REDRAWN, set())
    if job and job.state == "done" and job.id not in redrawn:
        redrawn.add(job.id)
        st.rerun()


def show(job: Job | None, draw: Callable[[Outcome], None]) -> None:
    """A job that a button started: live, or its result, or a sentence."""
    if jobs.under_way(job):
        jobs.live_result(job.id, draw)
    elif job and job.state == "done" and (found := jobs.outcome(job)):
        draw(found)
    else:
        ended(job)


def ended(job: Job | None) -> None:
    """A sentence about a job that failed or was cancelled."""
    jobs.ended(job, "was cancelled.")
