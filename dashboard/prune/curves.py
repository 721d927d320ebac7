"""The curves of perplexity against ratio, filled in the background, and what they say about the chosen method."""

from collections.abc import Sequence
from functools import partial
from typing import Literal

import streamlit as st

from dashboard import charts, jobs, notices, words
from dashboard.prune import jobs as prune_jobs
from dashboard.prune.controls import of_what
from dashboard.prune.jobs import CURVES
from dashboard.prune.state import CURVE_RATIOS, PruneRequest
from fnet_core.choices import DEFAULT_METHOD, LAYER_METHODS, Compensation
from fnet_core.evaluation.perplexity import PerplexityResult
from fnet_core.evaluation.yardstick import Yardstick
from fnet_core.jobs import Job
from fnet_core.models.loading import LoadedModel
from fnet_core.plotting import pruning
from fnet_core.pruning.curves import CurvePoint, clearly_better, point_table, ranking, told_apart, width_stops
from fnet_core.pruning.known import KnownPruning, known_pruning, plan_or_problem
from fnet_core.pruning.masking import known_pruned_perplexity
from fnet_core.pruning.methods import METHODS
from fnet_core.pruning.plan import PrunePlan
from fnet_core.pruning.request import PlanRequest
from fnet_core.pruning.scores import ScoreRequest


@st.cache_resource(max_entries=512, show_spinner=False)
def _plan(place: str, asked: PlanRequest, _loaded: LoadedModel, _request: ScoreRequest) -> PrunePlan | str:
    """The plan, or the sentence on why there is none. `place` is the digest of everything else."""
    return plan_or_problem(_loaded, asked, _request)


class _UnmeasuredError(Exception):
    """Nothing is remembered of what was not measured yet."""


@st.cache_resource(max_entries=512, show_spinner=False)
def _perplexity(
    place: str,
    asked: PlanRequest,
    _loaded: LoadedModel,
    _yardstick: Yardstick,
    _plan: PrunePlan,
    _request: ScoreRequest,
) -> PerplexityResult:
    """The perplexity of the plan that is asked for. `place` is the digest of everything else."""
    found = known_pruned_perplexity(_loaded, _yardstick, _plan, asked.compensation, _request)
    if found is None:
        raise _UnmeasuredError
    return found


def known(loaded: LoadedModel, request: PruneRequest, methods: Sequence[str]) -> KnownPruning:
    """What is known of the request, and of these methods at the ratios of the curves and of the slider's visits."""
    place = f"{loaded.digest}:{loaded.dtype}:{loaded.device}:{request.measure_key()}"

    def planned(loaded: LoadedModel, asked: PlanRequest, scores: ScoreRequest) -> PrunePlan | str:
        return _plan(place, asked, loaded, scores)

    def measured(
        loaded: LoadedModel, yardstick: Yardstick, plan: PrunePlan, compensation: Compensation, scores: ScoreRequest
    ) -> PerplexityResult | None:
        try:
            return _perplexity(place, plan.request, loaded, yardstick, plan, scores)
        except _UnmeasuredError:
            return None

    asked = (request.plan, methods, request.ratios, request.scores, request.yardstick)
    return known_pruning(loaded, *asked, planned, measured)


def draw(request: PruneRequest, found: KnownPruning, methods: list[str]) -> None:
    """The chart, marked at the position that the plan takes, and the job that fills what is missing."""
    ready = found.scores is not None
    missing = {(m, r) for m in methods for r in CURVE_RATIOS} - {(p.method, p.ratio) for p in found.points}
    key = prune_jobs.curves_key(request, methods)
    job = prune_jobs.find(CURVES, key)
    waits = job is None or (job.state == "cancelled" and st.session_state["prune_fill"])
    if missing and ready and st.session_state["prune_fill"] and waits:
        job = prune_jobs.fill_curves(request, methods)
    if missing:
        prune_jobs.draw_again(job)
    _chart(found)
    with st.container(height=_STATUS_HEIGHT, border=False, key="curves_status"):
        if jobs.under_way(job):
            total = len(methods) * len(CURVE_RATIOS)
            jobs.live(job.id, partial(_filling, _found(job), total - len(missing), total))
        elif job and job.state == "failed":
            jobs.show(job)
        elif missing and ready:
            st.caption(f"{words.count(len(missing), 'point')} of the curves not measured yet.")
        elif ready:
            st.caption("All curves are measured; point at a dot for its 95 % interval.")
    _picker()


_STATUS_HEIGHT = 52


def _found(job: Job) -> int:
    """How many points the job has so far."""
    found = jobs.outcome(job)
    return len(found.value) if found else 0


def _filling(seen: int, done: int, total: int, job: Job) -> None:
    """Where the job is; the page is drawn anew for each new point alone, for drawing it slows the job down."""
    if _found(job) > seen:
        st.rerun()
    where = f"{done} of {total} points" if job.stage in ("", "measuring") else job.stage
    waits = " · waits for its turn" if job.state == "queued" else ""
    st.progress(done / total, text=f"**Filling the curves** · {where}{waits}")


