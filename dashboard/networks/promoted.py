"""The tokens that a network promotes and suppresses, beside random neurons: from the store, or measured on demand."""

from dataclasses import dataclass
from typing import Any

import streamlit as st

from dashboard import atlases, jobs, kept, selection, words
from fnet_core.errors import RequestError
from fnet_core.interventions.tables import visible_token
from fnet_core.jobs import Job, JobReport
from fnet_core.models.loading import LoadedModel
from fnet_core.networks.atlas import Atlas
from fnet_core.networks.direct import CAVEAT, DIRECT, DRAWS, KIND, DirectEffect, direct_effect, direct_recipe, why_not
from fnet_core.time_left import LOGITS


@dataclass(frozen=True)
class LogitRequest:
    """The atlas whose direct logit effect is asked for."""

    model: str
    atlas: str
    threshold: float

    @property
    def key(self) -> str:
        """What decides the answer."""
        return f"{self.atlas}:{self.threshold:g}"


def draw(atlas: Atlas, network: int, threshold: float) -> None:
    """Both lists with what random neurons give, the button that measures them, or why there are none."""
    key = selection.current().atlas
    if key is None:
        return
    st.header("What it writes", anchor=False)
    if sentence := why_not(atlas):
        st.caption(words.plain(sentence))
        return
    request = LogitRequest(atlas.model_name, key, threshold)
    job = _job(request)
    if jobs.under_way(job):
        jobs.live(job.id, jobs.progress)
        return
    jobs.ended(job)
    if found := kept.answer(DIRECT, _recipe(key, threshold)):
        _show(found, network)
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        jobs.start_button("Read out tokens", "read_out_tokens", "output", job, _submit, request, atlas)
        st.caption(
            "Which tokens every network's key neurons would make more and less likely if what they write went straight "
            f"to the output, beside {DRAWS} sets of random neurons. The model reads a few passages; it takes seconds."
        )


def _show(found: DirectEffect, network: int) -> None:
    try:
        table = found.table(network)
    except RequestError as error:
        st.caption(words.plain(str(error)))
        return
    st.markdown(words.plain(found.sentence(network)))
    st.dataframe(
        table.assign(
            promoted=[visible_token(token) for token in table["promoted"]],
            suppressed=[visible_token(token) for token in table["suppressed"]],
        ),
        key="promoted_tokens",
        hide_index=True,
        width=620,
        height=390,
        column_config={
            "promoted": st.column_config.TextColumn("Promoted", width=200),
            "promoted_sd": _SHARE,
            "suppressed": st.column_config.TextColumn("Suppressed", width=200),
            "suppressed_sd": _SHARE,
        },
        alt=f"Tokens that network {network} promotes and suppresses, the strongest first",
    )
    st.caption(words.plain(CAVEAT))


_SHARE = st.column_config.NumberColumn(
    "SD", format="%+.1f", width=60, help="Logit in standard deviations over the vocabulary, from its mean."
)


def _job(request: LogitRequest) -> Job | None:
    job = jobs.remembered(KIND)
    return job if job and job.key == request.key else None


@st.cache_data(max_entries=64, show_spinner=False)
def _recipe(key: str, threshold: float) -> dict[str, Any] | None:
    """Kept, since the digest of all key neurons is in it."""
    return direct_recipe(atlases.load(key), threshold)


def _submit(request: LogitRequest, atlas: Atlas) -> None:
    def compute(loaded: LoadedModel, report: JobReport, _publish) -> DirectEffect:
        return direct_effect(loaded, atlas, request.threshold, report=report)

    label = f"Reading out tokens of {request.model}"
    jobs.watch(jobs.submit(KIND, request.key, request, compute, label, stages=LOGITS))
