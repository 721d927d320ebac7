"""The networks' shares of every layer as bands that flow from the input, at the bottom, to the output."""

import numpy as np
import plotly.graph_objects as go

from fnet_core.networks.atlas import Atlas
from fnet_core.networks.flow import shares
from fnet_core.networks.territories import alike_side_by_side
from fnet_core.plotting.networks import colour_of
from fnet_core.plotting.style import GREY, channels, finish, rgba

MOST_BANDS = 24
"""The most networks with a band of their own, those with the largest shares; the others are one grey band."""
_LIT, _DIMMED = 0.95, 0.28
"""How opaque the selected band is, and those beside it."""


def flow(atlas: Atlas, threshold: float, selected: int | None = None) -> go.Figure:
    """The share of every layer's key neurons that each network owns, stacked; with `selected` the others step back.

    The last trace has a point in every band at every layer, with its network as customdata, for clicks.
    """
    of_layer_LK = shares(atlas, threshold)
    share_LK = 100.0 * of_layer_LK / np.maximum(of_layer_LK.sum(axis=1, keepdims=True), np.finfo(float).tiny)
    largest = np.argsort(-share_LK.sum(axis=0), kind="stable")[:MOST_BANDS]
    shown = {int(network) for network in largest} | (set() if selected is None else {selected})
    bands = [int(network) for network in alike_side_by_side(atlas.connectivity()) if network in shown]
    others = [network for network in range(len(atlas)) if network not in shown]
    layers = np.arange(atlas.layer_count)
    figure = go.Figure()
    for network in bands:
        figure.add_scatter(
            x=share_LK[:, network],
            y=layers,
            stackgroup="networks",
            orientation="h",
            mode="lines",
            line={"width": 0.5, "color": _colour(atlas, network, selected)},
            fillcolor=_colour(atlas, network, selected),
            name=f"network {network}",
            hoverinfo="skip",
        )
    if others:
        figure.add_scatter(
            x=share_LK[:, others].sum(axis=1),
            y=layers,
            stackgroup="networks",
            orientation="h",
            mode="lines",
            line={"width": 0},
            fillcolor=rgba(GREY, 0.12),
            name=f"{len(others)} smaller networks",
            hoverinfo="skip",
        )
    _points(figure, atlas, share_LK, bands)
    figure.update_xaxes(range=[0, 100], ticksuffix=" %")
    figure.update_yaxes(range=[-0.2, atlas.layer_count - 0.8], tickformat=",d")
    title = "Shares of networks over depth" + ("" if selected is None else f", network {selected}")
    return finish(figure, title, "share of the layer's key neurons, by network", "layer", height=430)


def _points(figure: go.Figure, atlas: Atlas, share_LK: np.ndarray, bands: list[int]) -> None:
    """Points that nobody sees in the middle of every band that has a width."""
    share_LB = share_LK[:, bands]
    middle_LB = share_LB.cumsum(axis=1) - share_LB / 2
    wide = np.argwhere(share_LB > 0)
    figure.add_scatter(
        x=middle_LB[tuple(wide.T)],
        y=wide[:, 0],
        mode="markers",
        marker={"size": 12, "color": "rgba(0,0,0,0)"},
        selected={"marker": {"opacity": 1}},
        unselected={"marker": {"opacity": 1}},
        customdata=[
            [bands[band], atlas.named[bands[band]].replace("<", "&lt;"), share_LB[layer, band]] for layer, band in wide
        ],
        name="bands",
        hovertemplate="layer %{y}, <b>network %{customdata[0]}</b>: %{customdata[1]}<br>owns %{customdata[2]:.1f} % of "
        "the layer's key neurons<extra></extra>",
    )


def _colour(atlas: Atlas, network: int, selected: int | None) -> str:
    lit = selected is None or network == selected
    return rgba(channels(colour_of(atlas, network)), _LIT if lit else _DIMMED)
