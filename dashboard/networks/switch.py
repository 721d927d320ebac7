"""Two views of one place, of which a person sees one at a time."""

from collections.abc import Sequence

import streamlit as st


def switch(label: str, views: Sequence[str], key: str) -> str:
    """Draw the choice, without its label, and return the chosen view: the first until another is picked."""
    return st.segmented_control(
        label,
        views,
        key=key,
        default=views[0],
        required=True,
        label_visibility="collapsed",
        persist_state="session",
    )
