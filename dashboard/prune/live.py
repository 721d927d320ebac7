"""Perplexity beside the slider: at once where it was measured before, otherwise live from the first window on."""

import math
from functools import partial

import streamlit as st

from dashboard import jobs, notices, words
from dashboard.prune import controls
from dashboard.prune import jobs as prune_jobs
from dashboard.prune.jobs import MEASURING, SCORING
from dashboard.prune.state import PruneRequest
from fnet_core.evaluation.perplexity import PerplexityResult, on_same_windows, ratio
from fnet_core.jobs import Job
from fnet_core.pruning.known import KnownPruning
from fnet_core.pruning.measuring import PruneResult
from fnet_core.pruning.methods import METHODS

_WINDOWS_FOR_INTERVAL = 3
_STATUS_HEIGHT = 112


def scores_missing(request: PruneRequest, methods: list[str]) -> None:
    """The button that scores the neurons, or the progress of doing so."""
    job = prune_jobs.find(SCORING, request.scores_key())
    if jobs.under_way(job):
        jobs.live(job.id, _scoring)
        return
    prune_jobs.draw_again(job)
    prune_jobs.ended(job)
    title = METHODS[request.plan.method].title
    notices.info(
        f"{request.model} has no scores by '{title}' yet. The model reads the calibration text first, which takes a "
        "few minutes for a starter on two cores; then the slider is live.",
        icon=":material/format_list_numbered:",
    )
    st.button(
        "Score the neurons",
        key="score_neurons",
        type="primary",
        icon=":material/play_arrow:",
        on_click=prune_jobs.score,
        args=(request, methods),
    )


def _scoring(job: Job) -> None:
    with st.container(border=True):
        _bar(job)
        st.caption("The slider is live as soon as the neurons are scored.")


def draw(request: PruneRequest, known: KnownPruning) -> bool:
    """The two perplexities; returns whether they are final. Starts the measurement where there is none.

    What the curve says at this ratio is shown until the first window is measured.
    """
    baseline, pruned, about = known.baseline, known.pruned, known.about
    if baseline is not None and pruned is not None:
        _perplexities(baseline, pruned, None)
        _final(baseline, pruned)
        return True
    job = prune_jobs.find(MEASURING, request.key())
    if job is None:
        job = prune_jobs.measure(request)
    if jobs.under_way(job):
        jobs.live(job.id, partial(_running, baseline, about))
        return False
    prune_jobs.draw_again(job)
    if (found := jobs.outcome(job)) and job.state == "done":
        _perplexities(found.value.baseline, found.value.pruned, None)
        _final(found.value.baseline, found.value.pruned)
        return True
    _perplexities(baseline, None, about)
    if job.state == "failed":
        jobs.show(job)
    st.button(
        "Measure",
        key="measure_pruning",
        icon=":material/play_arrow:",
        on_click=_measure,
        args=(request,),
        help="The measurement was stopped; start it again.",
    )
    return False


def _measure(request: PruneRequest) -> None:
    prune_jobs.measure(request)


def _running(baseline: PerplexityResult | None, about: float | None, job: Job) -> None:
    found = jobs.outcome(job)
    if found:
        result: PruneResult = found.value
        untouched, pruned = on_same_windows((result.baseline, result.pruned))
        _perplexities(untouched, pruned, None)
    else:
        _perplexities(baseline, None, about)
    with st.container(height=_STATUS_HEIGHT, border=False, key="prune_status"):
        _bar(job)


def _bar(job: Job) -> None:
    """Progress with a Cancel that fits a narrow column."""
    bar, button = st.columns([6, 1], vertical_alignment="center", gap="xsmall")
    bar.progress(job.fraction or 0.0, text=jobs.line(job))
    with button:
        jobs.cancel_button(job, "", type="tertiary")


def _perplexities(baseline: PerplexityResult | None, pruned: PerplexityResult | None, about: float | None) -> None:
    left, right = st.columns(2)
    with left, st.container(border=True, height="stretch", gap="xsmall", key="prune_untouched"):
        st.metric("Untouched", words.perplexity(baseline.value) if baseline else "…", help=_HELP)
        st.caption(_interval(baseline) if baseline else "being measured")
    with right, st.container(border=True, height="stretch", gap="xsmall", key="prune_pruned"):
        if pruned is None:
            shown = "…" if about is None else f"about {words.perplexity(about)}"
            st.metric("Pruned", shown)
            st.caption("read off the curve" if about is not None else "being measured")
            return
        change = ratio(pruned, baseline).value if baseline else None
        st.metric(
            "Pruned",
            words.perplexity(pruned.value),
            delta=words.factor(change) if change is not None else None,
            delta_color="off" if change is None or 0.999 < change < 1.001 else "red" if change > 1 else "green",
            delta_arrow="off",
        )
        st.caption(_interval(pruned))


_HELP = (
    "Perplexity: how many tokens the model hesitates between, on average, at each place of the text. 1 would be "
    "certain; lower is better."
)


def _interval(result: PerplexityResult) -> str:
    if len(result.nll_W) < _WINDOWS_FOR_INTERVAL:
        return f"after {words.count(len(result.nll_W), 'window')}"
    return f"95 %: {words.between(result.interval)}"


def _final(baseline: PerplexityResult, pruned: PerplexityResult) -> None:
    """The change with its paired interval, and what it was measured on."""
    effect = ratio(pruned, baseline)
    if not math.isfinite(effect.value):
        notices.error("The pruned model's output became infinite, so it has no perplexity; remove less.")
        return
    with st.container(height=_STATUS_HEIGHT, border=False, gap="xsmall", key="prune_status"):
        sentence = f"Perplexity changes by **{words.factor(effect.value)}**"
        if effect.interval and len(pruned.nll_W) >= _WINDOWS_FOR_INTERVAL:
            sentence += f" (95 %, paired: {words.factors(effect.interval, effect.value)})"
        st.markdown(sentence + ".")
        start = f", start token {words.plain(pruned.start)}" if pruned.start else ""
        st.caption(
            f"Per {pruned.definition} · {words.count(len(pruned.texts), 'passage')}, "
            f"{words.count(pruned.tokens, 'token')}, windows of {pruned.window}{start} · {pruned.dtype}",
            help=controls.measured_on(),
        )
