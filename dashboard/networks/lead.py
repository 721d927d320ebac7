"""What Home leads with: the scan of the newest atlas, or of the one that comes with the project."""

import streamlit as st

from dashboard import atlases, notices, selection, words
from dashboard.networks import glance
from fnet_core.choices import site_title
from fnet_core.errors import RequestError
from fnet_core.networks.example import EXAMPLE

_PICKED = "lead_network"


@st.fragment
def draw(newest: atlases.SavedAtlas | None) -> None:
    """The scan beside what one network of it is, with a way to its page."""
    key = newest.key if newest else EXAMPLE
    try:
        atlas, _ = atlases.annotated(key)
    except RequestError as error:
        notices.error(str(error))
        return
    st.caption(
        f"{words.plain(atlas.model_name)} · {words.count(len(atlas), 'network')} · {site_title(atlas.site)} · "
        f"{words.count(len(atlas.passages), 'passage')}"
        + ("" if newest else ". This atlas comes with FNet: nothing had to be downloaded.")
    )
    network, beside = glance.draw(key, atlas, _PICKED)
    if beside.button("Open these networks", key="open_lead", type="primary", icon=":material/hub:"):
        selection.choose(model=atlas.model_name, atlas=key, network=network)
        st.switch_page("pages/networks.py")
