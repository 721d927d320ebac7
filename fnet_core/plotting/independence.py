"""The figure of the independence test: every layer of one model against every layer of the other."""

from html import escape

import numpy as np
import plotly.graph_objects as go

from fnet_core.lineage.calibration import LEVELS, calibration_of
from fnet_core.lineage.independence import Independence
from fnet_core.lineage.signatures import Form
from fnet_core.plotting.style import ACCENT, GREY, MARK, colorbar, fading, finish, rgba

LAYER_MAP_NOTE = (
    "z of every layer of A (rows) against every layer of B (columns): how well two matchings of their neurons, by gate "
    "and by up signal, agree. Models trained apart stay within about 3 everywhere. A related one shows a bright line; "
    "rings mark the layers that match, and the line breaks where layers were dropped, doubled or come from elsewhere."
)
"""What one sees in the figure, for its caption."""


CALIBRATION_NOTE = (
    "How often p is below a level among pairs of models that were trained apart: on the dashed line if p keeps its "
    "promise, above it if innocent pairs are accused more often than p says. Pairs of models lie below it where the "
    "correction for many pairs of layers is stricter than need be."
)
"""What one sees in the calibration plot."""


def calibration(form: Form) -> go.Figure:
    """How often p is below a level among pairs trained apart, for layers and for models, on logarithmic axes."""
    known = calibration_of(form)
    figure = go.Figure()
    figure.add_scatter(
        x=LEVELS, y=LEVELS, mode="lines", name="as promised", line={"color": rgba(GREY, 0.9), "dash": "dash"}
    )
    for name, shares, colour in (
        (f"{known.layer_pairs:,} pairs of layers", known.below_layers, ACCENT),
        (f"{known.pairs:,} pairs of models", known.below_pairs, MARK),
    ):
        figure.add_scatter(
            x=LEVELS,
            y=[share or None for share in shares],
            mode="lines+markers",
            name=name,
            marker={"size": 5},
            line={"color": rgba(colour, 1.0)},
            hovertemplate="p below %{x:.2g}<br><b>%{y:.2%} of " + name + "</b><extra></extra>",
        )
    figure.update_xaxes(type="log", dtick=1, tickformat="~g")
    figure.update_yaxes(type="log", dtick=1, tickformat="~g")
    finish(figure, "Does p keep its promise?", "p", "share of pairs with so small a p", height=360)
    legend = {"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom"}
    return figure.update_layout(showlegend=True, legend=legend, margin={"t": 76})


def layer_map(found: Independence) -> go.Figure:
    """z of every pair of layers, with a ring around those that match in order of depth."""
    layers, others = found.z_LJ.shape
    figure = go.Figure()
    figure.add_heatmap(
        z=found.z_LJ,
        customdata=found.p_LJ,
        colorscale=fading(ACCENT),
        zmin=0,
        zmax=max(5.0, float(found.z_LJ.max())),
        colorbar=colorbar("z"),
        hovertemplate="layer %{y} of A, layer %{x} of B<br><b>z %{z:.1f}</b>, p %{customdata:.1e}<extra></extra>",
    )
    columns = np.flatnonzero(found.matched_J >= 0)
    figure.add_scatter(
        x=columns,
        y=found.matched_J[columns],
        mode="markers",
        marker={"symbol": "circle-open", "color": f"rgb{MARK}", "size": 9, "line": {"width": 2}},
        hoverinfo="skip",
    )
    figure.update_yaxes(autorange="reversed", dtick=max(1, layers // 8))
    figure.update_xaxes(dtick=max(1, others // 8))
    return finish(
        figure,
        "Which layer matches which?",
        f"layer of B: {escape(found.b, quote=False)}",
        f"layer of A: {escape(found.a, quote=False)}",
        height=200 + 12 * layers,
    )
