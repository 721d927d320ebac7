"""The chosen network: table, map and tabs. Only this part is redrawn when the threshold moves."""

from html import escape

import streamlit as st

from dashboard import atlases, notices, selection, threshold
from dashboard.networks import scan, table, views
from fnet_core.errors import RequestError
from fnet_core.networks.atlas import Atlas
from fnet_core.networks.contexts import led_by_position
from fnet_core.plotting import networks as figures

_THRESHOLD = "threshold_slider"


@st.fragment
def explorer(key: str) -> None:
    """Draw the atlas of this key; a sentence when the network in the address does not exist."""
    atlas = atlases.load(key)
    try:
        atlas.layers_of(selection.current().network)
    except RequestError as error:
        notices.error(str(error))
        selection.choose(network=0)
    left, right = st.columns([10, 11], gap="medium")
    with right:
        beyond = _head(atlas)
        network = selection.current().network
        scan.draw(key, atlas, network, beyond)
    with left:
        networks = table.layer_filter(atlas)
        table.pick(atlas, networks)
        table.table(atlas, networks, beyond)
    views.tabs(atlas, network, beyond)


def _head(atlas: Atlas) -> float:
    """The network's name and the threshold with its count; returns the threshold."""
    network = selection.current().network
    name, slider = st.columns([1, 1], vertical_alignment="center")
    with name:
        st.html(
            f'<div style="border-left:.45rem solid {figures.colour_of(atlas, network)};padding-left:.7rem">'
            f'<div style="font-size:.85rem;opacity:.7">Network {network}</div>'
            f'<div style="font-size:1.25rem;font-weight:600">{escape(atlas.labels[network])}</div></div>'
        )
    beyond = threshold.slider(
        _THRESHOLD,
        "z is a neuron's weight in the network, in standard deviations of all neurons' weights. Neurons beyond the "
        "threshold, on either side, are the network's key neurons. A higher threshold keeps fewer.",
        slider,
    )
    kept = int(atlas.key_counts(beyond)[network].sum())
    total = sum(atlas.widths_L[layer] for layer in atlas.layers_of(network))
    verb = "is a key neuron" if kept == 1 else "are key neurons"
    share = 100 * kept / total
    st.markdown(f"**{kept:,} of {total:,} neurons** {verb} ({share:.2f} %), |z| > {beyond:.1f}")
    if sentence := led_by_position(atlas, network):
        st.caption(f":material/low_priority: {sentence}")
    return beyond
