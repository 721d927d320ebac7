"""The figure of what changed between two models: how far each layer moved."""

from html import escape

import numpy as np
import plotly.graph_objects as go

from fnet_core.lineage.changes import Changes
from fnet_core.plotting.style import ACCENT, finish, rgba

LAYERS_NOTE = (
    "One less the linear CKA of a layer of B and the layer of A that it comes from, on the same places of text: 0 "
    "where both do the same, 1 where they share nothing. Layers without a bar match none of A. A few large directions "
    "dominate CKA, so a small change can be more than it looks."
)
"""What one sees in the figure, for its caption."""


def layers_moved(changes: Changes) -> go.Figure:
    """A bar for each layer of b."""
    partners = ["" if i < 0 else f"layer {i} of A" for i in changes.partner_M]
    figure = go.Figure()
    figure.add_bar(
        x=np.arange(len(changes.moved_M)),
        y=[None if np.isnan(moved) else moved for moved in changes.moved_M.tolist()],
        marker={"color": rgba(ACCENT, 1.0)},
        customdata=partners,
        hovertemplate="layer %{x} of B, %{customdata}<br><b>moved %{y:.3f}</b><extra></extra>",
    )
    title = f"How far the layers of {escape(changes.comparison.b.model.name)} moved"
    finish(figure, title, "layer of B", "1 - CKA", height=300)
    return figure
