"""Prune neurons and heads by their functional networks or by a baseline, and see what it costs as the slider moves."""

from collections.abc import Sequence

import streamlit as st

from dashboard import (
    frame,
    notices,
    prune_controls,
    prune_curves,
    prune_export,
    prune_jobs,
    prune_live,
    prune_model,
    prune_plan_view,
    prune_state,
    prune_survival,
    prune_trials,
    selection,
)
from fnet_core.errors import RequestError
from fnet_core.intervention import edit_changes
from fnet_core.models import LoadedModel
from fnet_core.perplexity import PerplexityResult
from fnet_core.prune_figures import read_off
from fnet_core.prune_measures import CurvePoint
from fnet_core.prune_plan import PrunePlan
from fnet_core.prune_scores import find_scores, known_scores
from fnet_core.pruning import known_pruned_perplexity
from fnet_core.yardstick import known_perplexity


def page() -> None:
    """All below the frame; it returns early instead of `st.stop`, after which sliders come back at their lowest."""
    prune_state.start()
    prune_controls.draw()
    prune_state.write()
    if sentence := prune_state.problem():
        notices.error(sentence)
    name = selection.current().model
    if name is None:
        notices.info("Choose a model above, or load one first.", icon=":material/deployed_code:")
        notices.next_step("pages/model.py", "Choose a model")
        return
    loaded = prune_model.current(name)
    if loaded is None:
        return
    try:
        request = prune_state.request(name)
    except RequestError as error:
        notices.error(str(error))
        return
    prune_jobs.stop_outdated(request, prune_state.chart_methods())
    measure(loaded, request)


def measure(loaded: LoadedModel, request: prune_state.PruneRequest) -> None:
    """The slider with its figures beside the curves, and the views of the plan below."""
    methods = prune_state.chart_methods()
    scored = known_scores(loaded, request.method, request.score_request())
    baseline = known_perplexity(loaded, request.yardstick, edit_changes(()))
    plan, pruned, final = None, None, False
    scores = None
    if scored and request.threshold is not None:
        scores = find_scores(loaded, [request.method], request.score_request())[request.method]

    left, right = st.columns([2, 3], gap="medium")
    with left:
        prune_controls.amount(scores)
        if not scored:
            prune_live.scores_missing(request, methods)
        else:
            try:
                plan = prune_jobs.plan_of(loaded, request)
                compensation = request.settings.compensation
                pruned = known_pruned_perplexity(loaded, request.yardstick, plan, compensation, request.scores)
            except RequestError as error:
                notices.error(str(error))
    points = prune_curves.known(loaded, request, methods)
    position = request.ratio if request.ratio is not None else plan.removed_share if plan else 0.0
    with left:
        if plan:
            about = read_off(points, baseline.value if baseline else None, request.method, position)
            final = prune_live.draw(request, baseline, pruned, about)
            prune_plan_view.what_goes(plan)
    with right:
        prune_curves.draw(request, points, baseline, methods, scored, position, pruned)
        prune_curves.best(request, points, position)
    if plan:
        views(request, plan, points, {"before": baseline, "after": pruned} if final and baseline and pruned else {})


def views(
    request: prune_state.PruneRequest,
    plan: PrunePlan,
    points: Sequence[CurvePoint],
    figures: dict[str, PerplexityResult],
) -> None:
    """The tabs; only the open one is drawn."""
    drawn = {
        "Networks that survive": lambda: prune_survival.draw(plan),
        "Keep and drop": lambda: prune_plan_view.maps(plan),
        "Points measured": lambda: prune_curves.table(points),
        "Writing": lambda: prune_trials.writing(request),
        "Speed": lambda: prune_trials.speed(request),
        "Save and export": lambda: prune_export.draw(request, plan, figures),
    }
    for tab, draw in zip(st.tabs(list(drawn), key="prune_view", on_change="rerun"), drawn.values(), strict=True):
        if tab.open:
            with tab:
                draw()


frame.draw(
    "Prune",
    "Remove neurons and keep the functional networks: slide the ratio, watch perplexity. Nothing is changed or saved "
    "until you export.",
    own_kinds=prune_jobs.KINDS,
)
page()
