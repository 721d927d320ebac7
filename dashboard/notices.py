"""Boxes with a sentence and where to go next; names from elsewhere are shown as they are, not as Markdown."""

import streamlit as st

from dashboard import selection, words


def error(sentence: str) -> None:
    """A request that cannot be met, or a failure."""
    st.error(words.plain(sentence), icon=":material/error:")


def info(sentence: str, icon: str = ":material/info:") -> None:
    """Something to know, or what to do next."""
    st.info(words.plain(sentence), icon=icon)


def next_step(script: str, label: str) -> None:
    """A link to another page, which takes the selection along."""
    st.page_link(script, label=label, icon=":material/arrow_forward:", query_params=selection.parameters() or None)
