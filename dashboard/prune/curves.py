"""The curves of perplexity against ratio, filled in the background, and what they say about the chosen method."""

from collections.abc import Sequence
from functools import partial

import streamlit as st

from dashboard import charts, jobs, notices, words
from dashboard.prune import jobs as prune_jobs
from dashboard.prune.controls import OF_WHAT
from dashboard.prune.jobs import CURVES
from dashboard.prune.state import CURVE_RATIOS, PruneRequest
from fnet_core.errors import RequestError
from fnet_core.evaluation.perplexity import PerplexityResult
from fnet_core.jobs import Job
from fnet_core.models.loading import LoadedModel
from fnet_core.plotting import pruning
from fnet_core.pruning.curves import CurvePoint, against, plan_for, point_table, ranking
from fnet_core.pruning.masking import known_pruned_perplexity
from fnet_core.pruning.methods import METHODS
from fnet_core.pruning.plan import PrunePlan
from fnet_core.pruning.scores import known_scores


class _UnknownError(Exception):
    """Nothing is kept of a point that was not measured yet."""


@st.cache_resource(max_entries=512, show_spinner=False)
def _plan(place: str, method: str, ratio: float, _loaded: LoadedModel, _request: PruneRequest) -> PrunePlan | str:
    """The plan, or the sentence on why there is none. `place` is the digest of everything else."""
    try:
        return plan_for(_loaded, method, ratio, _request.settings, _request.scores)
    except RequestError as error:
        return str(error)


@st.cache_resource(max_entries=512, show_spinner=False)
def _known(place: str, method: str, ratio: float, _loaded: LoadedModel, _request: PruneRequest) -> CurvePoint:
    """A measured point; a ratio that cannot be met counts as one. `place` is the digest of everything else."""
    plan = _plan(place, method, ratio, _loaded, _request)
    if isinstance(plan, str):
        return CurvePoint(method, ratio, None, None, plan)
    compensation = _request.settings.compensation
    found = known_pruned_perplexity(_loaded, _request.yardstick, plan, compensation, _request.scores)
    if found is None:
        raise _UnknownError
    return CurvePoint(method, ratio, plan, found)


def known(loaded: LoadedModel, request: PruneRequest, methods: Sequence[str]) -> list[CurvePoint]:
    """The measured points of these methods at the ratios of the curves and those the slider has been at."""
    place = f"{loaded.digest}:{loaded.dtype}:{loaded.device}:{request.measure_key()}"
    points = []
    for method in methods:
        if known_scores(loaded, method, request.score_request()):
            for ratio in request.settings.ratios:
                try:
                    points.append(_known(place, method, ratio, loaded, request))
                except _UnknownError:
                    continue
    return points


def draw(
    request: PruneRequest,
    points: Sequence[CurvePoint],
    baseline: PerplexityResult | None,
    methods: list[str],
    ready: bool,
    position: float,
    pruned: PerplexityResult | None,
) -> None:
    """The chart, marked at the position that the plan takes, and the job that fills what is missing."""
    missing = {(m, r) for m in methods for r in CURVE_RATIOS} - {(p.method, p.ratio) for p in points}
    key = prune_jobs.curves_key(request, methods)
    job = prune_jobs.find(CURVES, key)
    waits = job is None or (job.state == "cancelled" and st.session_state["prune_fill"])
    if missing and ready and st.session_state["prune_fill"] and waits:
        job = prune_jobs.fill_curves(request, methods)
    if missing:
        prune_jobs.draw_again(job)
    _chart(request, points, baseline, ready, position, pruned)
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


def _chart(
    request: PruneRequest,
    points: Sequence[CurvePoint],
    baseline: PerplexityResult | None,
    ready: bool,
    position: float,
    pruned: PerplexityResult | None,
) -> None:
    if not points:
        when = "The first points are being measured." if ready else "They are filled once the neurons are scored."
        height = pruning.CURVES_HEIGHT if ready else "content"
        with st.container(height=height, border=False, key="curves_empty"):
            notices.info(
                "Here stand the curves: perplexity of every method against the ratio that it removes. " + when,
                icon=":material/show_chart:",
            )
        return
    untouched = baseline.value if baseline else None
    of_what = OF_WHAT[request.settings.share]
    measured = pruned.value if pruned else None
    figure = pruning.curves(points, untouched, position, request.method, of_what, measured)
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


def best(request: PruneRequest, points: Sequence[CurvePoint], position: float) -> None:
    """Which method is best at this ratio, whether or not it is the chosen one."""
    ranked = ranking(points, position)
    chosen = next((p for p in ranked if p.method == request.method), None)
    if chosen is None:
        if ranked:
            st.caption(f"Best measured at {percent(ranked[0].ratio)}: {_name(ranked[0])}.")
        return
    where = f"At {percent(chosen.ratio)}" + ("" if chosen.ratio == position else ", the nearest ratio measured")
    first = ranked[0]
    if first is chosen:
        other = ranked[1]
        st.caption(
            f":material/trophy: {where}, {_name(first)} is the best of {len(ranked)} methods: {_value(first)}; "
            f"next is {_name(other)}, {_value(other)}{_margin(first, other)}."
        )
        return
    with st.container(border=True, horizontal=True, vertical_alignment="center", key="better_method"):
        st.markdown(
            f":material/info: {where}, {_name(first)} is better than the chosen method: "
            f"{_value(first)} against {_value(chosen)}{_margin(first, chosen)}."
        )
        st.button(
            "Use it",
            key="use_better",
            on_click=st.session_state.update,
            args=({"prune_method": first.method},),
        )


def _name(point: CurvePoint) -> str:
    return f"**{METHODS[point.method].title}**"


def _value(point: CurvePoint) -> str:
    return words.perplexity(point.perplexity.value)


def _margin(better: CurvePoint, other: CurvePoint) -> str:
    """ ", within the error of this text" where the paired interval does not tell the two apart."""
    interval = against(better, other).interval
    return ", a difference within the error of this text" if interval and interval[0] <= 1 else ""


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
    st.download_button(
        "Table (CSV)",
        charts.as_csv(rows),
        "pruning.csv",
        "text/csv",
        icon=":material/download:",
        on_click="ignore",
    )
