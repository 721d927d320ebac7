"""Does a network come back in other texts? The atlas against its own halves, on demand and then from the store."""

from dataclasses import dataclass

import numpy as np
import streamlit as st

from dashboard import atlases, charts, jobs, selection, words
from fnet_core.choices import DEFAULT_THRESHOLD
from fnet_core.networks.atlas import Atlas
from fnet_core.networks.known_halves import known_recurrence
from fnet_core.networks.recurrence import LEVELS, RECURRENCE, Recurrence
from fnet_core.networks.request import HALVES_STAGES, LEAST_PASSAGES
from fnet_core.plotting import recurrence as figures


@dataclass(frozen=True)
class HalvesRequest:
    """The atlas whose halves are asked for."""

    model: str
    atlas: str


@st.cache_data(ttl=30, max_entries=16, show_spinner=False)
def _kept(key: str, finished: str | None) -> Recurrence | None:
    """What the store has, at most half a minute ago; `finished` is the job of this session that may have changed it."""
    return known_recurrence(atlases.load(key))


def known(key: str) -> Recurrence | None:
    """The split-half recurrence of this atlas if it was computed."""
    job = _job(key)
    return _kept(key, f"{job.id} {job.state}" if job else None)


def draw(key: str, atlas: Atlas, network: int) -> None:
    """The figure with its sentence, or the button that computes it."""
    found, job = known(key), _job(key)
    if found:
        _sentence(found, atlas.trusted_by(found), network)
        charts.draw(
            figures.coming_back(found, network, atlas.trusted_by(found)),
            "halves_figure",
            f"Circles: how alike the network's two maps are (abs r), found in two halves of the {len(atlas.passages)} "
            f"passages that share no text. Diamonds: how far its key neurons at |z| > {DEFAULT_THRESHOLD:g} are the "
            "same ones (IoU). Hollow: not to be trusted. Dotted lines: what 95 of 100 shuffles of the neurons stay "
            "below.",
        )
        charts.download_csv(
            "Table (CSV)",
            found.table(),
            f"{atlases.file_stem(atlas)}-recurrence.csv",
        )
        return
    few = len(atlas.passages) < LEAST_PASSAGES
    with st.container(horizontal=True, vertical_alignment="center"):
        jobs.start_button("Test on two halves", "test_halves", "call_split", job, _submit, key, atlas, blocked=few)
        st.caption(
            f"This atlas has too few passages to split; find one on at least {LEAST_PASSAGES}."
            if few
            else "Finds the networks anew in each half of the passages and shows which ones come back, beside what "
            "shuffled neurons give. It takes about as long as the atlas did."
        )
    jobs.show(job)


def offer(key: str, atlas: Atlas) -> None:
    """Beside the table of an atlas whose recurrence is not known: the sentence that says so, and the button."""
    few = len(atlas.passages) < LEAST_PASSAGES
    st.caption(
        "Whether these networks come back in other text is not known"
        + (": there are too few passages to split." if few else ", so none is marked as trusted.")
    )
    if not few and not jobs.under_way(_job(key)):
        st.button(
            "Test whether they come back",
            key="offer_halves",
            icon=":material/call_split:",
            on_click=_begin,
            args=(key, atlas),
            help="Finds the networks anew in each half of the passages: see the tab Recurrence. It takes about as long "
            "as the atlas did.",
        )


def _begin(key: str, atlas: Atlas) -> None:
    _submit(key, atlas)
    selection.choose(view="Recurrence")


def _sentence(found: Recurrence, trusted_K: np.ndarray, network: int) -> None:
    st.markdown(
        f"**Network {network}: maps agree at {found.correlation_K[network]:.2f}**, key neurons at "
        f"{found.overlap_K[network]:.2f}. {found.recurring()} of {words.count(len(found), 'network')} come back (IoU "
        f"above {found.bar():.2g}); by chance {found.recurring_by_chance():.1f} would. "
        f"{int(trusted_K.sum())} are to be trusted: {LEVELS}."
    )


def _job(key: str) -> jobs.Job | None:
    job = jobs.remembered(RECURRENCE)
    asked = jobs.request_of(job)
    return job if asked is None or asked.atlas == key else None


def _submit(key: str, atlas: Atlas) -> None:
    def compute(loaded, report, publish) -> Recurrence:
        from fnet_core.networks.halves import recurrence_of

        return recurrence_of(loaded, atlas, report=report)

    request = HalvesRequest(atlas.model_name, key)
    label = f"Splitting the texts of {atlas.model_name}"
    jobs.remember(jobs.submit(RECURRENCE, key, request, compute, label, stages=HALVES_STAGES))
