"""Figures of whether networks come back.

Shape legend: K networks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from fnet_core.choices import CONTRASTS
from fnet_core.networks.recurrence import TRUSTED, Recurrence, mean_interval
from fnet_core.plotting.style import ACCENT, GREY, MARK, finish, legend_above, network_colour, rgba

_SHOWN = (
    ("maps", "correlation_K", "correlation_level", ACCENT, "circle"),
    ("key neurons", "overlap_K", "overlap_level", MARK, "diamond"),
)


def coming_back(found: Recurrence, selected: int | None = None, trusted_K: np.ndarray | None = None) -> go.Figure:
    """Each network's map correlation above its IoU of key neurons, and the levels of trust and of shuffled neurons.

    Networks that are not in `trusted_K`, by default those that `found` trusts, are drawn hollow.
    """
    figure = go.Figure()
    names = [f"{network} · {escape(label, quote=False)}" for network, label in enumerate(found.labels)]
    trusted_K = found.trusted_K if trusted_K is None else trusted_K
    for name, values, level, colour, symbol in _SHOWN:
        figure.add_scatter(
            x=list(range(len(found))),
            y=getattr(found, values),
            mode="markers",
            name=name,
            customdata=[
                [network, "trusted" if own else "not trusted"] for network, own in zip(names, trusted_K, strict=True)
            ],
            marker={
                "color": rgba(colour, 1.0),
                "symbol": [symbol if own else f"{symbol}-open" for own in trusted_K],
                "size": [13 if network == selected else 8 for network in range(len(found))],
                "line": {"width": 1.5, "color": rgba(colour, 1.0)},
                "opacity": 1.0,
            },
            hovertemplate="%{customdata[0]}, %{customdata[1]}<br><b>%{y:.2f}</b> (" + name + ")<extra></extra>",
        )
        figure.add_hline(y=getattr(found, level), line={"color": rgba(colour, 0.8), "dash": "dot", "width": 1})
    figure.data[0].error_y = {
        "array": np.zeros(len(found)),
        "arrayminus": found.correlation_K - found.overlap_K,
        "color": rgba(GREY, 0.35),
        "thickness": 1,
        "width": 0,
    }
    figure.add_hline(
        y=TRUSTED,
        line={"color": rgba(GREY, 0.9), "dash": "dash", "width": 1},
        annotation={"text": f"trusted from {TRUSTED:g}", "font": {"color": rgba(GREY, 1.0)}, "yshift": -1},
        annotation_position="top right",
    )
    figure.add_hline(y=0, line={"color": rgba(GREY, 0.4), "width": 1})
    figure.update_yaxes(range=[-0.03, 1.03])
    step = 1 if len(found) < 12 else 5 * max(1, len(found) // 40)
    figure.update_xaxes(range=[-0.7, 1.12 * len(found)], tickvals=list(range(0, len(found), step)))
    return legend_above(finish(figure, "Does each network come back?", "network", "agreement (0 to 1)", height=380))


@dataclass(frozen=True, eq=False)
class Setting:
    """One way of finding networks, and how alike each of them is in both halves of the text."""

    model: str
    text: str
    passages: int
    components: int
    contrast: str
    sketch: int
    """Directions that the group step carries, per network."""
    correlation_K: np.ndarray
    """float64 abs Pearson r of each network's two maps."""
    trusted_K: np.ndarray
    """bool."""
    chance: float
    """The mean abs(r) where neurons are shuffled."""


CURVES_NOTE = (
    "Circles: mean abs(r) of all networks between two halves of the text. Diamonds: of the trusted ones. Dotted: "
    "shuffled neurons. Bars: 95 % intervals, networks resampled."
)
"""What one sees in the curves, for their caption."""

_AXES = {
    "passages": "passages, both halves together",
    "components": "networks",
    "contrast": "contrast",
    "sketch": "sketch, directions per network",
}


