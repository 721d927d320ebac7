"""An atlas at a glance: its scan beside what one network of it is."""

from html import escape

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard import words
from dashboard.networks import heading, scan
from fnet_core.choices import DEFAULT_THRESHOLD
from fnet_core.networks.atlas import Atlas
from fnet_core.networks.contexts import contexts

_PLACES = 4


def draw(key: str, atlas: Atlas, picked: str) -> tuple[int, DeltaGenerator]:
    """Draw the atlas under this key; the network that is shown, and the place below what it is.

    A click on the scan shows another network; the session keeps it under `picked`, and no other page follows.
    """
    of, network = st.session_state.get(picked, (key, 0))
    network = network if of == key and network < len(atlas) else 0

    def pick(chosen: int) -> None:
        st.session_state[picked] = (key, chosen)

    picture, beside = st.columns([7, 4], gap="large")
    with picture:
        scan.draw(key, atlas, network, DEFAULT_THRESHOLD, pick)
    beside.html(heading.of(atlas, network) + _most_active(atlas, network))
    return network, beside


def _most_active(atlas: Atlas, network: int) -> str:
    """How many neurons a network has, and where it is most active."""
    row = atlas.table(DEFAULT_THRESHOLD).iloc[network]
    places = contexts(atlas, network, _PLACES)
    lines = "".join(
        f'<div style="opacity:.9;margin:.35rem 0">{escape(before[-28:])}<b>{escape(word)}</b>{escape(after[:28])}</div>'
        for before, word, after in zip(places["before"], places["word"], places["after"], strict=True)
    )
    return (
        '<div style="font-size:.9rem;margin-top:.6rem">'
        f"{words.count(int(row['key_neurons']), 'key neuron')} in {words.count(int(row['layers']), 'layer')}. "
        f"Most active at:{lines}</div>"
    )
