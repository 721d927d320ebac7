"""Prune neurons and heads by their functional networks or by a baseline, and see what it costs as the slider moves."""

import streamlit as st

from dashboard import frame, notices, selection, words
from dashboard.prune import (
    capabilities,
    controls,
    curves,
    export,
    jobs,
    live,
    model,
    reaching,
    recovery,
    state,
    survival,
    trials,
)
from dashboard.prune import plan as plan_view
from fnet_core.errors import RequestError
from fnet_core.models.loading import LoadedModel
from fnet_core.models.structure import family_of
from fnet_core.pruning.known import KnownPruning
from fnet_core.pruning.plan import PrunePlan


def page() -> None:
    """All below the frame; it returns early instead of `st.stop`, after which sliders come back at their lowest."""
    state.start()
    controls.draw()
    state.write()
    if sentence := state.problem():
        notices.error(sentence)
    name = selection.current().model
    if name is None:
        notices.info("Choose a model above, or load one first.", icon=":material/deployed_code:")
        notices.next_step("pages/model.py", "Choose a model")
        return
    loaded = model.current(name)
    if loaded is None:
        return
    try:
        request = state.request(name)
    except RequestError as error:
        notices.error(str(error))
        return
    jobs.stop_outdated(request, state.chart_methods())
    measure(loaded, request)


def measure(loaded: LoadedModel, request: state.PruneRequest) -> None:
    """The slider with its perplexities beside the curves, and the views of the plan below."""
    methods = state.chart_methods()
    found = curves.known(loaded, request, methods)
    left, right = st.columns([2, 3], gap="medium")
    with left:
        controls.amount(found.scores, bool(family_of(loaded.model.config).router))
        waits = state.by_target() and not reaching.draw(request)
        if not waits:
            chosen(loaded, request, found, methods)
        if found.cut:
            st.caption(f"Calibration: {words.plain(found.cut)}")
    with right:
        curves.draw(request, found, methods)
        curves.best(found)
        curves.depth(found)
    if found.plan and not waits:
        views(request, found.plan, found)


def chosen(loaded: LoadedModel, request: state.PruneRequest, found: KnownPruning, methods: list[str]) -> None:
    """The perplexities and what goes, or what is still missing for that."""
    if found.scores is None and not found.problem:
        live.scores_missing(request, methods)
    elif found.plan is None:
        notices.error(found.problem)
    else:
        live.draw(request, found)
        plan_view.of_library(found.plan, state.opened())
        plan_view.what_goes(loaded, found.plan)


def views(request: state.PruneRequest, plan: PrunePlan, found: KnownPruning) -> None:
    """The tabs; only the open one is drawn."""
    drawn = {
        "Networks that survive": lambda: survival.draw(plan),
        "Keep and drop": lambda: plan_view.maps(plan),
        "Points measured": lambda: curves.table(found.points),
        "Capabilities": lambda: capabilities.draw(request),
        "Writing": lambda: trials.writing(request),
        "Speed": lambda: trials.speed(request),
        "Recovery": lambda: recovery.draw(request),
        "Save and export": lambda: export.draw(request, plan),
    }
    for tab, draw in zip(st.tabs(list(drawn), key="prune_view", on_change="rerun"), drawn.values(), strict=True):
        if tab.open:
            with tab:
                draw()


frame.draw(
    "Prune",
    "Remove neurons and keep the functional networks: slide the ratio, watch perplexity. Nothing is changed or saved "
    "until you export.",
    own_kinds=jobs.KINDS,
)
page()
