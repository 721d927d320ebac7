"""What a model can do and which network each capability needs, as plotly figures.

A loss is blue and a gain red, as negative and positive values are everywhere; a dot marks a cell beyond every matched
random lesion. Shape legend: K networks, C capabilities.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from fnet_core.capability.battery import CHANCE, title
from fnet_core.capability.keeping import Preservation
from fnet_core.capability.lesions import LesionMatrix
from fnet_core.capability.profiles import Profile
from fnet_core.plotting.style import (
    ACCENT,
    GREY,
    MARK,
    POSITIVE,
    colorbar,
    diverging,
    finish,
    legend_above,
    rgba,
    scale,
)

_FULL_CHANGE = 0.3
"""Change of accuracy from which on a colour is full."""


def profile(found: Profile) -> go.Figure:
    """Accuracy in every capability with its interval, first capability on top; the dotted line is chance."""
    table = found.table()
    figure = go.Figure()
    figure.add_scatter(
        x=table["accuracy"],
        y=table["title"],
        mode="markers",
        marker={"color": rgba(ACCENT, 1.0), "size": 10},
        error_x={
            "array": table["high"] - table["accuracy"],
            "arrayminus": table["accuracy"] - table["low"],
            "color": rgba(GREY, 0.8),
            "thickness": 1.5,
        },
        customdata=table[["items", "left_out"]],
        hovertemplate="%{y}<br><b>%{x:.2f}</b> of %{customdata[0]} items (%{customdata[1]} left out)<extra></extra>",
    )
    figure.add_vline(x=CHANCE, line={"color": rgba(GREY, 0.8), "width": 1, "dash": "dot"})
    figure.update_yaxes(autorange="reversed", automargin=True)
    figure.update_xaxes(range=[-0.02, 1.02])
    return finish(figure, "What the model can do", "accuracy (chance 0.5)", "", height=120 + 24 * len(table))


def before_after(table: pd.DataFrame) -> go.Figure:
    """Accuracy in every capability before and after a change, as `side_by_side` gives them, first capability on top."""
    figure = go.Figure()
    for row in table.itertuples():
        line = {"color": rgba(GREY, 0.45), "width": 2}
        ends = {"x": [row.before, row.after], "y": [row.title, row.title]}
        figure.add_scatter(**ends, mode="lines", line=line, hoverinfo="skip", showlegend=False)
    series = (
        ("before", {"color": rgba(GREY, 1.0), "size": 10}),
        ("after", {"color": rgba(POSITIVE, 1.0), "size": 11, "symbol": "diamond"}),
    )
    for name, marker in series:
        figure.add_scatter(
            x=table[name],
            y=table["title"],
            mode="markers",
            name=name,
            marker=marker,
            customdata=table[["change", "low", "high"]],
            hovertemplate=f"%{{y}}, {name}<br><b>%{{x:.2f}}</b><br>change %{{customdata[0]:+.2f}} (95 % interval "
            "%{customdata[1]:+.2f} to %{customdata[2]:+.2f})<extra></extra>",
        )
    figure.add_vline(x=CHANCE, line={"color": rgba(GREY, 0.8), "width": 1, "dash": "dot"})
    figure.update_yaxes(autorange="reversed", automargin=True)
    figure.update_xaxes(range=[-0.02, 1.02])
    finish(figure, "Capabilities before and after", "accuracy (chance 0.5)", "", height=150 + 24 * len(table))
    return legend_above(figure)


def matrix(found: LesionMatrix, selected: int | None = None) -> go.Figure:
    """The change of accuracy with every network changed (rows) in every capability (columns), `selected` framed.

    The second trace has a point in every cell, network by network, for clicks; its text marks the surviving cells.
    """
    names = [title(name) for name in found.capabilities]
    rows = [str(network) for network in found.networks]
    figure = go.Figure()
    figure.add_heatmap(
        x=names,
        y=rows,
        z=found.change_KC,
        zmin=-_FULL_CHANGE,
        zmax=_FULL_CHANGE,
        colorscale=diverging(),
        colorbar=colorbar("change"),
        hoverinfo="skip",
        xgap=1,
        ygap=1,
    )
    marks = ["●" if survives else "" for survives in found.surviving_KC.ravel()]
    figure.add_scatter(
        x=names * len(rows),
        y=[row for row in rows for _ in names],
        mode="markers+text",
        marker={"size": 18, "symbol": "square", "color": "rgba(0,0,0,0)"},
        text=marks,
        textfont={"size": 13, "color": rgba(MARK, 1.0)},
        selected={"marker": {"opacity": 1}},
        unselected={"marker": {"opacity": 1}},
        hovertext=_told(found),
        hovertemplate="%{hovertext}<extra></extra>",
    )
    if selected in found.networks:
        at = found.networks.index(selected)
        figure.add_shape(
            type="rect",
            x0=-0.5,
            x1=len(names) - 0.5,
            y0=at - 0.5,
            y1=at + 0.5,
            line={"color": rgba(ACCENT, 1.0), "width": 2},
        )
    verb = "inhibited" if found.gain == 0 else f"multiplied by {found.gain:g}"
    figure.update_yaxes(type="category", range=[len(rows) - 0.5, -0.5], dtick=1 if len(rows) <= 40 else None)
    figure.update_xaxes(range=[-0.5, len(names) - 0.5], tickangle=-45, side="bottom", automargin=True)
    height = 220 + 17 * len(rows)
    return finish(figure, f"Accuracy with each network {verb}, change", "", "network", height)


def _told(found: LesionMatrix) -> list[str]:
    """What is said at each cell, network by network."""
    low, high = found.interval_KC
    told = []
    for k, network in enumerate(found.networks):
        for c, name in enumerate(found.capabilities):
            random = f"{found.random_KC[k, c]:.2f}" if np.isfinite(found.random_KC[k, c]) else "not needed"
            told.append(
                f"network {network}, {title(name)}<br><b>{found.accuracy_KC[k, c]:.2f}</b>, untouched "
                f"{found.untouched_C[c]:.2f}, random lesions {random}<br>"
                f"change {found.change_KC[k, c]:+.2f} (95 % interval {low[k, c]:+.2f} to {high[k, c]:+.2f})<br>"
                f"q {found.q_KC[k, c]:.2g}"
            )
    return told


def preservation(found: Preservation) -> go.Figure:
    """Perplexity and mean accuracy against the share of neurons kept, beside as many random neurons of each layer."""
    table = found.table().replace(np.inf, np.nan).sort_values("share")
    share = 100 * table["share"]
    names = [f"{row.networks} networks, |z| > {row.threshold:g}" for row in table.itertuples()]
    figure = make_subplots(rows=1, cols=2, horizontal_spacing=0.12)
    shown: Sequence[tuple[str, str, float]] = (
        ("perplexity", "perplexity", found.untouched_perplexity),
        ("accuracy", "mean accuracy (chance 0.5)", found.untouched_accuracy),
    )
    for column, (name, _, untouched) in enumerate(shown, start=1):
        series = (
            (name, "networks", {"color": rgba(ACCENT, 1.0), "width": 2.4}, "circle"),
            (
                f"random_{name}",
                "random neurons",
                {"color": rgba(GREY, 1.0), "width": 1.6, "dash": "dash"},
                "circle-open",
            ),
        )
        for key, label, line, symbol in series:
            figure.add_scatter(
                x=share,
                y=table[key],
                mode="lines+markers",
                name=label,
                line=line,
                marker={"symbol": symbol, "size": 8},
                customdata=names,
                showlegend=column == 1,
                hovertemplate=f"%{{customdata}}, {label}<br><b>%{{y:,.4g}}</b><extra></extra>",
                row=1,
                col=column,
            )
        if np.isfinite(untouched):
            figure.add_hline(y=untouched, line={"color": rgba(GREY, 0.8), "dash": "dot", "width": 1}, row=1, col=column)
    finish(figure, "Keep only the networks", "neurons kept, per cent", "", height=380)
    for column, (_, axis, _) in enumerate(shown, start=1):
        figure.update_yaxes(title_text=axis, row=1, col=column)
    values = table[["perplexity", "random_perplexity"]].to_numpy()
    scale(lambda **changes: figure.update_yaxes(row=1, col=1, **changes), np.append(values, found.untouched_perplexity))
    return legend_above(figure)
