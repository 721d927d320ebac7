"""What drives the network: its strongest places in the text, or where it falls silent, and the networks of a word."""

import pandas as pd
import streamlit as st

from dashboard import notices, words
from dashboard.networks import ranking
from dashboard.networks.switch import switch
from fnet_core.errors import RequestError
from fnet_core.networks import contexts
from fnet_core.networks.atlas import Atlas

_STRONGEST, _SILENT = "Strongest", "Silent"
_WHICH, _WORD, _FOUND = "contexts_which", "word_sought", "networks_of_word"
LISTED = 30
_BEFORE = 160
"""Pixels of the column of what stands before a word."""
_PIXELS = 4
"""A grid keeps one character for so many pixels of a column, the first ones, however the column is aligned."""


def draw(atlas: Atlas, network: int, threshold: float) -> None:
    """The places as a table with what stands around each, beside the search for a word."""
    places, search = st.columns([7, 4], gap="medium")
    with places:
        which = switch("Places", [_STRONGEST, _SILENT], _WHICH)
        found = contexts.contexts(atlas, network, LISTED, silent=which == _SILENT)
        st.dataframe(
            found.assign(before=ends(found["before"], _BEFORE)),
            key="context_table",
            hide_index=True,
            height=420,
            column_config={
                "activity": st.column_config.NumberColumn(
                    "Activity", format="%.1f SD", width=70, help="In standard deviations over all tokens."
                ),
                "before": st.column_config.TextColumn("Before", width=_BEFORE, alignment="right"),
                "word": st.column_config.TextColumn("Word", width=80),
                "after": st.column_config.TextColumn("After", width=155),
                "passage": st.column_config.TextColumn("Passage", width=95),
                "token": None,
            },
            alt=f"{which} places of network {network} in the text, the most extreme first",
        )
        if which == _STRONGEST:
            st.caption(f"The {LISTED} words of the text at which this network is most active.")
        else:
            st.caption(f"The {LISTED} words of the text at which this network is farthest below its mean.")
    with search:
        _search(atlas)


def ends(texts: pd.Series, width: int) -> pd.Series:
    """The ends of texts, as much of each as a column so many pixels wide keeps."""
    return texts.str[-(width // _PIXELS) :]


def _search(atlas: Atlas) -> None:
    sought = st.text_input(
        "Which networks answer to a word?", key=_WORD, placeholder="with", persist_state="session", max_chars=60
    )
    if not sought.strip():
        st.caption("Type a word of the text: every network is listed by its mean activity there.")
        return
    try:
        found = contexts.networks_of_word(atlas, sought)
    except RequestError as error:
        notices.info(str(error), icon=":material/search_off:")
        return

    st.caption(f"At {words.count(int(found['times'][0]), 'token')} of this word. Click a row to see its network.")
    ranking.draw(
        found,
        _FOUND,
        {
            "activity": st.column_config.NumberColumn("Mean", format="%.2f SD", width=70),
            "error": st.column_config.NumberColumn("±", format="%.2f", width=46, help="Standard error of the mean."),
            "times": None,
        },
        f"Networks by their mean activity at the word {sought.strip()}",
    )
