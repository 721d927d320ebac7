"""Background jobs as a page sees them: which ones the session follows, what they have found, how they are drawn."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeGuard

import streamlit as st

from dashboard import exports, model_access, notices, owner, selection, words
from fnet_core.errors import RequestError
from fnet_core.jobs import Job, JobReport, manager
from fnet_core.progress import duration
from fnet_core.time_left import Stages

if TYPE_CHECKING:
    from fnet_core.models.loading import LoadedModel

_FOLLOWED = "followed_jobs"
_PAGES = {
    "pages/model.py": ("load",),
    "pages/networks.py": ("atlas", "recurrence", "listening", "lesions", "logits"),
    "pages/intervene.py": ("intervention", "writing", "doses", "ranking", "baking", "keeping"),
    "pages/compare.py": ("comparison", "parting"),
    "pages/audit.py": ("audit",),
}
"""The pages that show jobs of these kinds; the Prune page shows those that begin with its name."""


class ModelRequest(Protocol):
    """What is asked of one model."""

    @property
    def model(self) -> str:
        """The model's name."""


@dataclass(frozen=True)
class Outcome:
    """A result, or a running part of one, with what was asked; `value` is None until there is something."""

    request: Any
    value: Any


Compute = Callable[["LoadedModel", JobReport, Callable[[Any], None]], Any]
"""From the loaded model, the report and a way to publish running results to the result."""


def submit(
    kind: str,
    key: str,
    request: ModelRequest,
    compute: Compute,
    label: str,
    *,
    stages: Stages,
    background: bool = False,
) -> Job:
    """Queue a computation on the request's model, or join the one under way for the same key; it ends in an Outcome.

    `stages` gives the stages in order with their relative lengths. One in the `background`, which nobody pressed a
    button for, comes after all others and ends with its last viewer.
    """
    allowed = model_access.roots()

    def work(report: JobReport) -> Outcome:
        from fnet_core.models.loading import get_loaded

        report.publish(Outcome(request, None))
        loaded = get_loaded(request.model, roots=allowed, report=report)
        value = compute(loaded, report, lambda value: report.publish(Outcome(request, value)))
        return Outcome(request, value)

    return queue(kind, key, work, label, stages=stages, background=background)


def queue(
    kind: str,
    key: str,
    work: Callable[[JobReport], Any],
    label: str,
    *,
    stages: Stages,
    background: bool = False,
    kept: Callable[[], Any] | None = None,
) -> Job:
    """Queue any work on the device for whoever asks, or join the job of the same key, as `JobManager.submit`."""
    return manager().submit(
        kind,
        key,
        model_access.freeing(work),
        label=label,
        device=model_access.device(),
        stages=stages,
        owner=owner.current(),
        background=background,
        kept=kept,
    )


def start_button(
    label: str,
    key: str,
    icon: str,
    job: Job | None,
    submit: Callable[..., None],
    *args: object,
    blocked: bool = False,
    width: Literal["content", "stretch"] = "content",
    help: str | None = None,
) -> None:
    """The button by which a part of a page asks for its job; dead while that is under way, or `blocked`."""
    st.button(
        label,
        key=key,
        type="primary",
        icon=f":material/{icon}:",
        width=width,
        disabled=blocked or under_way(job),
        on_click=submit,
        args=args,
        help=help,
    )


def remember(job: Job) -> None:
    """Make this job the session's own of its kind."""
    _remembered()[job.kind] = job.id


def watch(job: Job) -> None:
    """Follow this job in the session and in the URL, so that a refresh finds it."""
    remember(job)
    selection.choose(job=job.id)


def known(id: str | None) -> Job | None:
    """The job of this id, or None once it is forgotten."""
    try:
        return manager().get(id) if id else None
    except RequestError:
        return None


def in_address() -> Job | None:
    """The job that the URL names; a forgotten one is taken out of it."""
    id = selection.current().job
    job = known(id)
    if id and job is None:
        selection.choose(job=None)
    return job


def remembered(kind: str) -> Job | None:
    """The session's own job of this kind, or else the one that the URL brought."""
    own = _remembered()
    if named := in_address():
        own.setdefault(named.kind, named.id)
    return known(own.get(kind))


def page_of(kind: str) -> str | None:
    """The script of the page that shows jobs of this kind; None where nothing is there to see."""
    if kind.startswith("prune-"):
        return "pages/prune.py"
    return next((script for script, kinds in _PAGES.items() if kind in kinds), None)


def _remembered() -> dict[str, str]:
    """Ids of jobs by their kind."""
    return st.session_state.setdefault(_FOLLOWED, {})


def followed(kind: str) -> Job | None:
    """The job of this kind that the URL names, or else one of this person's own that is under way."""
    named = in_address()
    if named and named.kind == kind:
        return named
    return next(iter(manager().active(kind, owner.current())), None)


