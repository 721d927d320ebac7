"""The threshold slider: one threshold for all pages, in standard deviations of a map."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard import selection

SAME = "The same threshold as on the Networks page."


def slider(key: str, meaning: str, where: DeltaGenerator | None = None) -> float:
    """Draw the slider under this key with the tooltip `meaning`; returns the threshold that is selected."""
    selection.mirror(key, selection.current().threshold)
    (where or st).slider(
        "Threshold |z|",
        selection.LOWEST,
        selection.HIGHEST,
        step=0.1,
        format="%.1f",
        key=key,
        on_change=_moved,
        args=(key,),
        help=meaning,
    )
    return selection.current().threshold


def _moved(key: str) -> None:
    moved = round(float(st.session_state[key]), 1)
    if selection.LOWEST <= moved <= selection.HIGHEST:
        selection.choose(threshold=moved)
