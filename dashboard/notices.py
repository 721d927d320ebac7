"""Boxes with a sentence and where to go next; names from elsewhere are shown as they are, not as Markdown."""

import streamlit as st

from dashboard import selection, words
from fnet_core.errors import RequestError
from fnet_core.storage import library


def error(sentence: str) -> None:
    """A request that cannot be met, or a failure; it does not tell where this server keeps its files."""
    st.error(words.plain(words.without_places(sentence)), icon=":material/error:")


def info(sentence: str, icon: str = ":material/info:") -> None:
    """Something to know, or what to do next."""
    st.info(words.plain(words.without_places(sentence)), icon=icon)


def keep_in_library(kind: str, text: str | None, key: str) -> None:
    """The button that keeps a plan or edits in the library; None for nothing to keep yet."""
    if st.button(
        "Keep in the library",
        key=key,
        icon=":material/inventory_2:",
        width="stretch",
        disabled=text is None,
        help="Keeps it on this machine until it is deleted on the Library page, where it can be named and exported.",
    ):
        try:
            library.add_text(kind, text or "")
        except RequestError as problem:
            error(str(problem))
        else:
            st.caption(":material/check: It stands on the Library page.")


def next_step(script: str, label: str) -> None:
    """A link to another page, which takes the selection along."""
    st.page_link(script, label=label, icon=":material/arrow_forward:", query_params=selection.parameters() or None)
