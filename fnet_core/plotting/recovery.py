"""Perplexity of a pruned model as it is trained, as a plotly figure."""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from fnet_core.evaluation.perplexity import PerplexityResult
from fnet_core.plotting.style import ACCENT, GREY, LOG_FROM, finish, rgba


def recovery(curves: Mapping[str, Sequence[tuple[int, PerplexityResult]]], untouched: float | None = None) -> go.Figure:
    """A line of (steps, perplexity) for each name, the first in the accent colour, and the untouched model's level."""
    figure = go.Figure()
    values = [untouched] if untouched is not None else []
    for number, (name, curve) in enumerate(curves.items()):
        found = [result.value if result.finite else np.nan for _, result in curve]
        values += found
        figure.add_scatter(
            x=[step for step, _ in curve],
            y=found,
            mode="lines+markers",
            name=name,
            line={"color": rgba(GREY if number else ACCENT, 1.0), "width": 1.8 if number else 3.2},
            marker={"size": 8},
            hovertemplate=f"{name}<br>%{{x:,}} steps<br><b>perplexity %{{y:,.1f}}</b><extra></extra>",
        )
    if untouched is not None and curves:
        last = max(step for curve in curves.values() for step, _ in curve)
        figure.add_scatter(
            x=[0, max(last, 1)],
            y=[untouched] * 2,
            mode="lines",
            name="untouched",
            line={"color": rgba(GREY, 0.8), "width": 1.4, "dash": "dot"},
            hoverinfo="skip",
        )
    finite = np.array([value for value in values if np.isfinite(value)])
    if len(finite) and finite.max() / finite.min() >= LOG_FROM:
        figure.update_yaxes(type="log", tickformat=",")
    finish(figure, "Perplexity as it is trained", "steps", "perplexity", height=340)
    figure.update_yaxes(showgrid=True)
    legend = {"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "itemclick": False, "itemdoubleclick": False}
    return figure.update_layout(showlegend=True, legend=legend, margin={"t": 76})
