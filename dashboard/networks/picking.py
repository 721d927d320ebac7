"""What a click on a figure selects: the network that the point stands for."""

import streamlit as st

from dashboard import selection


def network_at(key: str) -> None:
    """Select the network of the point that was clicked in the figure under this key, for `on_select`.

    A point's customdata begins with its network, or with two of them; of two the one that is not selected yet.
    """
    points = st.session_state[key].selection.points
    if not points:
        return
    networks = [value for value in points[0]["customdata"][:2] if isinstance(value, int)]
    current = selection.current().network
    selection.choose(network=next((network for network in reversed(networks) if network != current), current))
