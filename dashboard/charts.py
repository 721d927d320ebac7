"""Drawing a plotly figure: theme, tool bar, caption."""

import plotly.graph_objects as go
import streamlit as st

_CONFIG = {
    "displaylogo": False,
    "showSendToCloud": False,
    "modeBarButtons": [["toImage", "resetScale2d"]],
}


def draw(figure: go.Figure, key: str, caption: str = "") -> None:
    """Draw a figure and, below it, what one sees in it unless that is said beside it."""
    st.plotly_chart(figure, key=key, width="stretch", theme="streamlit", config=_CONFIG)
    if caption:
        st.caption(caption)
