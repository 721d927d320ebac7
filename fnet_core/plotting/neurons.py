"""Neurons in the plane, each in the colour of the network that owns it."""

import numpy as np
import plotly.graph_objects as go

from fnet_core.networks.atlas import Atlas
from fnet_core.networks.neuron_map import NeuronMap
from fnet_core.plotting.networks import colour_of
from fnet_core.plotting.style import channels, finish, rgba

_DIMMED = 0.3
"""How opaque neurons of other networks are beside the selected one's."""


def neuron_map(atlas: Atlas, found: NeuronMap, selected: int | None = None) -> go.Figure:
    """The drawn neurons at their places; with `selected` the neurons of other networks step back.

    Every point has its network as the first of its customdata, for clicks. Selected neurons lie on top.
    """
    figure = go.Figure()
    own_N = found.owner_N == selected
    for name, chosen_N, marker in (
        ("other networks" if selected is not None else "neurons", ~own_N, {"size": 5}),
        (f"network {selected}", own_N, {"size": 7}),
    ):
        at = np.flatnonzero(chosen_N)
        opacity = _DIMMED if selected is not None and name == "other networks" else 1.0
        figure.add_scatter(
            x=found.place_N2[at, 0],
            y=found.place_N2[at, 1],
            mode="markers",
            name=name,
            marker=marker
            | {
                "color": [rgba(channels(colour_of(atlas, int(k))), opacity) for k in found.owner_N[at]],
                "line": {"width": 0},
            },
            selected={"marker": {"opacity": 1}},
            unselected={"marker": {"opacity": 1}},
            customdata=[
                [
                    int(found.owner_N[i]),
                    atlas.named[found.owner_N[i]].replace("<", "&lt;"),
                    int(found.layer_N[i]),
                    f"{found.neuron_N[i]:,}",
                    f"{found.z_N[i]:+.1f}",
                ]
                for i in at
            ],
            hovertemplate="<b>network %{customdata[0]}</b>: %{customdata[1]}<br>layer %{customdata[2]}, neuron "
            "%{customdata[3]}<br>z = %{customdata[4]}<extra></extra>",
        )
    x, y = (f"component {i}, {100 * share:.0f} % of variance" for i, share in enumerate(found.explained or (0, 0), 1))
    figure.update_xaxes(showticklabels=False)
    figure.update_yaxes(showticklabels=False)
    title = "Key neurons in two dimensions" + ("" if selected is None else f", network {selected}")
    return finish(figure, title, x if found.explained else "", y if found.explained else "", height=560)
