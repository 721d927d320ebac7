"""The chosen network: table, map and tabs. Only this part is redrawn when the threshold moves."""

import streamlit as st

from dashboard import atlases, notices, selection, threshold
from dashboard.networks import files, heading, labelling, scan, table, views
from fnet_core.errors import RequestError
from fnet_core.networks.atlas import Atlas
from fnet_core.networks.contexts import led_by_positions

_THRESHOLD = "threshold_slider"


@st.fragment
def explorer(key: str) -> None:
    """Draw the atlas of this key; a sentence when the network in the address does not exist."""
    atlas, problem = atlases.annotated(key)
    if problem:
        notices.error(problem)
    try:
        atlas.layers_of(selection.current().network)
    except RequestError as error:
        notices.error(str(error))
        selection.choose(network=0)
    left, right = st.columns(2, gap="medium")
    with right:
        beyond = _head(key, atlas)
        network = selection.current().network
        scan.draw(key, atlas, network, beyond)
    with left:
        box, save = st.columns([3, 2], gap="small")
        with save:
            files.draw(key, beyond)
        with box:
            networks = labelling.search(atlas, table.layer_filter(atlas))
        table.pick(atlas, networks)
        table.table(atlas, networks, beyond)
        labelling.draw(key, atlas, network)
    views.tabs(atlas, network, beyond)


@st.cache_data(max_entries=16, show_spinner=False)
def _led_by_positions(key: str) -> list[str | None]:
    """Kept, since every move of the threshold draws the head anew."""
    return led_by_positions(atlases.load(key))


def _head(key: str, atlas: Atlas) -> float:
    """The network's name and the threshold with its count; returns the threshold."""
    network = selection.current().network
    name, slider = st.columns([1, 1], vertical_alignment="center")
    with name:
        st.html(heading.of(atlas, network))
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
    if sentence := _led_by_positions(key)[network]:
        st.caption(f":material/low_priority: {sentence}")
    return beyond
