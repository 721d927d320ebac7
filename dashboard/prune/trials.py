"""Trying the pruned model: tokens per second measured in one run with the original, and what both write."""

from dataclasses import dataclass

import streamlit as st

from dashboard import jobs, notices, words
from dashboard.jobs import Outcome
from dashboard.prune import jobs as prune_jobs
from dashboard.prune.jobs import SPEED, WRITING
from dashboard.prune.state import PruneRequest
from fnet_core.activations.reading import main_device
from fnet_core.evaluation.generation import Continuation, Sampling, continuation
from fnet_core.evaluation.speed import Speed, compare_speed
from fnet_core.jobs import JobReport
from fnet_core.models.loading import LoadedModel
from fnet_core.pruning.export import pruned_copy
from fnet_core.pruning.masking import masking
from fnet_core.pruning.methods import METHODS

_START = "The lighthouse keeper climbed the stairs and"
_GREEDY, _SAMPLING = "Greedy", "Sampling"


def speed(request: PruneRequest) -> None:
    """The button that measures the speed, and what was measured."""
    job = prune_jobs.asked(SPEED, request.model)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Measure the speed",
            key="measure_speed",
            type="primary",
            icon=":material/speed:",
            disabled=jobs.under_way(job),
            on_click=_submit_speed,
            args=(request,),
        )
        st.caption(
            "Builds the smaller model in memory and runs both in turns, five rounds each: reading 256 tokens at once, "
            "then writing 16 one by one. Other work on this machine slows both."
        )
    prune_jobs.show(job, lambda outcome: _speed(request, outcome))


def _submit_speed(request: PruneRequest) -> None:
    def compute(loaded: LoadedModel, report: JobReport, publish) -> Speed:
        pruning = prune_jobs.prepared(loaded, request, report)
        report("cutting", 0.0)
        smaller = pruned_copy(loaded, pruning, dtype=loaded.model.dtype).to(main_device(loaded.model))
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
    st.caption(f"{METHODS[tried.method].title}, {tried.amount}" + (stale if tried.key() != request.key() else ""))


@dataclass(frozen=True)
class Writing:
    """What the original and the pruned model wrote so far."""

    prompt: str
    written: tuple[Continuation, ...]


def writing(request: PruneRequest) -> None:
    """The prompt with its settings, and both texts side by side."""
    state = st.session_state
    state.setdefault("prune_prompt", _START)
    state.setdefault("prune_tokens", 60)
    state.setdefault("prune_writing_seed", 0)
    job = prune_jobs.asked(WRITING, request.model)
    st.text_area("Prompt", key="prune_prompt", height=80, persist_state="session")
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        how = st.segmented_control(
            "How",
            [_GREEDY, _SAMPLING],
            key="prune_how",
            default=_GREEDY,
            required=True,
            persist_state="session",
            help="Greedy always takes the likeliest token. Sampling draws with the seed, the same for both models.",
        )
        st.number_input("New tokens", 1, 1024, key="prune_tokens", persist_state="session", width=130)
        if how == _SAMPLING:
            st.number_input("Seed", min_value=0, key="prune_writing_seed", persist_state="session", width=110)
        st.button(
            "Write",
            key="prune_write",
            type="primary",
            icon=":material/edit_note:",
            disabled=jobs.under_way(job),
            on_click=_submit_writing,
            args=(request,),
        )
    if job is None:
        st.caption("Press 'Write': the original and the pruned model go on from the prompt, side by side.")
    prune_jobs.show(job, lambda outcome: _side_by_side(request, outcome))


def _submit_writing(request: PruneRequest) -> None:
    state = st.session_state
    prompt, tokens = state["prune_prompt"], state["prune_tokens"]
    sampling = Sampling(int(state["prune_writing_seed"])) if state["prune_how"] == _SAMPLING else None

    def compute(loaded: LoadedModel, report: JobReport, publish) -> Writing:
        def write(number: int) -> Continuation:
            return continuation(
                loaded,
                prompt,
                new_tokens=tokens,
                sampling=sampling,
                report=lambda stage, share: report(stage, (number + share) / 2),
            )

        original = write(0)
        publish(Writing(prompt, (original,)))
        with masking(loaded, prune_jobs.prepared(loaded, request, report)):
            return Writing(prompt, (original, write(1)))

    how = sampling.seed if sampling else "greedy"
    prune_jobs.ask(WRITING, request, compute, f"Writing with {request.model}", "writing", prompt, tokens, how)


def _side_by_side(request: PruneRequest, outcome: Outcome) -> None:
    found: Writing = outcome.value
    _asked(request, outcome)
    for column, name, text in zip(st.columns(2), ("Original", "Pruned"), (*found.written, None), strict=False):
        with column, st.container(border=True, height="stretch", key=f"prune_written_{name.lower()}"):
            st.caption(name)
            if text is None:
                st.caption("not written yet")
                continue
            st.text(text.text.strip("\n") or ("(the model ends the text here)" if text.finite else ""))
            st.caption(words.count(text.tokens, "token"))
            if not text.finite:
                notices.error("The model's output became infinite here, so it cannot go on.")
