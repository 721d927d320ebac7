"""Drawing a plotly figure with theme, tool bar and caption, and a table as it is downloaded."""

from collections.abc import Callable
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from fnet_core.plotting.describing import described

_CONFIG = {
    "displaylogo": False,
    "showSendToCloud": False,
    "modeBarButtons": [["toImage", "resetScale2d"]],
}


def draw(figure: go.Figure, key: str, caption: str = "", on_select: Callable[[], None] | None = None) -> None:
    """Draw a figure with its text alternative and, below it, what one sees in it unless that is said beside it.

    `on_select` is called when a point was clicked, which stands in the session under `key` then.
    """
    selecting: dict[str, Any] = {"on_select": on_select, "selection_mode": "points"} if on_select else {}
    st.plotly_chart(
        figure, key=key, width="stretch", theme="streamlit", config=_CONFIG, alt=described(figure), **selecting
    )
    if caption:
        st.caption(caption)


def download_csv(
    label: str,
    table: pd.DataFrame | Callable[[], pd.DataFrame] | None,
    file: str,
    *,
    icon: str = ":material/download:",
    **button: Any,
) -> None:
    """The button that downloads a table, made when it is pressed where it is a function; None for no table yet.

    What else is given goes to the button.
    """
    data = "" if table is None else (lambda: as_csv(table())) if callable(table) else as_csv(table)
    st.download_button(label, data, file, "text/csv", icon=icon, on_click="ignore", disabled=table is None, **button)


def as_csv(table: pd.DataFrame) -> bytes:
    """A table as it is downloaded."""
    return table.to_csv(index=False).encode()


def network_columns() -> dict[str, Any]:
    """The columns that begin every table of networks but the one of the atlas: number, label and key neurons."""
    return {
        "network": st.column_config.NumberColumn("#", width=48),
        "label": st.column_config.TextColumn("Label", width="medium"),
        "key_neurons": st.column_config.NumberColumn("Key neurons", format="localized"),
    }
