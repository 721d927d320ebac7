"""The table of networks and the other ways to pick one."""

from collections.abc import Sequence

import streamlit as st

from dashboard import selection, stepper, words
from dashboard.networks import halves, labelling
from fnet_core.networks.atlas import Atlas
from fnet_core.networks.blocks import block_name
from fnet_core.networks.recurrence import LEVELS, STABLE, TRUSTED, Recurrence

_TABLE, _LAYER = "network_table", "network_layer"

_COLUMNS = {
    "network": st.column_config.NumberColumn("#", width=32, help="The network's number, largest variance first."),
    "label": st.column_config.TextColumn(
        "Label", width=98, help="The words at which the network is most active, strongest first."
    ),
    "mark": st.column_config.TextColumn(
        "Said", width=34, help="What a person said: ✓ the label fits, ✗ it does not, ✎ there is a note."
    ),
    "variance": st.column_config.NumberColumn(
        "Variance",
        format="%.2f %%",
        width=60,
        help="How much of all neurons' activity the network accounts for. The neurons are many, so even a "
        "large network has a small share.",
    ),
    "stability": st.column_config.NumberColumn(
        "Stable",
        format="%.2f",
        width=50,
        help="How well the random restarts agree on this network (ICASSO's I_q). Near 1: the same network is "
        f"found every time. Below {STABLE:g}: do not build on it.",
    ),
    "recurrence": st.column_config.NumberColumn(
        "Recurs",
        format="%.2f",
        width=50,
        help="How alike the network's maps are in two halves of the text (abs r): see the tab "
        f"Recurrence. From {TRUSTED:g} a network is trusted; do not build on one below it.",
    ),
    "key_neurons": st.column_config.NumberColumn(
        "Neurons",
        format="localized",
        width=60,
        help="Key neurons: those whose weight in the network lies beyond the threshold, |z| above it.",
    ),
    "layers": st.column_config.NumberColumn("Layers", width=48, help="In how many layers the network has key neurons."),
}


def layer_filter(atlas: Atlas) -> list[int]:
    """The networks to list: all, or those of one layer or window when each network lives in one."""
    if atlas.scope == "model":
        return list(range(len(atlas)))
    own = atlas.layers_of(selection.current().network).start
    selection.mirror(_LAYER, own)
    kind = "layer" if atlas.scope == "layer" else "window of layers"
    st.selectbox(
        kind.capitalize(),
        range(len(atlas.maps)),
        key=_LAYER,
        format_func=lambda first: block_name(atlas.layers_of(networks_of_layer(atlas, first)[0])).partition(" ")[2],
        on_change=lambda: selection.choose(network=networks_of_layer(atlas, st.session_state[_LAYER])[0]),
        help=f"Each network of this atlas lives in one {kind}; the table lists the networks of one.",
    )
    return networks_of_layer(atlas, own)


def networks_of_layer(atlas: Atlas, layer: int) -> list[int]:
    """The networks that live in a layer, or in the window that begins there."""
    return [k for k in range(len(atlas)) if layer == atlas.layers_of(k).start]


def pick(atlas: Atlas, networks: Sequence[int]) -> None:
    """Previous, a list to choose from, next."""
    stepper.step(
        st.columns([1, 6, 1], gap="xsmall"),
        "network",
        networks,
        selection.current().network,
        lambda network: selection.choose(network=network),
        line=lambda k: f"{k} · {atlas.named[k]}",
        shortcuts=("p", "n"),
    )


def table(atlas: Atlas, networks: Sequence[int], threshold: float) -> None:
    """The networks with their numbers; a click on a row selects it."""
    rows = atlas.table(threshold).iloc[list(networks)].reset_index(drop=True)
    rows["variance"] = 100.0 * rows["variance"]
    key = selection.current().atlas
    found = halves.known(key) if key else None
    shown = {"recurrence": found, "mark": atlas.annotations}
    columns = [name for name in _COLUMNS if shown.get(name, True)]
    if atlas.annotations:
        rows["mark"] = [labelling.mark(atlas, network) for network in networks]
    if found:
        rows["recurrence"] = found.correlation_K[list(networks)]
    chosen = networks.index(selection.current().network)
    selection.mirror(_TABLE, {"selection": {"rows": [chosen], "columns": [], "cells": []}})
    st.caption(
        f"{words.count(len(networks), 'network')}, largest variance first. Click one to see it; sort by a "
        "column's head. The label is made of the words at which a network peaks, or a person's. " + _trust(atlas, found)
    )
    if key and found is None:
        halves.offer(key, atlas)
    st.dataframe(
        rows[columns],
        key=_TABLE,
        hide_index=True,
        height=min(470, 35 * len(networks) + 38),
        column_config=_COLUMNS,
        on_select=lambda: _selected(networks),
        selection_mode=["single-row-required", "single-cell"],
        alt="Networks of the model with label, variance, stability, key neurons and layers",
    )


def _trust(atlas: Atlas, found: Recurrence | None) -> str:
    """How many networks are trusted, and whether the selected one is."""
    if found is None:
        return ""
    trusted_K = atlas.trusted_by(found)
    own = selection.current().network
    return (
        f"**{int(trusted_K.sum())} of {len(atlas)} are to be trusted**: {LEVELS}. The selected one is"
        f"{'' if trusted_K[own] else ' not'} among them."
    )


def _selected(networks: Sequence[int]) -> None:
    picked = st.session_state[_TABLE]["selection"]
    rows = [row for row, _ in picked["cells"]] or picked["rows"]
    if rows and 0 <= rows[0] < len(networks):
        selection.choose(network=networks[rows[0]])
