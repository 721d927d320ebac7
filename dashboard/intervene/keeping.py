"""Keep only the networks: everything outside their key neurons silenced, beside as many random neurons."""

from typing import Any

import streamlit as st

from dashboard import atlases, charts, jobs, kept, notices, selection, words
from dashboard.intervene import controls, state
from dashboard.intervene import jobs as intervene_jobs
from dashboard.intervene.jobs import KEEPING, EditRequest
from dashboard.jobs import Outcome
from fnet_core.capability.battery import make_battery
from fnet_core.capability.keeping import PRESERVATIONS, KeepRequest, Preservation, keep_recipe, preserve, steps
from fnet_core.errors import RequestError
from fnet_core.evaluation.request import Yardstick
from fnet_core.jobs import JobReport
from fnet_core.models.loading import LoadedModel
from fnet_core.networks.atlas import Atlas
from fnet_core.plotting import capabilities as figures

ITEMS, DRAWS = 20, 2
LOWER = (2.0, 1.5)
"""Thresholds at which it is measured too, besides the chosen one."""


def draw(key: str, atlas: Atlas) -> None:
    """The button, and the curve: from the store, or as far as it is measured."""
    job = intervene_jobs.current(KEEPING, key)
    asked = _asked(atlas, selection.current().threshold)
    with st.container(horizontal=True, vertical_alignment="center"):
        jobs.start_button("Keep only the networks", "keep_only", "filter_alt", job, _submit, key, atlas)
        thresholds = ", ".join(f"{z:g}" for z in asked.thresholds)
        st.caption(
            f"Silences all but the key neurons of {', '.join(map(str, asked.networks))} networks at |z| above "
            f"{thresholds}, and measures what is left, beside as many random neurons of each layer."
        )
    if jobs.under_way(job):
        jobs.live_result(job.id, _curve)
        return
    intervene_jobs.ended(job)
    try:
        found = kept.answer(PRESERVATIONS, _recipe(key, asked, state.yardstick(), ITEMS))
    except RequestError as error:
        notices.error(str(error))
        return
    if found:
        _curve(Outcome(None, found))
        charts.download_csv("Table (CSV)", found.table(), f"{atlases.file_stem(atlas)}-keep-only.csv")


def _asked(atlas: Atlas, threshold: float) -> KeepRequest:
    thresholds = (threshold, *(z for z in LOWER if z < threshold))
    return KeepRequest(steps(atlas), thresholds, DRAWS, st.session_state["intervene_seed"])


@st.cache_data(max_entries=16, show_spinner=False, hash_funcs={Yardstick: lambda y: str(y.to_dict())})
def _recipe(key: str, asked: KeepRequest, yardstick: Yardstick, items: int) -> dict[str, Any] | None:
    """Kept, since all neurons that are silenced are in it."""
    return keep_recipe(atlases.load(key), make_battery(items), yardstick, asked)


def _submit(key: str, atlas: Atlas) -> None:
    request: EditRequest | None = controls.checked(key, range(len(atlas)), DRAWS)
    if request is None:
        return
    asked = _asked(atlas, request.threshold)

    def compute(loaded: LoadedModel, report: JobReport, publish) -> Preservation:
        return preserve(loaded, atlas, make_battery(ITEMS), request.yardstick, asked, report, publish)

    intervene_jobs.submit(
        KEEPING, request, compute, f"Keeping only {words.count(len(atlas), 'network')} of {request.model}"
    )


def _curve(outcome: Outcome) -> None:
    found: Preservation = outcome.value
    st.markdown(words.plain(found.sentence))
    charts.draw(
        figures.preservation(found),
        "keep_only_figure",
        f"Left: perplexity. Right: accuracy, mean of {len(found.capabilities)} capabilities. The dashes are "
        "as many random neurons of each layer, the dotted lines the untouched model. Where the line runs with the "
        "dashes, the networks hold no more than any neurons do.",
    )
