"""What edits are measured by: text, controls, seed, and the definition of perplexity."""

import streamlit as st

from dashboard import texts, words
from dashboard.intervene.state import BUNDLED, PASTE
from fnet_core.choices import DEFAULT_WINDOW


def sentence() -> str:
    """The settings that matter most, in one line."""
    state = st.session_state
    pasted = state["intervene_source"] == PASTE
    source = "the pasted text" if pasted else words.count(state["intervene_passages"], "passage")
    return f"Measured on {source}, beside {words.count(state['intervene_controls'], 'random control')}."


def draw() -> None:
    """The widgets, for a popover."""
    st.selectbox("Text", [BUNDLED, PASTE], key="intervene_source", persist_state="session")
    if st.session_state["intervene_source"] == PASTE:
        texts.paste("intervene_pasted", 140)
    else:
        texts.score_passages("intervene_passages", "no network was found on")
    st.number_input(
        "Random controls",
        0,
        50,
        key="intervene_controls",
        persist_state="session",
        help="Sets of as many random neurons in the same layers, changed alike. A single one may hit a massive "
        "neuron by chance, so draw several.",
    )
    st.number_input(
        "Seed", min_value=0, key="intervene_seed", persist_state="session", help="Where the random draws begin."
    )
    texts.definition("intervene_definition")
    st.number_input(
        "Window (tokens)",
        value=None,
        step=1,
        placeholder=f"{DEFAULT_WINDOW}, or what the model reads",
        key="intervene_window",
        persist_state="session",
        help="How many tokens the model reads at once; the next window starts where this one ends.",
    )
