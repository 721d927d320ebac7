"""Which networks work at the same tokens: the matrix beside the graph of its strongest links."""

from collections.abc import Sequence
from functools import partial

import streamlit as st

from dashboard import atlases, charts, selection, words
from dashboard.networks import picking
from dashboard.networks.table import networks_of_layer
from fnet_core.networks.atlas import Atlas
from fnet_core.networks.links import links, telling_level
from fnet_core.plotting import links as figures
from fnet_core.plotting import networks as matrices

_MATRIX, _GRAPH, _LEAST = "connectivity", "connectivity_graph", "links_from"


def draw(atlas: Atlas, network: int, threshold: float) -> None:
    """Both pictures, and the correlation from which on there is a link; a click on either selects a network."""
    key = selection.current().atlas
    if key is None:
        return
    shown = neighbours(atlas, network)
    said, level = st.columns([3, 1], gap="medium")
    with level:
        found = links(atlas, _least(key, shown), shown)
    matrix, graph = st.container(key="pair_connectivity").columns(2, gap="medium")
    with matrix:
        charts.draw(
            matrices.connectivity(atlas, network, shown), _MATRIX, on_select=partial(picking.network_at, _MATRIX)
        )
    with graph:
        charts.draw(
            figures.graph(atlas, found, threshold, network), _GRAPH, on_select=partial(picking.network_at, _GRAPH)
        )
    more = f", of {len(found.ends_E2) + found.left_out:,} the strongest" if found.left_out else ""
    said.caption(
        "Which networks rise and fall together over the text: the correlation r of their time courses within "
        "passages, averaged. Networks that work alike stand side by side (hierarchical clustering of 1 - r). Red pairs "
        "work at the same tokens, blue pairs take turns. The lines mark the selected network; in the graph its "
        f"links are lit, out of {words.count(len(found.ends_E2), 'link')}{more}. Click a cell or a node to select."
    )


def neighbours(atlas: Atlas, network: int) -> list[int] | None:
    """The networks to draw beside this one: all, or its layer's when each network lives in one layer."""
    if atlas.scope == "model":
        return None
    return networks_of_layer(atlas, atlas.layers_of(network).start)


def _least(key: str, shown: Sequence[int] | None) -> float:
    """The slider; it begins where there are about as many links as networks."""
    chosen = selection.current().linked
    least = _level(key, None if shown is None else tuple(shown)) if chosen is None else chosen
    selection.mirror(_LEAST, least)
    return st.slider(
        "Link from |r|",
        0.0,
        0.95,
        step=0.05,
        format="%.2f",
        key=_LEAST,
        on_change=lambda: selection.choose(linked=round(float(st.session_state[_LEAST]), 2)),
        help="Two networks are linked where their time courses correlate at least so much, in either direction.",
    )


@st.cache_data(max_entries=16, show_spinner=False)
def _level(key: str, shown: tuple[int, ...] | None) -> float:
    return telling_level(atlases.load(key), shown)
