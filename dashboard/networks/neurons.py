"""Neurons in two dimensions, each in the colour of its network; a click selects the network."""

from functools import partial

import streamlit as st

from dashboard import atlases, charts, notices, selection, words
from dashboard.networks import picking
from fnet_core.errors import RequestError
from fnet_core.networks.atlas import Atlas
from fnet_core.networks.neuron_map import WAYS, NeuronMap, neuron_map
from fnet_core.plotting import neurons as figures

_FIGURE, _WAY = "neuron_map", "neuron_map_way"
_NAMES = {"pca": "Directions (PCA)", "neighbours": "Neighbours (t-SNE)"}


def draw(atlas: Atlas, network: int, threshold: float) -> None:
    """The plane, the switch between the two ways to place neurons, and what one sees."""
    key = selection.current().atlas
    if key is None:
        return
    way = st.segmented_control(
        "How neurons are placed",
        list(WAYS),
        key=_WAY,
        default="pca",
        required=True,
        format_func=_NAMES.__getitem__,
        persist_state="session",
        label_visibility="collapsed",
        help="\n".join(f"- {line}" for line in WAYS.values()),
    )
    try:
        found = _placed(key, atlas.layers_of(network).start, threshold, way, network)
    except RequestError as error:
        notices.info(str(error), icon=":material/scatter_plot:")
        return
    charts.draw(figures.neuron_map(atlas, found, network), _FIGURE, on_select=partial(picking.network_at, _FIGURE))
    drawn = (
        f"{len(found):,} of the {words.count(found.of, 'key neuron')}, drawn at random"
        if found.of > len(found)
        else f"All {words.count(found.of, 'key neuron')}"
    )
    held = ""
    if found.explained:
        share = 100 * sum(found.explained)
        held = f" These two directions hold {share:.0f} % of the variance" + (
            ", since networks are found to be independent of each other: Neighbours shows the groups."
            if share < 50
            else "."
        )
    st.caption(
        f"{drawn}, placed by their z-values in all networks of these layers: {WAYS[way].partition(': ')[2]}. Each has "
        "the colour of the network that owns it; those of the selected network are lit. Point for a neuron, click for "
        "its network." + held
    )


@st.cache_data(max_entries=16, show_spinner="Placing the neurons")
def _placed(key: str, first_layer: int, threshold: float, way: str, _network: int) -> NeuronMap:
    """Kept, since all networks of the same layers share it."""
    return neuron_map(atlases.load(key), _network, threshold, way)
