"""A text of the person's own under the networks of an atlas: typed, read by the model, coloured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from dashboard import coloured_text, jobs, words
from dashboard.networks import ranking
from dashboard.networks.switch import switch
from fnet_core.choices import MOST_CHARACTERS
from fnet_core.jobs import Job, JobReport
from fnet_core.networks.atlas import Atlas
from fnet_core.time_left import LISTENING

if TYPE_CHECKING:
    from fnet_core.models.loading import LoadedModel
    from fnet_core.networks.listening import Heard

KIND = "listening"
_PASSAGES, _OWN = "Passages", "Your own text"
_SOURCE, _TEXT, _SECOND, _HEARD = "text_shown", "own_text", "second_network", "heard_networks"
_START = "She locked the door, walked down to the harbour, and counted the boats: one, two, three."


@dataclass(frozen=True)
class Request:
    """A text for the networks of one model."""

    model: str
    text: str


def chosen() -> bool:
    """Draw the choice between the atlas's passages and a text of one's own; True for the latter."""
    return switch("Text", [_PASSAGES, _OWN], _SOURCE) == _OWN


def coloured(atlas: Atlas, text: str, offsets_T2: np.ndarray, course_T: np.ndarray) -> None:
    """A text coloured by a course in standard deviations, with what the colours mean."""
    with st.container(border=True, key="coloured_text"):
        st.html(coloured_text.by_course(text, offsets_T2, course_T))
    st.caption(
        "Red tokens are where the network is active, blue ones where it is below its mean, in standard "
        f"deviations (SD) over all {words.count(atlas.tokens, 'token')}. Point at a token for its value."
    )


def draw(atlas: Atlas, network: int) -> None:
    """The text box, and once the text was read: its colours, a second network, and the networks that answer most."""
    job = jobs.remembered(KIND)
    st.session_state.setdefault(_TEXT, _START)
    box, button = st.columns([6, 1], vertical_alignment="bottom")
    box.text_area("Your text", key=_TEXT, height=90, max_chars=MOST_CHARACTERS, persist_state="session")
    with button:
        jobs.start_button(
            "Listen",
            "listen",
            "hearing",
            job,
            _submit,
            atlas,
            width="stretch",
            help="The model reads the text and every network's activity is followed in it.",
        )
    if jobs.under_way(job):
        jobs.live(job.id, jobs.progress)
        return
    jobs.ended(job)
    heard = _heard(job, atlas)
    if heard is None:
        st.caption("Every neuron is measured against its own mean over this text: a few sentences show more than one.")
        return
    _show(atlas, heard, network)


def _submit(atlas: Atlas) -> None:
    request = Request(atlas.model_name, st.session_state[_TEXT])

    def compute(loaded: LoadedModel, report: JobReport, _publish) -> tuple[str, Heard]:
        from fnet_core.networks.listening import listen

        return atlas.key, listen(loaded, atlas, request.text, report)

    jobs.remember(jobs.submit(KIND, f"{atlas.key}:{request.text}", request, compute, "Listening", stages=LISTENING))


def _heard(job: Job | None, atlas: Atlas) -> Heard | None:
    found = jobs.outcome(job)
    if found is None:
        return None
    key, heard = found.value
    return heard if key == atlas.key else None


def _show(atlas: Atlas, heard: Heard, network: int) -> None:
    text, answers = st.columns([7, 4], gap="medium")
    table = heard.table()
    with text:
        st.caption(f"Network {network}: {words.plain(atlas.named[network])}")
        coloured(atlas, heard.passage.text, heard.offsets_T2, heard.courses_TK[:, network])
        if heard.cut:
            st.caption(words.plain(heard.cut))
        others = [other for other in table["network"].tolist() if other != network]
        if (second := _second(atlas, others)) is not None:
            with st.container(border=True, key="coloured_text_second"):
                st.html(coloured_text.by_course(heard.passage.text, heard.offsets_T2, heard.courses_TK[:, second]))
    with answers:
        st.caption("The networks that answer most to this text. Click a row to see its network.")
        ranking.draw(
            table,
            _HEARD,
            {
                "peak": st.column_config.NumberColumn(
                    "Peak", format="%.1f SD", width=64, help="The network's highest activity in this text."
                ),
                "word": st.column_config.TextColumn("at", width=70),
                "token": None,
            },
            "Networks by their highest activity in your text",
        )


def _second(atlas: Atlas, others: list[int]) -> int | None:
    """The network to show below the selected one, if one is picked."""
    if st.session_state.get(_SECOND) not in others:
        st.session_state[_SECOND] = None
    return st.selectbox(
        "Second network",
        others,
        index=None,
        key=_SECOND,
        placeholder="Show a second network below",
        format_func=lambda other: f"{other} · {atlas.named[other]}",
        label_visibility="collapsed",
    )
