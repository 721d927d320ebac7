"""The command line that makes again what a page shows, in one place for all pages."""

from collections.abc import Sequence

import streamlit as st

from dashboard import words


def draw(lines: Sequence[str], beyond: Sequence[str] = ()) -> None:
    """Commands to copy, and below them what they cannot say."""
    st.header("On the command line", anchor=False)
    st.code("\n".join(lines), language="bash", wrap_lines=True)
    if beyond:
        st.caption(words.plain(" ".join(beyond)))
