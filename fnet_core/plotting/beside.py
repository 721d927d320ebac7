"""Two networks side by side: where in the depth they lie, and what they do in one passage."""

import numpy as np
import plotly.graph_objects as go

from fnet_core.networks.atlas import Atlas
from fnet_core.plotting.networks import colour_of
from fnet_core.plotting.style import GREY, finish, legend_above, rgba


def layer_profiles(atlas: Atlas, first: int, second: int, threshold: float) -> go.Figure:
    """Key neurons per layer: of the first network to the left of the middle, of the second to the right."""
    counts_KL = atlas.key_counts(threshold)
    figure = go.Figure()
    for network, sign in ((first, -1), (second, 1)):
        figure.add_bar(
            x=sign * counts_KL[network],
            y=np.arange(atlas.layer_count),
            orientation="h",
            name=f"network {network}",
            marker={"color": colour_of(atlas, network), "line_width": 0},
            customdata=counts_KL[network],
            hovertemplate=f"layer %{{y}}, network {network}<br><b>%{{customdata:,}} key neurons</b><extra></extra>",
        )
    most = int(max(counts_KL[first].max(), counts_KL[second].max(), 1))
    ends = [-most, -(most // 2), 0, most // 2, most]
    figure.update_layout(barmode="overlay", bargap=0.15)
    figure.update_xaxes(range=[-1.05 * most, 1.05 * most], tickvals=ends, ticktext=[f"{abs(end):,}" for end in ends])
    figure.add_vline(x=0, line={"color": rgba(GREY, 0.8), "width": 1})
    finish(figure, f"Key neurons of networks {first} and {second}", "key neurons", "layer", height=380)
    return legend_above(figure)


def courses(atlas: Atlas, first: int, second: int, passage: int) -> go.Figure:
    """Both networks' activity at every token of a passage, each in standard deviations over all passages."""
    text = atlas.passages[passage].text
    tokens = [text[a:b].replace("\n", "↵").replace("<", "&lt;") for a, b in atlas.offsets[passage]]
    figure = go.Figure()
    for network, dash in ((first, "solid"), (second, "dot")):
        course_T = atlas.courses[passage][:, network] / atlas.course_scale(network)
        figure.add_scatter(
            x=np.arange(len(course_T)),
            y=course_T,
            text=tokens,
            mode="lines",
            name=f"network {network}",
            line={"color": colour_of(atlas, network), "width": 1.6, "dash": dash},
            hovertemplate=f"token %{{x}}: “%{{text}}”<br>network {network}: <b>%{{y:.1f}} SD</b><extra></extra>",
        )
    figure.add_hline(y=0, line={"color": rgba(GREY, 0.6), "width": 1})
    finish(figure, f"Time courses of networks {first} and {second}", "token", "activity (SD)", height=380)
    return legend_above(figure)
