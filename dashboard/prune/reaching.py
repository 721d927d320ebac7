"""A target in place of a ratio: what is to be reached, and which ratio that is."""

import streamlit as st

from dashboard import jobs, notices
from dashboard.prune import jobs as prune_jobs
from dashboard.prune import state
from dashboard.prune.jobs import TARGET
from dashboard.prune.state import PruneRequest
from fnet_core.jobs import JobReport
from fnet_core.models.loading import LoadedModel
from fnet_core.pruning.reaching import reach
from fnet_core.pruning.target import EXAMPLES


def draw(request: PruneRequest) -> bool:
    """The target and the ratio that reaches it; returns whether that is known."""
    target = request.target
    key = state.target_key(request) if target else ""
    job = prune_jobs.find(TARGET, key) if target else None
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.text_input(
            "What to reach",
            key="prune_target",
            persist_state="session",
            placeholder=f"{EXAMPLES[0]}, {EXAMPLES[2]} or {EXAMPLES[4]}",
            help="- **450MB**: on disk, in the number type of the model's own weights\n- **100Mparams**: parameters\n"
            "- **600tok/s**, **25written/s**: tokens per second on this machine, read at once or written one by one\n"
            "- **ppl<=40**: the most that goes with such a perplexity on the text that is measured",
        )
        jobs.start_button("Find the ratio", "find_ratio", "target", job, _submit, request, blocked=target is None)
    if problem := state.target_problem():
        notices.error(problem)
    if target is None:
        return False
    if request.reached:
        st.markdown(f":material/target: {request.reached}")
        return True
    if jobs.under_way(job):
        jobs.live(job.id, jobs.panel)
    elif job and job.state == "done":
        found = job.result.value
        state.reach(key, found.ratio, found.sentence)
        st.rerun()
    else:
        prune_jobs.ended(job)
    return False


def _submit(request: PruneRequest) -> None:
    target = request.target
    assert target is not None

    def compute(loaded: LoadedModel, report: JobReport, publish) -> object:
        return reach(loaded, target, request.plan, request.score_request(), request.yardstick, report)

    prune_jobs.search(request, state.target_key(request), compute, f"Looking for {target.written}")
