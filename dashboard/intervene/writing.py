"""What the model writes and expects next: untouched, edited, and with one random control."""

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from dashboard import jobs, written
from dashboard.intervene import controls
from dashboard.intervene import jobs as intervene_jobs
from dashboard.intervene.jobs import WRITING
from dashboard.jobs import Outcome
from fnet_core.evaluation.generation import Continuation, continuation
from fnet_core.interventions import tables
from fnet_core.interventions.controls import NoControlError, random_controls
from fnet_core.interventions.editing import editing
from fnet_core.interventions.edits import Edit
from fnet_core.jobs import JobReport
from fnet_core.models.loading import LoadedModel
from fnet_core.models.modules import site_widths
from fnet_core.progress import part_of

_FORM = "writing"
_CANDIDATES = 500
"""Candidates that are compared, so that one that left the first ten still has its probability."""
_NAMES = ("Untouched", "Edited", "One random control")


@dataclass(frozen=True)
class Writing:
    """The continuations found so far: untouched, edited, control; and why there is no control."""

    written: tuple[Continuation, ...]
    without_control: str


def draw(key: str) -> None:
    """The prompt with its settings, and the continuations side by side."""
    job = intervene_jobs.current(WRITING, key)
    written.form(_FORM, "all three", tokens=40, busy=jobs.under_way(job), submit=_submit, args=(key,))
    if jobs.under_way(job):
        jobs.live_result(job.id, _side_by_side)
        return
    intervene_jobs.ended(job)
    if job and job.state == "done" and (found := jobs.outcome(job)):
        _side_by_side(found)
        _next_tokens(found.value)
    elif job is None:
        st.caption(
            "Press 'Write': the model goes on from the prompt untouched, under the edits on the left, and with as many "
            "random neurons changed alike."
        )


def _submit(key: str) -> None:
    request = controls.checked(key)
    if request is None:
        return
    prompt, tokens, sampling = written.asked(_FORM)

    def compute(loaded: LoadedModel, report: JobReport, publish) -> Writing:
        widths_L = site_widths(loaded.model, request.edits[0].site)
        try:
            sets = random_controls(request.edits, widths_L, 1, request.seed)
            without = ""
        except NoControlError as error:
            sets, without = [], str(error)
        ways = ((), request.edits, *sets)

        def write(edits: Sequence[Edit], before: tuple[Continuation, ...]) -> Continuation:
            with editing(loaded, edits):
                return continuation(
                    loaded,
                    prompt,
                    new_tokens=tokens,
                    sampling=sampling,
                    candidates=_CANDIDATES,
                    report=part_of(report, len(before), len(ways)),
                    publish=lambda so_far: publish(Writing((*before, so_far), without)),
                )

        texts: tuple[Continuation, ...] = ()
        for edits in ways:
            texts += (write(edits, texts),)
        return Writing(texts, without)

    label = f"Writing with {request.model}"
    intervene_jobs.submit(WRITING, request, compute, label, prompt, tokens, written.how(sampling))


def _side_by_side(outcome: Outcome) -> None:
    writing: Writing = outcome.value
    written.side_by_side(_FORM, _NAMES, writing.written, writing.without_control)


def _next_tokens(writing: Writing) -> None:
    untouched, *others = writing.written
    st.header("The next token after the prompt", anchor=False)
    for column, name, found in zip(st.columns(2, gap="medium"), _NAMES[1:], others, strict=False):
        with column:
            if not found.next_tokens:
                st.caption(f"{name}: no probabilities, the output became infinite.")
                continue
            table = tables.next_token_table(untouched, found)
            table["token"] = [tables.visible_token(token) for token in table["token"]]
            shown = table.assign(**{column: 100 * table[column] for column in ("before", "after", "difference")})
            st.dataframe(
                shown,
                key=f"next_tokens_{name.split()[0].lower()}",
                hide_index=True,
                height="content",
                column_config={
                    "token": st.column_config.TextColumn("Token", width="small"),
                    "before": st.column_config.NumberColumn("Untouched", format="%.1f %%"),
                    "after": st.column_config.NumberColumn(name.split()[-1].capitalize(), format="%.1f %%"),
                    "difference": st.column_config.NumberColumn("Difference", format="%+.1f", help="Per cent points"),
                },
                alt=f"Probabilities of the likeliest next tokens, untouched and {name.lower()}",
            )
    st.caption("The ten likeliest tokens of either model; a space is shown as ␣ and a line break as ↵.")