def _chart(found: KnownPruning) -> None:
    if not found.points:
        ready = found.scores is not None
        when = "The first points are being measured." if ready else "They are filled once the neurons are scored."
        height: int | Literal["content"] = pruning.CURVES_HEIGHT if ready else "content"
        with st.container(height=height, border=False, key="curves_empty"):
            notices.info(
                "Here stand the curves: perplexity of every method against the ratio that it removes. " + when,
                icon=":material/show_chart:",
            )
        return
    untouched = found.baseline.value if found.baseline else None
    measured = found.pruned.value if found.pruned else None
    asked = found.asked
    mixture = any(point.plan is not None and point.plan.anatomy.neurons_stay for point in found.points)
    whole = of_what(asked.share, mixture, asked.method)
    figure = pruning.curves(found.points, untouched, found.position, asked.method, whole, measured)
    charts.draw(figure, "prune_curves_figure")


def _picker() -> None:
    st.pills(
        "Methods in the chart",
        list(METHODS),
        selection_mode="multi",
        format_func=lambda name: METHODS[name].title,
        key="prune_methods",
        persist_state="session",
        label_visibility="collapsed",
        wrap=True,
    )
    st.toggle(
        "Fill the curves in the background",
        key="prune_fill",
        persist_state="session",
        on_change=_switch,
        help=f"Measures these methods at {', '.join(percent(r) for r in CURVE_RATIOS)}. The slider goes first. "
        "Switching it off keeps what was measured.",
    )


def _switch() -> None:
    if not st.session_state["prune_fill"]:
        prune_jobs.give_way()


def percent(ratio: float) -> str:
    """ "20 %"."""
    return f"{round(100 * ratio)} %"


def best(known: KnownPruning) -> None:
    """Which method is best at this ratio; one that is better than the chosen beyond the error is advised."""
    ranked = ranking(known.points, known.position)
    chosen = next((p for p in ranked if p.method == known.asked.method), None)
    if chosen is None:
        if ranked:
            st.caption(f"Best measured at {percent(ranked[0].ratio)}: {_name(ranked[0])}.")
        return
    where = f"At {percent(chosen.ratio)}" + ("" if chosen.ratio == known.position else ", the nearest ratio measured")
    first = ranked[0]
    if first is chosen:
        other = ranked[1]
        st.caption(
            f":material/trophy: {where}, {_name(first)} is the best of {len(ranked)} methods: {_value(first)}; "
            f"next is {_name(other)}, {_value(other)}{_margin(first, other)}."
        )
        return
    better = clearly_better(ranked, chosen)
    if better is None:
        st.caption(
            f":material/balance: {where}, no method is better than the chosen one beyond the error of this text: "
            f"{_name(first)} has {_value(first)}, {_name(chosen)} {_value(chosen)}."
        )
        return
    with st.container(border=True, horizontal=True, vertical_alignment="center", key="better_method"):
        st.markdown(
            f":material/info: {where}, {_name(better)} is better than the chosen method: "
            f"{_value(better)} against {_value(chosen)}."
        )
        st.button(
            "Use it",
            key="use_better",
            on_click=st.session_state.update,
            args=({"prune_method": better.method},),
        )


def depth(known: KnownPruning) -> None:
    """From where on whole layers cost less than neurons, by the methods in the chart that take them."""
    methods = {point.method for point in known.points if point.perplexity and point.ratio > 0}
    width = known.asked.method if known.asked.method not in LAYER_METHODS else DEFAULT_METHOD
    whole = [method for method in LAYER_METHODS if method in methods and METHODS[method].source != "control"]
    if known.baseline is None or width not in methods or not whole:
        return
    for method in whole:
        share = width_stops(known.points, known.baseline.value, width, method)
        names = f"**{METHODS[method].title}** against {METHODS[width].title}: "
        st.caption(
            f":material/layers: {names}"
            + (
                "as far as is measured, there is no share of the parameters from which on whole layers cost less."
                if share is None
                else f"from {100 * share:.0f} % of the parameters on, whole layers cost less than neurons."
            )
        )


def _name(point: CurvePoint) -> str:
    return f"**{METHODS[point.method].title}**"


def _value(point: CurvePoint) -> str:
    return words.perplexity(point.measured.value)


def _margin(better: CurvePoint, other: CurvePoint) -> str:
    """ ", a difference within the error of this text" where the paired interval does not tell the two apart."""
    return "" if told_apart(better, other) else ", a difference within the error of this text"


def table(points: Sequence[CurvePoint]) -> None:
    """All measured points with a download."""
    if not points:
        st.caption("The points appear here as they are measured.")
        return
    rows = point_table(points)
    shown = rows.assign(ratio=100 * rows["ratio"], removed=100 * rows["removed"]).drop(columns="method")
    if not rows["problem"].any():
        shown = shown.drop(columns="problem")
    st.dataframe(
        shown,
        key="prune_point_table",
        hide_index=True,
        height="content" if len(shown) < 14 else 460,
        column_config={
            "title": st.column_config.TextColumn("Method", width="medium"),
            "ratio": st.column_config.NumberColumn("Ratio", format="%.0f %%"),
            "removed": st.column_config.NumberColumn(
                "Parameters gone", format="%.1f %%", help="Of all parameters of the model."
            ),
            "perplexity": st.column_config.NumberColumn("Perplexity", format="%.1f"),
            "low": st.column_config.NumberColumn("95 % from", format="%.1f"),
            "high": st.column_config.NumberColumn("to", format="%.1f"),
            "problem": st.column_config.TextColumn("Why not", width="large"),
        },
        alt="Perplexity of every method at every ratio measured",
    )
    charts.download_csv(
        "Table (CSV)",
        rows,
        "pruning.csv",
    )
