"""Boxes with a sentence; names in it that came from elsewhere are shown as they are, not as Markdown."""

import streamlit as st

from dashboard import words


def error(sentence: str) -> None:
    """A request that cannot be met, or a failure."""
    st.error(words.plain(sentence), icon=":material/error:")


def info(sentence: str, icon: str = ":material/info:") -> None:
    """Something to know, or what to do next."""
    st.info(words.plain(sentence), icon=icon)
