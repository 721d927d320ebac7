"""The networks of the first passages, on the page while the others are still read."""

from functools import partial

import streamlit as st

from dashboard import atlases, jobs, notices, words
from dashboard.networks import glance
from fnet_core.errors import RequestError
from fnet_core.jobs import Job

_PICKED = "provisional_network"


def show(job: Job | None) -> str | None:
    """Draw a job that looks for networks, as `jobs.show` does; the key of its provisional atlas if it has one."""
    if not jobs.under_way(job):
        jobs.ended(job)
        return None
    jobs.live(job.id, partial(_panel, job.partial))
    return job.partial


def _panel(drawn: str | None, job: Job) -> None:
    """The job's panel; the whole page is drawn anew for other provisional networks than those drawn."""
    if job.partial != drawn:
        st.rerun()
    jobs.panel(job)


@st.fragment
def draw(key: str) -> None:
    """The provisional atlas of this key, and that it is one; nothing once it has been replaced."""
    try:
        atlas = atlases.load(key)
    except RequestError:
        return
    read, asked = atlas.provisional or (0, 0)
    notices.info(
        f"Provisional, {read} of {words.count(asked, 'passage')}: what the text read so far gives. None of it is "
        "saved; the networks of the whole text take its place.",
        icon=":material/hourglass_top:",
    )
    glance.draw(key, atlas, _PICKED)
