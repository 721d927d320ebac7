"""A comparison of two models as plotly figures: the score among known pairs, the matrix, signals, second opinions.

Model a is teal, model b orange; derived pairs are red, independent ones blue. Names and labels, which come from files,
are escaped. Shape legend: K, J networks of a and of b, L, J layers of a and of b, G grid positions of one passage.
"""

from functools import partial
from html import escape as html_escape

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from fnet_core.character_grid import STEP, grid_positions
from fnet_core.comparison import Comparison
from fnet_core.figure_style import ACCENT, GREY, NEGATIVE, POSITIVE, colorbar, fading, finish, rgba
from fnet_core.weight_curves import normalised

SECOND = (232, 131, 58)
"""The colour of model b; model a has the accent colour."""

CONTEXT_CHARACTERS = 24
"""Text shown on either side of a position."""

escape = partial(html_escape, quote=False)
"""Plotly shows what stands for a quotation mark as it is written, so these stay."""

_KINDS = {"derived": POSITIVE, "independent": NEGATIVE}
_ROWS = ("independent pairs", "derived pairs", "mismatched passages", "this pair")
"""Of the figure of the score, from the bottom up."""
_LINE = {"color": rgba(GREY, 0.8), "width": 1, "dash": "dash"}


def _names(comparison: Comparison) -> tuple[str, str]:
    """Escaped names of both models, told apart where they are the same."""
    a, b = escape(comparison.a.model.name), escape(comparison.b.model.name)
    return (a, b) if a != b else (f"{a} (A)", f"{b} (B)")


def score_on_reference(comparison: Comparison) -> go.Figure:
    """This pair's score and interval among the reference pairs, with the cuts and the mismatched passages."""
    figure = go.Figure()
    pairs = comparison.reference.pairs if comparison.reference else ()
    for kind, colour in _KINDS.items():
        shown = [pair for pair in pairs if pair.kind == kind]
        figure.add_scatter(
            x=[pair.score for pair in shown],
            y=[f"{kind} pairs"] * len(shown),
            mode="markers",
            name=f"{kind} pair",
            marker={"color": rgba(colour, 0.75), "size": 11},
            customdata=[[escape(pair.a), escape(pair.b), escape(pair.how)] for pair in shown],
            hovertemplate="%{customdata[0]} and %{customdata[1]}<br>%{customdata[2]}<br><b>score %{x:.2f}</b>"
            "<extra></extra>",
        )
    figure.add_scatter(
        x=comparison.null_scores,
        y=["mismatched passages"] * len(comparison.null_scores),
        mode="markers",
        name="mismatched passages",
        marker={"color": rgba(GREY, 1.0), "size": 9, "symbol": "circle-open"},
        hovertemplate="this pair, mismatched passages<br><b>score %{x:.2f}</b><extra></extra>",
    )
    low, high = comparison.interval or (comparison.score, comparison.score)
    interval = f"<br>95 % interval {low:.2f} to {high:.2f}" if comparison.interval else ""
    figure.add_scatter(
        x=[comparison.score],
        y=["this pair"],
        mode="markers",
        name="this pair",
        marker={"color": rgba(ACCENT, 1.0), "size": 14, "symbol": "diamond"},
        cliponaxis=False,
        error_x={"array": [high - comparison.score], "arrayminus": [comparison.score - low], "thickness": 2.5},
        hovertemplate=f"this pair<br><b>score %{{x:.2f}}</b>{interval}<extra></extra>",
    )
    if cuts := comparison.verdict.cuts:
        for x, text, side in (
            (cuts.independent_below, "independent below", "top left"),
            (cuts.derived_above, "derived above", "top right"),
        ):
            figure.add_vline(
                x=x, line=_LINE, annotation_text=f"{text} {x:.2f}", annotation_position=side, annotation_font_size=11
            )
    rows = [row for row in _ROWS if any(row in trace.y for trace in figure.data)]
    figure.update_yaxes(categoryorder="array", categoryarray=rows, range=[-0.6, len(rows) - 0.3], automargin=True)
    figure.update_xaxes(range=[0, 1.02])
    finish(figure, "Score among known pairs", "score: mean matched abs(Spearman)", "", height=130 + 42 * len(rows))
    return figure.update_layout(margin={"t": 64})


def matrix(comparison: Comparison) -> go.Figure:
    """Abs Spearman of all usable pairs of networks in the order of the matching: matched pairs on the diagonal."""
    rows, columns = matrix_order(comparison)
    a, b = _names(comparison)
    values = comparison.matrix_KJ[np.ix_(rows, columns)]
    labels_a, labels_b = ([escape(label) for label in side.labels] for side in (comparison.a, comparison.b))
    labels = np.array([[[labels_a[k], labels_b[j]] for j in columns] for k in rows], dtype=object)
    figure = go.Figure(
        go.Heatmap(
            z=values,
            x=[str(j) for j in columns],
            y=[str(k) for k in rows],
            customdata=labels,
            colorscale=fading(ACCENT),
            zmin=0,
            zmax=1,
            colorbar=colorbar("abs(ρ)"),
            hovertemplate="network %{y}: %{customdata[0]}<br>network %{x}: %{customdata[1]}<br><b>%{z:.2f}</b>"
            "<extra></extra>",
        )
    )
    figure.update_xaxes(type="category", nticks=16)
    figure.update_yaxes(type="category", nticks=16, autorange="reversed")
    title = "All pairs of networks, matched ones on the diagonal"
    return finish(figure, title, f"network of {b}", f"network of {a}", height=520)


