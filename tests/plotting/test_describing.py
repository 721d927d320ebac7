"""The text alternative of a figure tells its title, what is drawn, and between which values."""

import numpy as np
import plotly.graph_objects as go

from fnet_core.plotting.describing import described


def test_a_heat_map():
    z = np.array([[1.0, np.nan], [-2.5, 4.0]])
    figure = go.Figure(go.Heatmap(z=z)).update_layout(title="Map of <b>network 3</b>", xaxis_title="neuron")
    assert described(figure) == "Map of network 3. heat map: 2 rows from -2.5 to 4. across: neuron."


def test_rows_of_different_length_and_holes():
    figure = go.Figure(go.Heatmap(z=[[1.0, None], [2.0]]))
    assert described(figure) == "Figure. heat map: 2 rows from 1 to 2."


def test_lines_bars_and_empty_traces():
    figure = go.Figure(
        [go.Scatter(x=[1, 2], y=[3.0, None], name="before"), go.Bar(x=[5, 7], y=["a", "b"], orientation="h")]
    )
    figure.add_scatter(x=[], y=[])
    figure.update_yaxes(title_text="perplexity")
    assert described(figure) == "Figure. before: 1 points at 3; 2 bars from 5 to 7. upwards: perplexity."


def test_words_on_an_axis_and_many_traces_are_no_error():
    figure = go.Figure([go.Scatter(x=["a"], y=["b"])] + [go.Scatter(y=[n]) for n in range(20)])
    told = described(figure)
    assert told.startswith("Figure. 1 points at 0; ") and told.endswith("; 13 more.")