def take_result(job: Job | None) -> Any:
    """The result of the followed job once it has ended well; it is not followed any more then."""
    if job is None or job.state != "done":
        return None
    selection.choose(job=None)
    return job.result


def under_way(job: Job | None) -> TypeGuard[Job]:
    """Whether the job is queued or running."""
    return job is not None and job.state in ("queued", "running")


def request_of(job: Job | None) -> Any:
    """What a job that ends in an Outcome was asked for; None until it has begun."""
    found = job and (job.result or job.partial)
    return found.request if found else None


def outcome(job: Job | None) -> Outcome | None:
    """What the job has found, or has found so far."""
    found = job and (job.result or job.partial)
    return found if found and found.value is not None else None


def show(job: Job | None) -> None:
    """Draw the job: live while it is under way, a sentence when it failed or was cancelled."""
    if under_way(job):
        live(job.id, panel)
    else:
        ended(job)


def ended(job: Job | None, cancelled: str = "was cancelled; nothing was saved.") -> None:
    """A sentence about a job that failed or was cancelled."""
    if job and job.state == "failed":
        assert job.error is not None
        notices.error(job.error)
    elif job and job.state == "cancelled":
        notices.info(f"{job.label} {cancelled}", icon=":material/cancel:")


@st.fragment(run_every=0.7)
def live(id: str, draw: Callable[[Job], None]) -> None:
    """Draw a job anew while it is under way; the whole page is drawn once more at its end."""
    try:
        job = manager().look(id)
    except RequestError:  # long ended, and forgotten while this page slept
        st.rerun()
    if not under_way(job):
        st.rerun()
    draw(job)


def live_result(id: str, draw: Callable[[Outcome], None]) -> None:
    """Progress, Cancel and the running result of a job while it is under way."""
    live(id, partial(_progress_and_result, draw))


def _progress_and_result(draw: Callable[[Outcome], None], job: Job) -> None:
    progress(job)
    if found := outcome(job):
        draw(found)


def panel(job: Job) -> None:
    """A running job in a frame of its own."""
    with st.container(border=True, key="job_panel"):
        progress(job)


def progress(job: Job) -> None:
    """The bar of a running job with its Cancel button."""
    bar, button = st.columns([5, 1], vertical_alignment="center")
    bar.progress(job.fraction or 0.0, text=line(job))
    with button:
        cancel_button(job, width="stretch")


def cancel_button(
    job: Job,
    label: str = "Cancel",
    key: str = "cancel",
    *,
    type: Literal["secondary", "tertiary"] = "secondary",
    width: Literal["content", "stretch"] = "content",
) -> None:
    """The button that leaves a job, dead for those who did not ask for it; without a label, hovering names it."""
    own = owner.current() in job.owners
    st.button(
        label,
        key=f"{key}_{job.id}",
        icon=":material/close:",
        type=type,
        width=width,
        disabled=job.stage == "stopping" or not own,
        help=(None if label else "Cancel")
        if own
        else "Somebody else asked for this computation, who alone can cancel it.",
        on_click=cancel,
        args=(job.id,),
    )


def cancel(id: str) -> None:
    """Leave a job, for a button: it stops unless somebody else wants it, and is followed no more where it goes on."""
    with suppress(RequestError):  # somebody else's, or forgotten
        manager().cancel(id, owner.current())
    job = known(id)
    if job is None or (under_way(job) and owner.current() not in job.owners):
        if selection.current().job == id:
            selection.choose(job=None)
        followed = _remembered()
        for kind in [kind for kind, followed_id in followed.items() if followed_id == id]:
            del followed[kind]


def saved_model(name: str, said: str) -> None:
    """Tell that a model was saved under this name, and offer to load it."""
    st.success(said, icon=":material/check_circle:")
    st.code(name, language=None)
    with st.container(horizontal=True):
        if st.button("Load it", key="load_saved", icon=":material/play_arrow:"):
            model_access.cards.clear()
            watch(model_access.submit_load(name, False))
            st.switch_page("pages/model.py")
        exports.download(model_access.folder_of(name))


def line(job: Job) -> str:
    """One line on where a job is, for a progress bar."""
    if job.state == "queued":
        turn = f"after {words.count(job.ahead, 'other')}" if job.ahead else "next"
        return f"**{words.plain(job.label)}** · waiting for its turn on {job.device}, {turn}"
    parts = [f"**{words.plain(job.label)}**", job.stage or "starting"]
    if job.fraction:
        parts.append(f"{job.fraction:.0%}")
    elif job.fraction is None and job.stage_fraction:
        parts.append(f"{job.stage_fraction:.0%} of this")
    if job.seconds_left and round(job.seconds_left) and job.stage != "stopping":
        parts.append(f"about {duration(job.seconds_left)} left")
    else:
        parts.append(duration(job.seconds))
    return " · ".join(parts)