def matrix_order(comparison: Comparison) -> tuple[list[int], list[int]]:
    """Usable networks of a and of b, matched ones first, strongest pair first."""
    sides = []
    for column, axis in ((0, 1), (1, 0)):
        matched = comparison.matched_M2[:, column].tolist()
        usable = np.flatnonzero(~np.isnan(comparison.matrix_KJ).all(axis=axis)).tolist()
        sides.append(matched + [k for k in usable if k not in matched])
    return sides[0], sides[1]


def pair_series(comparison: Comparison, pair: int, passage: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
    """Characters of the grid and both signals of one matched pair there, (G,) each; and whether b's was turned over.

    It is turned over where the two go against each other, for a network's sign is arbitrary.
    """
    k, j = comparison.matched_M2[pair]
    x_G = comparison.a.grid_signals(passage)[k].astype(np.float32)
    y_G = comparison.b.grid_signals(passage)[j].astype(np.float32)
    positions_G = grid_positions(len(comparison.a.passages[passage].text), comparison.a.protocol.get("step", STEP))
    turned = float(x_G @ y_G) < 0
    return positions_G, x_G, -y_G if turned else y_G, turned


def matched_signals(comparison: Comparison, pair: int = 0, passage: int = 0) -> go.Figure:
    """The signals of one matched pair along one passage; the second is turned over where they go against each other."""
    k, j = (int(network) for network in comparison.matched_M2[pair])
    text = comparison.a.passages[passage].text
    positions_G, x_G, y_G, turned = pair_series(comparison, pair, passage)
    around = [
        escape(f"{text[max(0, c - CONTEXT_CHARACTERS) : c]}[{text[c]}]{text[c + 1 : c + 1 + CONTEXT_CHARACTERS]}")
        for c in positions_G
    ]
    figure = go.Figure()
    for name, network, label, values_G, colour, over in (
        (_names(comparison)[0], k, comparison.a.labels[k], x_G, ACCENT, ""),
        (_names(comparison)[1], j, comparison.b.labels[j], y_G, SECOND, ", turned over" if turned else ""),
    ):
        figure.add_scatter(
            x=positions_G,
            y=values_G,
            mode="lines",
            name=f"{name}, network {network}: {escape(label)}{over}",
            line={"color": rgba(colour, 0.9), "width": 1.6, "shape": "hv"},
            customdata=around,
            hovertemplate="%{customdata}<br><b>%{y:.2f}</b><extra></extra>",
        )
    value = comparison.passage_values_MP[pair, passage]
    agreement = "silent in one model" if np.isnan(value) else f"abs(ρ) = {value:.2f}"
    title = f"Signals of a matched pair on {escape(comparison.a.passages[passage].name)}, {agreement}"
    finish(figure, title, "character of the passage", "standard deviations", height=340)
    return _legend(figure)


def weight_curves(comparison: Comparison) -> go.Figure:
    """Spread of the Q, K, V and O weights over relative depth, each curve in its own standard deviations."""
    values = [getattr(comparison.curves, name) for name in "qkvo"]
    titles = [f"{n}: flat" if r is None else f"{n}: r = {r:.2f}" for n, r in zip("QKVO", values, strict=True)]
    figure = make_subplots(rows=1, cols=4, subplot_titles=titles, shared_yaxes=True, horizontal_spacing=0.03)
    for side, name, colour in zip((comparison.a, comparison.b), _names(comparison), (ACCENT, SECOND), strict=True):
        curves_4L = normalised(side.curves_4L)
        depth_L = np.linspace(0, 1, curves_4L.shape[1])
        for column, curve_L in enumerate(curves_4L, start=1):
            figure.add_scatter(
                x=depth_L,
                y=curve_L,
                mode="lines",
                name=name,
                legendgroup=name,
                showlegend=column == 1,
                line={"color": rgba(colour, 0.9), "width": 2},
                hovertemplate=f"{name}, depth %{{x:.2f}}<br><b>%{{y:.2f}}</b><extra></extra>",
                row=1,
                col=column,
            )
    finish(figure, "Attention-weight curves", "relative depth", "", height=300)
    figure.update_yaxes(title_text="standard deviations", col=1)
    return _legend(figure).update_layout(margin={"t": 96}, legend={"y": 1.14})


def layer_similarity(comparison: Comparison) -> go.Figure:
    """Linear CKA of every layer of a with every layer of b, layer 0 at the bottom left."""
    a, b = _names(comparison)
    figure = go.Figure(
        go.Heatmap(
            z=comparison.layers.heatmap_LJ,
            colorscale=fading(ACCENT),
            zmin=0,
            zmax=1,
            colorbar=colorbar("CKA"),
            hovertemplate=f"{a}, layer %{{y}}<br>{b}, layer %{{x}}<br><b>CKA %{{z:.2f}}</b><extra></extra>",
        )
    )
    return finish(figure, "Layers against layers (linear CKA)", f"layer of {b}", f"layer of {a}", height=460)


def _legend(figure: go.Figure) -> go.Figure:
    legend = {"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "itemclick": False, "itemdoubleclick": False}
    return figure.update_layout(showlegend=True, legend=legend, margin={"t": 76})
