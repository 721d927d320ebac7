"""Downloads of tables."""

import pandas as pd
import plotly.graph_objects as go
import pytest
import streamlit as st

from dashboard import charts

TABLE = pd.DataFrame({"network": [0, 1], "label": ["rain", "a, b"]})
CSV = b'network,label\n0,rain\n1,"a, b"\n'


@pytest.fixture
def buttons(monkeypatch) -> list[tuple]:
    drawn: list[tuple] = []
    monkeypatch.setattr(st, "download_button", lambda *given, **named: drawn.append((given, named)))
    return drawn


def test_a_table_is_downloaded_as_csv(buttons):
    charts.download_csv("Table (CSV)", TABLE, "table.csv", width="stretch")
    ((given, named),) = buttons
    assert given == ("Table (CSV)", CSV, "table.csv", "text/csv")
    assert not named["disabled"] and named["width"] == "stretch"


def test_a_large_table_is_made_when_it_is_asked_for(buttons):
    made = []
    charts.download_csv("Table (CSV)", lambda: made.append(1) or TABLE, "table.csv")
    ((given, _),) = buttons
    assert not made and given[1]() == CSV and made


def test_no_table_yet_cannot_be_downloaded(buttons):
    charts.download_csv("Table (CSV)", None, "table.csv")
    assert buttons[0][1]["disabled"]


def test_every_figure_tells_what_it_shows(monkeypatch):
    drawn = {}
    monkeypatch.setattr(st, "plotly_chart", lambda figure, **named: drawn.update(named))
    charts.draw(go.Figure(go.Bar(x=["a", "b"], y=[1, 3])).update_layout(title="Two bars"), "bars")
    assert drawn["alt"] == "Two bars. 2 bars from 1 to 3."
