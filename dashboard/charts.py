"""Drawing a plotly figure with theme, tool bar and caption, and a table as it is downloaded."""

import pandas as pd
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


def as_csv(table: pd.DataFrame) -> bytes:
    """A table as it is downloaded."""
    return table.to_csv(index=False).encode()
