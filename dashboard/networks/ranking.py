"""A table of networks in some order, of which a click on a row selects the network."""

from typing import Any

import pandas as pd
import streamlit as st

from dashboard import selection


def draw(rows: pd.DataFrame, key: str, columns: dict[str, Any], alt: str) -> None:
    """Draw rows that have a network and a label; `columns` says how the others are shown."""

    def choose() -> None:
        picked = st.session_state[key].selection.rows
        if picked:
            selection.choose(network=int(rows["network"][picked[0]]))

    st.dataframe(
        rows,
        key=key,
        hide_index=True,
        height=340,
        on_select=choose,
        selection_mode="single-row",
        column_config={
            "network": st.column_config.NumberColumn("#", width=36),
            "label": st.column_config.TextColumn("Label", width=120),
            **columns,
        },
        alt=alt,
    )
