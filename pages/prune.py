"""Prune neurons and heads by their functional networks or by a baseline, and see what it costs as the slider moves."""

from collections.abc import Sequence

import streamlit as st

from dashboard import frame, notices, selection
from dashboard.prune import controls, curves, export, jobs, live, model, state, survival, trials
from dashboard.prune import plan as plan_view
from fnet_core.errors import RequestError
from fnet_core.evaluation.perplexity import PerplexityResult
from fnet_core.evaluation.yardstick import known_baseline
from fnet_core.models.loading import LoadedModel
from fnet_core.pruning.curves import CurvePoint, read_off
from fnet_core.pruning.masking import known_pruned_perplexity
from fnet_core.pruning.plan import PrunePlan
from fnet_core.pruning.scores import find_scores, known_scores


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
    scored = known_scores(loaded, request.method, request.score_request())
    baseline = known_baseline(loaded, request.yardstick)
    plan, pruned, final = None, None, False
    scores = None
    if scored and request.threshold is not None:
        scores = find_scores(loaded, [request.method], request.score_request())[request.method]

    left, right = st.columns([2, 3], gap="medium")
    with left:
        controls.amount(scores)
        if not scored:
            live.scores_missing(request, methods)
        else:
            try:
                plan = jobs.plan_of(loaded, request)
                compensation = request.settings.compensation
                pruned = known_pruned_perplexity(loaded, request.yardstick, plan, compensation, request.scores)
            except RequestError as error:
                notices.error(str(error))
    points = curves.known(loaded, request, methods)
    position = request.ratio if request.ratio is not None else plan.removed_share if plan else 0.0
    with left:
        if plan:
            about = read_off(points, baseline.value if baseline else None, request.method, position)
            final = live.draw(request, baseline, pruned, about)
            plan_view.what_goes(plan)
    with right:
        curves.draw(request, points, baseline, methods, scored, position, pruned)
        curves.best(request, points, position)
    if plan:
        views(request, plan, points, {"before": baseline, "after": pruned} if final and baseline and pruned else {})


def views(
    request: state.PruneRequest,
    plan: PrunePlan,
    points: Sequence[CurvePoint],
    perplexities: dict[str, PerplexityResult],
) -> None:
    """The tabs; only the open one is drawn."""
    drawn = {
        "Networks that survive": lambda: survival.draw(plan),
        "Keep and drop": lambda: plan_view.maps(plan),
        "Points measured": lambda: curves.table(points),
        "Writing": lambda: trials.writing(request),
        "Speed": lambda: trials.speed(request),
        "Save and export": lambda: export.draw(request, plan, perplexities),
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
