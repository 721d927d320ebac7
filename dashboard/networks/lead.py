"""What Home leads with: the scan of the newest atlas, or of the one that comes with the project."""

from html import escape

import streamlit as st

from dashboard import atlases, notices, selection, words
from dashboard.networks import heading, scan
from fnet_core.choices import DEFAULT_THRESHOLD, site_title
from fnet_core.errors import RequestError
from fnet_core.networks.atlas import Atlas
from fnet_core.networks.contexts import contexts
from fnet_core.networks.example import EXAMPLE

_PICKED = "lead_network"
_PLACES = 4


@st.fragment
def draw(newest: atlases.SavedAtlas | None) -> None:
    """The scan beside what one network of it is, with a way to its page."""
    key = newest.key if newest else EXAMPLE
    try:
        atlas = atlases.load(key)
    except RequestError as error:
        notices.error(str(error))
        return
    of, network = st.session_state.get(_PICKED, (key, 0))
    network = network if of == key and network < len(atlas) else 0
    picture, beside = st.columns([7, 4], gap="large")
    with picture:
        scan.draw(key, atlas, network, DEFAULT_THRESHOLD, lambda chosen: _pick(key, chosen))
    with beside:
        st.caption(
            f"{words.plain(atlas.model_name)} · {words.count(len(atlas), 'network')} · {site_title(atlas.site)} · "
            f"{words.count(len(atlas.passages), 'passage')}"
            + ("" if newest else ". This atlas comes with FNet: nothing had to be downloaded.")
        )
        _about(atlas, network)
        if st.button("Open these networks", key="open_lead", type="primary", icon=":material/hub:"):
            selection.choose(model=atlas.model_name, atlas=key, network=network)
            st.switch_page("pages/networks.py")


def _pick(key: str, network: int) -> None:
    st.session_state[_PICKED] = (key, network)


def _about(atlas: Atlas, network: int) -> None:
    """The network's label, how many neurons it has, and where it is most active."""
    row = atlas.table(DEFAULT_THRESHOLD).iloc[network]
    places = contexts(atlas, network, _PLACES)
    lines = "".join(
        f'<div style="opacity:.9;margin:.35rem 0">{escape(before[-28:])}<b>{escape(word)}</b>{escape(after[:28])}</div>'
        for before, word, after in zip(places["before"], places["word"], places["after"], strict=True)
    )
    st.html(
        heading.of(atlas, network)
        + '<div style="font-size:.9rem;margin-top:.6rem">'
        + f"{row['key_neurons']:,} key neurons in {row['layers']} layers. "
        f"Most active at:{lines}</div>"
    )
