"""How figures look: colours of networks, colour scales, binning of neurons, titles and margins.

Shape legend: L layers, N neurons of a layer, B bins of neighbouring neurons.
"""

import colorsys
from collections.abc import Callable

import numpy as np
import plotly.graph_objects as go

POSITIVE, NEGATIVE, GREY = (214, 69, 65), (38, 120, 190), (128, 136, 144)
ACCENT = (15, 139, 141)
MARK = (201, 111, 18)
"""Stands out from the accent colour: a second kind of mark."""
MAX_COLUMNS = 256
"""The most columns that a map draws; wider layers are binned."""
_PALETTE = (
    *("#2454c0", "#cca824", "#00c0cc", "#9c0c3c", "#6ca86c", "#902484"),
    *("#cc90fc", "#a85400", "#b46c84", "#0084b4", "#006c54", "#906c3c"),
)
"""Chosen so that eyes that miss one kind of cones tell them apart too (`python -m benchmarks.colours`)."""
_GRID = "rgba(128,136,144,0.22)"


def network_colour(network: int) -> str:
    """A network's fixed colour, the same in every view."""
    if network < len(_PALETTE):
        return _PALETTE[network]
    red, green, blue = colorsys.hls_to_rgb(network * 0.618034 % 1.0, (0.4, 0.53, 0.66)[network % 3], 0.5)
    return f"#{round(255 * red):02x}{round(255 * green):02x}{round(255 * blue):02x}"


def bin_size(neurons: int, columns: int = MAX_COLUMNS) -> int:
    """Neighbouring neurons that share one column, so that at most `columns` are drawn."""
    return -(-neurons // columns)


def strongest_of_bins(grid_LN: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Per bin of `size` neurons the z-value farthest from zero and the neuron that has it, (L, B) each.

    NaN and -1 where a bin holds no neuron.
    """
    layers, width = grid_LN.shape
    bins = -(-width // size)
    padded = np.full((layers, bins * size), np.nan, dtype=np.float32)
    padded[:, :width] = grid_LN
    cells = padded.reshape(layers, bins, size)
    at = np.where(np.isnan(cells), -1.0, np.abs(cells)).argmax(axis=2)
    values = np.take_along_axis(cells, at[..., None], axis=2)[..., 0]
    neurons = np.where(np.isnan(values), -1, np.arange(bins) * size + at)
    return values, neurons


def commonest_of_bins(codes_LN: np.ndarray, size: int, kinds: int) -> np.ndarray:
    """Per bin of `size` neurons the commonest code from 0 on, (L, B); -1 where there is none."""
    layers, width = codes_LN.shape
    bins = -(-width // size)
    padded = np.full((layers, bins * size), -1)
    padded[:, :width] = codes_LN
    cells = padded.reshape(layers, bins, size)
    counts = np.stack([(cells == kind).sum(axis=2) for kind in range(kinds)])
    return np.where(counts.any(axis=0), counts.argmax(axis=0), -1)


def channels(colour: str) -> tuple[int, int, int]:
    """Red, green and blue, 0 to 255, of a colour such as "#2a78c2"."""
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue


def rgba(colour: tuple[int, int, int], alpha: float) -> str:
    """A colour as plotly and CSS write it."""
    return "rgba({},{},{},{:.3f})".format(*colour, alpha)


def threshold_scale(share: float) -> list[list]:
    """Blue to red through transparent, grey inside the threshold, which is `share` of the limit."""
    low, high = (1 - share) / 2, (1 + share) / 2
    return [
        [0.0, rgba(NEGATIVE, 1.0)],
        [low, rgba(NEGATIVE, 0.45)],
        [low, rgba(GREY, 0.22)],
        [0.5, rgba(GREY, 0.02)],
        [high, rgba(GREY, 0.22)],
        [high, rgba(POSITIVE, 0.45)],
        [1.0, rgba(POSITIVE, 1.0)],
    ]


def diverging() -> list[list]:
    """Blue to red through transparent."""
    return [
        [0.0, rgba(NEGATIVE, 1.0)],
        [0.5, rgba(NEGATIVE, 0.0)],
        [0.5, rgba(POSITIVE, 0.0)],
        [1.0, rgba(POSITIVE, 1.0)],
    ]


def fading(colour: tuple[int, int, int]) -> list[list]:
    """One colour, from almost transparent to full."""
    return [[0.0, rgba(colour, 0.03)], [1.0, rgba(colour, 1.0)]]


def colorbar(title: str) -> dict:
    """A slim scale beside a heatmap, with its quantity on top."""
    return {"title": {"text": title, "side": "top"}, "thickness": 10, "outlinewidth": 0, "len": 0.9}


def finish(figure: go.Figure, title: str, x: str, y: str, height: int) -> go.Figure:
    """The figure with title, axis titles, transparent background and quiet lines."""
    figure.update_layout(
        title={"text": title, "x": 0, "xanchor": "left"},
        height=height,
        margin={"l": 56, "r": 12, "t": 46, "b": 48},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        showlegend=False,
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": rgba(GREY, 0.8), "activecolor": rgba(ACCENT, 1.0)},
    )
    figure.update_xaxes(title_text=x, gridcolor=_GRID, zeroline=False, showgrid=False)
    figure.update_yaxes(title_text=y, gridcolor=_GRID, zeroline=False, showgrid=False)
    return figure


LOG_FROM = 5.0
"""Ratio of largest to smallest perplexity from which on an axis is logarithmic."""


def scale(update_axes: Callable[..., object], values: np.ndarray) -> None:
    """A logarithmic axis where the values span much, with plain numbers beside its ticks."""
    finite = values[np.isfinite(values)]
    if len(finite) and finite.min() > 0 and finite.max() / finite.min() >= LOG_FROM:
        update_axes(type="log", dtick="D2" if finite.max() / finite.min() < 100 else 1, tickformat=",")


def legend_above(figure: go.Figure) -> go.Figure:
    legend = {"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "itemclick": False, "itemdoubleclick": False}
    return figure.update_layout(showlegend=True, legend=legend, margin={"t": 76})
