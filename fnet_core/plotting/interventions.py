"""What edits do, as plotly figures: passages, doses, the importance of networks.

Untouched is grey, edited is red or has the network's colour, controls are hollow or dashed. What is not finite is left
out of a figure. Shape legend: S passages, C controls, G gains, K networks.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from fnet_core.interventions.measuring import Intervention
from fnet_core.interventions.sweeps import Damage, Dose
from fnet_core.interventions.tables import dose_table, passage_table, ranking_table
from fnet_core.plotting.style import GREY, POSITIVE, finish, legend_above, rgba, scale

_EDITED, _UNTOUCHED = rgba(POSITIVE, 1.0), rgba(GREY, 1.0)
_CONTROL = _UNTOUCHED


def passages(measured: Intervention) -> go.Figure:
    """Perplexity of each passage untouched, edited and with the median control, first passage on top."""
    table = passage_table(measured).replace(np.inf, np.nan)
    names = table["passage"].tolist()
    figure = go.Figure()
    for name, low, high in zip(names, table["untouched"], table["edited"], strict=True):
        line = {"color": rgba(GREY, 0.45), "width": 2}
        figure.add_scatter(x=[low, high], y=[name, name], mode="lines", line=line, hoverinfo="skip", showlegend=False)
    series = (
        ("untouched", "untouched", {"color": _UNTOUCHED, "size": 10}),
        ("control", "random controls, median", {"color": _CONTROL, "size": 11, "symbol": "circle-open"}),
        ("edited", "edited", {"color": _EDITED, "size": 11, "symbol": "diamond"}),
    )
    for column, name, marker in series:
        figure.add_scatter(
            x=table[column],
            y=names,
            mode="markers",
            name=name,
            marker=marker,
            hovertemplate=f"%{{y}}, {name}<br><b>perplexity %{{x:,.1f}}</b><extra></extra>",
        )
    scale(figure.update_xaxes, table[["untouched", "edited", "control"]].to_numpy())
    figure.update_yaxes(autorange="reversed", automargin=True)
    finish(figure, "Perplexity of each passage", "perplexity", "", height=150 + 26 * len(names))
    return legend_above(figure)


def dose_response(doses: Sequence[Dose], name: str, colour: str) -> go.Figure:
    """Perplexity against gain, with the controls' median and range; at gain 1 all are the untouched model."""
    table = dose_table(doses)
    untouched = float(table["untouched"].iloc[0])
    unchanged = pd.DataFrame([dict.fromkeys(table.columns, untouched) | {"gain": 1.0}])
    table = pd.concat([table[table["gain"] != 1.0], unchanged]).sort_values("gain").replace(np.inf, np.nan)
    gains_G = table["gain"]
    figure = go.Figure()
    figure.add_scatter(
        x=[*gains_G, *gains_G[::-1]],
        y=[*table["control_high"], *table["control_low"][::-1]],
        fill="toself",
        fillcolor=rgba(GREY, 0.2),
        mode="lines",
        line={"width": 0},
        hoverinfo="skip",
        name="range of the controls",
    )
    series = (
        ("control", "random controls, median", {"color": _CONTROL, "width": 1.6, "dash": "dash"}),
        ("edited", name, {"color": colour, "width": 2.6}),
    )
    for column, label, line in series:
        figure.add_scatter(
            x=gains_G,
            y=table[column],
            mode="lines+markers",
            name=label,
            line=line,
            hovertemplate=f"{label}, gain %{{x:g}}<br><b>perplexity %{{y:,.1f}}</b><extra></extra>",
        )
    figure.add_hline(y=untouched, line={"color": rgba(GREY, 0.7), "width": 1, "dash": "dot"})
    figure.add_vline(x=1.0, line={"color": rgba(GREY, 0.35), "width": 1})
    scale(figure.update_yaxes, table[["edited", "control_low", "control_high"]].to_numpy())
    figure.update_xaxes(range=[-0.05, max(2.05, 1.02 * gains_G.max())])
    title = "Dose and response"
    finish(figure, title, "gain (0 inhibits, 1 leaves unchanged, above 1 amplifies)", "perplexity", height=420)
    return legend_above(figure)


def importance(ranking: Sequence[Damage], colour_of: Callable[[int], str]) -> go.Figure:
    """By how much inhibiting each network multiplies perplexity, most damaging on the left, beside its control."""
    table = ranking_table(ranking).replace(np.inf, np.nan)
    names = [str(network) for network in table["network"]]
    figure = go.Figure()
    for name, ratio, network in zip(names, table["ratio"], table["network"], strict=True):
        line = {"color": colour_of(network), "width": 3}
        figure.add_scatter(x=[name, name], y=[1.0, ratio], mode="lines", line=line, hoverinfo="skip", showlegend=False)
    figure.add_scatter(
        x=names,
        y=table["ratio"],
        mode="markers",
        name="network inhibited",
        marker={"color": [colour_of(network) for network in table["network"]], "size": 10},
        customdata=table[["label", "key_neurons"]],
        hovertemplate="network %{x}: %{customdata[0]}<br>%{customdata[1]:,} key neurons<br>"
        "<b>perplexity x %{y:.2f}</b><extra></extra>",
    )
    figure.add_scatter(
        x=names,
        y=table["control_ratio"],
        mode="markers",
        name="as many random neurons",
        marker={"color": _UNTOUCHED, "size": 8, "symbol": "circle-open"},
        hovertemplate="control of network %{x}<br><b>perplexity x %{y:.2f}</b><extra></extra>",
    )
    figure.add_hline(y=1.0, line={"color": rgba(GREY, 0.7), "width": 1, "dash": "dot"})
    scale(figure.update_yaxes, table[["ratio", "control_ratio"]].to_numpy())
    figure.update_xaxes(type="category", nticks=40)
    title = "Importance of networks"
    finish(figure, title, "network, most damaging first", "perplexity, times untouched", height=380)
    return legend_above(figure)
