"""A job as a person sees it: stage, bar, time left, Cancel; failures and cancellations once it has ended."""

import streamlit as st

from dashboard import notices, selection, words
from fnet_core.errors import RequestError
from fnet_core.jobs import Job, manager

ACTIVE = ("queued", "running")


def watch(job: Job) -> None:
    """Follow this job in the session and in the URL, so that a refresh finds it."""
    selection.choose(job=job.id)


def followed(kind: str) -> Job | None:
    """The job of this kind that the session follows, or else one that is under way for anybody."""
    id = selection.current().job
    if id:
        try:
            job = manager().get(id)
        except RequestError:
            selection.choose(job=None)
        else:
            if job.kind == kind:
                return job
    active = manager().active(kind)
    return active[0] if active else None


def take_result(job: Job | None) -> object | None:
    """The result of the followed job once it has ended well; it is not followed any more then."""
    if job is None or job.state != "done":
        return None
    selection.choose(job=None)
    return job.result


def show(job: Job | None) -> None:
    """Draw the job: live while it is under way, a sentence when it failed or was cancelled."""
    if job is None:
        return
    if job.state in ACTIVE:
        _live(job.id)
    elif job.state == "failed":
        notices.error(job.error)
    elif job.state == "cancelled":
        notices.info(f"{job.label} was cancelled; nothing was saved.", icon=":material/cancel:")


@st.fragment(run_every=1.0)
def _live(id: str) -> None:
    job = manager().get(id)
    if job.state not in ACTIVE:
        st.rerun()
    with st.container(border=True, key="job_panel"):
        progress(job)


def progress(job: Job) -> None:
    """The bar of a running job with its Cancel button."""
    bar, button = st.columns([5, 1], vertical_alignment="center")
    bar.progress(job.fraction or 0.0, text=line(job))
    button.button(
        "Cancel",
        key=f"cancel_{job.id}",
        icon=":material/close:",
        width="stretch",
        disabled=job.stage == "stopping",
        on_click=manager().cancel,
        args=(job.id,),
    )


def line(job: Job) -> str:
    """One line on where a job is, for a progress bar."""
    if job.state == "queued":
        return f"**{words.plain(job.label)}** · waiting for its turn on {job.device}"
    parts = [f"**{words.plain(job.label)}**", job.stage or "starting"]
    if job.fraction:
        parts.append(f"{job.fraction:.0%}")
    if job.seconds_left is not None and job.stage != "stopping":
        parts.append(f"about {words.duration(job.seconds_left)} left")
    else:
        parts.append(words.duration(job.seconds))
    return " · ".join(parts)
