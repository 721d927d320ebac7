"""Trying the pruned model: tokens per second measured in one run with the original, and what both write."""

from dataclasses import dataclass

import streamlit as st

from dashboard import jobs, written
from dashboard.jobs import Outcome
from dashboard.prune import jobs as prune_jobs
from dashboard.prune.jobs import SPEED, WRITING
from dashboard.prune.state import PruneRequest
from fnet_core.evaluation.generation import Continuation, continuation
from fnet_core.evaluation.speed import Speed, compare_speed
from fnet_core.jobs import JobReport
from fnet_core.models.loading import LoadedModel
from fnet_core.models.running import main_device
from fnet_core.progress import part_of
from fnet_core.pruning.export import pruned_copy
from fnet_core.pruning.masking import masking
from fnet_core.pruning.methods import METHODS

_FORM = "prune_writing"


def speed(request: PruneRequest) -> None:
    """The button that measures the speed, and what was measured."""
    job = prune_jobs.asked(SPEED, request.model)
    with st.container(horizontal=True, vertical_alignment="center"):
        jobs.start_button("Measure the speed", "measure_speed", "speed", job, _submit_speed, request)
        st.caption(
            "Builds the smaller model in memory and runs both in turns, five rounds each: reading 256 tokens at once, "
            "then writing 16 one by one. Other work on this machine slows both."
        )
    prune_jobs.show(job, lambda outcome: _speed(request, outcome))


def _submit_speed(request: PruneRequest) -> None:
    def compute(loaded: LoadedModel, report: JobReport, publish) -> Speed:
        pruning = prune_jobs.prepared(loaded, request, report)
        report("cutting", 0.0)
        smaller = pruned_copy(loaded, pruning, dtype=loaded.model.dtype)
        smaller.to(main_device(loaded.model))  # type: ignore[arg-type]  # transformers wraps `to` so that it looks unbound
        return compare_speed(loaded.model, smaller, report=report)

    prune_jobs.ask(SPEED, request, compute, f"Timing {request.model}", "speed")


def _speed(request: PruneRequest, outcome: Outcome) -> None:
    found: Speed = outcome.value
    _asked(request, outcome)
    pairs = (
        ("Reading", found.reading_before, found.reading_after),
        ("Writing", found.writing_before, found.writing_after),
    )
    for column, (name, before, after) in zip(st.columns(2, gap="medium"), pairs, strict=True):
        with column, st.container(border=True):
            original, pruned = st.columns(2)
            original.metric(f"{name}, original", f"{before:,.{0 if before >= 100 else 1}f} tokens/s")
            pruned.metric(
                f"{name}, pruned",
                f"{after:,.{0 if after >= 100 else 1}f} tokens/s",
                delta=f"x {after / before:.2f}",
                delta_color="green" if after > before else "red",
                delta_arrow="off",
            )
    st.caption(f"Medians of {found.rounds} rounds in turns on {found.device}, {found.tokens} tokens read.")


def _asked(request: PruneRequest, outcome: Outcome) -> None:
    """What was tried, and whether the controls ask for something else by now."""
    tried = outcome.request
    stale = ". :material/edit: The controls were changed since; press the button for what they say now."
    st.caption(f"{METHODS[tried.plan.method].title}, {tried.amount}" + (stale if tried.key() != request.key() else ""))


@dataclass(frozen=True)
class Writing:
    """What the original and the pruned model wrote so far."""

    prompt: str
    written: tuple[Continuation, ...]


def writing(request: PruneRequest) -> None:
    """The prompt with its settings, and both texts side by side."""
    job = prune_jobs.asked(WRITING, request.model)
    written.form(_FORM, "both models", tokens=60, busy=jobs.under_way(job), submit=_submit_writing, args=(request,))
    if job is None:
        st.caption("Press 'Write': the original and the pruned model go on from the prompt, side by side.")
    prune_jobs.show(job, lambda outcome: _side_by_side(request, outcome))


def _submit_writing(request: PruneRequest) -> None:
    prompt, tokens, sampling = written.asked(_FORM)

    def compute(loaded: LoadedModel, report: JobReport, publish) -> Writing:
        def write(*before: Continuation) -> Writing:
            found = continuation(
                loaded,
                prompt,
                new_tokens=tokens,
                sampling=sampling,
                report=part_of(report, len(before), 2),
                publish=lambda so_far: publish(Writing(prompt, (*before, so_far))),
            )
            return Writing(prompt, (*before, found))

        original = write()
        with masking(loaded, prune_jobs.prepared(loaded, request, report)):
            return write(*original.written)

    prune_jobs.ask(
        WRITING, request, compute, f"Writing with {request.model}", "writing", prompt, tokens, written.how(sampling)
    )


def _side_by_side(request: PruneRequest, outcome: Outcome) -> None:
    found: Writing = outcome.value
    _asked(request, outcome)
    written.side_by_side(_FORM, ("Original", "Pruned"), found.written)