def curves(found: Sequence[Setting]) -> go.Figure:
    """Recurrence against each thing that varies while all others stay, a panel each, with intervals and chance."""
    lines = {axis: _lines(found, axis) for axis in _AXES}
    shown = [axis for axis, own in lines.items() if own]
    if not shown:
        raise ValueError("no setting differs from another in one thing alone")
    columns = min(2, len(shown))
    rows = -(-len(shown) // columns)
    gap = 0.2 / rows
    figure = make_subplots(rows, columns, shared_yaxes=True, horizontal_spacing=0.04, vertical_spacing=gap)
    names = list(dict.fromkeys((each.model, each.text) for each in found))
    drawn: set[tuple[str, str]] = set()
    for number, axis in enumerate(shown):
        place = {"row": number // columns + 1, "col": number % columns + 1}
        values = sorted({getattr(each, axis) for line in lines[axis] for each in line}, key=_order(axis))
        for line in lines[axis]:
            name = line[0].model, line[0].text
            aside = 0.05 * (names.index(name) - (len(names) - 1) / 2)
            x = [values.index(getattr(each, axis)) + aside for each in line]
            _line(figure, line, x, network_colour(names.index(name)), name not in drawn, place)
            drawn.add(name)
        ticks = {"tickvals": list(range(len(values))), "ticktext": [str(value) for value in values]}
        figure.update_xaxes(**ticks, range=[-0.4, len(values) - 0.6], **place)
    figure.update_yaxes(range=[-0.03, 1.03])
    finish(figure, "How much comes back in the other half?", "", "", height=120 + 320 * rows)
    for number, axis in enumerate(shown):
        figure.update_xaxes(title_text=_AXES[axis], row=number // columns + 1, col=number % columns + 1)
    figure.update_yaxes(title_text="mean abs(r)", col=1)
    for number in range(len(shown), rows * columns):
        place = {"row": number // columns + 1, "col": number % columns + 1}
        figure.update_xaxes(visible=False, **place).update_yaxes(visible=False, **place)
    return legend_above(figure)


def _lines(found: Sequence[Setting], axis: str) -> list[list[Setting]]:
    """Settings that differ along the axis alone, in its order; at least two in each line."""
    others = [each.name for each in fields(Setting)[:6] if each.name != axis]
    alike: dict[tuple[object, ...], list[Setting]] = {}
    for each in found:
        alike.setdefault(tuple(getattr(each, name) for name in others), []).append(each)
    return [
        sorted(line, key=lambda each: _order(axis)(getattr(each, axis))) for line in alike.values() if len(line) > 1
    ]


def _order(axis: str) -> Callable[[Any], float]:
    return list(CONTRASTS).index if axis == "contrast" else float


def _line(
    figure: go.Figure, line: Sequence[Setting], x: Sequence[float], colour: str, first: bool, place: dict[str, int]
) -> None:
    """Means of all and of trusted networks with their intervals, and chance, of one model on one text."""
    name = f"{line[0].model}, {line[0].text}"
    kinds = (
        ("all networks", [each.correlation_K for each in line], "circle", "solid"),
        ("trusted", [each.correlation_K[each.trusted_K] for each in line], "diamond", "dash"),
    )
    for kind, values, symbol, dash in kinds:
        means = [float(r_K.mean()) if len(r_K) else None for r_K in values]
        ends = [mean_interval(r_K) if len(r_K) else (np.nan, np.nan) for r_K in values]
        figure.add_scatter(
            x=x,
            y=means,
            mode="lines+markers",
            name=name,
            legendgroup=name,
            showlegend=first and kind == "all networks",
            marker={"color": colour, "symbol": symbol, "size": 8},
            line={"color": colour, "dash": dash, "width": 1.5},
            error_y={
                "array": [high - (mean or 0) for mean, (_, high) in zip(means, ends, strict=True)],
                "arrayminus": [(mean or 0) - low for mean, (low, _) in zip(means, ends, strict=True)],
                "color": colour,
                "thickness": 1,
                "width": 3,
            },
            customdata=[[kind, len(r_K), *interval] for r_K, interval in zip(values, ends, strict=True)],
            hovertemplate=f"{name}<br>%{{customdata[0]}}: <b>%{{y:.3f}}</b> (%{{customdata[2]:.3f}} to "
            "%{customdata[3]:.3f}), %{customdata[1]} networks<extra></extra>",
            **place,
        )
    figure.add_scatter(
        x=x,
        y=[each.chance for each in line],
        mode="lines",
        name=f"{name}, shuffled",
        legendgroup=name,
        showlegend=False,
        line={"color": colour, "dash": "dot", "width": 1},
        hovertemplate="shuffled neurons: <b>%{y:.3f}</b><extra></extra>",
        **place,
    )
