"""Networks that work together as a graph: on a circle, alike ones side by side, a curve for every link."""

import numpy as np
import plotly.graph_objects as go

from fnet_core.networks.atlas import Atlas
from fnet_core.networks.links import Links
from fnet_core.plotting.networks import colour_of
from fnet_core.plotting.style import GREY, NEGATIVE, POSITIVE, channels, finish, rgba

_STEPS = np.linspace(0.0, 1.0, 13)
_WIDTHS = (1.0, 2.0, 3.5)
"""Widths of the weakest, middle and strongest third of what a link's abs(r) can be."""
_DIMMED = 0.25
"""How opaque networks and links are that have nothing to do with the selected one."""
_MOST_NUMBERS = 64
"""The most networks whose numbers stand beside them."""


def graph(atlas: Atlas, found: Links, threshold: float, selected: int | None = None) -> go.Figure:
    """The networks around a circle and the links between them, red where they work together, blue where in turns.

    With `selected` all but its links and the networks they lead to step back. Nodes grow with the number of key
    neurons beyond `threshold`. The last trace has the networks, with their numbers as customdata, for clicks.
    """
    turn_K = np.pi / 2 - 2 * np.pi * np.arange(len(found.order_K)) / max(1, len(found.order_K))
    place_K2 = np.stack([np.cos(turn_K), np.sin(turn_K)], axis=1)
    lit_E = np.ones(len(found.ends_E2), dtype=bool)
    lit_K = np.ones(len(found.order_K), dtype=bool)
    if selected is not None:
        lit_E = (found.order_K[found.ends_E2] == selected).any(axis=1)
        lit_K = np.isin(np.arange(len(lit_K)), found.ends_E2[lit_E]) | (found.order_K == selected)
    figure = go.Figure()
    strength_E = np.abs(found.r_E)
    third_E = np.minimum(2, (3 * (strength_E - found.least) / max(1e-9, 1.0 - found.least)).astype(int))
    for lit, opacity in ((False, _DIMMED), (True, 0.8)):
        for sign, colour, name in ((1, POSITIVE, "together"), (-1, NEGATIVE, "in turns")):
            for third, width in enumerate(_WIDTHS):
                chosen = (lit_E == lit) & (np.sign(found.r_E) == sign) & (third_E == third)
                told = name if lit else f"{name}, of other networks"
                _curves(figure, place_K2, found.ends_E2[chosen], rgba(colour, opacity), width, told)
    _nodes(figure, atlas, found, threshold, place_K2, lit_K, selected)
    figure.update_xaxes(visible=False, range=[-1.25, 1.25], constrain="domain")
    figure.update_yaxes(visible=False, range=[-1.25, 1.25], scaleanchor="x", constrain="domain")
    return finish(figure, f"Links at |r| of {found.least:.2f} or more", "", "", height=560)


def _curves(figure: go.Figure, place_K2: np.ndarray, ends_E2: np.ndarray, colour: str, width: float, name: str) -> None:
    """Curves that bend towards the middle, the farther apart their ends the more; none where there are no links."""
    if not len(ends_E2):
        return
    first_E12, last_E12 = place_K2[ends_E2[:, 0], None], place_K2[ends_E2[:, 1], None]
    apart_E11 = np.linalg.norm(first_E12 - last_E12, axis=2, keepdims=True) / 2
    bend_E12 = (1 - 0.8 * apart_E11) * (first_E12 + last_E12) / 2
    t = _STEPS[None, :, None]
    curve_EP2 = (1 - t) ** 2 * first_E12 + 2 * t * (1 - t) * bend_E12 + t**2 * last_E12
    gap_E12 = np.full((len(ends_E2), 1, 2), np.nan)
    points = np.concatenate([curve_EP2, gap_E12], axis=1).reshape(-1, 2).round(4)
    figure.add_scatter(
        x=points[:, 0],
        y=points[:, 1],
        mode="lines",
        line={"color": colour, "width": width},
        name=name,
        hoverinfo="skip",
    )


def _nodes(
    figure: go.Figure,
    atlas: Atlas,
    found: Links,
    threshold: float,
    place_K2: np.ndarray,
    lit_K: np.ndarray,
    selected: int | None,
) -> None:
    neurons_K = atlas.key_counts(threshold).sum(axis=1)[found.order_K]
    size_K = 9 + 15 * np.sqrt(neurons_K / max(1, neurons_K.max(initial=1)))
    numbered = len(found.order_K) <= _MOST_NUMBERS
    figure.add_scatter(
        x=1.13 * place_K2[:, 0],
        y=1.13 * place_K2[:, 1],
        mode="text",
        text=[str(k) if numbered else "" for k in found.order_K],
        textfont={"size": 11},
        hoverinfo="skip",
        name="numbers",
    )
    figure.add_scatter(
        x=place_K2[:, 0],
        y=place_K2[:, 1],
        mode="markers",
        name="networks",
        marker={
            "size": size_K,
            "color": [
                rgba(channels(colour_of(atlas, int(k))), 1.0 if lit else _DIMMED)
                for k, lit in zip(found.order_K, lit_K, strict=True)
            ],
            "line": {"color": rgba(GREY, 1.0), "width": [3 if k == selected else 0 for k in found.order_K]},
        },
        selected={"marker": {"opacity": 1}},
        unselected={"marker": {"opacity": 1}},
        customdata=[
            [int(k), atlas.named[k].replace("<", "&lt;"), f"{neurons:,}", int(degree), _strongest(found, at)]
            for at, (k, neurons, degree) in enumerate(zip(found.order_K, neurons_K, found.degree_K, strict=True))
        ],
        hovertemplate="<b>network %{customdata[0]}</b>: %{customdata[1]}<br>%{customdata[2]} key neurons, "
        "%{customdata[3]} links%{customdata[4]}<extra></extra>",
    )


def _strongest(found: Links, at: int) -> str:
    """The strongest link of the network at this place, as a line; empty without one."""
    own = np.flatnonzero((found.ends_E2 == at).any(axis=1))
    if not len(own):
        return ""
    other = int(found.ends_E2[own[0]].sum()) - at
    return f"<br>strongest: network {found.order_K[other]}, r = {found.r_E[own[0]]:+.2f}"
