"""The figure of the independence test: every layer of one model against every layer of the other."""

from html import escape

import numpy as np
import plotly.graph_objects as go

from fnet_core.lineage.independence import Independence
from fnet_core.plotting.style import ACCENT, MARK, colorbar, fading, finish

LAYER_MAP_NOTE = (
    "z of every layer of A (rows) against every layer of B (columns): how well two matchings of their neurons, by gate "
    "and by up signal, agree. Models trained apart stay within about 3 everywhere. A related one shows a bright line; "
    "rings mark the layers that match, and the line breaks where layers were dropped, doubled or come from elsewhere."
)
"""What one sees in the figure, for its caption."""


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
