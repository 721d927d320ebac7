"""Results as plotly figures that read well on a light and on a dark page.

Depth runs upward (layer 0 at the bottom), neurons, networks and tokens run rightward. Backgrounds and the
middle of every colour scale are transparent, so the page shows through.

Shape legend: L layers, N neurons of a layer, B bins of neighbouring neurons, K networks, T tokens,
S passages.
"""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from fnet_core.networks.atlas import Atlas
from fnet_core.networks.links import links
from fnet_core.plotting.style import (
    ACCENT,
    GREY,
    MAX_COLUMNS,
    bin_size,
    colorbar,
    commonest_of_bins,
    diverging,
    fading,
    finish,
    network_colour,
    rgba,
    strongest_of_bins,
    threshold_scale,
)

MOST_CLICKABLE = 100
"""The most networks of a connectivity matrix whose cells can be clicked, a point in each."""
_UNSEEN = {"size": 10, "symbol": "square", "color": "rgba(0,0,0,0)"}
"""The marker of points that are there to be clicked."""
MAX_PARCELS = 12
"""The most networks that a parcellation colours; the others are grey."""


def colour_of(atlas: Atlas, network: int) -> str:
    """A network's fixed colour in every view of its atlas; in one of layers or windows that of its rank there."""
    return network_colour(network if atlas.scope == "model" else network % (len(atlas) // len(atlas.maps)))


def network_map(atlas: Atlas, network: int, threshold: float) -> go.Figure:
    """A network's z-values, layers x neurons; what stays below the threshold steps back to grey.

    Unless there are too many a second trace has a point at every neuron shown that is a key neuron of any network, with
    the network in which it is strongest as customdata, for clicks.
    """
    grid_LN = atlas.map_grid(network)
    size = bin_size(grid_LN.shape[1])
    values, neurons = strongest_of_bins(grid_LN, size)
    first = np.broadcast_to(np.arange(values.shape[1]) * size, values.shape)
    last = np.minimum(first + size - 1, np.array(atlas.widths_L)[:, None] - 1)
    strong = np.abs(values[~np.isnan(values)])
    limit = float(max(np.quantile(strong, 0.995), threshold + 1.0))
    hover = "layer %{y}, neuron %{customdata[0]}<br><b>z = %{z:.1f}</b>"
    if size > 1:
        hover += "<br>the strongest of neurons %{customdata[1]} to %{customdata[2]}"
    figure = go.Figure(
        go.Heatmap(
            z=values,
            x=np.arange(values.shape[1]) * size + (size - 1) / 2,
            y=np.arange(values.shape[0]),
            customdata=np.stack([neurons, first, last], axis=-1).astype(np.int32),
            colorscale=threshold_scale(threshold / limit),
            zmin=-limit,
            zmax=limit,
            hoverongaps=False,
            hovertemplate=hover + "<extra></extra>",
            colorbar=colorbar("z"),
        )
    )
    _owned(figure, atlas, values, neurons, threshold, size)
    neurons_title = "neuron of the layer" + (f" ({size} per column)" if size > 1 else "")
    return finish(figure, f"Map of network {network}", neurons_title, "layer", height=430)


def _owned(
    figure: go.Figure, atlas: Atlas, values_LB: np.ndarray, neurons_LB: np.ndarray, threshold: float, size: int
) -> None:
    """A point that nobody sees at every neuron that stands for its bin and has an owner."""
    owner_LN = atlas.parcellation(threshold)
    owner_LB = np.where(neurons_LB < 0, -1, np.take_along_axis(owner_LN, np.maximum(neurons_LB, 0), axis=1))
    cells = np.argwhere(owner_LB >= 0)
    if len(cells) > MOST_CLICKABLE**2:
        return
    figure.add_scatter(
        x=cells[:, 1] * size + (size - 1) / 2,
        y=cells[:, 0],
        mode="markers",
        marker=_UNSEEN,
        selected={"marker": {"opacity": 1}},
        unselected={"marker": {"opacity": 1}},
        showlegend=False,
        customdata=[
            [int(owner_LB[cell]), f"{neurons_LB[cell]:,}", f"{values_LB[cell]:.1f}", _plain(atlas, int(owner_LB[cell]))]
            for cell in map(tuple, cells)
        ],
        hovertemplate="layer %{y}, neuron %{customdata[1]}<br><b>z = %{customdata[2]}</b><br>strongest in network "
        "%{customdata[0]}: %{customdata[3]}<extra></extra>",
    )


def _plain(atlas: Atlas, network: int) -> str:
    return atlas.named[network].replace("<", "&lt;")


def layers_by_network(
    atlas: Atlas, threshold: float, selected: int | None = None, networks: Sequence[int] | None = None
) -> go.Figure:
    """The share of each layer's neurons that are key neurons of each network; the selected one is framed.

    Unless there are too many cells a second trace has a point in each, with its network as customdata, for clicks.
    """
    shown = np.arange(len(atlas)) if networks is None else np.asarray(networks)
    counts_LK = atlas.key_counts(threshold)[shown].T
    share_LK = 100.0 * counts_LK / np.array(atlas.widths_L)[:, None]
    figure = go.Figure(
        go.Heatmap(
            z=share_LK,
            x=[str(k) for k in shown],
            y=np.arange(atlas.layer_count),
            customdata=counts_LK,
            colorscale=fading(ACCENT),
            zmin=0,
            hovertemplate="network %{x}, layer %{y}<br><b>%{customdata:,} key neurons</b>, "
            "%{z:.1f} % of the layer<extra></extra>",
            colorbar=colorbar("% of layer"),
        )
    )
    if share_LK.size <= MOST_CLICKABLE**2:
        layer_C, column_C = np.indices(share_LK.shape).reshape(2, -1)
        figure.add_scatter(
            x=[str(k) for k in shown[column_C]],
            y=layer_C,
            mode="markers",
            marker=_UNSEEN,
            selected={"marker": {"opacity": 1}},
            unselected={"marker": {"opacity": 1}},
            customdata=[
                [int(shown[k]), f"{counts_LK[i, k]:,}", f"{share_LK[i, k]:.1f}"]
                for i, k in zip(layer_C, column_C, strict=True)
            ],
            hovertemplate="network %{x}, layer %{y}<br><b>%{customdata[1]} key neurons</b>, %{customdata[2]} % of the "
            "layer<extra></extra>",
        )
    if selected is not None and selected in shown:
        column = int(np.flatnonzero(shown == selected)[0])
        figure.add_shape(
            type="rect",
            x0=column - 0.5,
            x1=column + 0.5,
            y0=-0.5,
            y1=atlas.layer_count - 0.5,
            line={"color": colour_of(atlas, selected), "width": 2.5},
        )
    figure.update_xaxes(type="category", nticks=20, range=[-0.5, len(shown) - 0.5])
    figure.update_yaxes(range=[-0.5, atlas.layer_count - 0.5])
    return finish(figure, "All networks by layer", "network", "layer", height=430)


def layer_profile(atlas: Atlas, network: int, threshold: float) -> go.Figure:
    """How many key neurons a network has in each layer."""
    counts_L = atlas.key_counts(threshold)[network]
    figure = go.Figure(
        go.Bar(
            x=counts_L,
            y=np.arange(atlas.layer_count),
            orientation="h",
            marker={"color": colour_of(atlas, network)},
            hovertemplate="layer %{y}<br><b>%{x:,} key neurons</b><extra></extra>",
        )
    )
    figure.update_xaxes(rangemode="tozero", tickformat=",d")
    return finish(figure, f"Key neurons of network {network}", "key neurons", "layer", height=430)


def time_course(atlas: Atlas, network: int, passage: int) -> go.Figure:
    """A network's activity at every token of a passage, in standard deviations over all passages."""
    course_T = atlas.courses[passage][:, network] / atlas.course_scale(network)
    text = atlas.passages[passage].text
    tokens = [text[a:b].replace("\n", "↵").replace("<", "&lt;") for a, b in atlas.offsets[passage]]
    figure = go.Figure(
        go.Scatter(
            x=np.arange(len(course_T)),
            y=course_T,
            text=tokens,
            mode="lines",
            line={"color": colour_of(atlas, network), "width": 1.6},
            hovertemplate="token %{x}: “%{text}”<br><b>%{y:.1f} SD</b><extra></extra>",
        )
    )
    figure.add_hline(y=0, line={"color": "rgba(128,136,144,0.6)", "width": 1})
    title = f"Time course of network {network}"
    return finish(figure, title, "token", "activity (SD)", height=240)


def parcellation(atlas: Atlas, threshold: float, selected: int | None = None) -> go.Figure:
    """Every neuron in the colour of its strongest network: the first networks and the selected one.

    In an atlas of layers or windows the colour is the network's rank in its layer or window.
    """
    owner_LN = atlas.parcellation(threshold)
    ranks = len(atlas) if atlas.scope == "model" else len(atlas) // len(atlas.maps)
    rank_LN = np.where(owner_LN < 0, -1, owner_LN % ranks)
    shown = list(range(min(ranks, MAX_PARCELS)))
    if selected is not None and selected % ranks >= MAX_PARCELS:
        shown.append(selected % ranks)
    code_of_rank = np.full(ranks + 1, len(shown))
    code_of_rank[shown] = np.arange(len(shown))
    code_of_rank[-1] = -1
    size = bin_size(owner_LN.shape[1], 3 * MAX_COLUMNS)
    codes_LB = commonest_of_bins(code_of_rank[rank_LN], size, len(shown) + 1)
    colours = [network_colour(rank) for rank in shown]
    names = [
        f"network {rank}"
        if atlas.scope == "model"
        else f"no. {rank} of its {'layer' if atlas.scope == 'layer' else 'window'}"
        for rank in shown
    ]
    if len(shown) < ranks:
        colours.append(rgba(GREY, 0.35))
        names.append("another network")
    steps = np.linspace(0, 1, len(colours) + 1)
    figure = go.Figure(
        go.Heatmap(
            z=np.where(codes_LB < 0, np.nan, codes_LB).astype(np.float32),
            x=np.arange(codes_LB.shape[1]) * size,
            y=np.arange(atlas.layer_count),
            zmin=-0.5,
            zmax=len(colours) - 0.5,
            colorscale=[[edge, c] for i, c in enumerate(colours) for edge in steps[i : i + 2]],
            showscale=False,
            hoverinfo="skip",
        )
    )
    for name, colour in zip(names, colours, strict=True):
        marker = {"color": colour, "symbol": "square", "size": 11}
        figure.add_scatter(x=[None], y=[None], mode="markers", marker=marker, name=name)
    neurons_title = "neuron of the layer" + (f" ({size} per column)" if size > 1 else "")
    figure = finish(figure, "Parcellation", neurons_title, "layer", height=520)
    figure.update_layout(showlegend=True, legend={"itemclick": False, "itemdoubleclick": False})
    return figure


_MOST_TICKS = 20


def connectivity(atlas: Atlas, selected: int | None = None, networks: Sequence[int] | None = None) -> go.Figure:
    """The correlation of every two networks' time courses, networks with alike ones side by side.

    Up to MOST_CLICKABLE networks a second trace has a point in every cell, with its row's and its column's network as
    customdata, for clicks.
    """
    found = links(atlas, networks=networks)
    shown, r_KK = found.order_K, found.r_KK
    strongest = np.nanmax(np.abs(r_KK)) if np.isfinite(r_KK).any() else 1.0
    limit = float(min(1.0, max(0.1, np.ceil(10 * strongest) / 10)))
    names = [f"{k} · {atlas.named[k].replace('<', '&lt;')}" for k in shown]
    figure = go.Figure(
        go.Heatmap(
            z=r_KK.astype(np.float32),
            x=names,
            y=names,
            zmin=-limit,
            zmax=limit,
            colorscale=diverging(),
            hoverongaps=False,
            hovertemplate="network %{x}<br>network %{y}<br><b>r = %{z:.2f}</b><extra></extra>",
            colorbar=colorbar("r"),
        )
    )
    if len(shown) <= MOST_CLICKABLE:
        _cells(figure, shown, names, r_KK)
    labelled = slice(None, None, -(-len(shown) // _MOST_TICKS))
    ticks = {"type": "category", "tickvals": names[labelled], "ticktext": [str(k) for k in shown[labelled]]}
    figure.update_xaxes(ticks, constrain="domain", range=[-0.5, len(shown) - 0.5])
    figure.update_yaxes(ticks, scaleanchor="x", constrain="domain", range=[-0.5, len(shown) - 0.5])
    if selected is not None and selected in shown:
        at = int(np.flatnonzero(shown == selected)[0])
        line = {"color": colour_of(atlas, selected), "width": 2}
        end = len(shown) - 0.5
        figure.add_shape(type="rect", x0=at - 0.5, x1=at + 0.5, y0=-0.5, y1=end, line=line)
        figure.add_shape(type="rect", x0=-0.5, x1=end, y0=at - 0.5, y1=at + 0.5, line=line)
    return finish(figure, "Connectivity of networks", "network", "network", height=560)


def _cells(figure: go.Figure, shown: np.ndarray, names: list[str], r_KK: np.ndarray) -> None:
    """A point that nobody sees in every cell beside the diagonal, for clicks."""
    cells = np.argwhere(~np.eye(len(shown), dtype=bool))
    figure.add_scatter(
        x=[names[column] for _, column in cells],
        y=[names[row] for row, _ in cells],
        mode="markers",
        marker=_UNSEEN,
        selected={"marker": {"opacity": 1}},
        unselected={"marker": {"opacity": 1}},
        customdata=[[int(shown[row]), int(shown[column]), f"{r_KK[row, column]:+.2f}"] for row, column in cells],
        hovertemplate="network %{x}<br>network %{y}<br><b>r = %{customdata[2]}</b><extra></extra>",
    )


def recurrence(atlas: Atlas, network: int) -> go.Figure:
    """The share of each passage's activity that a network explains, first passage on top."""
    share_S = 100.0 * atlas.recurrence_SK[:, network]
    figure = go.Figure(
        go.Bar(
            x=share_S,
            y=[passage.name for passage in atlas.passages],
            orientation="h",
            marker={"color": colour_of(atlas, network)},
            hovertemplate="%{y}<br><b>%{x:.2f} %</b> of the variance<extra></extra>",
        )
    )
    figure.update_yaxes(autorange="reversed", automargin=True)
    figure.update_xaxes(rangemode="tozero", ticksuffix=" %")
    title = f"Where network {network} works"
    height = 130 + 20 * len(share_S)
    return finish(figure, title, "variance explained within the passage", "", height=height)
