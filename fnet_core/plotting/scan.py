"""The scan as a figure: each layer a band of coloured territories, depth upward."""

import numpy as np
import plotly.graph_objects as go

from fnet_core.networks.atlas import Atlas
from fnet_core.networks.territories import Territories, territories
from fnet_core.plotting.networks import colour_of
from fnet_core.plotting.style import GREY, channels, finish, rgba

CORE, RIM = 0.95, 0.22
"""How opaque key neurons are, and neurons that lean to a network below the threshold."""


def scan(atlas: Atlas, threshold: float, selected: int | None = None) -> go.Figure:
    """Every layer's neurons grouped by the network that owns them; with `selected` the others step back to grey."""
    ordered = territories(atlas, threshold)
    figure = go.Figure()
    for part, opacity, said in (("core", CORE, "key neurons"), ("rim", RIM, "neurons below the threshold")):
        rows = _bars(ordered, part)
        figure.add_bar(
            x=[count for *_, count in rows],
            y=[layer for layer, *_ in rows],
            base=[start for _, _, start, _ in rows],
            orientation="h",
            width=0.92,
            marker={"color": [_colour(atlas, network, selected, opacity) for _, network, *_ in rows], "line_width": 0},
            customdata=[[network, atlas.named[network].replace("<", "&lt;")] for _, network, *_ in rows],
            hovertemplate="layer %{y}, <b>network %{customdata[0]}</b>: %{customdata[1]}<br>%{x:,} "
            + said
            + "<extra></extra>",
        )
    if selected is not None:
        for layer, places in enumerate(ordered.elsewhere(atlas, selected)):
            figure.add_bar(
                x=np.ones(len(places), dtype=np.int64),
                y=np.full(len(places), layer),
                base=places,
                orientation="h",
                width=0.92,
                marker={"color": colour_of(atlas, selected), "line_width": 0},
                hoverinfo="skip",
            )
    figure.update_layout(barmode="overlay", bargap=0)
    figure.update_xaxes(range=[0, max(atlas.widths_L)], tickformat=",d")
    figure.update_yaxes(range=[-0.5, atlas.layer_count - 0.5], tickformat=",d")
    title = "Scan" if selected is None else f"Scan, network {selected}"
    return finish(figure, title, "neurons of the layer, by network", "layer", height=430)


def _bars(ordered: Territories, part: str) -> list[tuple[int, int, int, int]]:
    """Layer, network, first place and count of every core, or of every rim."""
    rows = []
    for layer, runs in enumerate(ordered.runs):
        at = 0
        for run in runs:
            count = run.core if part == "core" else run.rim
            if count:
                rows.append((layer, run.network, at if part == "core" else at + run.core, count))
            at += run.core + run.rim
    return rows


def _colour(atlas: Atlas, network: int, selected: int | None, opacity: float) -> str:
    if selected is not None and network != selected:
        return rgba(GREY, 0.3 * opacity)
    return rgba(channels(colour_of(atlas, network)), opacity)


def picture(atlas: Atlas, threshold: float, width: int, height: int) -> np.ndarray:
    """The scan as a small image, (height, width, 4) uint8: red, green, blue, opacity; the input layer at the bottom.

    A pixel has the colour of the neuron at its centre, and none past the end of a narrow layer.
    """
    ordered = territories(atlas, threshold)
    places_W = (np.arange(width) + 0.5) * max(atlas.widths_L) / width
    image_LW4 = np.zeros((atlas.layer_count, width, 4), dtype=np.uint8)
    for layer, runs in enumerate(ordered.runs):
        ends = np.cumsum([count for run in runs for count in (run.core, run.rim)])
        paint = np.array(
            [
                (*channels(colour_of(atlas, run.network)), round(255 * opacity))
                for run in runs
                for opacity in (CORE, RIM)
            ],
            dtype=np.uint8,
        )
        inside = places_W < ends[-1]
        image_LW4[layer, inside] = paint[np.searchsorted(ends, places_W[inside], side="right")]
    from_the_top_H = atlas.layer_count - 1 - ((np.arange(height) + 0.5) * atlas.layer_count / height).astype(int)
    return image_LW4[from_the_top_H]
