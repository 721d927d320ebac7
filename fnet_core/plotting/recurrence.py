"""Figures of whether networks come back."""

import plotly.graph_objects as go

from fnet_core.networks.recurrence import Recurrence
from fnet_core.plotting.style import ACCENT, GREY, MARK, finish

_SHOWN = (
    ("maps", "correlation_K", "correlation_level", ACCENT, "circle"),
    ("key neurons", "overlap_K", "overlap_level", MARK, "diamond"),
)


def coming_back(found: Recurrence, selected: int | None = None) -> go.Figure:
    """Each network's map correlation and IoU of key neurons, with the level that shuffled neurons stay below."""
    figure = go.Figure()
    names = [f"{network} · {label}" for network, label in enumerate(found.labels)]
    for name, values, level, colour, symbol in _SHOWN:
        figure.add_scatter(
            x=list(range(len(found))),
            y=getattr(found, values),
            mode="markers",
            name=name,
            customdata=names,
            marker={
                "color": f"rgb{colour}",
                "symbol": symbol,
                "size": [13 if network == selected else 8 for network in range(len(found))],
            },
            hovertemplate="%{customdata}<br><b>%{y:.2f}</b> (" + name + ")<extra></extra>",
        )
        figure.add_hline(
            y=getattr(found, level), line={"color": f"rgb{colour}", "dash": "dot", "width": 1}, opacity=0.8
        )
    figure.add_hline(y=0, line={"color": f"rgb{GREY}", "width": 1}, opacity=0.4)
    figure.update_yaxes(range=[-0.03, 1.03])
    return finish(figure, "Does each network come back?", "network", "agreement (0 to 1)", height=360)
