"""The model that the Prune page works on: in memory at once, or loaded by a job."""

import weakref

import streamlit as st

from dashboard import jobs, model_access, notices, owner
from fnet_core.errors import RequestError
from fnet_core.jobs import Job, JobReport, manager
from fnet_core.models.loading import LoadedModel, get_loaded

OPENING = "prune-opening"
_PATIENCE = 2.0
"""Seconds that the page waits for a model, which is there at once when another page used it."""
_TRIED = "prune_opening_tried"
_seen: dict[str, weakref.ref] = {}
"""Models that this page has had, by name, as long as somebody keeps them in memory."""


def current(name: str) -> LoadedModel | None:
    """The named model, or None while it is being loaded or when the page had to say why it cannot be."""
    seen = _seen.get(name)
    if (seen is None or seen() is None) and not _opened(name):
        return None
    try:
        loaded = get_loaded(name, roots=model_access.roots())
    except RequestError as error:
        notices.error(str(error))
        return None
    _seen[name] = weakref.ref(loaded.model)
    return loaded


def _opened(name: str) -> bool:
    """Load the model in a queue of its own, so that it does not wait behind measurements."""
    try:
        card = model_access.card_of(name, model_access.roots())
    except RequestError as error:
        notices.error(str(error))
        return False
    if not card.cached:
        notices.info(f"{name} is not on this machine yet; load it first.", icon=":material/deployed_code:")
        notices.next_step("pages/model.py", "Go to Model")
        return False
    job = _tried(name)
    if job is None or job.state == "done":
        job = _submit(name)
        st.session_state[_TRIED] = (name, job.id)
        job = manager().wait(job.id, _PATIENCE)
    if job.state == "done":
        return True
    jobs.show(job)
    if not jobs.under_way(job):
        st.button("Try again", icon=":material/refresh:", on_click=st.session_state.pop, args=(_TRIED,))
    return False


def _tried(name: str) -> Job | None:
    model, id = st.session_state.get(_TRIED, (None, None))
    return jobs.known(id) if model == name else None


def _submit(name: str) -> Job:
    allowed = model_access.roots()

    def work(report: JobReport) -> str:
        loaded = get_loaded(name, roots=allowed, report=report)
        _seen[name] = weakref.ref(loaded.model)
        return name

    return manager().submit(
        OPENING,
        name,
        work,
        label=f"Loading {name}",
        device="memory",
        stages=model_access.STAGES,
        owner=owner.current(),
    )
