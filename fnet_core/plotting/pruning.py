"""What pruning takes and costs, as plotly figures: curves, keep and drop maps, what networks keep.

A method has one colour everywhere; the chosen one is drawn wide, the untouched model is a grey line.
Shape legend: L layers, N neurons of a layer, B bins of neighbouring neurons, H heads of a layer, K networks.
"""

from collections.abc import Callable, Sequence

import numpy as np
import plotly.graph_objects as go

from fnet_core.plotting.style import ACCENT, GREY, LOG_FROM, POSITIVE, bin_size, colorbar, finish, network_colour, rgba
from fnet_core.pruning.curves import CurvePoint, point_table, read_off
from fnet_core.pruning.methods import METHODS
from fnet_core.pruning.plan import PrunePlan
from fnet_core.pruning.survival import Survival, survival_table

MAX_NETWORKS = 64
"""The most networks that the figure of survival draws, the first ones; the table has all."""
CURVES_HEIGHT = 400
"""Pixels, for what stands in the place of the curves while there is no point."""
_COLOURS = {
    "networks": rgba(ACCENT, 1.0),
    "fn": network_colour(4),
    "wanda-sp": network_colour(0),
    "flap": network_colour(1),
    "obs": network_colour(2),
    "obs-networks": network_colour(6),
    "magnitude": network_colour(5),
    "random": rgba(GREY, 1.0),
    "layer-networks": network_colour(3),
    "block-influence": network_colour(7),
    "layer-random": rgba(GREY, 0.6),
}
_LEGEND = {"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "itemclick": False, "itemdoubleclick": False}


def method_colour(method: str) -> str:
    """A method's fixed colour in every view."""
    return _COLOURS[method]


def curves(
    points: Sequence[CurvePoint],
    untouched: float | None,
    position: float,
    chosen: str,
    of_what: str = "MLP neurons",
    measured: float | None = None,
) -> go.Figure:
    """Perplexity against ratio, a line per method that starts at the untouched model.

    The position is marked, at its `measured` perplexity or else at what the chosen method's line says there.
    """
    table = point_table(points).replace(np.inf, np.nan)
    figure = go.Figure()
    methods = [method for method in METHODS if method != chosen and method in set(table["method"])]
    for method in [*methods, *([chosen] if chosen in set(table["method"]) else [])]:
        of_method = table[table["method"] == method]
        start = [] if untouched is None else [(0.0, untouched, np.nan, np.nan, 0.0)]
        columns = ["ratio", "perplexity", "low", "high", "removed"]
        rows = [*start, *of_method.loc[of_method["ratio"] > 0, columns].itertuples(index=False)]
        figure.add_scatter(
            x=[100 * row[0] for row in rows],
            y=[row[1] for row in rows],
            customdata=[[_between(row[2], row[3]), 100 * row[4]] for row in rows],
            mode="lines+markers",
            connectgaps=False,
            name=METHODS[method].title,
            line={
                "color": method_colour(method),
                "width": 3.2 if method == chosen else 1.6,
                "dash": "dash" if METHODS[method].source == "control" else "solid",
            },
            marker={"size": 9 if method == chosen else 6},
            hovertemplate=f"{METHODS[method].title}<br>ratio %{{x:.0f}} %, %{{customdata[1]:.1f}} % of all parameters"
            "<br><b>perplexity %{y:,.1f}</b>%{customdata[0]}<extra></extra>",
        )
    values = table["perplexity"].to_numpy()
    farthest = 100 * max([position, *table["ratio"].tolist(), 0.5])
    if untouched is not None:
        values = np.append(values, untouched)
        figure.add_scatter(
            x=[-2.0, farthest + 3],
            y=[untouched] * 2,
            mode="lines",
            name="untouched",
            line={"color": rgba(GREY, 0.8), "width": 1.4, "dash": "dot"},
            hoverinfo="skip",
        )
    figure.add_vline(x=100 * position, line={"color": rgba(GREY, 0.8), "width": 1.5})
    at = read_off(points, untouched, chosen, position) if measured is None else measured
    if at is not None and np.isfinite(at):
        colour = method_colour(chosen)
        marker = {"size": 15, "color": rgba(GREY, 0.0), "line": {"color": colour, "width": 2.5}, "symbol": "circle"}
        figure.add_scatter(
            x=[100 * position], y=[at], mode="markers", marker=marker, hoverinfo="skip", showlegend=False, name="slider"
        )
    finite = values[np.isfinite(values)]
    if len(finite) and finite.max() / finite.min() >= LOG_FROM:
        figure.update_yaxes(type="log", dtick="D2" if finite.max() / finite.min() < 100 else 1, tickformat=",")
    figure.update_xaxes(range=[-1.5, farthest + 2], ticksuffix=" %")
    finish(figure, "Perplexity by ratio", f"removed, of all {of_what}", _quantity(points), height=CURVES_HEIGHT)
    figure.update_yaxes(showgrid=True)
    figure.update_layout(title={"y": 1.0, "yref": "container", "yanchor": "top", "pad": {"t": 8}})  # above three rows
    return figure.update_layout(showlegend=True, legend=_LEGEND, margin={"t": 104})


def _quantity(points: Sequence[CurvePoint]) -> str:
    """ "perplexity per token", as the points define it."""
    definitions = {point.perplexity.definition for point in points if point.perplexity}
    return " ".join(["perplexity", *(f"per {definition}" for definition in definitions)])


def _between(low: float, high: float) -> str:
    return f" (95 %: {low:,.1f} to {high:,.1f})" if np.isfinite(low) and np.isfinite(high) else ""


def keep_map(plan: PrunePlan) -> go.Figure:
    """Which MLP neurons stay, layers x neurons: the share of each bin of neighbouring neurons that is kept.

    In a mixture of experts, where none can go, the heads' map.
    """
    width = max(plan.anatomy.widths_L)
    if not width:
        return head_map(plan)
    size = bin_size(width)
    bins = -(-width // size)
    kept_LB = np.full((len(plan.keep_mlp), bins), np.nan, dtype=np.float32)
    for layer, keep in enumerate(plan.keep_mlp):
        starts = np.arange(0, len(keep), size)
        kept_LB[layer, : len(starts)] = np.add.reduceat(keep, starts, dtype=np.int64) / np.diff([*starts, len(keep)])
    first = np.broadcast_to(np.arange(bins) * size, kept_LB.shape)
    last = np.minimum(first + size - 1, np.array(plan.anatomy.widths_L)[:, None] - 1)
    hover = "layer %{y}, neurons %{customdata[0]} to %{customdata[1]}" if size > 1 else "layer %{y}, neuron %{x}"
    figure = go.Figure(
        go.Heatmap(
            z=100 * kept_LB,
            x=np.arange(bins) * size + (size - 1) / 2,
            y=np.arange(len(plan.keep_mlp)),
            customdata=np.stack([first, last], axis=-1).astype(np.int32),
            colorscale=_keep_scale(),
            zmin=0,
            zmax=100,
            hoverongaps=False,
            hovertemplate=hover + "<br><b>%{z:.0f} % kept</b><extra></extra>",
            colorbar=colorbar("% kept"),
        )
    )
    title = "neuron of the layer" + (f" ({size} per column)" if size > 1 else "")
    return finish(figure, "MLP neurons that stay", title, "layer", height=430)


def head_map(plan: PrunePlan) -> go.Figure:
    """Which attention heads stay, layers x heads."""
    most = max(plan.anatomy.heads_L)
    kept_LH = np.full((len(plan.keep_heads), most), np.nan, dtype=np.float32)
    for layer, keep in enumerate(plan.keep_heads):
        kept_LH[layer, : len(keep)] = keep
    names = np.where(kept_LH > 0, "stays", "goes")
    figure = go.Figure(
        go.Heatmap(
            z=100 * kept_LH,
            x=np.arange(most),
            y=np.arange(len(plan.keep_heads)),
            customdata=names,
            colorscale=_keep_scale(),
            zmin=0,
            zmax=100,
            xgap=2,
            ygap=1,
            showscale=False,
            hoverongaps=False,
            hovertemplate="layer %{y}, head %{x}<br><b>%{customdata}</b><extra></extra>",
        )
    )
    figure.update_xaxes(dtick=1 if most <= 16 else None)
    return finish(figure, "Attention heads that stay", "head of the layer", "layer", height=430)


def _keep_scale() -> list[list]:
    """Red where all go, teal where all stay; a plain step between none and some, so that emptied bins stand out."""
    none, few, half, all_ = rgba(POSITIVE, 0.9), rgba(POSITIVE, 0.55), rgba(GREY, 0.15), rgba(ACCENT, 0.95)
    return [[0.0, none], [0.01, few], [0.5, half], [1.0, all_]]


def layer_profile(plan: PrunePlan) -> go.Figure:
    """The share of each layer's neurons, and of its heads where any go, that a plan removes."""
    series = [("MLP neurons", plan.keep_mlp, rgba(POSITIVE, 0.85))] if any(plan.anatomy.widths_L) else []
    if plan.removed_heads:
        series.append(("heads", plan.keep_heads, rgba(GREY, 0.8)))
    figure = go.Figure()
    for name, keeps, colour in series:
        gone = [int((~keep).sum()) for keep in keeps]
        figure.add_bar(
            x=[100 * count / len(keep) for count, keep in zip(gone, keeps, strict=True)],
            y=np.arange(len(keeps)),
            customdata=gone,
            orientation="h",
            name=name,
            marker={"color": colour},
            hovertemplate=f"layer %{{y}}<br><b>%{{customdata:,}} {name} removed</b>, %{{x:.1f}} %<extra></extra>",
        )
    figure.update_xaxes(rangemode="tozero", ticksuffix=" %")
    finish(figure, "Removed by layer", "removed, of the layer's own", "layer", height=430)
    if len(series) > 1:
        figure.update_layout(showlegend=True, legend=_LEGEND, margin={"t": 76})
    return figure.update_layout(barmode="group")


def survival(found: Survival, random_K: np.ndarray, colour_of: Callable[[int], str]) -> go.Figure:
    """The share of each network's key neurons that stays, as a line up or down from what a random cut keeps."""
    table = survival_table(found, random_K).dropna(subset="kept").head(MAX_NETWORKS)
    names = [str(network) for network in table["network"]]
    figure = go.Figure()
    for name, low, high, network in zip(names, table["random"], table["kept"], table["network"], strict=True):
        line = {"color": colour_of(network), "width": 3}
        ends = [100 * low, 100 * high]
        figure.add_scatter(x=[name] * 2, y=ends, mode="lines", line=line, hoverinfo="skip", showlegend=False)
    figure.add_scatter(
        x=names,
        y=100 * table["random"],
        mode="markers",
        name="a random cut, as many of each layer",
        marker={"color": rgba(GREY, 1.0), "size": 8, "symbol": "circle-open"},
        hovertemplate="network %{x}<br><b>a random cut keeps %{y:.1f} %</b><extra></extra>",
    )
    figure.add_scatter(
        x=names,
        y=100 * table["kept"],
        mode="markers",
        name="this plan",
        marker={"color": [colour_of(network) for network in table["network"]], "size": 10},
        customdata=np.stack(
            [table["label"], table["key_neurons"], 100 * table["kept_energy"], 100 * table["beyond"]], axis=-1
        ),
        hovertemplate="network %{x}: %{customdata[0]}<br><b>%{y:.1f} % of %{customdata[1]:,} key neurons stay</b>, "
        "%{customdata[3]:+.1f} points against a random cut<br>%{customdata[2]:.1f} % of the whole map, as z squared"
        "<extra></extra>",
    )
    lowest = 100 * min([1.0, *table["kept"], *table["random"]])
    figure.update_yaxes(range=[max(-2.0, lowest - 8), 102], ticksuffix=" %")
    figure.update_xaxes(type="category", nticks=40, range=[-0.6, len(names) - 0.4])
    finish(figure, "What stays of each network", "network", "key neurons that stay", height=380)
    figure.update_yaxes(showgrid=True)
    return figure.update_layout(showlegend=True, legend=_LEGEND, margin={"t": 76})
